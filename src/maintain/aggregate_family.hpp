// What the files of the aggregate families share: the table of functions that each family gives, and access to states.
#pragma once
#include "maintain/aggregate.hpp"

namespace upkeep::maintain {

/// Each family's delta derives from it.
struct AggDelta {};

/// The functions of one family; their contracts are those of aggregate.hpp.
struct AggFamily {
    Size (*delta_size)(const AggSpec &spec);
    /// nullptr: zeroed memory is an empty delta.
    void (*init)(const AggSpec &spec, AggDelta *delta);
    void (*fold)(const AggSpec &spec, AggDelta *delta, Datum value, bool isnull, int64 weight);
    Merge (*merge)(const AggSpec &spec, const Datum *old_values, const bool *old_nulls, const AggDelta *delta,
                   Datum *new_values, bool *new_nulls);
    Datum (*result)(const AggSpec &spec, const Datum *values, const bool *nulls, bool *isnull);
    int (*state_columns)(const AggSpec &spec, StateColumn *out);
};

extern const AggFamily count_family;            // count_star, count_value
extern const AggFamily boolean_family;          // bool_and, bool_or
extern const AggFamily integer_family;          // sum_int, sum_int8, avg_int, sum_money
extern const AggFamily integer_variance_family; // var_*_int, stddev_*_int
extern const AggFamily numeric_family;          // sum_numeric, avg_numeric, var_*_numeric, stddev_*_numeric
extern const AggFamily interval_family;         // sum_interval, avg_interval
extern const AggFamily float_family;            // sum_float4, sum_float8, avg_float, var_*_float, stddev_*_float
extern const AggFamily extreme_family;          // min, max
extern const AggFamily recompute_family;        // recompute

/// The size of a family's delta, for AggFamily::delta_size.
template <typename Delta> Size delta_size_of(const AggSpec &) {
    static_assert(alignof(Delta) <= MAXIMUM_ALIGNOF, "palloc aligns to no more");
    return MAXALIGN(sizeof(Delta));
}

/// A state column of type int8; zero where the group did not exist.
inline int64 old_count(const Datum *values, const bool *nulls, int column) {
    return values == nullptr || nulls[column] ? 0 : DatumGetInt64(values[column]);
}

inline void set_count(Datum *values, bool *nulls, int column, int64 count) {
    values[column] = Int64GetDatum(count);
    nulls[column] = false;
}

/// The value of an int2, int4, int8 or money argument.
inline int64 integer_argument(const AggSpec &spec, Datum value) {
    switch (spec.arglen) {
    case 2:
        return DatumGetInt16(value);
    case 4:
        return DatumGetInt32(value);
    default:
        return DatumGetInt64(value);
    }
}

/// A copy in the current memory context that needs neither a TOAST table nor an expanded object.
inline Datum copy_value(Datum value, bool byval, int16 len) {
    if (!byval && len == -1) {
        return PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
    }
    return datumCopy(value, byval, len);
}

inline Datum null_result(bool *isnull) {
    *isnull = true;
    return static_cast<Datum>(0);
}

} // namespace upkeep::maintain
