// sum, avg, variance and stddev of numeric: counts, the exact sum (and sum of squares) of the finite values, the counts
// of NaN and the infinities, and how many values have which display scale.
#include "maintain/aggregate_family.hpp"
#include "maintain/numeric_sum.hpp"
#include "maintain/numeric_variance.hpp"
#include "maintain/scale_counts.hpp"

namespace upkeep::maintain {

namespace {

constexpr int kMaxDisplayScale = 16383; // of any numeric

struct NumericDelta : AggDelta {
    int64 n; // with NaN and infinities
    int64 nan;
    int64 pinf;
    int64 ninf;
    NumericSum sum;
    NumericSum squares;
    ScaleChange scales;
};

/// Where the state columns of a call are; -1: it has no such column.
struct Layout {
    int n = 0;
    int sum = 1;
    int squares = -1;
    int scales = -1;
    int nan = -1;
    int pinf = -1;
    int ninf = -1;
    int length = 2;

    explicit Layout(const AggSpec &spec) {
        if (spec.kind != AggKind::sum_numeric && spec.kind != AggKind::avg_numeric) {
            squares = length++;
        }
        if (spec.constant_scale < 0) {
            scales = length++;
        }
        nan = length++;
        if (spec.constant_scale < 0) { // numeric(p,s) holds no infinity
            pinf = length++;
            ninf = length++;
        }
    }
};

void fold_finite(const AggSpec &spec, const Layout &layout, NumericDelta *change, Numeric x, int64 weight) {
    add_weighted(&change->sum, x, weight);
    if (layout.squares >= 0) {
        Datum square = DirectFunctionCall2(numeric_mul, NumericGetDatum(x), NumericGetDatum(x));
        add_weighted(&change->squares, DatumGetNumeric(square), weight);
        pfree(DatumGetPointer(square));
    }
    if (spec.constant_scale < 0) {
        add_scale(&change->scales, display_scale(x), weight);
    }
}

void fold_numeric(const AggSpec &spec, AggDelta *delta, Datum value, bool isnull, int64 weight) {
    if (isnull) {
        return;
    }
    auto *change = static_cast<NumericDelta *>(delta);
    Numeric x = DatumGetNumeric(value);
    change->n += weight;
    if (numeric_is_nan(x)) {
        change->nan += weight;
    } else if (numeric_is_inf(x)) {
        bool is_negative = DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(x),
                                                             NumericGetDatum(int64_to_numeric(0)))) < 0;
        (is_negative ? change->ninf : change->pinf) += weight;
    } else {
        fold_finite(spec, Layout(spec), change, x, weight);
    }
    if (reinterpret_cast<Pointer>(x) != DatumGetPointer(value)) {
        pfree(x);
    }
}

/// old + change, shown with the largest scale of the values that are in it.
Datum merged_sum(const Datum *old_values, const bool *old_nulls, int column, const NumericSum &change, int scale) {
    Numeric sum = add_sum(old_numeric(old_values, old_nulls, column), change);
    return NumericGetDatum(with_display_scale(sum, std::min(scale, kMaxDisplayScale)));
}

Merge merge_numeric(const AggSpec &spec, const Datum *old_values, const bool *old_nulls, const AggDelta *delta,
                    Datum *new_values, bool *new_nulls) {
    const auto *change = static_cast<const NumericDelta *>(delta);
    const Layout at(spec);
    int64 n = old_count(old_values, old_nulls, at.n) + change->n;
    int64 nan = old_count(old_values, old_nulls, at.nan) + change->nan;
    int64 pinf = at.pinf < 0 ? change->pinf : old_count(old_values, old_nulls, at.pinf) + change->pinf;
    int64 ninf = at.ninf < 0 ? change->ninf : old_count(old_values, old_nulls, at.ninf) + change->ninf;
    if (n < 0 || nan < 0 || pinf < 0 || ninf < 0 || n < nan + pinf + ninf || (at.pinf < 0 && pinf + ninf > 0)) {
        return Merge::inconsistent;
    }
    int scale = n == nan ? 0 : spec.constant_scale; // without finite values the sum is a bare 0
    if (at.scales >= 0) {
        bool has_old = old_values != nullptr && !old_nulls[at.scales];
        MergedScales scales =
            merge_scales(has_old ? DatumGetArrayTypeP(old_values[at.scales]) : nullptr, change->scales);
        if (scales.stored == nullptr) {
            return Merge::inconsistent;
        }
        new_values[at.scales] = PointerGetDatum(scales.stored);
        new_values[at.pinf] = Int64GetDatum(pinf);
        new_values[at.ninf] = Int64GetDatum(ninf);
        scale = scales.largest;
    }
    new_values[at.n] = Int64GetDatum(n);
    new_values[at.nan] = Int64GetDatum(nan);
    new_values[at.sum] = merged_sum(old_values, old_nulls, at.sum, change->sum, scale);
    if (at.squares >= 0) {
        new_values[at.squares] = merged_sum(old_values, old_nulls, at.squares, change->squares, 2 * scale);
    }
    std::fill_n(new_nulls, at.length, false);
    return Merge::done;
}

Datum special(const char *name) {
    return DirectFunctionCall3(numeric_in, CStringGetDatum(name), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

/// The variance family: any infinity makes it NaN. As in numeric.c, they count as values for the rule of NULL.
Datum result_variance(const AggSpec &spec, const Layout &at, const Datum *values, int64 n, bool has_special,
                      bool *isnull) {
    if (has_special) {
        return n < (is_sample_variance(spec.kind) ? 2 : 1) ? null_result(isnull) : special("NaN");
    }
    return numeric_variance(spec.kind, n, DatumGetNumeric(values[at.sum]), DatumGetNumeric(values[at.squares]), isnull);
}

Datum result_numeric(const AggSpec &spec, const Datum *values, const bool *, bool *isnull) {
    const Layout at(spec);
    int64 n = DatumGetInt64(values[at.n]);
    int64 nan = DatumGetInt64(values[at.nan]);
    int64 pinf = at.pinf < 0 ? 0 : DatumGetInt64(values[at.pinf]);
    int64 ninf = at.ninf < 0 ? 0 : DatumGetInt64(values[at.ninf]);
    if (n == 0) {
        return null_result(isnull);
    }
    if (at.squares >= 0) {
        return result_variance(spec, at, values, n, nan + pinf + ninf > 0, isnull);
    }
    if (nan > 0 || (pinf > 0 && ninf > 0)) {
        return special("NaN");
    }
    if (pinf > 0 || ninf > 0) {
        return special(pinf > 0 ? "Infinity" : "-Infinity");
    }
    if (spec.kind == AggKind::sum_numeric) {
        return copy_value(values[at.sum], false, -1);
    }
    return DirectFunctionCall2(numeric_div, values[at.sum], NumericGetDatum(int64_to_numeric(n)));
}

int columns_numeric(const AggSpec &spec, StateColumn *out) {
    const Layout at(spec);
    out[at.n] = {"n", INT8OID};
    out[at.sum] = {"sum", NUMERICOID};
    if (at.squares >= 0) {
        out[at.squares] = {"sq", NUMERICOID};
    }
    out[at.nan] = {"nan", INT8OID};
    if (at.scales >= 0) {
        out[at.scales] = {"scales", INT8ARRAYOID};
        out[at.pinf] = {"pinf", INT8OID};
        out[at.ninf] = {"ninf", INT8OID};
    }
    return at.length;
}

} // namespace

const AggFamily numeric_family = {
    delta_size_of<NumericDelta>, nullptr, fold_numeric, merge_numeric, result_numeric, columns_numeric,
};

} // namespace upkeep::maintain
