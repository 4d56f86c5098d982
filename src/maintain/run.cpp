// One run: from the changes of its sources to a view. Which views run, and in which order, is in pass.cpp.
#include "maintain/run.hpp"

#include "catalog/registration.hpp"
#include "maintain/course.hpp"
#include "maintain/maintain.hpp"
#include "maintain/old_state.hpp"
#include "maintain/pass.hpp"
#include "maintain/sources.hpp"
#include "maintain/tally.hpp"
#include "observe/counters.hpp"
#include "pg/error_context.hpp"
#include "pg/names.hpp"
#include "pg/run_as.hpp"
#include "settings.hpp"

extern "C" {
#include "portability/instr_time.h"
}

namespace upkeep::maintain {

namespace {

bool uses_sql(const pg::Vector<BlockProgram> &blocks) {
    for (const BlockProgram &b : blocks)
        if (!b.direct)
            return true;
    return false;
}

} // namespace

void read_flow(Run &run, pg::Vector<BlockProgram> &blocks, std::span<pg::ColumnOps> ops, RowSink &sink) {
    const bool sql = uses_sql(blocks);
    if (sql) {
        lock_joins(run, blocks);
        // Whom we waited for may have attached a partition to a table that we have locked already: plans must not be
        // older than the snapshot.
        AcceptInvalidationMessages();
        push_snapshot(run);
    }
    flow_delta(run, blocks, ops, sink);
    if (sql)
        PopActiveSnapshot();
}

namespace {

/// γ: the flow's change is folded group by group, and merged into the stored states.
bool run_group_stage(Run &run, NodeProgram &node) {
    GroupTable groups(node, run.memory);
    TalliedGroups sink(run, node, groups);
    if (node.consolidates) {
        ZSet rows(node.flow_ops, run.memory);
        read_flow(run, node.blocks, node.flow_ops, rows);
        for (const ZSet::Row *row : rows.rows())
            if (row->weight != 0)
                sink.add(row->values, row->nulls, row->weight);
    } else {
        read_flow(run, node.blocks, node.flow_ops, sink);
    }
    return sink.apply_tallies() && apply_groups(run, node, groups);
}

bool run_stage(Run &run, NodeProgram &node) {
    switch (node.node->kind) {
    case analysis::NodeKind::group:
        return run_group_stage(run, node);
    case analysis::NodeKind::partition:
        return run_partition_stage(run, node);
    case analysis::NodeKind::derived: {
        auto *rows = new (palloc(sizeof(ZSet))) ZSet(node.row_ops, run.memory);
        read_flow(run, node.blocks, node.flow_ops, *rows);
        run.node_deltas[node.number] = rows;
        return !run.broken;
    }
    case analysis::NodeKind::fixpoint:
        return run_fixpoint_stage(run, node);
    default:
        elog(ERROR, "node %d has no stage", node.number);
    }
}

/// The stages in topological order: each node's state, then the view.
bool run_stages(Run &run) {
    Program &program = *run.program;
    for (NodeProgram &node : program.nodes) {
        if (!node_changed(run, node))
            continue;
        if (!run_stage(run, node))
            return false;
        CommandCounterIncrement();
    }
    if (program.output_in_node || !flow_changed(run, program.output.blocks))
        return true;
    ZSet rows(program.output.ops, run.memory);
    read_flow(run, program.output.blocks, program.output.ops, rows);
    return apply_to_view(run, rows);
}

void execute(Run &run) {
    run.node_deltas.resize(run.program->nodes.size(), nullptr);
    CommandCounterIncrement();
    run_stages(run);
    finish_spi(run);
    CommandCounterIncrement();
}

void warn_stale(Oid view, const char *why) {
    catalog::mark_stale(view, why);
    ereport(WARNING,
            (errcode(ERRCODE_DATA_EXCEPTION),
             errmsg("materialized view %s is stale from now on", pg::qualified_name(view)),
             errdetail("Its maintenance stopped because %s.", why), errhint("Run REFRESH MATERIALIZED VIEW on it.")));
}

/// The stored rows are not what the changes say they were. The view is rebuilt at once where no other writer is in the
/// way (waiting for one here could deadlock), else it is stale from now on.
Outcome repair(Program *program, const char *why, Snapshot at) {
    const Oid view = program->view;
    if (!ConditionalLockRelationOid(view, ShareRowExclusiveLock)) {
        warn_stale(view, why);
        return Outcome::stale;
    }
    at != nullptr ? rebuild_with(program, nullptr, at) : rebuild(view);
    ereport(WARNING, (errcode(ERRCODE_DATA_CORRUPTED),
                      errmsg("materialized view %s was not what its base tables said and has been rebuilt",
                             pg::qualified_name(view)),
                      errdetail("Its maintenance stopped because %s.", why)));
    return Outcome::repaired;
}

bool is_unknown(const Program &program, const pg::Vector<capture::TableChange> &changes) {
    auto is_in = [](const pg::Vector<Oid> &relids, Oid relid) {
        return std::find(relids.begin(), relids.end(), relid) != relids.end();
    };
    for (const capture::TableChange &change : changes)
        if (change.unknown)
            for (const analysis::TableSource &table : program.query->tables)
                if (is_in(table.members, change.relid) || is_in(table.ancestors, change.relid))
                    return true;
    return false;
}

double milliseconds_since(instr_time start) {
    instr_time now;
    INSTR_TIME_SET_CURRENT(now);
    INSTR_TIME_SUBTRACT(now, start);
    return INSTR_TIME_GET_MILLISEC(now);
}

void record_sample(Oid view, const observe::Sample &sample) {
    observe::record(view, sample);
    observe::log_duration(view, sample, settings::log_min_duration());
}

void record_run(const Run &run, instr_time start, bool rebuilt) {
    record_sample(run.program->view,
                  {run.rows_in, run.rows_changed, milliseconds_since(start), rebuilt ? 1 : 0, run.waited ? 1 : 0});
}

void record_rebuild(Oid view, instr_time start) {
    record_sample(view, {0, 0, milliseconds_since(start), 1, 0});
}

/// Whether the run may read the base tables. One that is not partitioned is locked by its own statement.
bool reads_tables(const Program &program) {
    for (const NodeProgram &node : program.nodes) {
        if (node.ambiguous_keys || uses_sql(node.blocks))
            return true;
        for (int a = 0; a < node.naggs; a++)
            if (is_read_again_kind(node.specs[a].kind))
                return true;
    }
    return uses_sql(program.output.blocks);
}

/// Locks what the run will use, in an order in which nobody else waits: whoever rebuilds the view (REFRESH, TRUNCATE of
/// a base table) has finished then, before the run's snapshot, and nobody begins to while state and view differ.
void lock_relations(const Program &program, bool rebuilds) {
    const auto &tables = program.query->tables;
    pg::Vector<Oid> relids;
    for (const analysis::TableSource &table : tables)
        if (tables.size() > 1 || table.is_matview || (table.members.size() > 1 && (rebuilds || reads_tables(program))))
            for (Oid member : table.members) // a single base table is locked by the statement
                relids.push_back(member);
    lock_sources(relids);
    LockRelationOid(program.view, RowExclusiveLock);
    for (const NodeProgram &node : program.nodes)
        if (!node.in_view && !node.derived)
            LockRelationOid(node.relid, RowExclusiveLock);
}

/// The view's program, with its relations locked. nullptr: gone meanwhile, or why it is stale.
Program *lock_program(Oid view, const pg::Vector<capture::TableChange> &changes, const char **why) {
    Program *program = find_program(view, why);
    for (uint64 locked = 0; program != nullptr && program->serial != locked;) {
        locked = program->serial;
        lock_relations(*program, is_unknown(*program, changes));
        program = find_program(view, why); // a new one, if the view was changed while we waited
    }
    return program;
}

} // namespace

CommandId present_command() {
    CommandCounterIncrement();
    return GetCurrentCommandId(false);
}

Outcome maintain_view(Oid view, const pg::Vector<capture::TableChange> &changes, WrittenRows *written,
                      OldCommand before, Snapshot at) {
    pg::MaintenanceContext error_context(view);
    instr_time start;
    const bool measured = observe::is_counting() || settings::log_min_duration() >= 0;
    if (measured)
        INSTR_TIME_SET_CURRENT(start);
    const char *why = nullptr;
    Program *program = lock_program(view, changes, &why);
    if (program == nullptr && at != nullptr) {
        activate(view);
        return Outcome::built;
    }
    if (program == nullptr) {
        catalog::Registration registration;
        if (catalog::find_registration(view, &registration)) // else dropped or unregistered meanwhile
            warn_stale(view, why);
        return Outcome::stale;
    }
    if (catalog::find_table(view) == nullptr) // asked under the lock: nobody reads it
        written = nullptr;
    for (const capture::TableChange &change : changes)
        if (change.exact) // a partition came or went: an older snapshot reads the tree as it is now
            before.reset();
    const bool has_old_states = at != nullptr ? can_make_old_states(*program) : before.has_value();
    if (is_unknown(*program, changes) || capture::was_built(view) || (program->watches && !has_old_states)) {
        at != nullptr ? rebuild_on(choose_rebuild(program), program, written, at) : rebuild(view, written);
        if (measured)
            record_rebuild(view, start);
        return Outcome::followed;
    }
    Run run{program, AllocSetContextCreate(CurrentMemoryContext, "upkeep run", ALLOCSET_DEFAULT_SIZES), at};
    run.written = written;
    run.old_command = at != nullptr ? InvalidCommandId : before.value_or(InvalidCommandId);
    Course course = Course::follow;
    {
        pg::InContext in(run.memory);
        const bool fixed = program->fixed_path || at != nullptr; // statements are planned to weigh them
        pg::RunAs as(program->owner, fixed ? pg::RunAs::Path::fixed : pg::RunAs::Path::keep);
        for (const auto &[name, value] : program->settings)
            as.set_setting(name, value);
        if (load_deltas(run, changes)) {
            if (at != nullptr)
                course = choose_course(run);
            std::optional<CachedPages> cached;
            if (at != nullptr)
                cached.emplace(run);
            course == Course::follow ? execute(run) : finish_spi(run);
        }
    }
    finish_passages(run);
    if (course != Course::follow)
        run.rows_changed = rebuild_on(course, program, written, at);
    const Outcome outcome = run.broken ? repair(program, run.broken_why, at) : Outcome::followed;
    if (measured)
        record_run(run, start, course != Course::follow);
    MemoryContextDelete(run.memory);
    return outcome;
}

void push_snapshot(const Run &run) {
    if (run.at == nullptr) {
        PushActiveSnapshot(GetLatestSnapshot());
        return;
    }
    PushCopiedSnapshot(run.at);
    UpdateActiveSnapshotCommandId();
}

} // namespace upkeep::maintain
