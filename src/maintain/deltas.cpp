// The captured changes as one run uses them: consolidated where rows can cancel, and as relations for SQL.
#include "maintain/run.hpp"

#include "maintain/delta_reader.hpp"

extern "C" {
#include "utils/queryenvironment.h"
}

namespace upkeep::maintain {

namespace {

std::span<AttrNumber> used_columns(const analysis::TableSource &table) {
    auto *columns = pg::create_array<AttrNumber>(static_cast<size_t>(bms_num_members(table.used)));
    size_t n = 0;
    for (int x = -1; (x = bms_next_member(table.used, x)) >= 0;)
        columns[n++] = static_cast<AttrNumber>(x + FirstLowInvalidHeapAttributeNumber);
    return {columns, n};
}

/// The conditions of each place in which the table stands; empty where it stands somewhere without any, and where its
/// whole change is asked for: by subqueries, recursion, or a node that reads it beside its flow.
std::span<Evaluator *> relevant_rows(const Program &program, int table) {
    pg::Vector<Evaluator *> relevant;
    bool all = program.watches;
    auto look = [&](const pg::Vector<BlockProgram> &blocks) {
        for (const BlockProgram &b : blocks)
            for (size_t i = 0; i < b.block->inputs.size() && !all; i++) {
                const algebra::Input &input = b.block->inputs[i];
                if (input.kind != algebra::InputKind::table || input.source != table)
                    continue;
                Evaluator *conditions = Evaluator::over_relevant(*b.block, static_cast<int>(i));
                all = conditions == nullptr || input.role != algebra::Role::inner;
                relevant.push_back(conditions);
            }
    };
    for (const NodeProgram &node : program.nodes) {
        all |= node.node->kind == analysis::NodeKind::fixpoint || bms_is_member(table, node.node->tables);
        look(node.blocks);
    }
    look(program.output.blocks);
    auto *kept = pg::create_array<Evaluator *>(relevant.size());
    std::copy(relevant.begin(), relevant.end(), kept);
    return {kept, all ? 0 : relevant.size()};
}

bool is_relevant(const TableDelta &delta, TupleTableSlot *slot) {
    const auto &relevant = delta.program->relevant;
    return relevant.empty() || std::any_of(relevant.begin(), relevant.end(),
                                           [&](Evaluator *conditions) { return conditions->accepts(slot); });
}

/// Made in the program's own memory, once: a change of the table's definition makes a new program.
const TableProgram *require_table(Program &program, size_t number, TupleDesc desc) {
    program.tables.resize(program.query->tables.size());
    TableProgram &table = program.tables[number];
    if (table.delta_desc == nullptr) {
        pg::InContext in(program.context);
        const std::span<AttrNumber> used = used_columns(program.query->tables[number]);
        auto *ops = pg::create_array<pg::ColumnOps>(used.size());
        for (size_t i = 0; i < used.size(); i++) {
            Form_pg_attribute a = TupleDescAttr(desc, used[i] - 1);
            ops[i] = pg::prepare_column_ops(a->atttypid, a->attcollation, InvalidOid);
        }
        table = {used,
                 {ops, used.size()},
                 lower::delta_descriptor(program.query->tables[number].relid),
                 {},
                 relevant_rows(program, static_cast<int>(number))};
    }
    return &table;
}

} // namespace

/// Whether any row of the change takes part in anything.
static bool has_relevant(Run &run, int number) {
    const TableDelta &delta = run.tables[number];
    if (delta.program->relevant.empty())
        return true;
    for (DeltaReader reader(run, number); reader.next();)
        if (is_relevant(delta, reader.slot()))
            return true;
    return false;
}

void consolidate(Run &run, int number, TableDelta &delta) {
    const std::span<AttrNumber> used = delta.program->used;
    const size_t n = used.size();
    auto *zset = new (palloc(sizeof(ZSet))) ZSet(delta.program->ops, run.memory);
    auto *values = pg::create_array<Datum>(n);
    auto *nulls = pg::create_array<bool>(n);
    for (DeltaReader reader(run, number); reader.next();) {
        CHECK_FOR_INTERRUPTS();
        TupleTableSlot *slot = reader.slot();
        if (!is_relevant(delta, slot))
            continue;
        for (size_t i = 0; i < n; i++)
            values[i] = slot_getattr(slot, used[i], &nulls[i]);
        zset->add(values, nulls, reader.weight());
    }
    int64 left = 0;
    for (const ZSet::Row *row : zset->rows())
        left += row->weight != 0 ? 1 : 0;
    delta.rows = left;
    delta.consolidated = zset;
}

namespace {

/// Whether a weight has the sign; 0: any.
bool has_sign(int64 weight, int sign) {
    return weight != 0 && (sign == 0 || (weight > 0) == (sign > 0));
}

/// The delta as a relation with the table's attribute numbers and the weight behind them.
Tuplestorestate *build_relation(Run &run, int number, int sign) {
    TableDelta &delta = run.tables[number];
    TupleDesc desc = delta.program->delta_desc;
    Tuplestorestate *relation = tuplestore_begin_heap(false, false, work_mem);
    const int natts = desc->natts;
    auto *values = pg::create_array<Datum>(static_cast<size_t>(natts));
    auto *nulls = pg::create_array<bool>(static_cast<size_t>(natts));
    std::fill(nulls, nulls + natts, true);
    nulls[natts - 1] = false;
    for (DeltaReader reader(run, number); reader.next();) {
        CHECK_FOR_INTERRUPTS();
        if (!has_sign(reader.weight(), sign) || (delta.consolidated == nullptr && !is_relevant(delta, reader.slot())))
            continue;
        for (AttrNumber column : delta.program->used)
            values[column - 1] = slot_getattr(reader.slot(), column, &nulls[column - 1]);
        values[natts - 1] = Int64GetDatum(reader.weight());
        tuplestore_putvalues(relation, desc, values, nulls);
    }
    return relation;
}

TupleDesc node_delta_desc(const NodeProgram &node) {
    const int natts = node.row_desc->natts;
    TupleDesc desc = CreateTemplateTupleDesc(natts + 1);
    for (int i = 0; i < natts; i++)
        TupleDescCopyEntry(desc, static_cast<AttrNumber>(i + 1), node.row_desc, static_cast<AttrNumber>(i + 1));
    TupleDescInitEntry(desc, static_cast<AttrNumber>(natts + 1), "w", INT8OID, -1, 0);
    return desc;
}

/// The same of a node.
Tuplestorestate *build_node_relation(ZSet &delta, TupleDesc desc, int sign) {
    const int natts = desc->natts - 1;
    Tuplestorestate *rows = tuplestore_begin_heap(false, false, work_mem);
    auto *values = pg::create_array<Datum>(static_cast<size_t>(natts) + 1);
    auto *nulls = pg::create_array<bool>(static_cast<size_t>(natts) + 1);
    for (const ZSet::Row *row : delta.rows()) {
        if (!has_sign(row->weight, sign))
            continue;
        std::copy(row->values, row->values + natts, values);
        std::copy(row->nulls, row->nulls + natts, nulls);
        values[natts] = Int64GetDatum(row->weight);
        tuplestore_putvalues(rows, desc, values, nulls);
    }
    return rows;
}

} // namespace

DeltaReader::DeltaReader(Run &run, int table) : delta_(run.tables[table]) {
    if (delta_.consolidated != nullptr)
        slot_ = MakeSingleTupleTableSlot(delta_.desc, &TTSOpsVirtual);
}

DeltaReader::~DeltaReader() {
    if (slot_ != nullptr)
        ExecDropSingleTupleTableSlot(slot_);
}

bool DeltaReader::next_consolidated() {
    std::span<ZSet::Row *> rows = delta_.consolidated->rows();
    while (at_ < rows.size() && rows[at_]->weight == 0)
        at_++;
    if (at_ == rows.size())
        return false;
    const ZSet::Row *row = rows[at_++];
    weight_ = row->weight;
    ExecClearTuple(slot_);
    std::fill(slot_->tts_isnull, slot_->tts_isnull + slot_->tts_tupleDescriptor->natts, true);
    const std::span<AttrNumber> used = delta_.program->used;
    for (size_t i = 0; i < used.size(); i++) {
        slot_->tts_values[used[i] - 1] = row->values[i];
        slot_->tts_isnull[used[i] - 1] = row->nulls[i];
    }
    ExecStoreVirtualTuple(slot_);
    return true;
}

bool DeltaReader::next() {
    if (delta_.consolidated != nullptr)
        return next_consolidated();
    while (true) {
        if (batch_.has_value() && batch_->next())
            return true;
        batch_.reset();
        if (at_ == delta_.batches.size())
            return false;
        weight_ = delta_.batches[at_].weight;
        batch_.emplace(delta_.batches[at_++]);
    }
}

TupleTableSlot *DeltaReader::slot() {
    return slot_ != nullptr ? slot_ : batch_->slot();
}

namespace {

/// Small changes are consolidated in any case: one that changes nothing then ends here.
constexpr int64 kConsolidateAlways = 64;

/// Whether old and new rows that cancel must be taken out first: for SQL, and before anything that can fail. What is
/// folded into groups or collected as view rows row by row cancels there.
bool must_consolidate(const Program &program, int table) {
    auto needs = [&](const pg::Vector<BlockProgram> &blocks) {
        for (const BlockProgram &b : blocks)
            for (const algebra::Input &input : b.block->inputs) {
                if (input.kind != algebra::InputKind::table || input.source != table)
                    continue;
                if (!b.direct || !b.block->outputs_infallible)
                    return true;
                for (const algebra::Qual &qual : b.block->qual_shapes)
                    if (!qual.infallible)
                        return true;
            }
        return false;
    };
    for (const NodeProgram &node : program.nodes)
        if (needs(node.blocks))
            return true;
    return needs(program.output.blocks);
}

} // namespace

bool load_deltas(Run &run, const pg::Vector<capture::TableChange> &changes) {
    pg::InContext in(run.memory);
    const auto &tables = run.program->query->tables;
    bool any = false;
    run.tables.resize(tables.size());
    for (size_t t = 0; t < tables.size(); t++) {
        TableDelta &delta = run.tables[t];
        delta.relid = tables[t].relid;
        bool in_sign = false, out_sign = false;
        for (const capture::TableChange &change : changes)
            for (const capture::Batch &captured : change.batches) {
                const capture::Batch batch = pass_rows(run, tables[t], change, captured);
                const int64 n = batch.rows == nullptr ? 0 : tuplestore_tuple_count(batch.rows);
                if (n == 0)
                    continue;
                delta.batches.push_back(batch);
                delta.rows += n;
                (batch.weight > 0 ? in_sign : out_sign) = true;
            }
        if (delta.rows == 0)
            continue;
        delta.desc = delta.batches[0].desc;
        delta.program = require_table(*run.program, t, delta.desc);
        run.rows_in += delta.rows;
        if (in_sign && out_sign &&
            (delta.rows <= kConsolidateAlways || must_consolidate(*run.program, static_cast<int>(t))))
            consolidate(run, static_cast<int>(t), delta);
        else if (!has_relevant(run, static_cast<int>(t))) {
            delta.batches.clear();
            delta.rows = 0;
        }
        any |= delta.rows > 0;
    }
    return any;
}

void register_relation(const char *name, TupleDesc desc, Tuplestorestate *rows, int64 count) {
    auto *enr = pg::create<EphemeralNamedRelationData>();
    enr->md.name = const_cast<char *>(name);
    enr->md.tupdesc = desc;
    enr->md.enrtype = ENR_NAMED_TUPLESTORE;
    enr->md.enrtuples = static_cast<double>(count);
    enr->reldata = rows;
    if (SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
        elog(ERROR, "could not register \"%s\"", name);
}

int64 changed_rows(const Run &run, const algebra::Input &input) {
    if (input.kind != algebra::InputKind::node)
        return run.tables[input.source].rows;
    int64 n = 0;
    if (ZSet *delta = run.node_deltas[input.source])
        for (const ZSet::Row *row : delta->rows())
            n += row->weight != 0 ? 1 : 0;
    return n;
}

void register_node_delta(Run &run, int number) {
    pg::InContext in(run.memory);
    run.node_stores.resize(run.node_deltas.size(), nullptr);
    if (run.node_stores[number] != nullptr)
        return;
    TupleDesc desc = node_delta_desc(run.program->nodes[number]);
    Tuplestorestate *rows = build_node_relation(*run.node_deltas[number], desc, 0);
    run.node_stores[number] = rows;
    register_relation(lower::node_delta_name(number), desc, rows, tuplestore_tuple_count(rows));
}

void forget_node_delta(Run &run, int number) {
    if (run.node_stores.size() <= static_cast<size_t>(number) || run.node_stores[number] == nullptr)
        return;
    SPI_unregister_relation(lower::node_delta_name(number));
    tuplestore_end(run.node_stores[number]);
    run.node_stores[number] = nullptr;
}

std::pair<int64, int64> count_signs(Run &run, const algebra::Input &input, ZSet *rows) {
    std::pair<int64, int64> counts{0, 0};
    auto count = [&](int64 weight, int64 n) { (weight > 0 ? counts.first : counts.second) += weight == 0 ? 0 : n; };
    if (rows != nullptr) {
        for (const ZSet::Row *row : rows->rows())
            count(row->weight, 1);
        return counts;
    }
    const TableDelta &delta = run.tables[input.source];
    if (delta.consolidated != nullptr)
        for (const ZSet::Row *row : delta.consolidated->rows())
            count(row->weight, 1);
    else
        for (const capture::Batch &batch : delta.batches)
            count(batch.weight, tuplestore_tuple_count(batch.rows));
    return counts;
}

Tuplestorestate *signed_delta(Run &run, const algebra::Input &input, ZSet *rows, int sign) {
    pg::InContext in(run.memory);
    if (rows != nullptr)
        return build_node_relation(*rows, node_delta_desc(run.program->nodes[input.source]), sign);
    return build_relation(run, input.source, sign);
}

void show_delta(Run &run, const algebra::Input &input, Tuplestorestate *rows, int64 count) {
    pg::InContext in(run.memory);
    const bool node = input.kind == algebra::InputKind::node;
    if (node)
        register_node_delta(run, input.source);
    const char *name = node ? lower::node_delta_name(input.source) : lower::delta_name(input.source);
    TupleDesc desc =
        node ? node_delta_desc(run.program->nodes[input.source]) : run.tables[input.source].program->delta_desc;
    Tuplestorestate *all = node ? run.node_stores[input.source] : run.tables[input.source].relation;
    SPI_unregister_relation(name);
    register_relation(name, desc, rows != nullptr ? rows : all, rows != nullptr ? count : changed_rows(run, input));
}

void connect_spi(Run &run) {
    if (run.spi)
        return;
    const MemoryContext context = CurrentMemoryContext;
    if (SPI_connect() != SPI_OK_CONNECT)
        elog(ERROR, "SPI_connect failed");
    pg::InContext in(run.memory);
    for (size_t t = 0; t < run.tables.size(); t++) {
        TableDelta &delta = run.tables[t];
        if (delta.is_empty())
            continue;
        delta.relation = build_relation(run, static_cast<int>(t), 0);
        delta.rows = tuplestore_tuple_count(delta.relation);
        register_relation(lower::delta_name(static_cast<int>(t)), delta.program->delta_desc, delta.relation,
                          delta.rows);
    }
    run.spi = true;
    MemoryContextSwitchTo(context);
}

void finish_spi(Run &run) {
    if (!run.spi)
        return;
    const MemoryContext context = CurrentMemoryContext; // SPI_finish goes back to the one of SPI_connect
    SPI_finish();
    for (TableDelta &delta : run.tables)
        if (delta.relation != nullptr) {
            tuplestore_end(delta.relation); // it may have a file
            delta.relation = nullptr;
        }
    for (pg::Vector<Tuplestorestate *> *stores : {&run.node_stores, &run.old_stores}) {
        for (Tuplestorestate *rows : *stores)
            if (rows != nullptr)
                tuplestore_end(rows);
        stores->clear();
    }
    MemoryContextSwitchTo(context);
    run.spi = false;
}

} // namespace upkeep::maintain
