// Aggregate states: how one aggregate call is folded, stored, merged and shown.
//
// A group's stored row holds, after its key columns and its count, the state columns of each aggregate call, of stable
// types only (int8, numeric, interval, money, float8, bytea in our own format, int8[]; or the argument's own type for
// min/max). A run folds the weighted changes of a group into an AggDelta in memory and merges it into the locked row.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::maintain {

enum class AggKind : uint8 {
    count_star,  // count(*)
    count_value, // count(x)
    sum_int,     // sum(int2), sum(int4) -> int8
    sum_int8,    // sum(int8) -> numeric
    avg_int,     // avg(int2|int4|int8) -> numeric
    sum_numeric,
    avg_numeric,
    sum_interval,
    avg_interval,
    sum_money,
    sum_float4,
    sum_float8,
    avg_float, // avg of float4 or float8
    var_pop_int,
    var_samp_int,
    stddev_pop_int,
    stddev_samp_int, // any integer type; numeric result
    var_pop_numeric,
    var_samp_numeric,
    stddev_pop_numeric,
    stddev_samp_numeric,
    var_pop_float,
    var_samp_float,
    stddev_pop_float,
    stddev_samp_float, // float4 or float8
    bool_and,
    bool_or, // every = bool_and
    min,
    max,       // any type with a btree order (min/max aggregates of the core server)
    recompute, // any other aggregate: the touched group is read again
};

/// One aggregate call, as analysis found it. Trivially copyable; lives in the view program's memory context.
/// Analysis sets kind, aggfnoid, the types, the typmod and the collations; prepare_aggregate derives the rest.
struct AggSpec {
    AggKind kind;
    Oid aggfnoid;
    Oid argtype; // type of the (first) argument, InvalidOid for count(*)
    int32 argtypmod;
    Oid argcollation;
    int16 arglen;
    bool argbyval;
    char argalign;
    Oid resulttype;
    int16 resultlen;
    bool resultbyval;
    char resultalign;
    Oid inputcollation; // the Aggref's inputcollid, for min/max comparison
    int constant_scale; // >= 0: every non-special argument has exactly this display scale (numeric(p,s) column); -1:
                        // unknown
    FmgrInfo *compare;  // min/max: btree comparison function (int4 result) of argtype; filled by prepare_aggregate
};

struct StateColumn {
    const char *suffix; // "n", "sum", "sq", "scales", "nan", "pinf", "ninf", "value", "state", "yes", "no"
    Oid type;
};

inline constexpr int kMaxStateColumns = 8;

/// Which aggregate this call is; AggKind::recompute when there is no invertible state for it. DISTINCT makes a call
/// recompute unless it changes nothing (min, max, bool_and, bool_or); over the values of a tally it has none. An ORDER BY inside the call is of no interest:
/// no invertible kind depends on the order of its arguments.
AggKind classify_aggregate(Oid aggfnoid, bool has_distinct);

/// Fills the derived members (compare, type lengths, constant_scale). Memory: current context. Must come before any
/// other function on the call.
void prepare_aggregate(AggSpec *spec);

/// The stored state columns of a call: number, names (suffixes) and types. At most kMaxStateColumns.
int state_columns(const AggSpec &spec, StateColumn out[kMaxStateColumns]);

/// Opaque: aggregate_delta_size bytes (a multiple of MAXALIGN), initialized by init_delta. It may be moved by memcpy.
struct AggDelta;
Size aggregate_delta_size(const AggSpec &spec);
void init_delta(const AggSpec &spec, AggDelta *delta);

/// Folds one argument with weight (+n or -n; FILTER was already applied by the caller). By-reference values that the
/// delta keeps are copied into the current memory context.
void fold(const AggSpec &spec, AggDelta *delta, Datum value, bool isnull, int64 weight);

enum class Merge : uint8 {
    done,
    read_again,   // the new state cannot be derived (removed extreme, lost representative, ...): the caller recomputes
                  // the group
    inconsistent, // the change takes out what the state does not have: the view is not what it should be (new state not
                  // set)
};

/// old state (nullptr: the group did not exist) + delta -> new state, in the current memory context (nothing in it
/// points into the old state or the delta). The delta is unchanged: it can be merged again, into another version.
/// Raises what PostgreSQL would raise (e.g. bigint out of range), never anything for values that can still cancel.
Merge merge(const AggSpec &spec, const Datum *old_values, const bool *old_nulls, const AggDelta *delta,
            Datum *new_values, bool *new_nulls);

/// The value that PostgreSQL's own aggregate would return for this state (text-identical where PostgreSQL determines
/// it). Raises 22003 where a float result overflows.
Datum result(const AggSpec &spec, const Datum *values, const bool *nulls, bool *isnull);

/// For min, max and recompute: the state that holds `value` as read again from the base tables.
void state_from_value(const AggSpec &spec, Datum value, bool isnull, Datum *values, bool *nulls);

/// True for the kinds whose value can be read again by SQL into state_from_value (min, max, recompute).
bool is_read_again_kind(AggKind kind);

/// True for the kinds that are sums of floats: theirs are exact here, and in the server they depend on the order.
bool is_float_kind(AggKind kind);

} // namespace upkeep::maintain
