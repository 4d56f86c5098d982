// sum and avg of integers, sum of money: (n, sum).
#include "maintain/aggregate_family.hpp"
#include "maintain/numeric_sum.hpp"

namespace upkeep::maintain {

namespace {

struct IntegerDelta : AggDelta {
    int64 n;
    int128 sum; // 2^63 values of 2^63, so that weight * value never overflows
};

enum Column { kN, kSum };

/// Sums of bigint exceed bigint: PostgreSQL has them numeric, and so has the state.
bool is_sum_numeric(const AggSpec &spec) {
    return spec.argtype == INT8OID;
}

void fold_integer(const AggSpec &spec, AggDelta *delta, Datum value, bool isnull, int64 weight) {
    if (isnull) {
        return;
    }
    auto *change = static_cast<IntegerDelta *>(delta);
    change->n += weight;
    change->sum += static_cast<int128>(integer_argument(spec, value)) * weight;
}

Merge merge_integer(const AggSpec &spec, const Datum *old_values, const bool *old_nulls, const AggDelta *delta,
                    Datum *new_values, bool *new_nulls) {
    const auto *change = static_cast<const IntegerDelta *>(delta);
    int64 n = old_count(old_values, old_nulls, kN) + change->n;
    if (n < 0) {
        return Merge::inconsistent;
    }
    set_count(new_values, new_nulls, kN, n);
    new_nulls[kSum] = false;
    if (is_sum_numeric(spec)) {
        NumericSum sum = {numeric_from_int128(change->sum), nullptr};
        new_values[kSum] = NumericGetDatum(add_sum(old_numeric(old_values, old_nulls, kSum), sum));
        return Merge::done;
    }
    int128 sum = old_count(old_values, old_nulls, kSum) + change->sum; // money is an int8 as well
    if (sum < PG_INT64_MIN || sum > PG_INT64_MAX) {
        ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                        errmsg("%s out of range", spec.kind == AggKind::sum_money ? "money" : "bigint")));
    }
    new_values[kSum] = Int64GetDatum(static_cast<int64>(sum));
    return Merge::done;
}

Datum result_integer(const AggSpec &spec, const Datum *values, const bool *, bool *isnull) {
    if (DatumGetInt64(values[kN]) == 0) {
        return null_result(isnull);
    }
    if (spec.kind != AggKind::avg_int) {
        return is_sum_numeric(spec) ? copy_value(values[kSum], false, -1) : values[kSum];
    }
    Datum sum = is_sum_numeric(spec) ? values[kSum] : NumericGetDatum(int64_to_numeric(DatumGetInt64(values[kSum])));
    return DirectFunctionCall2(numeric_div, sum, NumericGetDatum(int64_to_numeric(DatumGetInt64(values[kN]))));
}

int columns_integer(const AggSpec &spec, StateColumn *out) {
    Oid sum_type = spec.kind == AggKind::sum_money ? MONEYOID : INT8OID;
    out[kN] = {"n", INT8OID};
    out[kSum] = {"sum", is_sum_numeric(spec) ? Oid{NUMERICOID} : sum_type};
    return 2;
}

} // namespace

const AggFamily integer_family = {
    delta_size_of<IntegerDelta>, nullptr, fold_integer, merge_integer, result_integer, columns_integer,
};

} // namespace upkeep::maintain
