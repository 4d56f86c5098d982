// The bounds are those of recursive summation (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2):
// the error of n additions is at most n·u·Σ|x| in either order, so two orders differ by at most twice that.

#include "api/verify_bounds.hpp"

extern "C" {
#include "optimizer/optimizer.h"
}

namespace upkeep::api {

using maintain::Row;

using analysis::Column;
using analysis::FloatKind;
using analysis::FloatLeaf;
using Number = long double; // float8 sums of squares must not overflow here

namespace {

constexpr Number kUnitFloat4 = 1.0L / (1 << 24);
constexpr Number kUnitFloat8 = 1.0L / (static_cast<int64>(1) << 53);

// Σ(x-m)², and how far it can be off: relative 2·n·u·κ with κ = sqrt(1 + n·m²/Sxx) (Chan, Golub and LeVeque), written
// without the division, plus the square of the error of the mean, which is what is left where all values are equal.
Number bound_of_squares(Number squares, Number n, Number mean) {
    const Number shift = 2 * n * kUnitFloat8 * mean;
    return 2 * n * kUnitFloat8 * std::sqrt(squares * squares + n * mean * mean * squares) + n * shift * shift;
}

Number bound_of_variance(Number variance, Number n, Number divisor, Number mean) {
    return bound_of_squares(variance * divisor, n, mean) / divisor + 2 * kUnitFloat8 * variance;
}

Number bound_of_deviation(Number deviation, Number n, Number divisor, Number mean) {
    const Number variance = deviation * deviation;
    const Number bound = bound_of_variance(variance, n, divisor, mean);
    const Number above = std::sqrt(variance + bound) - deviation;
    const Number below = deviation - std::sqrt(std::max<Number>(variance - bound, 0));
    return std::max(above, below) + 2 * kUnitFloat8 * deviation;
}

// The bound of one aggregate in one row; 0 where its value is determined (one value, NaN or infinity among them).
Number bound_of(const FloatLeaf &leaf, TupleDesc desc, const Row &row) {
    if (row.nulls[leaf.value] || row.nulls[leaf.count] || row.nulls[leaf.magnitude]) {
        return 0;
    }
    const Number value = to_long_double(TupleDescAttr(desc, leaf.value)->atttypid, row.values[leaf.value]);
    const Number n = DatumGetInt64(row.values[leaf.count]);
    const Number magnitude = to_long_double(NUMERICOID, row.values[leaf.magnitude]);
    const Number mean = to_long_double(NUMERICOID, row.values[leaf.sum]) / n;
    if (n <= 1 || !std::isfinite(magnitude) || !std::isfinite(value)) {
        return 0;
    }
    switch (leaf.kind) {
    case FloatKind::sum_float4:
        return 2 * n * kUnitFloat4 * magnitude;
    case FloatKind::sum_float8:
        return 2 * n * kUnitFloat8 * magnitude;
    case FloatKind::average:
        return 2 * kUnitFloat8 * magnitude + 2 * kUnitFloat8 * std::fabs(value);
    case FloatKind::var_pop:
        return bound_of_variance(value, n, n, mean);
    case FloatKind::var_samp:
        return bound_of_variance(value, n, n - 1, mean);
    case FloatKind::stddev_pop:
        return bound_of_deviation(value, n, n, mean);
    case FloatKind::stddev_samp:
        return bound_of_deviation(value, n, n - 1, mean);
    }
    return 0;
}

Datum shifted(Oid type, Datum value, Number by) {
    if (type == FLOAT4OID) {
        return Float4GetDatum(static_cast<float4>(DatumGetFloat4(value) + by));
    }
    return Float8GetDatum(static_cast<float8>(DatumGetFloat8(value) + by));
}

// The values that an expression takes when each aggregate in turn is moved to its bounds.
struct Range {
    Number base = 0;
    bool base_null = true;
    Number low = std::numeric_limits<Number>::infinity();
    Number high = -std::numeric_limits<Number>::infinity();
    Number deviation = 0; // sum over the aggregates
    bool some_null = false;
    bool some_special = false;

    void add(Number value) {
        some_special |= !std::isfinite(value);
        low = std::min(low, value);
        high = std::max(high, value);
    }

    bool contains(Number value, Number unit) const {
        if (some_special || !std::isfinite(value)) {
            return false;
        }
        if (base_null) {
            return value >= low && value <= high;
        }
        return std::fabs(value - base) <= 2 * deviation + 4 * unit * std::fabs(base);
    }
};

} // namespace

bool is_number_type(Oid type) {
    return type == FLOAT4OID || type == FLOAT8OID || type == NUMERICOID;
}

long double to_long_double(Oid type, Datum value) {
    switch (type) {
    case FLOAT4OID:
        return DatumGetFloat4(value);
    case FLOAT8OID:
        return DatumGetFloat8(value);
    default:
        return std::strtold(DatumGetCString(DirectFunctionCall1(numeric_out, value)), nullptr);
    }
}

FloatBounds::FloatBounds(const analysis::FreeChoices *choices, TupleDesc query_desc)
    : choices_(choices), desc_(query_desc), state_(CreateExecutorState()),
      expressions_(pg::create_array<ExprState *>(choices->ncolumns)),
      slot_(MakeSingleTupleTableSlot(query_desc, &TTSOpsVirtual)) {
    for (int i = 0; i < choices->ncolumns; i++) {
        if (choices->columns[i].expression != nullptr) {
            expressions_[i] = ExecPrepareExpr(choices->columns[i].expression, state_);
        }
    }
    GetPerTupleExprContext(state_)->ecxt_scantuple = slot_;
}

// Makes a row of the companion the one that expressions read.
void FloatBounds::show(const Row &query) {
    ExecClearTuple(slot_);
    std::copy_n(query.values, desc_->natts, slot_->tts_values);
    std::copy_n(query.nulls, desc_->natts, slot_->tts_isnull);
    ExecStoreVirtualTuple(slot_);
}

Datum FloatBounds::evaluate(int number, bool *isnull) {
    return ExecEvalExprSwitchContext(expressions_[number], GetPerTupleExprContext(state_), isnull);
}

// Two zeros must have the same sign: only a sum of nothing but -0 is -0, in any order. With DISTINCT it is open which of
// the equal zeros is added.
bool FloatBounds::is_direct_within(const FloatLeaf &leaf, Oid type, Datum view, const Row &query) {
    const Number mine = to_long_double(type, view);
    const Number theirs = to_long_double(type, query.values[leaf.value]);
    if (std::isnan(mine) || std::isnan(theirs)) {
        return std::isnan(mine) && std::isnan(theirs);
    }
    if (mine == theirs) {
        return leaf.distinct || std::signbit(mine) == std::signbit(theirs);
    }
    return std::isfinite(mine) && std::isfinite(theirs) && std::fabs(mine - theirs) <= bound_of(leaf, desc_, query);
}

// An expression is judged by what it makes of the bounds: it is evaluated again with each aggregate moved up and down
// by its bound. Numbers may differ by twice the sum of the deviations; any other type must be one of the values met.
bool FloatBounds::is_expression_within(int number, Datum view, bool view_null, const Row &query) {
    const Column &column = choices_->columns[number];
    const Form_pg_attribute attribute = TupleDescAttr(desc_, number);
    const bool is_number = is_number_type(attribute->atttypid);
    show(query);

    Range range;
    range.base_null = query.nulls[number];
    if (is_number && !range.base_null) {
        range.base = to_long_double(attribute->atttypid, query.values[number]);
        range.add(range.base);
    }
    bool met = false;
    for (int l = 0; l < column.nleaves; l++) {
        const FloatLeaf &leaf = column.leaves[l];
        const Oid type = TupleDescAttr(desc_, leaf.value)->atttypid;
        const Number bound = bound_of(leaf, desc_, query);
        Number deviation = 0;
        if (bound == 0) {
            continue;
        }
        for (const Number by : {bound, -bound}) {
            slot_->tts_values[leaf.value] = shifted(type, query.values[leaf.value], by);
            bool isnull;
            const Datum moved = evaluate(number, &isnull);
            if (isnull) {
                range.some_null = true;
            } else if (is_number) {
                const Number value = to_long_double(attribute->atttypid, moved);
                range.add(value);
                deviation = std::max(deviation, std::fabs(value - range.base));
            } else if (!view_null) {
                met |= datum_image_eq(moved, view, attribute->attbyval, attribute->attlen);
            }
        }
        slot_->tts_values[leaf.value] = query.values[leaf.value];
        range.deviation += deviation;
    }
    if (view_null) {
        return range.some_null;
    }
    if (!is_number) {
        return met;
    }
    const Number unit = attribute->atttypid == FLOAT4OID ? kUnitFloat4 : kUnitFloat8;
    return range.contains(to_long_double(attribute->atttypid, view), attribute->atttypid == NUMERICOID ? 0 : unit);
}

bool FloatBounds::is_within(int number, const Row &view, const Row &query) {
    const Column &column = choices_->columns[number];
    ResetPerTupleExprContext(state_);
    if (column.expression == nullptr) {
        const Oid type = TupleDescAttr(desc_, number)->atttypid;
        return !view.nulls[number] && !query.nulls[number] &&
               is_direct_within(column.leaves[0], type, view.values[number], query);
    }
    return is_expression_within(number, view.values[number], view.nulls[number], query);
}

} // namespace upkeep::api
