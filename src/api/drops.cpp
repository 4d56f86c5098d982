#include "api/drops.hpp"

#include "api/definition_changes.hpp"
#include "capture/capture.hpp"
#include "catalog/registration.hpp"
#include "maintain/maintain.hpp"
#include "pg/run_as.hpp"

namespace upkeep::api {

namespace {

struct DroppedView {
    Oid oid;
    const char *qualified_name;
};

struct Dropped {
    pg::Vector<DroppedView> views; // materialized views, registered or not
    bool any_index = false;
    bool any_trigger = false;
};

constexpr const char *kDroppedObjects =
    "SELECT object_type, objid, object_identity FROM pg_catalog.pg_event_trigger_dropped_objects() "
    "WHERE object_type OPERATOR(pg_catalog.=) ANY (ARRAY['materialized view', 'index', 'trigger'])";

Dropped dropped_objects() {
    Dropped dropped;
    const pg::RunAs as(catalog::extension_owner(), pg::RunAs::Path::fixed, SECURITY_LOCAL_USERID_CHANGE);
    const MemoryContext context = CurrentMemoryContext;
    SPI_connect();
    if (SPI_execute(kDroppedObjects, false, 0) != SPI_OK_SELECT) {
        elog(ERROR, "could not read the dropped objects");
    }
    for (uint64 i = 0; i < SPI_processed; i++) {
        const HeapTuple tuple = SPI_tuptable->vals[i];
        const std::string_view type = SPI_getvalue(tuple, SPI_tuptable->tupdesc, 1);
        bool isnull;
        const Oid oid = DatumGetObjectId(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull));
        const char *name = SPI_getvalue(tuple, SPI_tuptable->tupdesc, 3);
        const pg::InContext in(context);
        if (type == "index") {
            dropped.any_index = true;
        } else if (type == "trigger") {
            dropped.any_trigger |= capture::is_trigger_identity(name);
        } else {
            dropped.views.push_back({oid, pstrdup(name)});
        }
    }
    SPI_finish();
    return dropped;
}

bool exists(Oid relid) {
    return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid));
}

// Another session's REINDEX or DROP is none of our business: only what this command locked is looked at.
void require_identity_index(const catalog::Registration &registration) {
    const Oid view = registration.view;
    if (!registration.identity_lost || !exists(view) || !is_altered_by_us(view)) {
        return;
    }
    ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
                    errmsg("cannot drop the index by which upkeep finds the rows of materialized view \"%s\"",
                           get_rel_name(view)),
                    errhint("Call upkeep.unregister('%s') first.", get_rel_name(view))));
}

void require_triggers(const catalog::Registration &registration) {
    for (const Oid source : catalog::sources(registration.view)) {
        if (exists(source) && is_altered_by_us(source) && !capture::has_triggers(source)) {
            ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
                            errmsg("cannot drop a trigger by which upkeep sees the changes of table \"%s\"",
                                   get_rel_name(source)),
                            errdetail("Materialized view \"%s\" is kept up to date with the table.",
                                      get_rel_name(registration.view)),
                            errhint("Call upkeep.unregister('%s') first.", get_rel_name(registration.view))));
        }
    }
}

} // namespace

void follow_drop(const Node *command) {
    // DROP INDEX CONCURRENTLY has already committed: the end of the command creates the index again.
    const bool may_refuse_index = !(IsA(command, DropStmt) && reinterpret_cast<const DropStmt *>(command)->concurrent);
    Dropped dropped = dropped_objects();
    for (const DroppedView &view : dropped.views) {
        catalog::Registration registration;
        if (catalog::find_registration(view.oid, &registration)) {
            const catalog::OwnDdl own;
            maintain::deactivate(view.oid, false);
        } else {
            catalog::forget_restored(view.qualified_name);
        }
    }
    dropped.any_index &= may_refuse_index;
    if (!dropped.any_index && !dropped.any_trigger) {
        return;
    }
    for (const catalog::Registration &registration : catalog::all_registrations()) {
        if (!registration.active || registration.state == catalog::State::stale) {
            continue;
        }
        if (dropped.any_index) {
            require_identity_index(registration);
        }
        if (dropped.any_trigger && registration.mode != catalog::Mode::manual) {
            require_triggers(registration);
        }
    }
}

} // namespace upkeep::api
