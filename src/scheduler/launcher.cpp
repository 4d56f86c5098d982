// The launcher: knows which databases there are, and starts a worker where there is something to do for one.
#include "pg/transaction.hpp"
#include "scheduler/process.hpp"
#include "scheduler/scheduler.hpp"
#include "settings.hpp"

extern "C" {
#include "catalog/pg_database.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

PGDLLEXPORT void upkeep_launcher_main(Datum);
}

namespace upkeep::scheduler {

namespace {

constexpr int64 kSecond = USECS_PER_SEC;
constexpr int64 kNoProcess = 5 * kSecond;  // until the next try when none could be had
constexpr int64 kNotStarted = 5 * kSecond; // after a worker that did not get as far as to its slot

BackgroundWorkerHandle *handles[kMaxDatabases]; // of workers that this launcher has started
bool lacks_processes = false;                   // and has said so

pg::Vector<Oid> connectable_databases() {
    pg::Vector<Oid> databases;
    const Relation rel = table_open(DatabaseRelationId, AccessShareLock);
    TableScanDesc scan = table_beginscan_catalog(rel, 0, nullptr);
    while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection)) {
        const auto *row = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
        if (row->datallowconn && row->datconnlimit >= -1)
            databases.push_back(row->oid);
    }
    table_endscan(scan);
    table_close(rel, AccessShareLock);
    return databases;
}

/// A worker of each database finds out whether there is anything to do in it.
void look_at(const pg::Vector<Oid> &databases) {
    LWLockAcquire(lock(), LW_EXCLUSIVE);
    for (Database &slot : shared()->databases)
        if (OidIsValid(slot.database) && slot.phase == Phase::absent && slot.bars == 0 &&
            std::find(databases.begin(), databases.end(), slot.database) == databases.end())
            free_database(&slot);
    bool full = false;
    for (const Oid database : databases) {
        Database *slot = require_database(database);
        full |= slot == nullptr;
        if (slot != nullptr && slot->phase == Phase::absent)
            slot->wanted = true;
    }
    LWLockRelease(lock());
    if (full)
        ereport(LOG, (errmsg("upkeep takes care of %d databases at most", kMaxDatabases)));
}

void scan_databases() {
    const MemoryContext scratch = AllocSetContextCreate(TopMemoryContext, "upkeep databases", ALLOCSET_SMALL_SIZES);
    {
        const pg::InContext in(scratch);
        (void)pg::in_transaction([] { look_at(connectable_databases()); });
    }
    MemoryContextDelete(scratch);
}

int count_processes() {
    int n = 0;
    for (const Database &slot : shared()->databases)
        n += slot.phase != Phase::absent ? 1 : 0;
    for (const Builder &builder : shared()->builders)
        n += OidIsValid(builder.database) ? 1 : 0;
    return n;
}

/// A worker that ended before it could say so.
void notice_failed_starts() {
    for (int i = 0; i < kMaxDatabases; i++) {
        Database &slot = shared()->databases[i];
        pid_t pid;
        if (slot.phase == Phase::starting && handles[i] != nullptr &&
            GetBackgroundWorkerPid(handles[i], &pid) == BGWH_STOPPED) {
            slot.phase = Phase::absent;
            slot.wanted = true;
            slot.retry_at = GetCurrentTimestamp() + kNotStarted;
        }
    }
}

/// Whose turn it is; -1: nobody's. `*next`: when it will be somebody's.
int choose_wanted(TimestampTz now, TimestampTz *next) {
    for (int i = 0; i < kMaxDatabases; i++) {
        Database &slot = shared()->databases[i];
        if (!OidIsValid(slot.database) || slot.phase != Phase::absent || slot.bars > 0)
            continue;
        if (pg_atomic_read_u32(&slot.woken) != 0)
            slot.wanted = true;
        TimestampTz due = slot.wanted ? now : slot.next_due;
        if (due == 0)
            continue;
        due = std::max(due, slot.retry_at);
        if (due <= now)
            return i;
        *next = *next == 0 ? due : std::min(*next, due);
    }
    return -1;
}

/// The worker that has been idle for longest makes room for another database's.
void ask_to_leave() {
    Database *longest = nullptr;
    for (Database &slot : shared()->databases) {
        if (slot.leave)
            return; // one is about to go
        if (slot.phase == Phase::idle && (longest == nullptr || slot.idle_since < longest->idle_since))
            longest = &slot;
    }
    if (longest != nullptr && longest->latch != nullptr) {
        longest->leave = true;
        SetLatch(longest->latch);
    }
}

bool start_worker(int i, Oid database) {
    handles[i] = start_process("upkeep worker", psprintf("upkeep worker for database %u", database),
                               "upkeep_worker_main", Int32GetDatum(i), nullptr, 0);
    if (handles[i] == nullptr && !lacks_processes)
        ereport(LOG, (errmsg("could not start a worker of upkeep for database %u", database),
                      errhint("You may need to increase max_worker_processes.")));
    lacks_processes = handles[i] == nullptr;
    return handles[i] != nullptr;
}

/// Starts workers for all who want one and may have it. Returns when to look again; 0: when woken.
TimestampTz start_wanted() {
    TimestampTz next = 0;
    for (;;) {
        const TimestampTz now = GetCurrentTimestamp();
        LWLockAcquire(lock(), LW_EXCLUSIVE);
        notice_failed_starts();
        next = 0;
        const int i = choose_wanted(now, &next);
        const bool room = count_processes() < settings::max_workers();
        if (i < 0 || !room) {
            if (!room && (i >= 0 || count_processes() > settings::max_workers()))
                ask_to_leave();
            LWLockRelease(lock());
            return next;
        }
        Database &slot = shared()->databases[i];
        slot.phase = Phase::starting;
        slot.wanted = slot.leave = false;
        slot.next_due = 0;
        LWLockRelease(lock());
        if (!start_worker(i, slot.database)) {
            LWLockAcquire(lock(), LW_EXCLUSIVE);
            slot.phase = Phase::absent;
            slot.wanted = true;
            slot.retry_at = now + kNoProcess;
            LWLockRelease(lock());
        }
    }
}

void leave_shared(int, Datum) {
    shared()->launcher = nullptr;
}

[[noreturn]] void run_launcher() {
    begin_process();
    BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
    pin_settings();
    shared()->launcher = MyLatch;
    before_shmem_exit(leave_shared, Datum(0));
    pg_atomic_write_u32(&shared()->rescan, 1);
    for (;;) {
        ResetLatch(MyLatch);
        handle_signals();
        if (pg_atomic_exchange_u32(&shared()->rescan, 0) != 0)
            scan_databases();
        const TimestampTz next = start_wanted();
        sleep_until_woken(next == 0 ? -1 : milliseconds_until(next));
    }
}

} // namespace

void register_launcher() {
    BackgroundWorker launcher{};
    launcher.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    // A standby's views are maintained by its primary, until it is promoted.
    launcher.bgw_start_time = BgWorkerStart_RecoveryFinished;
    launcher.bgw_restart_time = 1;
    strlcpy(launcher.bgw_type, "upkeep launcher", sizeof(launcher.bgw_type));
    strlcpy(launcher.bgw_name, "upkeep launcher", sizeof(launcher.bgw_name));
    strlcpy(launcher.bgw_library_name, "upkeep", sizeof(launcher.bgw_library_name));
    strlcpy(launcher.bgw_function_name, "upkeep_launcher_main", sizeof(launcher.bgw_function_name));
    RegisterBackgroundWorker(&launcher);
}

} // namespace upkeep::scheduler

extern "C" void upkeep_launcher_main(Datum) {
    upkeep::pg::guard([] { upkeep::scheduler::run_launcher(); });
}
