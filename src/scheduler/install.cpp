// What the library sets up when it is loaded, and what backends do for the workers: wake them, keep them out.
#include "catalog/registration.hpp"
#include "pg/entry.hpp"
#include "scheduler/process.hpp"
#include "scheduler/task.hpp"

extern "C" {
#include "storage/ipc.h"
#include "utils/timestamp.h"
}

namespace upkeep::scheduler {

void register_launcher();

namespace {

constexpr long kPoll = 10;               // milliseconds
constexpr int64 kPatience = USECS_PER_SEC; // before workers are ended in the middle of what they do

bool is_our_process() {
    return MyBgworkerEntry != nullptr && strcmp(MyBgworkerEntry->bgw_library_name, "upkeep") == 0;
}

Oid barred = InvalidOid; // by this process
bool wakes_at_commit = false;

void change_bars(Oid database, int by) {
    LWLockAcquire(lock(), LW_EXCLUSIVE);
    if (Database *slot = require_database(database)) {
        slot->bars = std::max(slot->bars + by, 0);
        if (by > 0) {
            slot->leave = slot->phase != Phase::absent;
            if (slot->latch != nullptr)
                SetLatch(slot->latch);
        }
    }
    LWLockRelease(lock());
}

/// Processes of a database; ends them if told to.
int count_in(Oid database, bool end) {
    int n = 0;
    LWLockAcquire(lock(), LW_SHARED);
    const Database *slot = find_database(database);
    if (slot != nullptr && slot->phase != Phase::absent) {
        n++;
        if (end && slot->worker != 0)
            kill(slot->worker, SIGTERM);
    }
    for (const Builder &builder : shared()->builders)
        if (builder.database == database) {
            n++;
            if (end && builder.pid != 0)
                kill(builder.pid, SIGTERM);
        }
    LWLockRelease(lock());
    return n;
}

[[gnu::hot]] void lift_bar() {
    if (!OidIsValid(barred))
        return;
    change_bars(std::exchange(barred, InvalidOid), -1);
    look_for_databases();
}

void lift_bar_at_exit(int, Datum) {
    lift_bar();
}

// What workers themselves change they know.
[[gnu::hot]] void on_transaction(XactEvent event, void *) {
    if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
        return;
    const bool changed = catalog::take_changed();
    const bool wakes = std::exchange(wakes_at_commit, false);
    // COMMIT PREPARED wakes the worker.
    if (event == XACT_EVENT_COMMIT && (changed || wakes) && !is_our_process())
        wake_for_anything();
    lift_bar();
}

} // namespace

void bar(Oid database) {
    static bool registered = false;
    if (!is_available() || barred == database)
        return;
    if (!std::exchange(registered, true))
        before_shmem_exit(lift_bar_at_exit, Datum(0));
    lift_bar();
    barred = database;
    change_bars(database, 1);
    const TimestampTz begun = GetCurrentTimestamp();
    while (count_in(database, GetCurrentTimestamp() - begun > kPatience) > 0) {
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kPoll,
                        pg::wait_event("UpkeepWorkersLeave"));
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    }
}

void wake_at_commit() {
    wakes_at_commit = true;
}

void install(Reactivate reactivate) {
    set_reactivate(reactivate);
    RegisterXactCallback(on_transaction, nullptr);
    // pg_upgrade's servers are nobody's to write in.
    if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
        return;
    install_memory();
    register_launcher();
}

} // namespace upkeep::scheduler
