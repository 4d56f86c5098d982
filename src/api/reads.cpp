// Reads of registered views, before they begin.
//
// A view that is stale or has failed still shows its last contents; a session that reads it is warned once.
//
// The server does not track reads of materialized views for serializability. What a SERIALIZABLE transaction reads in a
// view that writers maintain, it reads in the view's base tables: these are locked for it as a whole, which catches
// whoever writes to them later, and it counts as a reader of what concurrent transactions may have written before.
#include "api/reads.hpp"

#include "catalog/registration.hpp"
#include "pg/entry.hpp"
#include "pg/names.hpp"

extern "C" {
#include "access/parallel.h"
#include "access/transam.h"
#include "storage/predicate.h"
}

namespace upkeep::api {

namespace {

ExecutorStart_hook_type next_executor_start = nullptr;

/// What this session knows of a materialized view.
struct Known {
    Oid view;
    bool valid;   // until an invalidation comes
    bool is_late; // stale or failed
    bool is_kept; // by its writers
    bool warned;
};
HTAB *known_views = nullptr;

void on_relcache_invalidation(Datum, Oid relid) {
    if (OidIsValid(relid)) {
        if (auto *known = static_cast<Known *>(hash_search(known_views, &relid, HASH_FIND, nullptr)))
            known->valid = false;
        return;
    }
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, known_views);
    while (auto *known = static_cast<Known *>(hash_seq_search(&scan)))
        known->valid = false;
}

void create_cache() {
    HASHCTL control = {};
    control.keysize = sizeof(Oid);
    control.entrysize = sizeof(Known);
    known_views = hash_create("upkeep views read", 64, &control, HASH_ELEM | HASH_BLOBS);
    CacheRegisterRelcacheCallback([](Datum arg, Oid relid) { on_relcache_invalidation(arg, relid); }, Datum(0));
}

Known *know(Oid view) {
    if (known_views == nullptr)
        create_cache();
    bool found;
    auto *known = static_cast<Known *>(hash_search(known_views, &view, HASH_ENTER, &found));
    if (!found)
        known->warned = known->valid = false;
    if (known->valid)
        return known;
    known->valid = true; // an invalidation that comes meanwhile is not lost
    known->is_late = known->is_kept = false;
    catalog::Registration registration;
    if (catalog::find_registration(view, &registration)) {
        known->is_late = registration.state == catalog::State::stale || registration.state == catalog::State::failed;
        known->is_kept = registration.state == catalog::State::active &&
                         (registration.mode == catalog::Mode::immediate || registration.mode == catalog::Mode::commit);
    }
    known->warned = known->warned && known->is_late;
    return known;
}

void warn_late(Oid view) {
    catalog::Registration registration;
    if (!catalog::find_registration(view, &registration))
        return;
    const char *why = registration.active ? registration.why : "It is not active since it was restored.";
    ereport(WARNING,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("materialized view %s is not up to date", pg::qualified_name(view)),
             why != nullptr ? errdetail("%s", why) : 0,
             errhint("It shows what it held before. REFRESH MATERIALIZED VIEW brings it up to date when the cause is "
                     "removed.")));
}

void add_tables_below(Oid view, pg::Vector<Oid> *tables) {
    check_stack_depth();
    for (Oid source : catalog::sources(view))
        if (get_rel_relkind(source) == RELKIND_MATVIEW)
            add_tables_below(source, tables);
        else if (std::find(tables->begin(), tables->end(), source) == tables->end())
            tables->push_back(source);
}

/// A transaction that is not seen by the snapshot, but may have written already, is before this one if any is. Which
/// tables it wrote to is not known: it counts in any case.
void follow_concurrent_writers(Relation table, Snapshot snapshot) {
    for (uint32 i = 0; i < snapshot->xcnt; i++)
        CheckForSerializableConflictOut(table, snapshot->xip[i], snapshot);
    const TransactionId end = XidFromFullTransactionId(ReadNextFullTransactionId());
    TransactionId xid = snapshot->xmax;
    while (TransactionIdPrecedes(xid, end)) {
        CHECK_FOR_INTERRUPTS();
        CheckForSerializableConflictOut(table, xid, snapshot);
        TransactionIdAdvance(xid);
    }
}

void read_tables_of(Oid view, Snapshot snapshot) {
    pg::Vector<Oid> tables;
    add_tables_below(view, &tables);
    bool followed = false;
    for (Oid relid : tables) {
        Relation table = try_relation_open(relid, AccessShareLock);
        if (table == nullptr)
            continue;
        PredicateLockRelation(table, snapshot);
        if (!followed)
            follow_concurrent_writers(table, snapshot);
        followed = true;
        relation_close(table, AccessShareLock);
    }
}

/// Not maintenance, verify or REFRESH: these run as the owner, restricted.
bool is_read_of_users(const QueryDesc *query, int flags) {
    return (flags & EXEC_FLAG_EXPLAIN_ONLY) == 0 && query->plannedstmt->commandType != CMD_UTILITY &&
           !IsParallelWorker() && OidIsValid(MyDatabaseId) && !InSecurityRestrictedOperation();
}

void before_read(Oid view, Snapshot snapshot) {
    Known *known = know(view);
    if (known->is_late && !known->warned) {
        known->warned = true;
        warn_late(view);
    }
    if (known->is_kept && IsolationIsSerializable() && snapshot != nullptr)
        read_tables_of(view, snapshot);
}

[[gnu::hot]] void on_executor_start(QueryDesc *query, int flags) {
    ListCell *cell;
    foreach (cell, query->plannedstmt->rtable) {
        const auto *entry = lfirst_node(RangeTblEntry, cell);
        if (entry->rtekind == RTE_RELATION && entry->relkind == RELKIND_MATVIEW && is_read_of_users(query, flags))
            pg::guard([&] { before_read(entry->relid, query->snapshot); });
    }
    if (next_executor_start != nullptr)
        next_executor_start(query, flags);
    else
        standard_ExecutorStart(query, flags);
}

} // namespace

void install_reads() {
    if (process_shared_preload_libraries_in_progress)
        next_executor_start = std::exchange(ExecutorStart_hook, on_executor_start);
}

} // namespace upkeep::api
