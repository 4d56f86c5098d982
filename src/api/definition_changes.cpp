#include "api/definition_changes.hpp"

#include "capture/capture.hpp"
#include "capture/nesting.hpp"
#include "capture/pending.hpp"
#include "catalog/registration.hpp"
#include "maintain/maintain.hpp"
#include "pg/subtransaction.hpp"

namespace upkeep::api {

namespace {

constexpr const char *kRegisterAgain = "When the cause is removed, REFRESH MATERIALIZED VIEW activates it again.";

// The relation's name, or for another object what the catalogs call it.
char *describe_fact(const catalog::Fact &fact) {
    ObjectAddress address;
    ObjectAddressSubSet(address, fact.classid, fact.objid, fact.subid);
    const char *object = getObjectDescription(&address, true);
    return object ? psprintf("The definition of %s has changed.", object)
                  : psprintf("A %s that the view relied on was dropped.",
                             strcmp(fact.kind, "foreign-key") == 0 ? "foreign key" : fact.kind);
}

// Whether there may be changes that the view has still to follow.
bool waits(const catalog::Registration &registration) {
    return registration.mode == catalog::Mode::deferred || capture::is_statement_open() ||
           (registration.mode == catalog::Mode::commit &&
            capture::find_pending(capture::Scope::transaction) != nullptr);
}

// What has to be made anew for a fact that has changed. Changes that wait are told apart by the partitions' bounds:
// those of a default partition are not what they were then.
Rebuild needed_for(const catalog::Fact &fact, const catalog::Registration &registration) {
    const std::string_view kind = fact.kind;
    if (kind == "bounds" && !waits(registration)) {
        return Rebuild::bounds;
    }
    return kind == "feed" ? Rebuild::feed : kind == "members" ? Rebuild::members : Rebuild::everything;
}

// Why a view is not what it was, or nullptr; `scope` is what has to be made anew for it.
const char *find_changed_fact(const catalog::Registration &registration, Rebuild *scope) {
    const char *changed = nullptr;
    const pg::Vector<catalog::Fact> facts = catalog::facts(registration.view);
    AcceptInvalidationMessages();
    for (const catalog::Fact &fact : facts) {
        const char *now = catalog::fact_fingerprint(fact.kind, fact.classid, fact.objid, fact.subid);
        if (strcmp(now, fact.fingerprint) == 0) {
            continue;
        }
        const Rebuild needed = needed_for(fact, registration);
        *scope = changed != nullptr ? std::max(*scope, needed) : needed;
        changed = describe_fact(fact);
        if (*scope == Rebuild::everything) {
            break;
        }
    }
    return changed;
}

const char *find_altered_triggers(Oid view) {
    for (const Oid source : catalog::sources(view)) {
        if (is_altered_by_us(source) && SearchSysCacheExists1(RELOID, ObjectIdGetDatum(source)) &&
            !capture::has_triggers(source)) {
            return psprintf("The capture triggers of table \"%s\" were altered.", get_rel_name(source));
        }
    }
    return nullptr;
}

// By the rows that came or went. Returns the views for which that did.
pg::Vector<Oid> try_follow_members(const pg::Vector<Oid> &views) {
    pg::Vector<Oid> followed;
    const ErrorData *error = pg::in_subtransaction([&] {
        const catalog::OwnDdl own;
        followed = maintain::follow_members(views);
    });
    return error ? pg::Vector<Oid>() : followed;
}

void renew_facts(Oid view, const char *kind) {
    catalog::renew_facts(view, kind);
    CommandCounterIncrement(); // no subtransaction can begin before what this has invalidated is sent
}

void follow_change(const catalog::Registration &registration, const char *what, Rebuild scope) {
    if (scope == Rebuild::bounds) {
        renew_facts(registration.view, "bounds");
        return;
    }
    if (scope == Rebuild::feed && registration.mode == catalog::Mode::deferred) {
        // Rows that come from elsewhere are logged as ever.
        renew_facts(registration.view, "feed");
        return;
    }
    if (capture::is_statement_open()) {
        // Its rows are in part in the table and in part still to come.
        suspend(registration.view, what, nullptr);
    } else {
        ereport(DEBUG1, (errmsg_internal("rebuilding materialized view \"%s\"", get_rel_name(registration.view)),
                         errdetail_internal("%s", what)));
        try_activate(registration.view, Rebuild::everything);
    }
    follow_above(registration.view);
}

} // namespace

bool is_altered_by_us(Oid relid) {
    LOCKTAG tag;
    SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
    return LockHeldByMe(&tag, ShareUpdateExclusiveLock, true);
}

void suspend(Oid view, const char *why, const char *hint) {
    catalog::Registration registration;
    if (!catalog::find_registration(view, &registration)) {
        return;
    }
    registration.active = true;
    registration.state = catalog::State::stale;
    registration.why = why;
    catalog::update_registration(registration);
    CommandCounterIncrement(); // no subtransaction can begin before what this has invalidated is sent
    ereport(WARNING, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                      errmsg("materialized view \"%s\" is not kept up to date any more", get_rel_name(view)),
                      errdetail("%s", why), errhint("%s", hint ? hint : kRegisterAgain)));
}

// A view in force needs its rows and its state only. Activating it would wait for the writers of its base tables, who
// wait for the view that REFRESH has locked.
static bool is_in_force(const catalog::Registration &registration) {
    if (!registration.active || registration.state != catalog::State::active || registration.identity_lost ||
        registration.mode == catalog::Mode::manual) {
        return false;
    }
    for (const Oid source : catalog::sources(registration.view)) {
        // A partition may have been dropped.
        if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(source)) || !capture::has_triggers(source)) {
            return false;
        }
    }
    return true;
}

// Where a partition is foreign, the transition tables of our triggers would make the server refuse DML on it.
static void stop_capture(Oid view) {
    const catalog::OwnDdl own;
    for (const Oid source : catalog::sources(view)) {
        if (catalog::find_table(source) == nullptr) {
            capture::drop_triggers(source);
        }
    }
}

bool try_activate(Oid view, Rebuild scope) {
    const pg::Refusal *refusal = nullptr;
    const ErrorData *error = pg::in_subtransaction([&] {
        const catalog::OwnDdl own;
        catalog::Registration registration;
        // In manual mode no query is refused.
        const bool known = catalog::find_registration(view, &registration);
        if (!known || registration.mode != catalog::Mode::manual) {
            maintain::layout_still_fits(view, &refusal);
        }
        if (!refusal && known && scope == Rebuild::rows && is_in_force(registration)) {
            maintain::rebuild(view);
        } else if (!refusal) {
            maintain::activate(view);
        }
    });
    if (refusal) {
        suspend(view, refusal->why, refusal->hint);
        if (strcmp(refusal->code, "foreign-table") == 0) {
            stop_capture(view);
        }
    } else if (error) {
        suspend(view, error->message, error->hint);
    }
    return !refusal && !error;
}

static bool is_active(Oid view, catalog::Registration *registration) {
    return catalog::find_registration(view, registration) && registration->active &&
           registration->state == catalog::State::active;
}

/// Not stale: a deferred view that is still to be built follows too, or what is built would be of another definition.
static bool is_kept(Oid view) {
    catalog::Registration registration;
    return catalog::find_registration(view, &registration) && registration.active &&
           registration.state != catalog::State::stale;
}

void follow_above(Oid view) {
    catalog::Registration registration;
    const bool active = is_active(view, &registration);
    for (const Oid above : catalog::views_above(view)) {
        // What is stale already stays so, for its own reason, until there is something that it could follow.
        if (active || is_active(above, &registration)) {
            try_activate(above, Rebuild::rows);
        }
    }
}

void reactivate(Oid view) {
    maintain::activate(view, nullptr, maintain::Build::if_stale);
    follow_above(view);
}

void follow_refresh(const RefreshMatViewStmt *statement) {
    const Oid view = RangeVarGetRelid(statement->relation, NoLock, true);
    catalog::Registration registration;
    if (!OidIsValid(view) || !catalog::find_registration(view, &registration)) {
        return;
    }
    if (capture::is_statement_open()) {
        ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
                        errmsg("cannot refresh materialized view \"%s\" inside a statement on a base table",
                               get_rel_name(view)),
                        errdetail("The view is registered with upkeep, which maintains it when that statement ends.")));
    }
    if (!statement->skipData) {
        try_activate(view, Rebuild::rows);
    } else if (registration.active) {
        registration.state = catalog::State::stale;
        registration.why = "The view was refreshed WITH NO DATA.";
        catalog::update_registration(registration);
    }
    follow_above(view);
}

// The partition that the command detaches in two transactions, or the second of which it makes up for; else InvalidOid.
static Oid find_detached(const Node *command) {
    if (!IsA(command, AlterTableStmt)) {
        return InvalidOid;
    }
    ListCell *cell;
    foreach (cell, castNode(AlterTableStmt, command)->cmds) {
        const auto *part = lfirst_node(AlterTableCmd, cell);
        if (part->subtype != AT_DetachPartition && part->subtype != AT_DetachPartitionFinalize) {
            continue;
        }
        const auto *detached = castNode(PartitionCmd, part->def);
        if (detached->concurrent || part->subtype == AT_DetachPartitionFinalize) {
            return RangeVarGetRelid(detached->name, NoLock, true);
        }
    }
    return InvalidOid;
}

static void leave_above(Oid view) {
    for (const Oid above : catalog::views_above(view)) {
        catalog::mark_stale(above, psprintf("Materialized view \"%s\", which it reads, is stale.", get_rel_name(view)));
        leave_above(above);
    }
}

void begin_detaching(const Node *command) {
    const Oid partition = find_detached(command);
    if (!OidIsValid(partition)) {
        return;
    }
    for (const Oid view : catalog::views_of(partition)) {
        catalog::Registration registration;
        if (is_active(view, &registration) && registration.mode != catalog::Mode::manual) {
            catalog::mark_stale(view,
                                psprintf("Partition \"%s\" is being detached concurrently.", get_rel_name(partition)));
            leave_above(view);
        }
    }
}

void end_detaching(const Node *command) {
    const Oid partition = find_detached(command);
    if (!OidIsValid(partition)) {
        return;
    }
    for (const Oid view : catalog::views_of(partition)) {
        catalog::Registration registration;
        if (catalog::find_registration(view, &registration) && registration.active &&
            registration.state == catalog::State::stale) {
            try_activate(view, Rebuild::everything);
            follow_above(view);
        }
    }
}

namespace {

struct Changed {
    catalog::Registration registration;
    const char *what;
    Rebuild scope;
};

pg::Vector<Changed> find_changed() {
    pg::Vector<Changed> all;
    for (const catalog::Registration &registration : catalog::all_registrations()) {
        if (!registration.active || registration.state == catalog::State::stale ||
            !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(registration.view))) {
            continue;
        }
        Rebuild scope = Rebuild::bounds;
        const char *what = find_changed_fact(registration, &scope);
        auto add_change = [&](const char *more) {
            if (more) {
                what = more;
                scope = Rebuild::everything;
            }
        };
        if (scope <= Rebuild::feed && registration.identity_lost && is_altered_by_us(registration.view)) {
            add_change("The index by which upkeep finds the view's rows was dropped.");
        }
        if (scope <= Rebuild::feed && registration.mode != catalog::Mode::manual) {
            add_change(find_altered_triggers(registration.view));
        }
        if (what) {
            all.push_back({registration, what, scope});
        }
    }
    return all;
}

} // namespace

void follow_definition_changes() {
    catalog::store_present_names();
    const pg::Vector<Changed> changed = find_changed();
    pg::Vector<Oid> by_members, followed;
    for (const Changed &view : changed) {
        if (view.scope == Rebuild::members) {
            by_members.push_back(view.registration.view);
        }
    }
    // Before any other view is built: its readers among these are to get the rows once.
    if (!by_members.empty() && !capture::is_statement_open()) {
        followed = try_follow_members(by_members);
    }
    for (const Changed &view : changed) {
        if (std::find(followed.begin(), followed.end(), view.registration.view) == followed.end() &&
            is_kept(view.registration.view)) {
            follow_change(view.registration, view.what, view.scope);
        }
    }
}

} // namespace upkeep::api
