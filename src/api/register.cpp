// upkeep.register(view, mode, max_staleness, every)
#include "api/definition_changes.hpp"
#include "catalog/registration.hpp"
#include "maintain/maintain.hpp"
#include "maintain/program.hpp"
#include "maintain/sources.hpp"
#include "pg/entry.hpp"
#include "pg/names.hpp"
#include "pg/read_only.hpp"
#include "pg/run_as.hpp"

namespace upkeep::api {

namespace {

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

/// An option's text, or nullptr for NULL.
const char *interval_text(FunctionCallInfo fcinfo, int arg, const char *name, catalog::Mode mode) {
    if (PG_ARGISNULL(arg))
        return nullptr;
    if (mode != catalog::Mode::deferred)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s is an option of mode \"deferred\"", name)));
    const Interval zero{};
    const Datum value = PG_GETARG_DATUM(arg);
    if (DatumGetBool(DirectFunctionCall2(interval_lt, value, PointerGetDatum(&zero))))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must not be negative", name)));
    return DatumGetCString(DirectFunctionCall1(interval_out, value));
}

/// Nobody else refreshes a deferred view.
void note_lack_of_worker() {
    ereport(NOTICE, (errmsg("upkeep.refresh() brings the view up to date: no worker does it in the background")));
}

} // namespace

UPKEEP_FUNCTION(upkeep_register) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("view and mode must not be null")));
    pg::require_writable("upkeep.register()");
    const Oid view = PG_GETARG_OID(0);
    const catalog::Mode mode = parse_mode(text_to_cstring(PG_GETARG_TEXT_PP(1)));
    const char *max_staleness = interval_text(fcinfo, 2, "max_staleness", mode);
    const char *every = interval_text(fcinfo, 3, "every", mode);
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
    if (known && registration.mode != mode)
        registration.state = catalog::State::stale;
    registration.view = view;
    registration.mode = mode;
    registration.active = known && registration.active && mode != catalog::Mode::manual;
    catalog::insert_registration(registration, max_staleness, every);
    const bool deferred = mode == catalog::Mode::deferred;
    maintain::activate(view, nullptr, deferred ? maintain::Build::later : maintain::Build::now);
    if (deferred)
        note_lack_of_worker();
    else
        follow_above(view);
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

UPKEEP_FUNCTION(upkeep_unregister) {
    const Oid view = PG_GETARG_OID(0);
    catalog::Registration registration;
    pg::require_writable("upkeep.unregister()");
    require_own_view(view);
    lock_registration(view);
    if (!catalog::find_registration(view, &registration))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                        errmsg("materialized view %s is not registered", pg::qualified_name(view))));
    require_no_readers(view);
    maintain::deactivate(view, true);
    PG_RETURN_VOID();
}

} // namespace upkeep::api
