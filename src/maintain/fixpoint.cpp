// Recursive queries: the rounds of delta/fixpoint.hpp over the stored rows, or the query run whole.
//
// One lock for all writers that touch the recursion: two edges that two of them insert can make a path that neither
// sees, at any distance, so that no set of keys known beforehand would do.
#include "delta/fixpoint.hpp"

#include "maintain/fixpoint.hpp"
#include "maintain/locks.hpp"

extern "C" {
#include "access/tableam.h"
}

namespace upkeep::maintain {

using algebra::InputSet;

namespace {

/// A part of the change of one source, as SQL sees it.
struct Part {
    Tuplestorestate *rows = nullptr;
    int64 count = 0;
};

/// The change of an input other than the node itself. What adds to the input as a factor of the join came, the rest
/// went; the keys of an anti input count the other way round.
struct Change {
    algebra::Input input;
    ZSet *rows;              // of a node
    Part positive, negative; // by the sign of the weights
    int64 total;             // of rows in the whole change
};

enum class Which : uint8 { all, came, went };

struct Fixpoint {
    using Rows = ZSet *;

    Run &run;
    NodeProgram &node;
    bool set;
    Target *target = nullptr;
    TupleTableSlot *slot = nullptr;
    ZSet *reported = nullptr;
    ZSet *seed = nullptr; // ΔS
    GroupTable *removed = nullptr;
    pg::Vector<Change> changes;
    pg::Vector<algebra::Input> shown_in_part;

    Rows lost();
    Rows gained();
    Rows step(const Rows &round, delta::Inputs inputs);
    bool take_out(Rows *rows);
    bool put_in(Rows *rows);
    static bool is_empty(const Rows &rows) { return rows->is_empty(); }

    ZSet *make_rows() { return new (palloc(sizeof(ZSet))) ZSet(node.flow_ops, run.memory); }
    template <typename Compute> ZSet *read(Compute compute);
    template <typename Visit> void for_each_recursive(Visit visit);
    void load_changes();
    Change *find_change(const algebra::Input &input);
    ZSet *net_keys(int number);
    void show_whole(const algebra::Input &input);
    InputSet changed(const BlockProgram &block, int self, Which which);
    void show(const BlockProgram &block, InputSet inputs, Which which);
    void show_all();
    void terms(BlockProgram &block, InputSet beside, Which which, int sign, InputSet all_changed, Evaluator *evaluator,
               RowSink &sink);
    void block_lost(BlockProgram &block, int self, RowSink &sink);
    void block_gained(BlockProgram &block, int self, RowSink &sink);
    void block_step(BlockProgram &block, int self, ZSet &round, delta::Inputs inputs, RowSink &sink);
    void add_seed(int sign, RowSink &sink);
    void add_derivable(RowSink &sink);
    bool broken(const char *why) {
        run.broken = true;
        run.broken_why = why;
        return false;
    }
};

bool is_self(const NodeProgram &node, const algebra::Input &input) {
    return input.kind == algebra::InputKind::node && input.source == node.number;
}

int find_self(const NodeProgram &node, const BlockProgram &block) {
    const auto &inputs = block.block->inputs;
    for (size_t i = 0; i < inputs.size(); i++)
        if (is_self(node, inputs[i]))
            return static_cast<int>(i);
    return -1;
}

/// Computes under a snapshot that is newer than the lock and than what was written; at the higher isolation levels
/// under the transaction's own too.
template <typename Compute> ZSet *Fixpoint::read(Compute compute) {
    ZSet *rows = make_rows();
    push_snapshot(run);
    compute(*rows);
    PopActiveSnapshot();
    if (IsolationUsesXactSnapshot()) {
        ZSet own(node.flow_ops, run.memory);
        PushCopiedSnapshot(GetTransactionSnapshot());
        UpdateActiveSnapshotCommandId();
        compute(own);
        PopActiveSnapshot();
        require_same(*rows, own);
    }
    return rows;
}

template <typename Visit> void Fixpoint::for_each_recursive(Visit visit) {
    for (BlockProgram &block : node.blocks)
        if (const int self = find_self(node, block); self >= 0)
            visit(block, self);
}

bool is_same_source(const algebra::Input &a, const algebra::Input &b) {
    return a.kind == b.kind && a.source == b.source;
}

/// The change of a grouped node without the groups that stayed, which is all that an anti input sees of it.
ZSet *Fixpoint::net_keys(int number) {
    NodeProgram keys = run.program->nodes[static_cast<size_t>(number)];
    keys.naggs = 0;
    keys.delta_size = 0;
    keys.ambiguous_keys = false;
    GroupTable groups(keys, run.memory);
    ZSet &delta = *run.node_deltas[static_cast<size_t>(number)];
    for (const ZSet::Row *row : delta.rows())
        if (row->weight != 0)
            groups.add(row->values, row->nulls, row->weight);
    auto *net = new (palloc(sizeof(ZSet))) ZSet(keys.row_ops, run.memory);
    for (const ZSet::Row *row : delta.rows())
        if (row->weight != 0 && groups.find(row->values, row->nulls)->rows != 0)
            net->add(row->values, row->nulls, row->weight);
    return net;
}

/// The changed inputs of the recursive term.
void Fixpoint::load_changes() {
    for_each_recursive([&](BlockProgram &block, int) {
        for (const algebra::Input &input : block.block->inputs) {
            if (input.source < 0 || is_self(node, input) || changed_rows(run, input) == 0 ||
                find_change(input) != nullptr)
                continue;
            ZSet *rows = input.kind != algebra::InputKind::node ? nullptr
                         : input.role == algebra::Role::anti    ? net_keys(input.source)
                                                                : run.node_deltas[static_cast<size_t>(input.source)];
            const auto [positive, negative] = count_signs(run, input, rows);
            changes.push_back({input, rows, {nullptr, positive}, {nullptr, negative}, changed_rows(run, input)});
        }
    });
}

Change *Fixpoint::find_change(const algebra::Input &input) {
    for (Change &c : changes)
        if (is_same_source(c.input, input) && c.input.role == input.role)
            return &c;
    return nullptr;
}

bool is_positive(const algebra::Input &input, Which which) {
    return (which == Which::came) == (input.role == algebra::Role::inner);
}

InputSet Fixpoint::changed(const BlockProgram &block, int self, Which which) {
    InputSet result = 0;
    const auto &inputs = block.block->inputs;
    for (int i = 0; i < static_cast<int>(inputs.size()); i++) {
        const Change *c = i == self || inputs[i].source < 0 ? nullptr : find_change(inputs[i]);
        if (c == nullptr)
            continue;
        const int64 n = which == Which::all             ? c->positive.count + c->negative.count
                        : is_positive(inputs[i], which) ? c->positive.count
                                                        : c->negative.count;
        if (n > 0)
            result |= algebra::only(i);
    }
    return result;
}

void Fixpoint::show_whole(const algebra::Input &input) {
    for (size_t i = 0; i < shown_in_part.size(); i++)
        if (is_same_source(shown_in_part[i], input)) {
            show_delta(run, input, nullptr, 0);
            shown_in_part.erase(shown_in_part.begin() + static_cast<std::ptrdiff_t>(i));
            return;
        }
}

/// Makes SQL see that part of the inputs' changes.
void Fixpoint::show(const BlockProgram &block, InputSet inputs, Which which) {
    connect_spi(run);
    for (int i = 0; i < static_cast<int>(block.block->inputs.size()); i++) {
        if (!algebra::has(inputs, i))
            continue;
        const algebra::Input &input = block.block->inputs[i];
        Change &c = *find_change(input);
        const bool positive = is_positive(input, which);
        Part &part = positive ? c.positive : c.negative;
        show_whole(input);
        if (which == Which::all || part.count == c.total)
            continue;
        if (part.rows == nullptr)
            part.rows = signed_delta(run, input, c.rows, positive ? 1 : -1);
        show_delta(run, input, part.rows, part.count);
        shown_in_part.push_back(input);
    }
}

/// Back to what the stages above read.
void Fixpoint::show_all() {
    while (!shown_in_part.empty())
        show_whole(shown_in_part.back());
    for (Change &c : changes)
        for (Part *part : {&c.positive, &c.negative})
            if (part->rows != nullptr)
                tuplestore_end(part->rows);
}

/// The change of a block from what it was without that part of its inputs' changes, the inputs `beside` (the node
/// itself, or none: then the state) read as they are.
void Fixpoint::terms(BlockProgram &block, InputSet beside, Which which, int sign, InputSet all_changed,
                     Evaluator *evaluator, RowSink &sink) {
    const int self = find_self(node, block);
    const InputSet inputs = changed(block, self, which);
    show(block, inputs, which);
    const InputSet anti = inputs & algebra::anti_inputs(block.block->shape());
    delta::join_terms(inputs, anti, [&](const delta::Term &term) {
        run_term(run, block, {term.changed | beside, sign * term.sign}, all_changed, evaluator, sink);
    });
}

/// R(T°, Eₘ) − R(T°, E°)
void Fixpoint::block_lost(BlockProgram &block, int self, RowSink &sink) {
    if (changed(block, self, Which::went) == 0)
        return;
    const InputSet all = changed(block, self, Which::all);
    if (!delta::has_phantoms(all)) {
        terms(block, 0, Which::went, 1, all, block.wide_outputs, sink);
        return;
    }
    ZSet wide(block.wide_ops, run.memory);
    terms(block, 0, Which::all, 1, all, nullptr, wide);
    terms(block, 0, Which::came, -1, all, nullptr, wide);
    evaluate_rows(wide, block.wide_desc, *block.wide_all, sink);
}

/// R(Tₘ, E′) − R(Tₘ, Eₘ)
void Fixpoint::block_gained(BlockProgram &block, int self, RowSink &sink) {
    const InputSet came = changed(block, self, Which::came);
    if (came == 0)
        return;
    if (!delta::has_phantoms(came)) {
        terms(block, 0, Which::came, 1, came, block.wide_outputs, sink);
        return;
    }
    ZSet wide(block.wide_ops, run.memory);
    terms(block, 0, Which::came, 1, came, nullptr, wide);
    evaluate_rows(wide, block.wide_desc, *block.wide_all, sink);
}

/// R(round, E′), less what came where Eₘ is wanted.
void Fixpoint::block_step(BlockProgram &block, int self, ZSet &round, delta::Inputs inputs, RowSink &sink) {
    if (block.direct) {
        evaluate_rows(round, node.row_desc, *block.input_evaluator, sink);
        return;
    }
    const InputSet own = algebra::only(self);
    const InputSet came = inputs == delta::Inputs::kept ? changed(block, self, Which::came) : 0;
    if (came == 0) {
        run_term(run, block, {own, 1}, own, block.wide_outputs, sink);
        return;
    }
    ZSet wide(block.wide_ops, run.memory);
    run_term(run, block, {own, 1}, own | came, nullptr, wide);
    terms(block, own, Which::came, -1, own | came, nullptr, wide);
    evaluate_rows(wide, block.wide_desc, *block.wide_all, sink);
}

void Fixpoint::add_seed(int sign, RowSink &sink) {
    for (const ZSet::Row *row : seed->rows())
        if (row->weight * sign > 0)
            sink.add(row->values, row->nulls, row->weight);
}

ZSet *Fixpoint::lost() {
    seed = read([&](ZSet &rows) {
        for (BlockProgram &block : node.blocks)
            if (find_self(node, block) < 0)
                block_delta(run, block, rows);
    });
    ZSet *rows = read(
        [&](ZSet &sink) { for_each_recursive([&](BlockProgram &block, int self) { block_lost(block, self, sink); }); });
    add_seed(-1, *rows);
    return rows;
}

ZSet *Fixpoint::gained() {
    ZSet *rows = read([&](ZSet &sink) {
        for_each_recursive([&](BlockProgram &block, int self) { block_gained(block, self, sink); });
        if (set && !removed->is_empty())
            add_derivable(sink);
    });
    add_seed(1, *rows);
    return rows;
}

ZSet *Fixpoint::step(const Rows &round, delta::Inputs inputs) {
    forget_node_delta(run, node.number);
    run.node_deltas[node.number] = round;
    ZSet *rows = read([&](ZSet &sink) {
        for_each_recursive([&](BlockProgram &block, int self) { block_step(block, self, *round, inputs, sink); });
    });
    forget_node_delta(run, node.number);
    run.node_deltas[node.number] = nullptr;
    return rows;
}

/// Of the rows that were taken out, those that S′ or what stayed still gives. One statement for each set of columns
/// that are NULL.
void Fixpoint::add_derivable(RowSink &sink) {
    pg::Vector<algebra::KeySet> patterns;
    auto pattern_of = [&](const Group *row) { return algebra::null_keys_of(row->nulls, node.node->nkeys()); };
    for (const Group *row : removed->in_lock_order())
        if (const algebra::KeySet pattern = pattern_of(row);
            std::find(patterns.begin(), patterns.end(), pattern) == patterns.end())
            patterns.push_back(pattern);
    for (const algebra::KeySet &pattern : patterns) {
        pg::Vector<const Group *> listed;
        for (const Group *row : removed->in_lock_order())
            if (pattern_of(row) == pattern)
                listed.push_back(row);
        read_derivable(run, node, {listed.data(), listed.size()}, pattern, sink);
    }
}

/// UNION ALL: the rows that go, each as often as it goes. UNION: those of them that are there, as they are stored.
bool Fixpoint::take_out(Rows *rows) {
    if (!set) {
        for (const ZSet::Row *row : (*rows)->rows()) {
            CHECK_FOR_INTERRUPTS();
            if (row->weight > 0 || remove_copies(target, row->values, row->nulls, -row->weight) != -row->weight)
                return broken("a row to delete is missing");
            reported->add(row->values, row->nulls, row->weight);
        }
        CommandCounterIncrement();
        return true;
    }
    GroupTable candidates(node, run.memory);
    for (const ZSet::Row *row : (*rows)->rows())
        if (row->weight != 0)
            candidates.add(row->values, row->nulls, 1);
    ZSet *there = make_rows();
    for (const Group *group : candidates.in_lock_order()) {
        CHECK_FOR_INTERRUPTS();
        if (!find_and_lock(target, group->keys, group->nulls, slot))
            continue;
        slot_getallattrs(slot);
        there->add(slot->tts_values, slot->tts_isnull, -1);
        removed->add(slot->tts_values, slot->tts_isnull, 1);
        reported->add(slot->tts_values, slot->tts_isnull, -1);
        delete_row(target, slot);
    }
    CommandCounterIncrement();
    *rows = there;
    return true;
}

/// UNION ALL: the rows that come. UNION: those of them that are not there.
bool Fixpoint::put_in(Rows *rows) {
    auto insert = [&](const Datum *values, const bool *nulls) {
        ExecClearTuple(slot);
        const int n = slot->tts_tupleDescriptor->natts;
        std::copy(values, values + n, slot->tts_values);
        std::copy(nulls, nulls + n, slot->tts_isnull);
        ExecStoreVirtualTuple(slot);
    };
    if (!set) {
        for (const ZSet::Row *row : (*rows)->rows()) {
            if (row->weight < 0)
                return broken("more rows leave a recursive query than it has");
            for (int64 i = 0; i < row->weight; i++) {
                CHECK_FOR_INTERRUPTS();
                insert(row->values, row->nulls);
                insert_row(target, slot);
            }
            reported->add(row->values, row->nulls, row->weight);
        }
        CommandCounterIncrement();
        return true;
    }
    GroupTable candidates(node, run.memory);
    for (const ZSet::Row *row : (*rows)->rows())
        if (row->weight != 0)
            candidates.add(row->values, row->nulls, 1);
    ZSet *fresh = make_rows();
    for (const Group *group : candidates.in_lock_order()) {
        CHECK_FOR_INTERRUPTS();
        // A row that only others' snapshots show is not there for this transaction: 40001, by the lock on it.
        if (IsolationUsesXactSnapshot() ? find_and_lock(target, group->keys, group->nulls, slot)
                                        : is_there(target, group->keys, group->nulls, slot))
            continue;
        insert(group->keys, group->nulls);
        if (!insert_absent(target, slot))
            return broken("a row to insert is there already");
        fresh->add(group->keys, group->nulls, 1);
        reported->add(group->keys, group->nulls, 1);
    }
    CommandCounterIncrement();
    *rows = fresh;
    return true;
}

/// Runs the query whole, and writes the difference to what is stored.
bool run_whole(Fixpoint &f) {
    ZSet *difference = f.read([&](ZSet &rows) {
        read_all(f.run, f.node, rows);
        TableScanDesc scan = table_beginscan(target_relation(f.target), GetActiveSnapshot(), 0, nullptr);
        while (table_scan_getnextslot(scan, ForwardScanDirection, f.slot)) {
            CHECK_FOR_INTERRUPTS();
            slot_getallattrs(f.slot);
            rows.add(f.slot->tts_values, f.slot->tts_isnull, -1);
        }
        table_endscan(scan);
        ExecClearTuple(f.slot);
    });
    ZSet *gone = f.make_rows(), *come = f.make_rows();
    for (const ZSet::Row *row : difference->rows())
        if (row->weight != 0)
            (row->weight < 0 ? gone : come)->add(row->values, row->nulls, row->weight);
    return f.take_out(&gone) && f.put_in(&come);
}

/// Only where no two writers can meet, as in a counter over the rows of one table, the lock is spared.
bool needs_lock(const NodeProgram &node, bool set) {
    if (set || node.blocks.empty())
        return true;
    for (const BlockProgram &block : node.blocks)
        if (find_self(node, block) >= 0 && !block.direct)
            return true;
    return false;
}

} // namespace

bool tables_changed(const Run &run, const NodeProgram &node) {
    for (int t = -1; (t = bms_next_member(node.node->tables, t)) >= 0;)
        if (!run.tables[static_cast<size_t>(t)].is_empty())
            return true;
    return false;
}

bool node_changed(const Run &run, const NodeProgram &node) {
    return tables_changed(run, node) || flow_changed(run, node.blocks);
}

bool run_fixpoint_stage(Run &run, NodeProgram &node) {
    if (is_stored_flow(*node.node))
        return run_stored_flow_stage(run, node);
    pg::InContext in(run.memory);
    const bool set = node.node->nkeys() > 0;
    if (needs_lock(node, set)) {
        run.waited |= lock_key_set(run.program->view, static_cast<uint32>(node.number) + 1, true);
        AcceptInvalidationMessages(); // plans must not be older than the snapshot, as for a join
    }
    Fixpoint f{run, node, set};
    f.reported = f.make_rows();
    GroupTable removed(node, run.memory);
    f.removed = &removed;
    f.load_changes();
    f.target = open_target(node.relid, node.identity);
    f.slot = make_target_slot(f.target);
    const bool fine = node.blocks.empty() ? run_whole(f) : delta::change_fixpoint(f);
    f.show_all();
    run.node_deltas[node.number] = f.reported;
    run.rows_changed += rows_written(f.target);
    close_target(f.target);
    return fine;
}

void build_fixpoint(Run &run, NodeProgram &node) {
    auto *rows = new (palloc(sizeof(ZSet))) ZSet(node.flow_ops, run.memory);
    is_stored_flow(*node.node) ? flow_contents(run, node.blocks, *rows) : read_all(run, node, *rows);
    ZSet stored(node.flow_ops, run.memory);
    for (const ZSet::Row *row : rows->rows())
        stored.add(row->values, row->nulls, row->weight);
    run.node_deltas[node.number] = rows;
    Target *target = open_target(node.relid, node.identity);
    apply_difference(run, target, stored);
    close_target(target);
}

} // namespace upkeep::maintain
