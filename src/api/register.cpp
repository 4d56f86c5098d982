// upkeep.register(view, mode, max_staleness, every)
#include "api/definition_changes.hpp"
#include "api/registering.hpp"
#include "maintain/maintain.hpp"
#include "maintain/program.hpp"
#include "maintain/sources.hpp"
#include "pg/entry.hpp"
#include "pg/names.hpp"
#include "pg/read_only.hpp"
#include "pg/run_as.hpp"
#include "scheduler/scheduler.hpp"

namespace upkeep::api {

catalog::Mode parse_mode(const char *mode) {
    if (strcmp(mode, "immediate") == 0)
        return catalog::Mode::immediate;
    if (strcmp(mode, "commit") == 0)
        return catalog::Mode::commit;
    if (strcmp(mode, "manual") == 0)
        return catalog::Mode::manual;
    if (strcmp(mode, "deferred") == 0)
        return catalog::Mode::deferred;
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unrecognized mode \"%s\"", mode),
                    errhint("Valid modes are \"immediate\", \"commit\", \"deferred\" and \"manual\".")));
    pg_unreachable();
}

const char *interval_text(const char *name, Datum interval) {
    const Interval zero{};
    if (DatumGetBool(DirectFunctionCall2(interval_lt, interval, PointerGetDatum(&zero))))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must not be negative", name)));
    return DatumGetCString(DirectFunctionCall1(interval_out, interval));
}

void require_options_of_mode(const ViewOptions &options) {
    const char *name = options.max_staleness != nullptr ? "max_staleness" : options.every != nullptr ? "every" : nullptr;
    if (name != nullptr && options.mode != catalog::Mode::deferred)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s is an option of mode \"deferred\"", name)));
}

namespace {

/// Checks that it is a materialized view of the caller's own.
void require_own_view(Oid relid) {
    const char relkind = get_rel_relkind(relid);
    if (relkind == '\0')
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation with OID %u does not exist", relid)));
    if (relkind != RELKIND_MATVIEW)
        ereport(ERROR,
                (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is not a materialized view", get_rel_name(relid)),
                 errhint("Create it with CREATE MATERIALIZED VIEW.")));
    if (!pg_class_ownercheck(relid, GetUserId()))
        aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_MATVIEW, get_rel_name(relid));
}

/// The owner's query must be one that can be maintained, and the caller must be allowed to create triggers.
void require_maintainable(Oid view, catalog::Mode mode) {
    Relation rel = table_open(view, AccessShareLock);
    const Oid owner = rel->rd_rel->relowner;
    const pg::Refusal *refusal = nullptr;
    maintain::Design *design;
    {
        pg::RunAs as(owner, pg::RunAs::Path::fixed);
        design = maintain::design_view(view, mode, maintain::view_query(rel), owner, &refusal);
    }
    table_close(rel, NoLock);
    if (design == nullptr)
        maintain::raise_refusal(view, *refusal);
    auto require_right = [](Oid relid) {
        if (pg_class_aclcheck(relid, GetUserId(), ACL_TRIGGER) != ACLCHECK_OK)
            aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
    };
    // As for a trigger of one's own: the right on a table is that on its partitions and children.
    for (const analysis::TableSource &table : design->program->query->tables) {
        require_right(table.relid);
        std::for_each(table.ancestors.begin(), table.ancestors.end(), require_right);
    }
}

/// One at a time: nobody else registers or unregisters the view, and writers go on.
void lock_registration(Oid view) {
    LockRelationOid(view, ShareUpdateExclusiveLock);
}

/// Nobody else refreshes a deferred view.
void note_lack_of_worker() {
    if (!scheduler::is_available())
        ereport(NOTICE, (errmsg("only upkeep.refresh() brings the view up to date"),
                         errdetail("No worker does it in the background."),
                         errhint("Add upkeep to shared_preload_libraries and start the server again.")));
}

} // namespace

void register_view(Oid view, const ViewOptions &options) {
    const catalog::Mode mode = options.mode;
    pg::require_writable("upkeep.register()");
    require_options_of_mode(options);
    require_own_view(view);
    lock_registration(view);
    require_own_view(view); // still

    catalog::Registration registration{};
    const bool known = catalog::find_registration(view, &registration);
    if (mode != catalog::Mode::manual)
        require_maintainable(view, mode);
    else if (known)
        maintain::deactivate(view, true);
    // In another mode changes that are under way were to reach the view otherwise: they are waited for.
    if (known && registration.mode != mode && mode != catalog::Mode::manual) {
        if (registration.mode != catalog::Mode::manual && maintain::switch_mode(view, mode)) {
            catalog::find_registration(view, &registration);
            catalog::insert_registration(registration, options.max_staleness, options.every);
            if (mode == catalog::Mode::deferred)
                note_lack_of_worker();
            return;
        }
        registration.state = catalog::State::stale;
    }
    // What is on its way to a deferred view stays on it.
    if (known && registration.mode == mode && mode == catalog::Mode::deferred && registration.active &&
        (registration.state == catalog::State::active || registration.state == catalog::State::building)) {
        catalog::insert_registration(registration, options.max_staleness, options.every);
        return;
    }
    registration.view = view;
    registration.mode = mode;
    registration.active = known && registration.active && mode != catalog::Mode::manual;
    catalog::insert_registration(registration, options.max_staleness, options.every);
    const bool deferred = mode == catalog::Mode::deferred;
    maintain::activate(view, nullptr, deferred ? maintain::Build::later : maintain::Build::now);
    if (deferred)
        note_lack_of_worker();
    else
        follow_above(view);
}

void change_intervals(Oid view, const ViewOptions &options) {
    require_options_of_mode(options);
    require_own_view(view);
    lock_registration(view);
    catalog::Registration registration;
    if (catalog::find_registration(view, &registration))
        catalog::insert_registration(registration, options.max_staleness, options.every);
}

UPKEEP_FUNCTION(upkeep_register) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("view and mode must not be null")));
    ViewOptions options;
    options.mode = parse_mode(text_to_cstring(PG_GETARG_TEXT_PP(1)));
    if (!PG_ARGISNULL(2))
        options.max_staleness = interval_text("max_staleness", PG_GETARG_DATUM(2));
    if (!PG_ARGISNULL(3))
        options.every = interval_text("every", PG_GETARG_DATUM(3));
    register_view(PG_GETARG_OID(0), options);
    PG_RETURN_VOID();
}

/// Views that follow this one would stop doing so without notice.
static void require_no_readers(Oid view) {
    const pg::Vector<Oid> readers = catalog::readers(view);
    if (readers.empty())
        return;
    StringInfoData names;
    initStringInfo(&names);
    for (const Oid reader : readers)
        appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", pg::qualified_name(reader));
    ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
                    errmsg("cannot unregister materialized view %s because registered views read it",
                           pg::qualified_name(view)),
                    errdetail("It is read by %s.", names.data),
                    errhint("Unregister these first, or register them with mode => 'manual'.")));
}

void unregister_view(Oid view) {
    catalog::Registration registration;
    pg::require_writable("upkeep.unregister()");
    require_own_view(view);
    lock_registration(view);
    if (!catalog::find_registration(view, &registration))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                        errmsg("materialized view %s is not registered", pg::qualified_name(view))));
    require_no_readers(view);
    maintain::deactivate(view, true);
}

UPKEEP_FUNCTION(upkeep_unregister) {
    unregister_view(PG_GETARG_OID(0));
    PG_RETURN_VOID();
}

} // namespace upkeep::api
