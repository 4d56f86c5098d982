#include "maintain/sources.hpp"

#include "analysis/expressions.hpp"
#include "analysis/table_members.hpp"
#include "capture/capture.hpp"
#include "catalog/subscriptions.hpp"
#include "pg/names.hpp"

namespace upkeep::maintain {

namespace {

bool is_matview(Oid relid) {
    return get_rel_relkind(relid) == RELKIND_MATVIEW;
}

/// Base tables in the given order, then materialized views, each after those that it reads.
pg::Vector<Oid> in_lock_order(const pg::Vector<Oid> &relids) {
    pg::Vector<Oid> ordered;
    for (Oid relid : relids)
        if (!is_matview(relid))
            ordered.push_back(relid);
    const auto tables = static_cast<std::ptrdiff_t>(ordered.size());
    for (Oid relid : relids)
        if (is_matview(relid))
            ordered.push_back(relid);
    if (ordered.end() - ordered.begin() - tables > 1)
        std::sort(ordered.begin() + tables, ordered.end(), [](Oid a, Oid b) {
            const int deep_a = catalog::depth(a), deep_b = catalog::depth(b);
            return deep_a != deep_b ? deep_a < deep_b : a < b;
        });
    return ordered;
}

pg::Vector<Oid> source_relids(const analysis::ViewQuery &query) {
    pg::Vector<Oid> relids;
    for (const analysis::Captured &captured : analysis::captured_relations(query))
        relids.push_back(captured.relid);
    return relids;
}

/// Every change of its sources since its last build has reached the view, or waits for the lock on it.
bool is_followed(const catalog::Registration &registration, const Design &design) {
    if (!registration.active || registration.state != catalog::State::active)
        return false;
    for (const analysis::Captured &captured : analysis::captured_relations(*design.program->query)) {
        const catalog::TableEntry *entry = catalog::find_table(captured.relid);
        if (entry == nullptr)
            return false;
        const catalog::Readers &readers = entry->of(registration.mode);
        const Oid *end = readers.views + readers.nviews;
        if (std::find(readers.views, end, registration.view) == end || !bms_is_subset(captured.used, readers.used) ||
            !capture::has_triggers(captured.relid))
            return false;
    }
    return true;
}

/// What the analysis found may have changed before the sources were locked.
void require_active_sources(const catalog::Registration &registration, const Design &design) {
    for (const analysis::TableSource &table : design.program->query->tables) {
        catalog::Registration below;
        if (!table.is_matview)
            continue;
        const bool known = catalog::find_registration(table.relid, &below) && below.active;
        if (known && (below.state == catalog::State::active ||
                      (registration.mode == catalog::Mode::deferred && below.state != catalog::State::stale)))
            continue; // a deferred view follows when that one has been built
        const char *name = pg::qualified_name(table.relid);
        const char *reader = pg::qualified_name(registration.view);
        if (known && below.state == catalog::State::building)
            ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                            errmsg("materialized view %s is still being built", name),
                            errdetail("Materialized view %s reads it.", reader),
                            errhint("Wait for it with upkeep.wait(), or build it with upkeep.refresh().")));
        ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
                        errmsg("materialized view %s has just ceased to be kept up to date", name),
                        errdetail("Materialized view %s reads it.", reader)));
    }
}

bool reads(Oid view, Oid wanted, pg::Vector<Oid> *seen) {
    check_stack_depth();
    if (view == wanted)
        return true;
    if (std::find(seen->begin(), seen->end(), view) != seen->end())
        return false;
    seen->push_back(view);
    for (Oid source : catalog::sources(view))
        if (is_matview(source) && reads(source, wanted, seen))
            return true;
    return false;
}

} // namespace

void lock_sources(const pg::Vector<Oid> &relids) {
    for (Oid relid : in_lock_order(relids))
        LockRelationOid(relid, is_matview(relid) ? RowExclusiveLock : AccessShareLock);
}

/// Base tables first, then the views below, then the view: the order in which writers lock. A view that is followed
/// needs no lock on its sources, for which a writer that waits for the view (REFRESH has it already) would not let go:
/// such a writer's rows are not seen by the build and come when it ends.
void lock_for_building(catalog::Registration *registration, const Design &design) {
    const Oid view = registration->view;
    if (is_followed(*registration, design)) {
        LockRelationOid(view, ShareRowExclusiveLock);
        *registration = {};
        if (catalog::find_registration(view, registration) && is_followed(*registration, design)) {
            Relation rel = table_open(view, NoLock);
            capture::require_quiet(rel);
            table_close(rel, NoLock);
            require_active_sources(*registration, design);
            return;
        }
    }
    hold_off_writers(view, *design.program->query);
    require_active_sources(*registration, design);
}

void hold_off_writers(Oid view, const analysis::ViewQuery &query) {
    for (Oid relid : in_lock_order(source_relids(query)))
        capture::create_triggers(relid);
    LockRelationOid(view, ShareRowExclusiveLock);
}

/// Writers first, as they lock: what nobody else's view needs is dropped.
void lock_for_removal(Oid view, const pg::Vector<Oid> &sources) {
    for (Oid relid : sources)
        if (!is_matview(relid) && catalog::views_of(relid).size() <= 1 &&
            SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
            LockRelationOid(relid, AccessExclusiveLock);
    LockRelationOid(view, ShareRowExclusiveLock);
}

const pg::Refusal *check_own_contents(Oid view, const analysis::ViewQuery &query) {
    pg::Vector<Oid> seen;
    for (const analysis::TableSource &table : query.tables)
        if (table.is_matview && reads(table.relid, view, &seen))
            return analysis::make_refusal(
                "reads-itself", psprintf("materialized view %s", pg::qualified_name(table.relid)),
                "The query reads what the materialized view itself holds, so that its contents would not be determined "
                "by the data.",
                "Let the ordinary views between them read something else.");
    return nullptr;
}

const pg::Refusal *check_feeds(const analysis::ViewQuery &query) {
    if (!catalog::has_subscriptions())
        return nullptr;
    for (const analysis::Captured &captured : analysis::captured_relations(query))
        if (catalog::is_subscribed(captured.relid))
            return analysis::make_refusal(
                "subscription-table", psprintf("table %s", pg::qualified_name(captured.relid)),
                "A logical replication subscription feeds one of its tables, and an error of the view would stop it.",
                "Register the materialized view with mode => 'deferred'.");
    return nullptr;
}

void raise_refusal(Oid view, const pg::Refusal &refusal) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("materialized view %s cannot be kept up to date immediately", pg::qualified_name(view)),
                    errdetail("%s", refusal.why), errhint("%s", refusal.hint)));
    pg_unreachable();
}

} // namespace upkeep::maintain
