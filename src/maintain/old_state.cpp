#include "maintain/old_state.hpp"

#include "lower/query.hpp"

namespace upkeep::maintain {

namespace {

/// Sets of sources are kept as bits.
constexpr size_t kMaxSources = 64;

/// What has_changed looks into; it lives as long as the memory of its run.
OldChanges *current = nullptr;

OldChanges *make_changes(Run &run) {
    static int64 number = 0;
    auto *changes = new (palloc(sizeof(OldChanges))) OldChanges();
    changes->number = ++number;
    changes->of_source.resize(run.tables.size() + run.program->nodes.size(), nullptr);
    changes->old_rows.resize(changes->of_source.size(), nullptr);
    auto *gone = pg::create<MemoryContextCallback>();
    gone->arg = changes;
    gone->func = [](void *arg) { current = current == arg ? nullptr : current; };
    MemoryContextRegisterResetCallback(run.memory, gone);
    return changes;
}

int source_of_node(const Program &program, int node) {
    return static_cast<int>(program.query->tables.size()) + node;
}

/// All that a statement can read: tables, and nodes whose state SQL reads.
pg::Vector<lower::OldRelation> relations_of(const Program &program) {
    pg::Vector<lower::OldRelation> relations;
    int source = 0;
    for (const analysis::TableSource &table : program.query->tables) {
        pg::Vector<AttrNumber> columns;
        for (int x = -1; (x = bms_next_member(table.used, x)) >= 0;)
            columns.push_back(static_cast<AttrNumber>(x + FirstLowInvalidHeapAttributeNumber));
        relations.push_back({source++, table.relid, table.only, false, table.constrained && !table.is_matview, columns});
    }
    for (const NodeProgram &node : program.nodes) {
        const analysis::GroupNode &stored = *node.node;
        if (OidIsValid(stored.stored))
            relations.push_back({source_of_node(program, node.number), stored.stored, false, true, false,
                                 stored.stored_columns});
    }
    return relations;
}

/// Notes what the summands over the old states read. False: not all of that can be read as it was.
bool find_reads(const pg::Vector<lower::OldRelation> &relations, BlockProgram &block) {
    block.reads = block.scans = 0;
    bool fine = true;
    const algebra::InputSet watched = algebra::watched_inputs(block.block->shape());
    delta::scope_terms(watched, watched, [&](const delta::ScopeTerm &term) {
        if (term.old)
            fine &= lower::reads_relations(*block.block, term, {relations.data(), relations.size()}, &block.reads,
                                           &block.scans);
    });
    block.reads_known = true;
    return fine;
}

bool can_make(const Program &program, pg::Vector<BlockProgram> &blocks) {
    for (BlockProgram &block : blocks)
        if (algebra::watched_inputs(block.block->shape()) != 0 && !find_reads(relations_of(program), block))
            return false;
    return true;
}

/// The change of a source by image; nullptr: none.
ZSet *change_of(Run &run, const lower::OldRelation &relation) {
    if (relation.is_node)
        return run.node_deltas[static_cast<size_t>(relation.source) - run.tables.size()];
    TableDelta &delta = run.tables[static_cast<size_t>(relation.source)];
    if (delta.rows == 0)
        return nullptr;
    if (delta.consolidated == nullptr)
        consolidate(run, relation.source, delta);
    return delta.consolidated;
}

SPIPlanPtr changed_rows_plan(Run &run, const lower::OldRelation &relation) {
    SPIPlanPtr *kept = nullptr;
    if (!relation.is_node) {
        const auto source = static_cast<size_t>(relation.source);
        kept = &run.program->tables[source].changed_rows[size_class(run.tables[source].rows)];
    }
    if (kept != nullptr && *kept != nullptr)
        return *kept;
    SPIPlanPtr plan = prepare_with_old_states(lower::changed_rows_sql(relation));
    if (kept != nullptr) {
        SPI_keepplan(plan);
        *kept = plan;
    }
    return plan;
}

/// How many rows of each changed image there are now.
void count_rows(Run &run, const lower::OldRelation &relation, ZSet &counts) {
    const MemoryContext context = CurrentMemoryContext; // which statements leave for that of SPI
    SPIPlanPtr plan = changed_rows_plan(run, relation);
    SPIExecuteOptions options{};
    options.read_only = true;
    options.params = old_state_params(run);
    if (SPI_execute_plan_extended(plan, &options) != SPI_OK_SELECT)
        elog(ERROR, "could not read the rows that have changed");
    const auto n = static_cast<int>(relation.columns.size());
    auto *values = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<size_t>(n)));
    auto *nulls = static_cast<bool *>(palloc(sizeof(bool) * static_cast<size_t>(n)));
    for (uint64 i = 0; i < SPI_processed; i++) {
        heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, nulls);
        counts.add(values, nulls, 1);
    }
    SPI_freetuptable(SPI_tuptable);
    MemoryContextSwitchTo(context);
}

/// A row of a grouped node is there once: of an image that has come there were none, of one that has gone one.
bool is_set(const Run &run, const lower::OldRelation &relation) {
    if (!relation.is_node)
        return false;
    const auto node = static_cast<size_t>(relation.source) - run.tables.size();
    return run.program->nodes[node].node->kind == analysis::NodeKind::group;
}

/// The rows that the source had of each image that has changed: those that it has, less the change. nullptr: there are
/// fewer than that.
OldRows *find_old_rows(Run &run, const lower::OldRelation &relation, ZSet &change) {
    auto *rows = new (palloc(sizeof(OldRows))) OldRows{run.memory, &relation, &change, {}, {}};
    ZSet counts(change.columns(), run.memory);
    if (!is_set(run, relation))
        count_rows(run, relation, counts);
    for (const ZSet::Row *row : change.rows()) {
        if (row->weight == 0)
            continue;
        const ZSet::Row *now = counts.find(row->values, row->nulls);
        const int64 old = is_set(run, relation) ? std::max<int64>(-row->weight, 0)
                                                : (now != nullptr ? now->weight : 0) - row->weight;
        if (old < 0)
            return nullptr;
        if (old > 0)
            rows->rows.push_back({row, old});
    }
    return rows;
}

/// The same as a relation.
Tuplestorestate *store(const OldRows &old, TupleDesc desc) {
    auto *values = pg::create_array<Datum>(static_cast<size_t>(desc->natts));
    auto *nulls = pg::create_array<bool>(static_cast<size_t>(desc->natts));
    std::fill(nulls, nulls + desc->natts, true);
    Tuplestorestate *rows = tuplestore_begin_heap(false, false, work_mem);
    for (const auto &[row, copies] : old.rows) {
        old.fill(*row, values, nulls);
        for (int64 i = 0; i < copies; i++)
            tuplestore_putvalues(rows, desc, values, nulls);
    }
    return rows;
}

/// Makes the old rows known, once in a run. False: broken.
bool make_old_state(Run &run, const lower::OldRelation &relation, ZSet &change) {
    const auto source = static_cast<size_t>(relation.source);
    if (run.old_stores[source] != nullptr)
        return true;
    run.old_changes->of_source[source] = &change;
    OldRows *old = find_old_rows(run, relation, change);
    if (old == nullptr) {
        run.broken = true;
        run.broken_why = "more rows have come into a table than it has";
        return false;
    }
    run.old_changes->old_rows[source] = old;
    TupleDesc desc = lower::delta_descriptor(relation.relid);
    Tuplestorestate *rows = store(*old, desc);
    run.old_stores[source] = rows;
    register_relation(lower::old_rows_name(relation.source), desc, rows, tuplestore_tuple_count(rows));
    return true;
}

} // namespace

int source_of(const Program &program, const algebra::Input &input) {
    return input.kind == algebra::InputKind::node ? source_of_node(program, input.source) : input.source;
}

bool can_make_old_states(Program &program) {
    if (program.query->tables.size() + program.nodes.size() > kMaxSources)
        return false;
    for (NodeProgram &node : program.nodes)
        if (!can_make(program, node.blocks))
            return false;
    return can_make(program, program.output.blocks);
}

std::uint64_t make_old_states(Run &run, BlockProgram &block) {
    pg::InContext in(run.memory);
    if (run.relations.empty()) {
        run.relations = relations_of(*run.program);
        run.old_changes = make_changes(run);
        run.old_stores.resize(run.old_changes->of_source.size(), nullptr);
    }
    current = run.old_changes;
    if (!block.reads_known)
        find_reads(run.relations, block);
    std::uint64_t was = 0;
    for (const lower::OldRelation &relation : run.relations) {
        if ((block.reads >> relation.source & 1) == 0)
            continue;
        ZSet *change = change_of(run, relation);
        if (change == nullptr || change->is_empty())
            continue;
        if (!make_old_state(run, relation, *change))
            return 0;
        was |= std::uint64_t{1} << relation.source;
    }
    return was;
}

SPIPlanPtr prepare_with_old_states(const char *sql) {
    Oid type = INT8OID;
    // The parameter is no value to plan for.
    SPIPlanPtr plan = SPI_prepare_cursor(sql, 1, &type, CURSOR_OPT_GENERIC_PLAN);
    if (plan == nullptr)
        elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
    return plan;
}

ParamListInfo old_state_params(Run &run) {
    ParamListInfo params = makeParamList(1);
    params->params[0] = {Int64GetDatum(run.old_changes->number), false, 0, INT8OID};
    return params;
}

static OldChanges *changes_in(int64 run, int source) {
    const bool known = current != nullptr && current->number == run && source >= 0 &&
                       static_cast<size_t>(source) < current->of_source.size();
    return known ? current : nullptr;
}

ZSet *changes_of(int64 run, int source) {
    const OldChanges *changes = changes_in(run, source);
    return changes == nullptr ? nullptr : changes->of_source[static_cast<size_t>(source)];
}

OldRows *old_rows_of(int64 run, int source) {
    const OldChanges *changes = changes_in(run, source);
    return changes == nullptr ? nullptr : changes->old_rows[static_cast<size_t>(source)];
}

} // namespace upkeep::maintain
