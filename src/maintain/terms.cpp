// Evaluating flows: direct blocks row by row, the others through prepared SQL, one statement per term of the delta.
#include "maintain/delta_reader.hpp"
#include "maintain/old_state.hpp"
#include "observe/progress.hpp"
#include "pg/entry.hpp"

extern "C" {
#include "tcop/dest.h"
}

namespace upkeep::maintain {

using algebra::InputKind;
using algebra::InputSet;

namespace {

/// Gets the result rows of a term: weights of the changed inputs, then the wide row (or the outputs, of the contents).
struct TermReceiver {
    DestReceiver pub;
    Evaluator *evaluator; // nullptr: rows go to the sink as they are
    TupleTableSlot *wide;
    RowSink *sink;
    int nweights;
    int nwide;
    int64 sign;
};

void receive_row(TermReceiver *r, TupleTableSlot *slot) {
    slot_getallattrs(slot);
    int64 weight = r->sign;
    for (int i = 0; i < r->nweights; i++)
        weight *= DatumGetInt64(slot->tts_values[i]);
    const Datum *values = slot->tts_values + r->nweights;
    const bool *nulls = slot->tts_isnull + r->nweights;
    if (r->evaluator == nullptr) {
        r->sink->add(values, nulls, weight);
        return;
    }
    ExecClearTuple(r->wide);
    std::copy(values, values + r->nwide, r->wide->tts_values);
    std::copy(nulls, nulls + r->nwide, r->wide->tts_isnull);
    ExecStoreVirtualTuple(r->wide);
    r->evaluator->row(r->wide, *r->sink, weight);
}

TermReceiver make_receiver(BlockProgram &block, Evaluator *evaluator, RowSink *sink, int nweights, int64 sign) {
    TermReceiver r{};
    r.pub.receiveSlot = [](TupleTableSlot *slot, DestReceiver *self) {
        pg::guard([&] { receive_row(reinterpret_cast<TermReceiver *>(self), slot); });
        return true;
    };
    r.pub.rStartup = [](DestReceiver *, int, TupleDesc) {};
    r.pub.rShutdown = [](DestReceiver *) {};
    r.pub.rDestroy = [](DestReceiver *) {};
    r.pub.mydest = DestNone;
    r.evaluator = evaluator;
    r.wide = MakeSingleTupleTableSlot(block.wide_desc, &TTSOpsVirtual);
    r.sink = sink;
    r.nweights = nweights;
    r.nwide = block.wide_desc->natts;
    r.sign = sign;
    return r;
}

/// Executes a term under the active snapshot; `nweights` weights come before its wide rows.
void execute_term(BlockProgram &block, SPIPlanPtr plan, int nweights, int64 sign, Evaluator *evaluator, RowSink &sink,
                  ParamListInfo params = nullptr) {
    TermReceiver receiver = make_receiver(block, evaluator, &sink, nweights, sign);
    SPIExecuteOptions options{};
    options.read_only = true;
    options.dest = &receiver.pub;
    options.params = params;
    const MemoryContext context = CurrentMemoryContext;
    const int result = SPI_execute_plan_extended(plan, &options);
    if (result < 0)
        elog(ERROR, "could not execute a maintenance query: %s", SPI_result_code_string(result));
    MemoryContextSwitchTo(context);
    ExecDropSingleTupleTableSlot(receiver.wide);
}

} // namespace

void run_term(Run &run, BlockProgram &block, const delta::Term &term, InputSet all_changed, Evaluator *evaluator,
              RowSink &sink) {
    connect_spi(run);
    SPIPlanPtr plan = term_plan(run, block, {term.changed, all_changed, 0, term.old});
    const InputSet weighted = term.changed | (term.old & ~algebra::anti_inputs(block.block->shape()));
    execute_term(block, plan, algebra::size(weighted), term.sign, evaluator, sink);
}

namespace {

InputSet changed_inputs(const Run &run, const BlockProgram &block) {
    return algebra::changed_inputs(block.block->shape(), [&](const algebra::Input &input) {
        if (input.kind == InputKind::node)
            return run.node_deltas[input.source] != nullptr && !run.node_deltas[input.source]->is_empty();
        return !run.tables[input.source].is_empty();
    });
}

} // namespace

void evaluate_rows(ZSet &rows, TupleDesc desc, Evaluator &evaluator, RowSink &sink) {
    TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
    for (ZSet::Row *row : rows.rows()) {
        if (row->weight == 0)
            continue;
        ExecClearTuple(slot);
        std::copy(row->values, row->values + desc->natts, slot->tts_values);
        std::copy(row->nulls, row->nulls + desc->natts, slot->tts_isnull);
        ExecStoreVirtualTuple(slot);
        evaluator.row(slot, sink, row->weight);
    }
    ExecDropSingleTupleTableSlot(slot);
}

namespace {

/// The rows of a node's delta through a direct block.
void node_rows(Run &run, BlockProgram &block, RowSink &sink) {
    const int number = block.block->inputs[0].source;
    ZSet *delta = run.node_deltas[number];
    if (delta == nullptr)
        return;
    evaluate_rows(*delta, run.program->nodes[number].row_desc, *block.input_evaluator, sink);
}

void direct_delta(Run &run, BlockProgram &block, RowSink &sink) {
    const algebra::Input &input = block.block->inputs[0];
    if (input.kind == InputKind::node) {
        node_rows(run, block, sink);
        return;
    }
    for (DeltaReader reader(run, input.source); reader.next();) {
        CHECK_FOR_INTERRUPTS();
        block.input_evaluator->row(reader.slot(), sink, reader.weight());
    }
}

/// The base tables as they were before the change: the active snapshot with the command id of that time.
void push_old_snapshot(Run &run) {
    PushCopiedSnapshot(GetActiveSnapshot());
    GetActiveSnapshot()->curcid = run.old_command;
}

/// A block with a subquery: the rows that the change touches, by what they are now and by what they were.
void scope_delta(Run &run, BlockProgram &block, InputSet changed, InputSet watched, RowSink &sink) {
    connect_spi(run);
    const bool by_snapshot = run.old_command != InvalidCommandId;
    const std::uint64_t was = by_snapshot ? 0 : make_old_states(run, block);
    if (run.broken)
        return;
    delta::scope_terms(changed, watched, [&](const delta::ScopeTerm &term) {
        SPIPlanPtr plan = term_plan(run, block, {changed, changed, 0, 0, &term, term.old ? was : 0});
        if (term.old && by_snapshot)
            push_old_snapshot(run);
        execute_term(block, plan, term.touching < 0 ? 1 : 0, term.old ? -1 : 1, block.wide_outputs, sink,
                     term.old && !by_snapshot ? old_state_params(run) : nullptr);
        if (term.old && by_snapshot)
            PopActiveSnapshot();
    });
}

} // namespace

void block_delta(Run &run, BlockProgram &block, RowSink &sink) {
    const InputSet changed = changed_inputs(run, block);
    if (changed == 0)
        return;
    if (const InputSet watched = algebra::watched_inputs(block.block->shape()); watched != 0) {
        scope_delta(run, block, changed, watched, sink);
        return;
    }
    if (block.direct) {
        direct_delta(run, block, sink);
        return;
    }
    const InputSet anti = algebra::anti_inputs(block.block->shape());
    if (!delta::has_phantoms(changed)) {
        run_term(run, block, {changed, (changed & anti) == 0 ? 1 : -1}, changed, block.wide_outputs, sink);
        return;
    }
    // Phantom pairs cancel only once all terms are added up: nothing that can fail is evaluated before.
    ZSet wide(block.wide_ops, run.memory);
    delta::delta_terms(changed, anti,
                       [&](const delta::Term &term) { run_term(run, block, term, changed, nullptr, wide); });
    evaluate_rows(wide, block.wide_desc, *block.wide_all, sink);
}

namespace {

bool uses_sql(const pg::Vector<BlockProgram> &blocks) {
    for (const BlockProgram &b : blocks)
        if (!b.direct)
            return true;
    return false;
}

/// Passes all rows of a Z-set on.
void pour(ZSet &from, RowSink &to, int64 sign) {
    for (ZSet::Row *row : from.rows())
        if (row->weight != 0)
            to.add(row->values, row->nulls, sign * row->weight);
}

} // namespace

/// A plan made for one row must not serve a million: the classes are 1–8, –256, –16384 and more rows.
int size_class(int64 rows) {
    return rows <= 8 ? 0 : rows <= 256 ? 1 : rows <= 16384 ? 2 : 3;
}

namespace {

/// Of the changed tables those that stand in this place alone: nothing else is in their deltas than what it asks for.
InputSet filtered_inputs(const Run &run, const BlockProgram &block, InputSet changed) {
    InputSet filtered = 0;
    for (size_t i = 0; i < block.block->inputs.size(); i++) {
        const algebra::Input &input = block.block->inputs[i];
        if (algebra::has(changed, static_cast<int>(i)) && input.kind == InputKind::table &&
            run.tables[input.source].program->relevant.size() == 1)
            filtered |= algebra::only(static_cast<int>(i));
    }
    return filtered;
}

const char *plan_text(const Run &run, const BlockProgram &block, const TermWanted &wanted) {
    if (wanted.was != 0)
        return lower::old_scope_sql(*block.block, *wanted.scope, block.wide,
                                    {run.relations.data(), run.relations.size()}, wanted.was);
    if (wanted.scope != nullptr)
        return lower::scope_sql(*block.block, *wanted.scope, block.wide);
    if (wanted.beside != 0)
        return lower::probe_sql(*block.block, std::countr_zero(wanted.changed), wanted.beside);
    if ((wanted.changed | wanted.old) == 0 && !wanted.by_rows)
        return lower::contents_sql(*block.block);
    return lower::term_sql(
        *block.block, {wanted.changed, wanted.all_changed, wanted.old, filtered_inputs(run, block, wanted.changed)},
        block.wide);
}

bool serves(const TermPlan &plan, const TermWanted &wanted, bool phantoms, int size, bool cached) {
    if (plan.cached != cached || plan.size_class != size || plan.beside != wanted.beside ||
        plan.scoped != (wanted.scope != nullptr) || plan.by_rows != wanted.by_rows)
        return false;
    if (plan.scoped) // one snapshot or another: the old states are read by the same statement
        return plan.was == wanted.was && plan.scope.touching == wanted.scope->touching &&
               plan.scope.untouched == wanted.scope->untouched;
    return plan.changed == wanted.changed && plan.old == wanted.old && plan.phantoms == phantoms;
}

/// Whether the planner may choose workers for a statement: where it reads stored rows only (theirs can be shared, those
/// of deltas cannot).
bool may_be_parallel(const TermWanted &wanted) {
    return (wanted.changed | wanted.old) == 0 && wanted.scope == nullptr;
}

} // namespace

SPIPlanPtr term_plan(Run &run, BlockProgram &block, const TermWanted &wanted) {
    int64 rows = 0;
    for (size_t i = 0; i < block.block->inputs.size(); i++) {
        const algebra::Input &input = block.block->inputs[i];
        if (!algebra::has(wanted.changed | wanted.old, static_cast<int>(i)))
            continue;
        rows = std::max(rows, changed_rows(run, input));
        if (input.kind == InputKind::node)
            register_node_delta(run, input.source);
    }
    const int size = size_class(rows);
    const bool phantoms = delta::has_phantoms(wanted.all_changed);
    for (const TermPlan &p : block.plans)
        if (serves(p, wanted, phantoms, size, run.cached))
            return p.plan;
    pg::InContext in(run.memory);
    const char *sql = plan_text(run, block, wanted);
    SPIPlanPtr plan = wanted.was != 0
                          ? prepare_with_old_states(sql)
                          : SPI_prepare_cursor(sql, 0, nullptr, may_be_parallel(wanted) ? CURSOR_OPT_PARALLEL_OK : 0);
    if (plan == nullptr)
        elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
    SPI_keepplan(plan);
    block.plans.push_back({.changed = wanted.changed,
                           .old = wanted.old,
                           .phantoms = phantoms,
                           .beside = wanted.beside,
                           .size_class = size,
                           .plan = plan,
                           .scoped = wanted.scope != nullptr,
                           .scope = wanted.scope != nullptr ? *wanted.scope : delta::ScopeTerm{},
                           .was = wanted.was,
                           .cached = run.cached,
                           .by_rows = wanted.by_rows});
    return plan;
}

bool flow_changed(const Run &run, const pg::Vector<BlockProgram> &blocks) {
    for (const BlockProgram &b : blocks)
        if (changed_inputs(run, b) != 0)
            return true;
    return false;
}

void flow_delta(Run &run, pg::Vector<BlockProgram> &blocks, std::span<pg::ColumnOps> ops, RowSink &sink) {
    if (!IsolationUsesXactSnapshot() || !uses_sql(blocks)) {
        for (BlockProgram &b : blocks)
            block_delta(run, b, sink);
        return;
    }
    // REPEATABLE READ and SERIALIZABLE: what the latest state and the transaction's own snapshot say must agree.
    ZSet latest(ops, run.memory);
    for (BlockProgram &b : blocks)
        block_delta(run, b, latest);
    PushCopiedSnapshot(GetTransactionSnapshot());
    UpdateActiveSnapshotCommandId();
    ZSet own(ops, run.memory);
    for (BlockProgram &b : blocks)
        block_delta(run, b, own);
    PopActiveSnapshot();
    require_same(latest, own);
    pour(latest, sink, 1);
}

void require_same(ZSet &latest, ZSet &own) {
    pour(latest, own, -1);
    if (!own.is_empty())
        ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                        errmsg("could not serialize access due to concurrent update"),
                        errdetail("A row that joins with a changed one was changed by a concurrent transaction."),
                        errhint("The transaction might succeed if retried.")));
}

namespace {

/// All rows are real, so that SQL may evaluate the outputs.
void run_contents(Run &run, BlockProgram &block, RowSink &sink) {
    connect_spi(run);
    execute_term(block, term_plan(run, block, {0, 0}), 0, 1, nullptr, sink);
}

/// Shows how far a build is.
class CountingSink final : public RowSink {
  public:
    explicit CountingSink(RowSink &sink) : sink_(sink) {}
    void add(const Datum *values, const bool *nulls, int64 weight) override {
        observe::count_row();
        sink_.add(values, nulls, weight);
    }

  private:
    RowSink &sink_;
};

} // namespace

void flow_contents(Run &run, pg::Vector<BlockProgram> &blocks, RowSink &rows) {
    CountingSink sink(rows);
    for (BlockProgram &b : blocks) {
        if (b.direct && b.block->inputs[0].kind == InputKind::node)
            node_rows(run, b, sink);
        else
            run_contents(run, b, sink);
    }
}

} // namespace upkeep::maintain
