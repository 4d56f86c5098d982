// Variance and stddev of integers: (n, sum, sq), finished by PostgreSQL's own function.
#include "maintain/aggregate_family.hpp"
#include "maintain/numeric_sum.hpp"
#include "maintain/numeric_variance.hpp"

namespace upkeep::maintain {

namespace {

struct VarianceDelta : AggDelta {
    int64 n;
    int128 sum;
    // A square of a bigint takes 126 bits, so that the sum of two would already overflow: the upper and the lower
    // 64 bits of the squares are summed apart.
    int128 squares_high;
    int128 squares_low;
};

enum Column { kN, kSum, kSquares };

void fold_variance(const AggSpec &spec, AggDelta *delta, Datum value, bool isnull, int64 weight) {
    if (isnull) {
        return;
    }
    auto *change = static_cast<VarianceDelta *>(delta);
    int128 x = integer_argument(spec, value);
    uint128 square = static_cast<uint128>(x * x);
    change->n += weight;
    change->sum += x * weight;
    change->squares_high += static_cast<int128>(square >> 64) * weight;
    change->squares_low += static_cast<int128>(static_cast<uint64>(square)) * weight;
}

Merge merge_variance(const AggSpec &, const Datum *old_values, const bool *old_nulls, const AggDelta *delta,
                     Datum *new_values, bool *new_nulls) {
    const auto *change = static_cast<const VarianceDelta *>(delta);
    int64 n = old_count(old_values, old_nulls, kN) + change->n;
    if (n < 0) {
        return Merge::inconsistent;
    }
    set_count(new_values, new_nulls, kN, n);
    NumericSum sum = {numeric_from_int128(change->sum), nullptr};
    NumericSum squares = {numeric_from_int128(change->squares_low), nullptr};
    if (change->squares_high != 0) {
        constexpr int64 two_to_32 = static_cast<int64>(1) << 32;
        NumericSum high = {};
        add_weighted(&high, numeric_from_int128(change->squares_high), two_to_32);
        add_weighted(&squares, high.plain, two_to_32);
    }
    new_values[kSum] = NumericGetDatum(add_sum(old_numeric(old_values, old_nulls, kSum), sum));
    new_values[kSquares] = NumericGetDatum(add_sum(old_numeric(old_values, old_nulls, kSquares), squares));
    new_nulls[kSum] = new_nulls[kSquares] = false;
    return Merge::done;
}

Datum result_variance(const AggSpec &spec, const Datum *values, const bool *, bool *isnull) {
    return numeric_variance(spec.kind, DatumGetInt64(values[kN]), DatumGetNumeric(values[kSum]),
                            DatumGetNumeric(values[kSquares]), isnull);
}

int columns_variance(const AggSpec &, StateColumn *out) {
    out[kN] = {"n", INT8OID};
    out[kSum] = {"sum", NUMERICOID};
    out[kSquares] = {"sq", NUMERICOID};
    return 3;
}

} // namespace

const AggFamily integer_variance_family = {
    delta_size_of<VarianceDelta>, nullptr, fold_variance, merge_variance, result_variance, columns_variance,
};

} // namespace upkeep::maintain
