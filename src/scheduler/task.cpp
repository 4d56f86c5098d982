#include "scheduler/task.hpp"

#include "maintain/maintain.hpp"
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

void remember_failure(Oid view, const char *why) {
    (void)pg::in_transaction([=] {
        catalog::Registration registration;
        if (catalog::find_registration(view, &registration) && registration.mode == catalog::Mode::deferred)
            catalog::mark_failed(view, why);
    });
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
    const ErrorData *error = pg::in_transaction([&] { refresh_here(views); });
    if (error == nullptr)
        return failed;
    if (views.size() > 1) {
        for (const Oid view : views)
            for (const Oid alone : refresh(pg::Vector<Oid>(1, view)))
                failed.push_back(alone);
        return failed;
    }
    if (!is_passing(error))
        remember_failure(views[0], error->message);
    failed.push_back(views[0]);
    return failed;
}

void announce_refresh() {
    LWLockAcquire(lock(), LW_SHARED);
    Database *slot = find_database(MyDatabaseId);
    LWLockRelease(lock());
    if (slot != nullptr)
        ConditionVariableBroadcast(&slot->refreshed);
}

} // namespace upkeep::scheduler
