// The contents of a view and its state, computed from the tables, and the difference written.
#include "catalog/log.hpp"
#include "catalog/registration.hpp"
#include "maintain/row_comparison.hpp"
#include "maintain/run.hpp"
#include "maintain/tally.hpp"
#include "observe/progress.hpp"
#include "pg/error_context.hpp"
#include "pg/run_as.hpp"

namespace upkeep::maintain {

namespace {

bool reads_directly(const pg::Vector<BlockProgram> &blocks, int node) {
    for (const BlockProgram &b : blocks)
        if (b.direct && b.block->inputs[0].kind == algebra::InputKind::node && b.block->inputs[0].source == node)
            return true;
    return false;
}

/// A derived node's rows, for what reads them without SQL.
void build_derived(Run &run, NodeProgram &node) {
    auto *rows = new (palloc(sizeof(ZSet))) ZSet(node.row_ops, run.memory);
    run.node_deltas[node.number] = rows;
    for (const NodeProgram &above : run.program->nodes)
        if (reads_directly(above.blocks, node.number))
            return flow_contents(run, node.blocks, *rows);
    if (reads_directly(run.program->output.blocks, node.number))
        flow_contents(run, node.blocks, *rows);
}

/// Groups that hold the whole input: rows of the node, and the state to store.
void store_groups(Run &run, NodeProgram &node, GroupTable &groups) {
    std::uint64_t again = 0;
    for (int a = 0; a < node.naggs; a++)
        again |= node.specs[a].kind == AggKind::recompute ? std::uint64_t{1} << a : 0;
    if (again != 0 && !groups.is_empty())
        read_groups(run, node, groups, {}, again);
    auto *rows = new (palloc(sizeof(ZSet))) ZSet(node.row_ops, run.memory);
    run.node_deltas[node.number] = rows;
    Relation rel = table_open(node.relid, RowExclusiveLock);
    TupleDesc desc = RelationGetDescr(rel);
    pg::Vector<analysis::ColumnType> types;
    for (int i = 0; i < desc->natts; i++)
        types.push_back({TupleDescAttr(desc, i)->atttypid, -1, TupleDescAttr(desc, i)->attcollation});
    ZSet stored(column_ops(types), run.memory);
    const size_t nkeys = node.key_ops.size();
    MemoryContext scratch = AllocSetContextCreate(run.memory, "upkeep group", ALLOCSET_DEFAULT_SIZES);
    for (Group *group : groups.in_lock_order()) {
        CHECK_FOR_INTERRUPTS();
        MemoryContextReset(scratch);
        pg::InContext in(scratch);
        const auto n = static_cast<size_t>(std::max<int>(desc->natts, node.nstates));
        auto *state = pg::create_array<Datum>(n), *row = pg::create_array<Datum>(node.row_ops.size()),
             *all = pg::create_array<Datum>(n);
        auto *state_nulls = pg::create_array<bool>(n), *row_nulls = pg::create_array<bool>(node.row_ops.size()),
             *all_nulls = pg::create_array<bool>(n);
        state[0] = Int64GetDatum(group->rows);
        for (int a = 0; a < node.naggs; a++)
            if (((again >> a) & 1) && group->read_values != nullptr)
                state_from_value(node.specs[a], group->read_values[nkeys + a], group->read_nulls[nkeys + a],
                                 state + node.first_state[a], state_nulls + node.first_state[a]);
            else if (merge(node.specs[a], nullptr, nullptr, group->delta(node, a), state + node.first_state[a],
                           state_nulls + node.first_state[a]) != Merge::done)
                elog(ERROR, "aggregate %u could not be computed from its input", node.specs[a].aggfnoid);
        node_row(node, group->keys, group->nulls, state, state_nulls, row, row_nulls);
        rows->add(row, row_nulls, 1);
        if (node.in_view)
            continue;
        for (size_t k = 0; k < nkeys; k++) {
            all[node.key_column[k] - 1] = group->keys[k];
            all_nulls[node.key_column[k] - 1] = group->nulls[k];
        }
        for (int i = 0; i < node.nstates; i++) {
            all[node.state_place[i].column - 1] = state[i];
            all_nulls[node.state_place[i].column - 1] = state_nulls[i];
        }
        for (int a = 0; node.result_column != nullptr && a < node.naggs; a++) {
            all[node.result_column[a] - 1] = row[nkeys + static_cast<size_t>(a)];
            all_nulls[node.result_column[a] - 1] = row_nulls[nkeys + static_cast<size_t>(a)];
        }
        stored.add(all, all_nulls, 1);
    }
    table_close(rel, NoLock);
    if (node.in_view)
        return;
    Target *target = open_target(node.relid, node.identity);
    apply_difference(run, target, stored);
    close_target(target);
}

/// Every node's groups over the whole input.
void build_groups(Run &run, NodeProgram &node) {
    GroupTable groups(node, run.memory);
    TalliedGroups sink(run, node, groups);
    flow_contents(run, node.blocks, sink);
    if (node.node->scalar)
        groups.require_scalar();
    sink.store_tallies([&](NodeProgram &tally, GroupTable &values) { store_groups(run, tally, values); });
    store_groups(run, node, groups);
}

void build_node(Run &run, NodeProgram &node) {
    switch (node.node->kind) {
    case analysis::NodeKind::partition:
        build_partitions(run, node);
        return;
    case analysis::NodeKind::fixpoint:
        build_fixpoint(run, node);
        break;
    case analysis::NodeKind::tally: // built with its group
        return;
    default:
        build_groups(run, node);
    }
    if (node.in_view)
        return;
    // What is above reads it.
    PopActiveSnapshot();
    CommandCounterIncrement();
    push_snapshot(run);
}

} // namespace

/// As last analyzed; -1 where one never was.
static int64 estimate_rows(const analysis::ViewQuery &query) {
    int64 rows = 0;
    for (const analysis::TableSource &table : query.tables)
        for (Oid member : table.members) {
            HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(member));
            if (!HeapTupleIsValid(tuple))
                return -1;
            const auto *form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
            const bool stores = RELKIND_HAS_STORAGE(form->relkind);
            const double here = static_cast<double>(form->reltuples);
            ReleaseSysCache(tuple);
            if (stores && here < 0)
                return -1;
            rows += stores ? static_cast<int64>(here) : 0;
        }
    return rows;
}

int64 rebuild_with(Program *program, WrittenRows *written, Snapshot at) {
    pg::MaintenanceContext error_context(program->view);
    const observe::Building building(program->view);
    Run run{program, AllocSetContextCreate(CurrentMemoryContext, "upkeep rebuild", ALLOCSET_DEFAULT_SIZES), at};
    pg::RunAs as(program->owner, pg::RunAs::Path::fixed);
    for (const auto &[name, value] : program->settings)
        as.set_setting(name, value);
    // Writers' maintenance holds RowExclusiveLock on the view to its end: none is half way from here on.
    LockRelationOid(program->view, ShareRowExclusiveLock);
    CommandCounterIncrement();
    push_snapshot(run);
    observe::begin_phase(observe::Phase::computing, estimate_rows(*program->query));
    {
        pg::InContext in(run.memory);
        run.tables.resize(program->query->tables.size());
        run.node_deltas.resize(program->nodes.size(), nullptr);
        for (NodeProgram &node : program->nodes)
            node.derived ? build_derived(run, node) : build_node(run, node);
        ZSet wanted(program->output.ops, run.memory);
        flow_contents(run, program->output.blocks, wanted);
        Target *target = open_target(program->view, program->output.identity);
        record_writes(target, written);
        observe::begin_phase(observe::Phase::writing, static_cast<int64>(wanted.rows().size()));
        apply_difference(run, target, wanted);
        close_target(target);
    }
    finish_spi(run);
    PopActiveSnapshot();
    CommandCounterIncrement();
    const int64 changed = run.rows_changed;
    MemoryContextDelete(run.memory);
    catalog::note_rebuild(program->view);
    catalog::set_owed_states(program->view, std::nullopt);
    catalog::Registration registration;
    if (catalog::find_registration(program->view, &registration) && registration.mode == catalog::Mode::commit)
        capture::note_built(program->view);
    return changed;
}

} // namespace upkeep::maintain
