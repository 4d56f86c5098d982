// The final functions of the variance family take a transition state whose layout is private to the server's numeric.c.
// It is never stored; here it is made in memory, through the function with which parallel workers hand it over
// (numeric_deserialize), under an imitated aggregate context. The serialized form is promised to nobody, hence the
// self-test.
#include "maintain/numeric_variance.hpp"

#include "maintain/numeric_sum.hpp"

extern "C" {
#include "libpq/pqformat.h"
}

namespace upkeep::maintain {

namespace {

PGFunction final_function(AggKind kind) {
    switch (kind) {
    case AggKind::var_pop_int:
    case AggKind::var_pop_numeric:
        return numeric_var_pop;
    case AggKind::var_samp_int:
    case AggKind::var_samp_numeric:
        return numeric_var_samp;
    case AggKind::stddev_pop_int:
    case AggKind::stddev_pop_numeric:
        return numeric_stddev_pop;
    default:
        return numeric_stddev_samp;
    }
}

/// Calls a transition, deserialization or final function with the state (or its bytes) and at most one value, as if
/// from an aggregate whose memory is the current context.
NullableDatum call_in_aggregate(PGFunction function, NullableDatum state, Datum value) {
    WindowAggState context;
    std::memset(static_cast<void *>(&context), 0, sizeof(context));
    NodeSetTag(&context, T_WindowAggState);
    context.curaggcontext = CurrentMemoryContext;
    LOCAL_FCINFO(fcinfo, 2);
    InitFunctionCallInfoData(*fcinfo, nullptr, 2, InvalidOid, reinterpret_cast<fmNodePtr>(&context), nullptr);
    fcinfo->args[0] = state;
    fcinfo->args[1] = {value, false};
    Datum returned = function(fcinfo);
    return {returned, fcinfo->isnull};
}

/// As numericvar_serialize: the fields of the wire format, but the header in 32 bits instead of 16.
void append_numeric(StringInfo buffer, Numeric value) {
    constexpr int header_fields = 4; // number of digits, weight, sign, display scale
    bytea *sent = DatumGetByteaP(DirectFunctionCall1(numeric_send, NumericGetDatum(value)));
    const char *bytes = VARDATA(sent);
    for (int field = 0; field < header_fields; field++) {
        uint16 word;
        std::memcpy(&word, bytes + field * sizeof(word), sizeof(word));
        word = pg_ntoh16(word);
        bool is_weight = field == 1;
        pq_sendint32(buffer, is_weight ? static_cast<uint32>(static_cast<int16>(word)) : word);
    }
    constexpr int header_size = header_fields * sizeof(uint16);
    appendBinaryStringInfo(buffer, bytes + header_size, VARSIZE(sent) - VARHDRSZ - header_size);
    pfree(sent);
}

/// As numeric_serialize. The number of values with the largest scale matters to inverse transitions only.
bytea *serialize_state(int64 n, Numeric sum, Numeric squares) {
    StringInfoData buffer;
    pq_begintypsend(&buffer);
    pq_sendint64(&buffer, n);
    append_numeric(&buffer, sum);
    append_numeric(&buffer, squares);
    pq_sendint32(&buffer, display_scale(sum));
    pq_sendint64(&buffer, n);
    pq_sendint64(&buffer, 0); // NaN
    pq_sendint64(&buffer, 0); // Infinity
    pq_sendint64(&buffer, 0); // -Infinity
    return pq_endtypsend(&buffer);
}

NullableDatum finish(AggKind kind, int64 n, Numeric sum, Numeric squares) {
    NullableDatum bytes = {PointerGetDatum(serialize_state(n, sum, squares)), false};
    NullableDatum state = call_in_aggregate(numeric_deserialize, bytes, static_cast<Datum>(0));
    return call_in_aggregate(final_function(kind), state, static_cast<Datum>(0));
}

/// What PostgreSQL itself makes of the values, through its transition function.
NullableDatum aggregate_directly(AggKind kind, std::span<const Numeric> values) {
    NullableDatum state = {static_cast<Datum>(0), true};
    for (Numeric value : values) {
        state = call_in_aggregate(numeric_accum, state, NumericGetDatum(value));
    }
    return call_in_aggregate(final_function(kind), state, static_cast<Datum>(0));
}

bool is_same_image(NullableDatum a, NullableDatum b) {
    return !a.isnull && !b.isnull && datum_image_eq(a.value, b.value, false, -1);
}

void require_known_server() {
    static bool is_tested = false;
    if (is_tested) {
        return;
    }
    const Numeric values[] = {int64_div_fast_to_numeric(-123456789012345, 4), int64_div_fast_to_numeric(75, 1),
                              int64_to_numeric(20000)};
    NumericSum sum = {};
    NumericSum squares = {};
    for (Numeric value : values) {
        Datum square = DirectFunctionCall2(numeric_mul, NumericGetDatum(value), NumericGetDatum(value));
        add_weighted(&sum, value, 1);
        add_weighted(&squares, DatumGetNumeric(square), 1);
    }
    for (AggKind kind : {AggKind::var_pop_numeric, AggKind::var_samp_numeric, AggKind::stddev_pop_numeric,
                         AggKind::stddev_samp_numeric}) {
        if (!is_same_image(finish(kind, std::size(values), sum.plain, squares.plain),
                           aggregate_directly(kind, values))) {
            ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
                            errmsg("this server's numeric aggregate state has an unknown format"),
                            errhint("Install a version of upkeep that supports this version of PostgreSQL.")));
        }
    }
    is_tested = true;
}

} // namespace

bool is_sample_variance(AggKind kind) {
    return kind == AggKind::var_samp_int || kind == AggKind::var_samp_numeric || kind == AggKind::stddev_samp_int ||
           kind == AggKind::stddev_samp_numeric;
}

Datum numeric_variance(AggKind kind, int64 n, Numeric sum, Numeric squares, bool *isnull) {
    if (n < (is_sample_variance(kind) ? 2 : 1)) {
        *isnull = true;
        return static_cast<Datum>(0);
    }
    require_known_server();
    NullableDatum finished = finish(kind, n, sum, squares);
    *isnull = finished.isnull;
    return finished.value;
}

} // namespace upkeep::maintain
