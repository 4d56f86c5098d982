#include "catalog/subscriptions.hpp"

extern "C" {
#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_subscription_rel.h"
}

namespace upkeep::catalog {

namespace {

/// Visits the subscribed tables, or one of them, until `visit` returns true; whether it did.
template <typename Visit> bool find_entry(Oid relid, Visit visit) {
    const Relation subscriptions = table_open(SubscriptionRelRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_subscription_rel_srrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
    SysScanDesc scan = systable_beginscan(subscriptions, SubscriptionRelSrrelidSrsubidIndexId, true, nullptr,
                                          OidIsValid(relid) ? 1 : 0, &key);
    bool found = false;
    for (HeapTuple tuple; !found && HeapTupleIsValid(tuple = systable_getnext(scan));) {
        found = visit(reinterpret_cast<Form_pg_subscription_rel>(GETSTRUCT(tuple)));
    }
    systable_endscan(scan);
    table_close(subscriptions, AccessShareLock);
    return found;
}

} // namespace

bool has_subscriptions() {
    return find_entry(InvalidOid, [](Form_pg_subscription_rel) { return true; });
}

bool is_subscribed(Oid relid) {
    return find_entry(relid, [](Form_pg_subscription_rel) { return true; });
}

bool is_being_copied(Oid relid) {
    return find_entry(relid, [](Form_pg_subscription_rel entry) { return entry->srsubstate != SUBREL_STATE_READY; });
}

} // namespace upkeep::catalog
