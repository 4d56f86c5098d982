#include "scheduler/process.hpp"

extern "C" {
#include "postmaster/interrupt.h"
#include "tcop/tcopprot.h"
#include "utils/timestamp.h"
}

namespace upkeep::scheduler {

void begin_process() {
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGINT, StatementCancelHandler);
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
}

bool handle_signals() {
    CHECK_FOR_INTERRUPTS();
    if (!ConfigReloadPending)
        return false;
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
    return true;
}

void sleep_until_woken(long milliseconds) {
    static const uint32 event = pg::wait_event("UpkeepIdle");
    const int timeout = milliseconds >= 0 ? WL_TIMEOUT : 0;
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | timeout, milliseconds, event);
}

long milliseconds_until(TimestampTz then) {
    // One more than the server computes for a part of a millisecond: never early.
    const TimestampTz now = GetCurrentTimestamp();
    return then <= now ? 0 : static_cast<long>(std::min<int64>((then - now + 999) / 1000, INT_MAX));
}

void pin_settings() {
    constexpr const char *kSettings[][2] = {
        {"default_transaction_isolation", "read committed"},
        {"default_transaction_read_only", "off"},
        {"default_transaction_deferrable", "off"},
        {"statement_timeout", "0"},
        {"lock_timeout", "0"},
        {"idle_in_transaction_session_timeout", "0"},
        // What a crash takes back is done again from the log.
        {"synchronous_commit", "off"},
        {"session_replication_role", "origin"},
    };
    for (const auto &[name, value] : kSettings)
        SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

BackgroundWorkerHandle *start_process(const char *type, const char *name, const char *function, Datum argument,
                                      const void *extra, size_t size) {
    BackgroundWorker worker{};
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    worker.bgw_main_arg = argument;
    worker.bgw_notify_pid = MyProcPid;
    strlcpy(worker.bgw_type, type, sizeof(worker.bgw_type));
    strlcpy(worker.bgw_name, name, sizeof(worker.bgw_name));
    strlcpy(worker.bgw_library_name, "upkeep", sizeof(worker.bgw_library_name));
    strlcpy(worker.bgw_function_name, function, sizeof(worker.bgw_function_name));
    if (size > 0)
        memcpy(worker.bgw_extra, extra, size);
    BackgroundWorkerHandle *handle = nullptr;
    return RegisterDynamicBackgroundWorker(&worker, &handle) ? handle : nullptr;
}

} // namespace upkeep::scheduler
