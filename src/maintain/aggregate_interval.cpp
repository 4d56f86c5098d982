// sum and avg of intervals: (n, sum) and the counts of infinities, which servers since 17 have. The states of older
// ones have these columns too, so that pg_upgrade can carry them.
#include "maintain/aggregate_family.hpp"

extern "C" {
#include "utils/timestamp.h"
}

namespace upkeep::maintain {

namespace {

struct IntervalDelta : AggDelta {
    int64 n; // with infinities
    int64 pinf;
    int64 ninf;
    int128 month;
    int128 day;
    int128 time; // microseconds
};

enum Column { kN, kSum, kPinf, kNinf, kLength };

void fold_interval(const AggSpec &, AggDelta *delta, Datum value, bool isnull, int64 weight) {
    if (isnull) {
        return;
    }
    auto *change = static_cast<IntervalDelta *>(delta);
    const Interval *x = DatumGetIntervalP(value);
    change->n += weight;
    if (INTERVAL_IS_NOEND(x)) {
        change->pinf += weight;
    } else if (INTERVAL_IS_NOBEGIN(x)) {
        change->ninf += weight;
    } else {
        change->month += static_cast<int128>(x->month) * weight;
        change->day += static_cast<int128>(x->day) * weight;
        change->time += static_cast<int128>(x->time) * weight;
    }
}

[[noreturn]] void raise_out_of_range() {
    ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("interval out of range")));
    pg_unreachable();
}

template <typename Field> Field require_in_range(int128 value) {
    if (value < std::numeric_limits<Field>::min() || value > std::numeric_limits<Field>::max()) {
        raise_out_of_range();
    }
    return static_cast<Field>(value);
}

Datum merged_sum(const Interval *old, const IntervalDelta &change) {
    auto *sum = static_cast<Interval *>(palloc0(sizeof(Interval)));
    sum->month = require_in_range<int32>(change.month + (old == nullptr ? 0 : old->month));
    sum->day = require_in_range<int32>(change.day + (old == nullptr ? 0 : old->day));
    sum->time = require_in_range<int64>(change.time + (old == nullptr ? 0 : old->time));
    if (INTERVAL_NOT_FINITE(sum)) {
        raise_out_of_range();
    }
    return IntervalPGetDatum(sum);
}

Merge merge_interval(const AggSpec &, const Datum *old_values, const bool *old_nulls, const AggDelta *delta,
                     Datum *new_values, bool *new_nulls) {
    const auto *change = static_cast<const IntervalDelta *>(delta);
    int64 n = old_count(old_values, old_nulls, kN) + change->n;
    int64 pinf = old_count(old_values, old_nulls, kPinf) + change->pinf;
    int64 ninf = old_count(old_values, old_nulls, kNinf) + change->ninf;
    if (pinf < 0 || ninf < 0 || n < pinf + ninf) {
        return Merge::inconsistent;
    }
    bool has_old = old_values != nullptr && !old_nulls[kSum];
    new_values[kSum] = merged_sum(has_old ? DatumGetIntervalP(old_values[kSum]) : nullptr, *change);
    new_nulls[kSum] = false;
    set_count(new_values, new_nulls, kN, n);
    set_count(new_values, new_nulls, kPinf, pinf);
    set_count(new_values, new_nulls, kNinf, ninf);
    return Merge::done;
}

Datum infinite_result(int64 pinf, int64 ninf) {
    if (pinf > 0 && ninf > 0) {
        raise_out_of_range();
    }
    auto *infinity = static_cast<Interval *>(palloc0(sizeof(Interval)));
    if (pinf > 0) {
        INTERVAL_NOEND(infinity);
    } else {
        INTERVAL_NOBEGIN(infinity);
    }
    return IntervalPGetDatum(infinity);
}

Datum result_interval(const AggSpec &spec, const Datum *values, const bool *, bool *isnull) {
    int64 n = DatumGetInt64(values[kN]);
    int64 pinf = DatumGetInt64(values[kPinf]);
    int64 ninf = DatumGetInt64(values[kNinf]);
    if (n == 0) {
        return null_result(isnull);
    }
    if (pinf > 0 || ninf > 0) {
        return infinite_result(pinf, ninf);
    }
    if (spec.kind == AggKind::sum_interval) {
        return copy_value(values[kSum], false, sizeof(Interval));
    }
    return DirectFunctionCall2(interval_div, values[kSum], Float8GetDatum(static_cast<double>(n)));
}

int columns_interval(const AggSpec &, StateColumn *out) {
    out[kN] = {"n", INT8OID};
    out[kSum] = {"sum", INTERVALOID};
    out[kPinf] = {"pinf", INT8OID};
    out[kNinf] = {"ninf", INT8OID};
    return kLength;
}

} // namespace

const AggFamily interval_family = {
    delta_size_of<IntervalDelta>, nullptr, fold_interval, merge_interval, result_interval, columns_interval,
};

} // namespace upkeep::maintain
