// upkeep.refresh(view)
#include "catalog/registration.hpp"
#include "maintain/maintain.hpp"
#include "pg/entry.hpp"
#include "pg/names.hpp"

namespace upkeep::api {

namespace {

/// Brings one view up to date. An immediate one is right already, unless something has made it stale.
int64 refresh(const catalog::Registration &registration) {
    if (!registration.active || registration.state != catalog::State::active)
        return maintain::activate(registration.view);
    return registration.mode == catalog::Mode::manual ? maintain::rebuild_from_query(registration.view) : 0;
}

} // namespace

UPKEEP_FUNCTION(upkeep_refresh) {
    int64 rows = 0;
    if (PG_ARGISNULL(0)) {
        for (const catalog::Registration &r : catalog::all_registrations())
            if (pg_class_ownercheck(r.view, GetUserId()))
                rows += refresh(r);
        PG_RETURN_INT64(rows);
    }
    const Oid view = PG_GETARG_OID(0);
    catalog::Registration registration;
    if (!catalog::find_registration(view, &registration))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                        errmsg("materialized view %s is not registered", pg::qualified_name(view)),
                        errhint("Register it with upkeep.register().")));
    if (!pg_class_ownercheck(view, GetUserId()))
        aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_MATVIEW, get_rel_name(view));
    rows = refresh(registration);
    PG_RETURN_INT64(rows);
}

} // namespace upkeep::api
