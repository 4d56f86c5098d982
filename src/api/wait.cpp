// upkeep.wait(view, timeout), and what the logs hold for a view
#include "capture/capture.hpp"
#include "catalog/registration.hpp"
#include "pg/entry.hpp"
#include "pg/names.hpp"
#include "scheduler/scheduler.hpp"

extern "C" {
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
}

namespace upkeep::api {

namespace {

/// Change rows that the snapshot sees and the view has not consumed, counted up to `at_most`; nothing where the view
/// has no contents to count from.
std::optional<int64> count_pending(const catalog::Registration &registration, Snapshot snapshot, int64 at_most) {
    if (!registration.active || registration.state == catalog::State::stale)
        return std::nullopt;
    if (registration.mode != catalog::Mode::deferred)
        return 0;
    const std::optional<catalog::Frontier> frontier = catalog::find_frontier(registration.view);
    if (!frontier)
        return std::nullopt;
    int64 rows = 0;
    for (Oid relid : catalog::sources(registration.view)) {
        catalog::Log log;
        if (rows < at_most && catalog::find_log(relid, &log))
            rows += capture::count_log_rows(log, *frontier, snapshot, at_most - rows);
    }
    return rows;
}

bool is_there(Oid view, Snapshot snapshot) {
    catalog::Registration registration;
    if (!catalog::find_registration(view, &registration))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                        errmsg("materialized view %s is not registered", pg::qualified_name(view))));
    if (registration.mode == catalog::Mode::manual)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("nobody keeps materialized view %s up to date", pg::qualified_name(view)),
                        errdetail("Its mode is \"manual\"."), errhint("Call upkeep.refresh() instead.")));
    return count_pending(registration, snapshot, 1) == 0;
}

void sleep_for(long milliseconds) {
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

/// Looks again after each refresh that the background finishes; else now and then, since anybody may refresh.
class Pause {
  public:
    explicit Pause(Oid view) : view_(view) {}

    void until_refreshed(long at_most) {
        if (!scheduler::is_available() || !scheduler::urge(view_)) {
            sleep_for(std::min(std::exchange(milliseconds_, std::min(2 * milliseconds_, 50L)), at_most));
            return;
        }
        scheduler::await_refresh(std::min(kLongest, at_most));
    }

  private:
    static constexpr long kLongest = 1000;
    Oid view_;
    long milliseconds_ = 1;
};

} // namespace

UPKEEP_FUNCTION(upkeep_wait) {
    const Oid view = PG_GETARG_OID(0);
    const TimestampTz end = DatumGetTimestampTz(
        DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(GetCurrentTimestamp()), PG_GETARG_DATUM(1)));
    const MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "upkeep wait", ALLOCSET_SMALL_SIZES);
    Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    bool there = false;
    Pause pause(view);
    for (;;) {
        // From here on no refresh is missed.
        if (scheduler::is_available())
            scheduler::prepare_to_await_refresh();
        {
            const pg::InContext in(scratch);
            there = is_there(view, snapshot);
        }
        MemoryContextReset(scratch);
        const long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);
        if (there || left <= 0)
            break;
        pause.until_refreshed(left);
    }
    if (scheduler::is_available())
        scheduler::stop_awaiting_refresh();
    UnregisterSnapshot(snapshot);
    PG_RETURN_BOOL(there);
}

UPKEEP_FUNCTION(upkeep_log_state) {
    const Oid view = PG_GETARG_OID(0);
    TupleDesc desc;
    if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    Datum values[2] = {};
    bool nulls[2] = {true, true};
    catalog::Registration registration;
    if (catalog::find_registration(view, &registration) && registration.mode == catalog::Mode::deferred) {
        Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
        const std::optional<int64> pending = count_pending(registration, snapshot, PG_INT64_MAX);
        UnregisterSnapshot(snapshot);
        nulls[0] = !pending.has_value();
        values[0] = Int64GetDatum(pending.value_or(0));
        int64 size = 0;
        for (Oid relid : catalog::sources(view)) {
            catalog::Log log;
            if (catalog::find_log(relid, &log))
                for (Oid segment : log.segments)
                    size += DatumGetInt64(DirectFunctionCall1(pg_total_relation_size, ObjectIdGetDatum(segment)));
        }
        nulls[1] = false;
        values[1] = Int64GetDatum(size);
    }
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

} // namespace upkeep::api
