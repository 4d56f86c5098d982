// sum, avg, variance and stddev of float4 and float8: an exact accumulator (delta/float_state.hpp), stored as bytea.
#include "delta/float_state.hpp"

#include "maintain/aggregate_family.hpp"

extern "C" {
#include "utils/float.h"
}

namespace upkeep::maintain {

namespace {

using delta::FloatResult;
using delta::FloatState;
using delta::FloatStatus;

bool has_squares(const AggSpec &spec) {
    switch (spec.kind) {
    case AggKind::sum_float4:
    case AggKind::sum_float8:
    case AggKind::avg_float:
        return false;
    default:
        return true;
    }
}

// A delta is a FloatState, which may be smaller than its type says.
FloatState *state_of(AggDelta *delta) {
    return reinterpret_cast<FloatState *>(delta);
}
const FloatState *state_of(const AggDelta *delta) {
    return reinterpret_cast<const FloatState *>(delta);
}

Size delta_size_float(const AggSpec &spec) {
    static_assert(alignof(FloatState) <= MAXIMUM_ALIGNOF);
    return MAXALIGN(FloatState::allocated_size(has_squares(spec)));
}

void init_float(const AggSpec &spec, AggDelta *delta) {
    state_of(delta)->clear(has_squares(spec));
}

void fold_float(const AggSpec &spec, AggDelta *delta, Datum value, bool isnull, int64 weight) {
    if (!isnull) {
        state_of(delta)->add(spec.argtype == FLOAT4OID ? DatumGetFloat4(value) : DatumGetFloat8(value), weight);
    }
}

/// A state in the current memory context: the stored one, or an empty one where the group did not exist.
FloatState *read_state(const AggSpec &spec, const Datum *values, const bool *nulls) {
    auto *state = static_cast<FloatState *>(palloc(delta_size_float(spec)));
    state->clear(has_squares(spec));
    if (values == nullptr || nulls[0]) {
        return state;
    }
    bytea *stored = DatumGetByteaPP(values[0]);
    const auto *bytes = reinterpret_cast<const uint8 *>(VARDATA_ANY(stored));
    Size size = VARSIZE_ANY_EXHDR(stored);
    if (FloatState::serialized_with_squares(bytes, size) != has_squares(spec) || !state->deserialize(bytes, size)) {
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid state of a floating-point aggregate")));
    }
    return state;
}

Merge merge_float(const AggSpec &spec, const Datum *old_values, const bool *old_nulls, const AggDelta *delta,
                  Datum *new_values, bool *new_nulls) {
    FloatState *state = read_state(spec, old_values, old_nulls);
    state->merge(*state_of(delta));
    if (state->nan < 0 || state->pinf < 0 || state->ninf < 0 || state->negzero < 0 ||
        state->n < state->nan + state->pinf + state->ninf) {
        return Merge::inconsistent;
    }
    Size size = VARHDRSZ + state->serialized_size();
    auto *stored = static_cast<bytea *>(palloc(size));
    SET_VARSIZE(stored, size);
    state->serialize(reinterpret_cast<uint8 *>(VARDATA(stored)));
    pfree(state);
    new_values[0] = PointerGetDatum(stored);
    new_nulls[0] = false;
    return Merge::done;
}

FloatResult result_of(AggKind kind, const FloatState &state) {
    switch (kind) {
    case AggKind::sum_float4:
        return state.sum_float4();
    case AggKind::sum_float8:
        return state.sum_float8();
    case AggKind::avg_float:
        return state.avg();
    case AggKind::var_pop_float:
        return state.var_pop();
    case AggKind::var_samp_float:
        return state.var_samp();
    case AggKind::stddev_pop_float:
        return state.stddev_pop();
    default:
        return state.stddev_samp();
    }
}

Datum result_float(const AggSpec &spec, const Datum *values, const bool *nulls, bool *isnull) {
    FloatState *state = read_state(spec, values, nulls);
    FloatResult result = result_of(spec.kind, *state);
    pfree(state);
    switch (result.status) {
    case FloatStatus::null:
        return null_result(isnull);
    case FloatStatus::overflow:
        float_overflow_error();
    case FloatStatus::value:
        break;
    }
    return spec.kind == AggKind::sum_float4 ? Float4GetDatum(static_cast<float4>(result.value))
                                            : Float8GetDatum(result.value);
}

int columns_float(const AggSpec &, StateColumn *out) {
    out[0] = {"state", BYTEAOID};
    return 1;
}

} // namespace

const AggFamily float_family = {
    delta_size_float, init_float, fold_float, merge_float, result_float, columns_float,
};

} // namespace upkeep::maintain
