// Partitions and children that come and go: their rows are a change like any other.
#include "analysis/table_members.hpp"
#include "capture/pending.hpp"
#include "catalog/registration.hpp"
#include "maintain/maintain.hpp"
#include "maintain/pass.hpp"
#include "maintain/records.hpp"
#include "pg/run_as.hpp"

namespace upkeep::maintain {

namespace {

/// The tables whose rows a source has now and had not when the facts were recorded, and the reverse.
struct Turnover {
    const analysis::TableSource *source;
    pg::Vector<Oid> came;
    pg::Vector<Oid> went;
};

pg::Vector<Oid> without(const pg::Vector<Oid> &all, const pg::Vector<Oid> &some) {
    pg::Vector<Oid> left;
    for (Oid relid : all)
        if (std::find(some.begin(), some.end(), relid) == some.end())
            left.push_back(relid);
    return left;
}

pg::Vector<Turnover> find_turnover(Oid view, const Design &design) {
    pg::Vector<Turnover> all;
    const pg::Vector<catalog::Fact> facts = catalog::facts(view);
    for (const analysis::TableSource &source : design.program->query->tables) {
        for (const catalog::Fact &fact : facts) {
            if (source.only || fact.objid != source.relid || strcmp(fact.kind, "members") != 0)
                continue;
            const pg::Vector<Oid> before = catalog::members_in(fact.fingerprint);
            all.push_back({&source, without(source.members, before), without(before, source.members)});
        }
    }
    return all;
}

/// False: the table's rows are gone, or are not those that it had as a member.
bool has_its_rows(Oid relid) {
    Relation rel = try_relation_open(relid, ShareRowExclusiveLock);
    if (rel == nullptr)
        return false;
    const bool same =
        rel->rd_createSubid == InvalidSubTransactionId && rel->rd_newRelfilelocatorSubid == InvalidSubTransactionId;
    relation_close(rel, NoLock);
    return same;
}

/// Locks writers of all these tables out: none is half way.
bool lock_turnover(const pg::Vector<Turnover> &all) {
    for (const Turnover &turnover : all) {
        for (Oid relid : turnover.came)
            LockRelationOid(relid, ShareRowExclusiveLock);
        for (Oid relid : turnover.went)
            if (!has_its_rows(relid))
                return false;
    }
    return true;
}

pg::Vector<capture::TableChange> read_turnover(const pg::Vector<Turnover> &all) {
    pg::Vector<capture::TableChange> changes;
    for (const Turnover &turnover : all) {
        capture::TableChange change{turnover.source->relid, false, nullptr, {}, true};
        for (Oid relid : turnover.came)
            change.batches.push_back(read_member(*turnover.source, relid, +1));
        for (Oid relid : turnover.went)
            change.batches.push_back(read_member(*turnover.source, relid, -1));
        changes.push_back(change);
    }
    return changes;
}

Design *find_design(Oid view, const catalog::Registration &registration) {
    Relation rel = table_open(view, AccessShareLock);
    const Oid owner = rel->rd_rel->relowner;
    const pg::Refusal *refusal = nullptr;
    Design *design;
    {
        pg::RunAs as(owner, pg::RunAs::Path::fixed);
        design = design_view(view, view_query(rel), owner, &refusal);
    }
    table_close(rel, NoLock);
    return design != nullptr && strcmp(design->program->layout, registration.layout) == 0 ? design : nullptr;
}

} // namespace

bool follow_members(Oid view) {
    catalog::Registration registration{};
    if (!catalog::find_registration(view, &registration) || !registration.active ||
        registration.state != catalog::State::active ||
        (registration.mode == catalog::Mode::commit && capture::find_pending(capture::Scope::transaction) != nullptr))
        return false;
    const Design *design = find_design(view, registration);
    if (design == nullptr)
        return false;
    for (const analysis::Captured &captured : analysis::captured_relations(*design->program->query))
        if (!capture::has_triggers(captured.relid))
            capture::create_triggers(captured.relid);
    const pg::Vector<Turnover> turnover = find_turnover(view, *design);
    if (!lock_turnover(turnover))
        return false;
    const pg::Vector<capture::TableChange> changes = read_turnover(turnover);
    const pg::Vector<Oid> sources_before = catalog::sources(view);
    record_sources(*design);
    record_facts(*design);
    forget_program(view);
    CommandCounterIncrement();
    maintain_apart(view, changes);
    for (const capture::TableChange &change : changes)
        for (const capture::Batch &batch : change.batches)
            tuplestore_end(batch.rows);
    drop_unused_triggers(sources_before);
    return true;
}

} // namespace upkeep::maintain
