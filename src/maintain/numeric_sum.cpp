#include "maintain/numeric_sum.hpp"

extern "C" {
#include "libpq/pqformat.h"
}

namespace upkeep::maintain {

namespace {

Numeric copy_numeric(Numeric value) {
    return DatumGetNumeric(datumCopy(NumericGetDatum(value), false, -1));
}

Numeric negate(Numeric value) {
    return DatumGetNumeric(DirectFunctionCall1(numeric_uminus, NumericGetDatum(value)));
}

Numeric add(Numeric a, Numeric b) {
    return DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(a), NumericGetDatum(b)));
}

Numeric multiply(Numeric a, Numeric b) {
    return DatumGetNumeric(DirectFunctionCall2(numeric_mul, NumericGetDatum(a), NumericGetDatum(b)));
}

/// 10^20, the unit of NumericSum::large.
Numeric make_unit() {
    Numeric ten_digits = int64_to_numeric(10000000000);
    return multiply(ten_digits, ten_digits);
}

/// A value as large * 10^20 + rest: `large` is an integer, |rest| < 10^20.
struct Split {
    Numeric large;
    Numeric rest;
};

Split split(Numeric value) {
    Numeric unit = make_unit();
    Datum large = DirectFunctionCall2(numeric_div_trunc, NumericGetDatum(value), NumericGetDatum(unit));
    Datum rest = DirectFunctionCall2(numeric_mod, NumericGetDatum(value), NumericGetDatum(unit));
    return {DatumGetNumeric(large), DatumGetNumeric(rest)};
}

void add_large(NumericSum *sum, Numeric large) {
    sum->large = sum->large == nullptr ? large : add(sum->large, large);
}

/// Adds to the plain part (`subtract`: takes from it). If that overflows, only the rests stay there.
void accumulate(NumericSum *sum, Numeric value, bool subtract) {
    if (sum->plain == nullptr) {
        sum->plain = subtract ? negate(value) : copy_numeric(value);
        return;
    }
    bool overflow = false;
    Numeric total = subtract ? numeric_sub_opt_error(sum->plain, value, &overflow)
                             : numeric_add_opt_error(sum->plain, value, &overflow);
    if (overflow) {
        Split a = split(sum->plain);
        Split b = split(subtract ? negate(value) : value);
        add_large(sum, a.large);
        add_large(sum, b.large);
        total = add(a.rest, b.rest);
    }
    pfree(sum->plain);
    sum->plain = total;
}

} // namespace

Numeric numeric_from_int128(int128 value) {
    if (value >= PG_INT64_MIN && value <= PG_INT64_MAX) {
        return int64_to_numeric(static_cast<int64>(value));
    }
    constexpr int64 billion_billion = 1000000000000000000;
    Numeric high = numeric_from_int128(value / billion_billion);
    Numeric low = int64_to_numeric(static_cast<int64>(value % billion_billion));
    return add(multiply(high, int64_to_numeric(billion_billion)), low);
}

Numeric old_numeric(const Datum *values, const bool *nulls, int column) {
    return values == nullptr || nulls[column] ? int64_to_numeric(0) : DatumGetNumeric(values[column]);
}

int display_scale(Numeric value) {
    return DatumGetInt32(DirectFunctionCall1(numeric_scale, NumericGetDatum(value)));
}

Numeric with_display_scale(Numeric value, int scale) {
    if (display_scale(value) == scale) {
        return value;
    }
    // Through the wire format: round() stops at a scale of 2000. Its fourth 16-bit word is the display scale.
    constexpr int scale_offset = 6;
    bytea *sent = DatumGetByteaP(DirectFunctionCall1(numeric_send, NumericGetDatum(value)));
    char *bytes = VARDATA(sent);
    bytes[scale_offset] = static_cast<char>(scale >> 8);
    bytes[scale_offset + 1] = static_cast<char>(scale);
    StringInfoData buffer;
    buffer.data = bytes;
    buffer.len = VARSIZE(sent) - VARHDRSZ;
    buffer.maxlen = buffer.len;
    buffer.cursor = 0;
    Datum received =
        DirectFunctionCall3(numeric_recv, PointerGetDatum(&buffer), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
    pfree(sent);
    return DatumGetNumeric(received);
}

void add_weighted(NumericSum *sum, Numeric value, int64 weight) {
    if (weight == 1 || weight == -1) {
        accumulate(sum, value, weight < 0);
        return;
    }
    bool overflow = false;
    Numeric factor = int64_to_numeric(weight);
    Numeric product = numeric_mul_opt_error(value, factor, &overflow);
    if (overflow) {
        Split parts = split(value);
        add_large(sum, multiply(parts.large, factor));
        accumulate(sum, multiply(parts.rest, factor), false);
        return;
    }
    accumulate(sum, product, false);
    pfree(product);
    pfree(factor);
}

Numeric add_sum(Numeric old, const NumericSum &sum) {
    if (sum.plain == nullptr) {
        return copy_numeric(old);
    }
    if (sum.large == nullptr) {
        bool overflow = false;
        Numeric total = numeric_add_opt_error(old, sum.plain, &overflow);
        if (!overflow) {
            return total;
        }
    }
    Split parts = split(old);
    Split plain = split(sum.plain);
    Numeric large = add(parts.large, plain.large);
    if (sum.large != nullptr) {
        large = add(large, sum.large);
    }
    // The rests are under two units together. They take two units over from the large part, so that its product with
    // the unit is not out of range where the total is in range.
    Datum sign = DirectFunctionCall1(numeric_sign, NumericGetDatum(large));
    Numeric two = multiply(DatumGetNumeric(sign), int64_to_numeric(2));
    Numeric rest = add(add(parts.rest, plain.rest), multiply(two, make_unit()));
    return add(multiply(add(large, negate(two)), make_unit()), rest);
}

} // namespace upkeep::maintain
