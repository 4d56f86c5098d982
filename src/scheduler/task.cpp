#include "scheduler/task.hpp"

#include "maintain/maintain.hpp"
#include "pg/error_context.hpp"
#include "pg/names.hpp"
#include "pg/transaction.hpp"

extern "C" {
#include "pgstat.h"
#include "utils/backend_status.h"
}

namespace upkeep::scheduler {

namespace {

Reactivate reactivate_view = nullptr;

void report(const pg::Vector<Oid> &views) {
    StringInfoData text;
    initStringInfo(&text);
    appendStringInfoString(&text, "refreshing");
    for (const Oid view : views) {
        const char *name = get_rel_name(view);
        if (name != nullptr)
            appendStringInfo(&text, "%s %s", text.len > 11 ? "," : "", pg::qualified_name(view));
    }
    pgstat_report_activity(STATE_RUNNING, text.data);
}

/// One that writers maintain is stale, or was.
void refresh_here(const pg::Vector<Oid> &views) {
    report(views);
    pg::Vector<Oid> deferred;
    for (const Oid view : views) {
        catalog::Registration registration;
        if (!catalog::find_registration(view, &registration))
            continue;
        if (registration.mode == catalog::Mode::deferred)
            deferred.push_back(view);
        else if (registration.mode != catalog::Mode::manual && registration.state == catalog::State::stale)
            reactivate_view(view);
    }
    maintain::refresh_deferred(deferred);
}

/// A view that writers maintain is built anew when its time comes.
void remember_failure(Oid view, const char *why) {
    (void)pg::in_transaction([=] {
        catalog::Registration registration;
        if (!catalog::find_registration(view, &registration))
            return;
        if (registration.mode == catalog::Mode::deferred)
            catalog::mark_failed(view, why);
        else
            catalog::mark_stale(view, why);
    });
}

bool has_failed(Oid view) {
    bool failed = true;
    (void)pg::in_transaction([&] {
        catalog::Registration registration;
        failed = catalog::find_registration(view, &registration) && registration.state != catalog::State::active;
    });
    return failed;
}

/// A conflict with somebody else's transaction is no fault of the view's.
bool is_passing(const ErrorData *error) {
    return ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_TRANSACTION_ROLLBACK ||
           error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;
}

} // namespace

void set_reactivate(Reactivate reactivate) {
    reactivate_view = reactivate;
}

pg::Vector<Oid> refresh(const pg::Vector<Oid> &views) {
    pg::Vector<Oid> failed;
    (void)pg::MaintenanceContext::take_failed();
    const ErrorData *error = pg::in_transaction([&] { refresh_here(views); });
    if (error == nullptr)
        return failed;
    const Oid culprit = pg::MaintenanceContext::take_failed();
    const bool passing = is_passing(error);
    // One that reads them, and is taken along until it is known to fail.
    if (OidIsValid(culprit) && !passing && std::find(views.begin(), views.end(), culprit) == views.end() &&
        !has_failed(culprit)) {
        remember_failure(culprit, error->message);
        return refresh(views);
    }
    if (views.size() > 1) {
        for (const Oid view : views)
            for (const Oid alone : refresh(pg::Vector<Oid>(1, view)))
                failed.push_back(alone);
        return failed;
    }
    if (!passing)
        remember_failure(views[0], error->message);
    failed.push_back(views[0]);
    return failed;
}

pg::Vector<Oid> find_long(const pg::Vector<Oid> &views) {
    pg::Vector<Oid> found;
    for (const Oid view : views) {
        bool takes_long = false;
        const ErrorData *error = pg::in_transaction([&] { takes_long = maintain::takes_long(view); });
        if (error == nullptr && takes_long) // an error will meet the refresh, too
            found.push_back(view);
    }
    return found;
}

void announce_refresh() {
    LWLockAcquire(lock(), LW_SHARED);
    Database *slot = find_database(MyDatabaseId);
    LWLockRelease(lock());
    if (slot != nullptr)
        ConditionVariableBroadcast(&slot->refreshed);
}

} // namespace upkeep::scheduler
