// upkeep.refresh(view)
#include "api/definition_changes.hpp"
#include "catalog/registration.hpp"
#include "maintain/maintain.hpp"
#include "pg/entry.hpp"
#include "pg/names.hpp"
#include "pg/read_only.hpp"

namespace upkeep::api {

namespace {

bool is_followed(const catalog::Registration &r) {
    return r.active && r.state == catalog::State::active;
}

/// Brings one view up to date that is not deferred, and what reads it. One that writers maintain is right already,
/// unless something has made it stale.
int64 refresh(const catalog::Registration &registration) {
    if (!is_followed(registration)) {
        const int64 rows = maintain::activate(registration.view);
        follow_above(registration.view);
        return rows;
    }
    return registration.mode == catalog::Mode::manual ? maintain::refresh_manual(registration.view) : 0;
}

/// Every view of the caller's, each after those that it reads: by then they may have brought it up to date. Stale ones
/// come first, since what reads them cannot be brought up to date before. Manual ones come last: what they write is a
/// change that a deferred view can only follow in another transaction.
int64 refresh_all() {
    int64 rows = 0;
    bool built = false;
    pg::Vector<Oid> deferred;
    pg::Vector<catalog::Registration> manual;
    for (catalog::Registration r : catalog::in_order_of_reading(catalog::all_registrations()))
        if (pg_class_ownercheck(r.view, GetUserId()) && catalog::find_registration(r.view, &r)) {
            if (r.mode == catalog::Mode::deferred) {
                deferred.push_back(r.view);
            } else if (!is_followed(r)) {
                rows += refresh(r);
                built = true;
            } else if (r.mode == catalog::Mode::manual) {
                manual.push_back(r);
            }
        }
    rows += maintain::refresh_deferred(built ? maintain::apart_from_built(deferred) : deferred);
    for (catalog::Registration r : manual)
        if (catalog::find_registration(r.view, &r) && r.mode == catalog::Mode::manual)
            rows += refresh(r);
    return rows;
}

} // namespace

UPKEEP_FUNCTION(upkeep_refresh) {
    pg::require_writable("upkeep.refresh()");
    if (PG_ARGISNULL(0))
        PG_RETURN_INT64(refresh_all());
    const Oid view = PG_GETARG_OID(0);
    catalog::Registration registration;
    if (!catalog::find_registration(view, &registration))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                        errmsg("materialized view %s is not registered", pg::qualified_name(view)),
                        errhint("Register it with upkeep.register().")));
    if (!pg_class_ownercheck(view, GetUserId()))
        aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_MATVIEW, get_rel_name(view));
    const bool deferred = registration.mode == catalog::Mode::deferred;
    PG_RETURN_INT64(deferred ? maintain::refresh_deferred({view}) : refresh(registration));
}

} // namespace upkeep::api
