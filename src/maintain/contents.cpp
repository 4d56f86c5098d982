// The contents of a view alone: its query as the server runs it, and the difference written.
#include "analysis/settle.hpp"
#include "catalog/log.hpp"
#include "catalog/registration.hpp"
#include "maintain/row_comparison.hpp"
#include "maintain/run.hpp"
#include "observe/progress.hpp"
#include "pg/error_context.hpp"

namespace upkeep::maintain {

namespace {

/// What leaves the view and what comes, by image.
ZSet *to_change(Relation rel, const Difference &difference) {
    const TupleDesc desc = RelationGetDescr(rel);
    pg::Vector<analysis::ColumnType> types;
    for (int i = 0; i < desc->natts; i++) {
        Form_pg_attribute a = TupleDescAttr(desc, i);
        types.push_back({a->atttypid, a->atttypmod, a->attcollation});
    }
    auto *change = new (palloc(sizeof(ZSet))) ZSet(column_ops(types), CurrentMemoryContext);
    for (const Row &row : difference.view)
        change->add(row.values, row.nulls, -1);
    for (const Row &row : difference.query)
        change->add(row.values, row.nulls, 1);
    return change;
}

} // namespace

Query *settled_query(Relation rel) {
    return analysis::settle(rewrite_query(view_query(rel)), analysis::Choices::rows);
}

int64 replace_contents(Oid view, const Identity &identity, Snapshot at, WrittenRows *written) {
    pg::MaintenanceContext error_context(view);
    const observe::Building building(view);
    Run run{nullptr, AllocSetContextCreate(CurrentMemoryContext, "upkeep rebuild", ALLOCSET_DEFAULT_SIZES), at};
    Relation rel = table_open(view, NoLock);
    {
        pg::InContext in(run.memory);
        pg::RunAs as(rel->rd_rel->relowner, pg::RunAs::Path::fixed);
        for (const catalog::Setting &setting : catalog::settings(view))
            as.set_setting(setting.name, setting.value);
        CommandCounterIncrement();
        push_snapshot(run);
        observe::begin_phase(observe::Phase::computing);
        const Difference difference = compare_rows(rel, settled_query(rel));
        Target *target = open_target(view, identity);
        record_writes(target, written);
        observe::begin_phase(observe::Phase::writing,
                             static_cast<int64>(difference.view.size() + difference.query.size()));
        apply_scanning(run, target, *to_change(rel, difference));
        close_target(target);
        PopActiveSnapshot();
    }
    CommandCounterIncrement();
    table_close(rel, NoLock);
    const int64 changed = run.rows_changed;
    MemoryContextDelete(run.memory);
    return changed;
}

int64 rebuild_contents(const Program &program, WrittenRows *written, Snapshot at) {
    const Oid view = program.view;
    LockRelationOid(view, ShareRowExclusiveLock);
    if (!catalog::owed_states(view)) {
        catalog::set_owed_states(view, 0);
        // Nobody looks at them before they are built anew. Vacuum may be at one: then its rows stay until that.
        for (const catalog::StateTable &table : catalog::state_tables(view))
            if (ConditionalLockRelationOid(table.relid, AccessExclusiveLock))
                catalog::truncate_member_table(table.relid);
    }
    const int64 changed = replace_contents(view, program.output.identity, at, written);
    catalog::note_rebuild(view);
    return changed;
}

} // namespace upkeep::maintain
