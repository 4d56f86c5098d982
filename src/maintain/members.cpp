// Partitions and children that come and go: their rows are a change like any other.
#include "analysis/table_members.hpp"
#include "capture/pending.hpp"
#include "catalog/log.hpp"
#include "catalog/registration.hpp"
#include "maintain/maintain.hpp"
#include "maintain/pass.hpp"
#include "maintain/records.hpp"
#include "pg/run_as.hpp"

namespace upkeep::maintain {

namespace {

/// A table that views read, and the tables whose rows it has now and had not when the facts were recorded, and the
/// reverse.
struct Turnover {
    analysis::TableSource source; // with the columns that any of the views uses
    pg::Vector<Oid> came;
    pg::Vector<Oid> went;
};

struct Follower {
    Oid view;
    const Design *design;
    bool deferred;
};

pg::Vector<Oid> without(const pg::Vector<Oid> &all, const pg::Vector<Oid> &some) {
    pg::Vector<Oid> left;
    for (Oid relid : all)
        if (std::find(some.begin(), some.end(), relid) == some.end())
            left.push_back(relid);
    return left;
}

/// Adds what has come and gone in the tables that a view reads; every view that reads a table recorded the same
/// members.
void add_turnover(const Follower &follower, pg::Vector<Turnover> *all) {
    const pg::Vector<catalog::Fact> facts = catalog::facts(follower.view);
    for (const analysis::TableSource &source : follower.design->program->query->tables) {
        for (Turnover &known : *all)
            if (known.source.relid == source.relid && !source.only)
                known.source.used = bms_union(known.source.used, source.used);
        if (source.only || std::any_of(all->begin(), all->end(),
                                       [&source](const Turnover &known) { return known.source.relid == source.relid; }))
            continue;
        for (const catalog::Fact &fact : facts) {
            if (fact.objid != source.relid || strcmp(fact.kind, "members") != 0)
                continue;
            const pg::Vector<Oid> before = catalog::members_in(fact.fingerprint);
            all->push_back({source, without(source.members, before), without(before, source.members)});
        }
    }
}

/// False: the table's rows are gone, or are not those that it had as a member.
bool has_its_rows(Oid relid) {
    Relation rel = try_relation_open(relid, ShareRowExclusiveLock);
    if (rel == nullptr)
        return false;
    const bool same = rel->rd_newRelfilelocatorSubid == InvalidSubTransactionId;
    relation_close(rel, NoLock);
    return same;
}

/// Locks writers of these tables out: none is half way. False: some rows are gone.
bool lock_turnover(const Turnover &turnover) {
    for (Oid relid : turnover.came)
        LockRelationOid(relid, ShareRowExclusiveLock);
    return std::all_of(turnover.went.begin(), turnover.went.end(), has_its_rows);
}

pg::Vector<capture::TableChange> read_turnover(const pg::Vector<Turnover> &all) {
    pg::Vector<capture::TableChange> changes;
    for (const Turnover &turnover : all) {
        capture::TableChange change{turnover.source.relid, false, nullptr, {}, true};
        for (Oid relid : turnover.came)
            change.batches.push_back(read_member(turnover.source, relid, +1));
        for (Oid relid : turnover.went)
            change.batches.push_back(read_member(turnover.source, relid, -1));
        changes.push_back(change);
    }
    return changes;
}

/// No rows, and none of its changes is in a log.
bool is_blank(Oid relid) {
    catalog::Log log;
    if (catalog::find_log(relid, &log))
        return false;
    Relation rel = table_open(relid, ShareRowExclusiveLock);
    bool blank = true;
    if (rel->rd_rel->relkind == RELKIND_RELATION) {
        const Snapshot now = RegisterSnapshot(GetLatestSnapshot());
        TupleTableSlot *slot = table_slot_create(rel, nullptr);
        TableScanDesc scan = table_beginscan(rel, now, 0, nullptr);
        blank = !table_scan_getnextslot(scan, ForwardScanDirection, slot);
        table_endscan(scan);
        ExecDropSingleTupleTableSlot(slot);
        UnregisterSnapshot(now);
    }
    table_close(rel, NoLock);
    return blank;
}

/// A deferred view takes changes from the logs. It need not be built anew where these stay, and what comes brings none,
/// as a partition that has just been created.
bool can_wait(const Follower &follower) {
    pg::Vector<Oid> captured;
    for (const analysis::Captured &table : analysis::captured_relations(*follower.design->program->query))
        captured.push_back(table.relid);
    const pg::Vector<Oid> before = catalog::sources(follower.view);
    const pg::Vector<Oid> came = without(captured, before);
    return !came.empty() && without(before, captured).empty() && std::all_of(came.begin(), came.end(), is_blank);
}

/// nullptr: the view has to be activated.
const Design *find_fitting_design(Oid view, bool *deferred) {
    catalog::Registration registration{};
    if (!catalog::find_registration(view, &registration) || !registration.active ||
        registration.state != catalog::State::active ||
        (registration.mode == catalog::Mode::commit && capture::find_pending(capture::Scope::transaction) != nullptr))
        return nullptr;
    *deferred = registration.mode == catalog::Mode::deferred;
    Relation rel = table_open(view, AccessShareLock);
    const Oid owner = rel->rd_rel->relowner;
    const pg::Refusal *refusal = nullptr;
    Design *design;
    {
        pg::RunAs as(owner, pg::RunAs::Path::fixed);
        design = design_view(view, registration.mode, view_query(rel), owner, &refusal);
    }
    table_close(rel, NoLock);
    return design != nullptr && strcmp(design->program->layout, registration.layout) == 0 ? design : nullptr;
}

} // namespace

pg::Vector<Oid> follow_members(const pg::Vector<Oid> &views) {
    pg::Vector<Follower> followers;
    pg::Vector<Turnover> turnovers;
    pg::Vector<Oid> followed;
    for (const Oid view : views) {
        bool deferred;
        const Design *design = find_fitting_design(view, &deferred);
        if (design != nullptr && (!deferred || can_wait({view, design, deferred})))
            followers.push_back({view, design, deferred});
    }
    for (const Follower &follower : followers)
        for (const analysis::Captured &captured : analysis::captured_relations(*follower.design->program->query))
            if (!capture::has_triggers(captured.relid))
                capture::create_triggers(captured.relid);
    for (const Follower &follower : followers)
        add_turnover(follower, &turnovers);
    for (const Turnover &turnover : turnovers)
        if (!lock_turnover(turnover))
            return followed;
    const pg::Vector<capture::TableChange> changes = read_turnover(turnovers);
    pg::Vector<Oid> sources_before, now;
    for (const Follower &follower : followers) {
        for (const Oid source : catalog::sources(follower.view))
            sources_before.push_back(source);
        record_sources(*follower.design);
        record_facts(*follower.design);
        if (follower.deferred)
            require_logs(*follower.design->program->query);
        else
            now.push_back(follower.view);
        forget_program(follower.view);
        followed.push_back(follower.view);
    }
    CommandCounterIncrement();
    maintain_apart(now, changes);
    for (const capture::TableChange &change : changes)
        for (const capture::Batch &batch : change.batches)
            tuplestore_end(batch.rows);
    drop_unused_triggers(sources_before);
    return followed;
}

} // namespace upkeep::maintain
