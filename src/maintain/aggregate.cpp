#include "maintain/aggregate.hpp"

#include "maintain/aggregate_family.hpp"

extern "C" {
#include "access/nbtree.h"
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
}

namespace upkeep::maintain {

namespace {

const AggFamily &family_of(AggKind kind) {
    switch (kind) {
    case AggKind::count_star:
    case AggKind::count_value:
        return count_family;
    case AggKind::sum_int:
    case AggKind::sum_int8:
    case AggKind::avg_int:
    case AggKind::sum_money:
        return integer_family;
    case AggKind::sum_numeric:
    case AggKind::avg_numeric:
    case AggKind::var_pop_numeric:
    case AggKind::var_samp_numeric:
    case AggKind::stddev_pop_numeric:
    case AggKind::stddev_samp_numeric:
        return numeric_family;
    case AggKind::sum_interval:
    case AggKind::avg_interval:
        return interval_family;
    case AggKind::sum_float4:
    case AggKind::sum_float8:
    case AggKind::avg_float:
    case AggKind::var_pop_float:
    case AggKind::var_samp_float:
    case AggKind::stddev_pop_float:
    case AggKind::stddev_samp_float:
        return float_family;
    case AggKind::var_pop_int:
    case AggKind::var_samp_int:
    case AggKind::stddev_pop_int:
    case AggKind::stddev_samp_int:
        return integer_variance_family;
    case AggKind::bool_and:
    case AggKind::bool_or:
        return boolean_family;
    case AggKind::min:
    case AggKind::max:
        return extreme_family;
    case AggKind::recompute:
        return recompute_family;
    }
    pg_unreachable();
}

/// The order by which an aggregate takes its first element, as the aggregate's entry in pg_aggregate says.
struct SortOrder {
    Oid opfamily;
    Oid opcintype;
    int16 strategy;
};

std::optional<SortOrder> find_sort_order(Oid aggfnoid) {
    HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggfnoid));
    if (!HeapTupleIsValid(tuple)) {
        return std::nullopt;
    }
    Oid sortop = reinterpret_cast<Form_pg_aggregate>(GETSTRUCT(tuple))->aggsortop;
    ReleaseSysCache(tuple);
    SortOrder order;
    if (!OidIsValid(sortop) ||
        !get_ordering_op_properties(sortop, &order.opfamily, &order.opcintype, &order.strategy)) {
        return std::nullopt;
    }
    return order;
}

/// The comparison function of a min or max.
FmgrInfo *require_compare(Oid aggfnoid) {
    std::optional<SortOrder> order = find_sort_order(aggfnoid);
    Oid procedure =
        order ? get_opfamily_proc(order->opfamily, order->opcintype, order->opcintype, BTORDER_PROC) : InvalidOid;
    if (!OidIsValid(procedure)) {
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
                        errmsg("could not find the comparison function of aggregate %u", aggfnoid)));
    }
    auto *compare = static_cast<FmgrInfo *>(palloc0(sizeof(FmgrInfo)));
    fmgr_info(procedure, compare);
    return compare;
}

/// The display scale that every finite value of numeric(p,s) has, or -1 for any other type: the typmod of an
/// expression is only set where its value was brought to it. A negative scale shows as 0.
int constant_scale_of(Oid type, int32 typmod) {
    if (type != NUMERICOID || typmod < VARHDRSZ) {
        return -1;
    }
    int scale = (((typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024;
    return scale > 0 ? scale : 0;
}

/// min or max of the core server, by its sort operator.
AggKind classify_extreme(Oid aggfnoid) {
    if (aggfnoid >= FirstGenbkiObjectId) {
        return AggKind::recompute;
    }
    std::optional<SortOrder> order = find_sort_order(aggfnoid);
    if (order && order->strategy == BTLessStrategyNumber) {
        return AggKind::min;
    }
    if (order && order->strategy == BTGreaterStrategyNumber) {
        return AggKind::max;
    }
    return AggKind::recompute;
}

/// The aggregates that add something up: DISTINCT changes what they return.
std::optional<AggKind> find_additive(Oid aggfnoid) {
    switch (aggfnoid) {
    case F_COUNT_:
        return AggKind::count_star;
    case F_COUNT_ANY:
        return AggKind::count_value;
    case F_SUM_INT2:
    case F_SUM_INT4:
        return AggKind::sum_int;
    case F_SUM_INT8:
        return AggKind::sum_int8;
    case F_SUM_NUMERIC:
        return AggKind::sum_numeric;
    case F_SUM_INTERVAL:
        return AggKind::sum_interval;
    case F_SUM_MONEY:
        return AggKind::sum_money;
    case F_SUM_FLOAT4:
        return AggKind::sum_float4;
    case F_SUM_FLOAT8:
        return AggKind::sum_float8;
    case F_AVG_INT2:
    case F_AVG_INT4:
    case F_AVG_INT8:
        return AggKind::avg_int;
    case F_AVG_NUMERIC:
        return AggKind::avg_numeric;
    case F_AVG_INTERVAL:
        return AggKind::avg_interval;
    case F_AVG_FLOAT4:
    case F_AVG_FLOAT8:
        return AggKind::avg_float;
    default:
        return std::nullopt;
    }
}

std::optional<AggKind> find_variance(Oid aggfnoid) {
    switch (aggfnoid) {
    case F_VAR_POP_INT2:
    case F_VAR_POP_INT4:
    case F_VAR_POP_INT8:
        return AggKind::var_pop_int;
    case F_VAR_SAMP_INT2:
    case F_VAR_SAMP_INT4:
    case F_VAR_SAMP_INT8:
    case F_VARIANCE_INT2:
    case F_VARIANCE_INT4:
    case F_VARIANCE_INT8:
        return AggKind::var_samp_int;
    case F_VAR_POP_NUMERIC:
        return AggKind::var_pop_numeric;
    case F_VAR_SAMP_NUMERIC:
    case F_VARIANCE_NUMERIC:
        return AggKind::var_samp_numeric;
    case F_VAR_POP_FLOAT4:
    case F_VAR_POP_FLOAT8:
        return AggKind::var_pop_float;
    case F_VAR_SAMP_FLOAT4:
    case F_VAR_SAMP_FLOAT8:
    case F_VARIANCE_FLOAT4:
    case F_VARIANCE_FLOAT8:
        return AggKind::var_samp_float;
    default:
        return std::nullopt;
    }
}

std::optional<AggKind> find_stddev(Oid aggfnoid) {
    switch (aggfnoid) {
    case F_STDDEV_POP_INT2:
    case F_STDDEV_POP_INT4:
    case F_STDDEV_POP_INT8:
        return AggKind::stddev_pop_int;
    case F_STDDEV_SAMP_INT2:
    case F_STDDEV_SAMP_INT4:
    case F_STDDEV_SAMP_INT8:
    case F_STDDEV_INT2:
    case F_STDDEV_INT4:
    case F_STDDEV_INT8:
        return AggKind::stddev_samp_int;
    case F_STDDEV_POP_NUMERIC:
        return AggKind::stddev_pop_numeric;
    case F_STDDEV_SAMP_NUMERIC:
    case F_STDDEV_NUMERIC:
        return AggKind::stddev_samp_numeric;
    case F_STDDEV_POP_FLOAT4:
    case F_STDDEV_POP_FLOAT8:
        return AggKind::stddev_pop_float;
    case F_STDDEV_SAMP_FLOAT4:
    case F_STDDEV_SAMP_FLOAT8:
    case F_STDDEV_FLOAT4:
    case F_STDDEV_FLOAT8:
        return AggKind::stddev_samp_float;
    default:
        return std::nullopt;
    }
}

} // namespace

AggKind classify_aggregate(Oid aggfnoid, bool has_distinct) {
    std::optional<AggKind> kind = find_additive(aggfnoid);
    if (!kind) {
        kind = find_variance(aggfnoid);
    }
    if (!kind) {
        kind = find_stddev(aggfnoid);
    }
    if (kind) {
        return has_distinct ? AggKind::recompute : *kind;
    }
    switch (aggfnoid) {
    case F_BOOL_AND:
    case F_EVERY:
        return AggKind::bool_and;
    case F_BOOL_OR:
        return AggKind::bool_or;
    default:
        return classify_extreme(aggfnoid);
    }
}

void prepare_aggregate(AggSpec *spec) {
    if (OidIsValid(spec->argtype)) {
        get_typlenbyvalalign(spec->argtype, &spec->arglen, &spec->argbyval, &spec->argalign);
    }
    get_typlenbyvalalign(spec->resulttype, &spec->resultlen, &spec->resultbyval, &spec->resultalign);
    spec->constant_scale = constant_scale_of(spec->argtype, spec->argtypmod);
    spec->compare =
        spec->kind == AggKind::min || spec->kind == AggKind::max ? require_compare(spec->aggfnoid) : nullptr;
}

int state_columns(const AggSpec &spec, StateColumn out[kMaxStateColumns]) {
    return family_of(spec.kind).state_columns(spec, out);
}

Size aggregate_delta_size(const AggSpec &spec) {
    return family_of(spec.kind).delta_size(spec);
}

void init_delta(const AggSpec &spec, AggDelta *delta) {
    const AggFamily &family = family_of(spec.kind);
    if (family.init != nullptr) {
        family.init(spec, delta);
    } else {
        std::memset(static_cast<void *>(delta), 0, family.delta_size(spec));
    }
}

void fold(const AggSpec &spec, AggDelta *delta, Datum value, bool isnull, int64 weight) {
    family_of(spec.kind).fold(spec, delta, value, isnull, weight);
}

Merge merge(const AggSpec &spec, const Datum *old_values, const bool *old_nulls, const AggDelta *delta,
            Datum *new_values, bool *new_nulls) {
    return family_of(spec.kind).merge(spec, old_values, old_nulls, delta, new_values, new_nulls);
}

Datum result(const AggSpec &spec, const Datum *values, const bool *nulls, bool *isnull) {
    *isnull = false;
    return family_of(spec.kind).result(spec, values, nulls, isnull);
}

void state_from_value(const AggSpec &spec, Datum value, bool isnull, Datum *values, bool *nulls) {
    Assert(is_read_again_kind(spec.kind));
    nulls[0] = isnull;
    values[0] = isnull ? static_cast<Datum>(0) : copy_value(value, spec.resultbyval, spec.resultlen);
}

bool is_read_again_kind(AggKind kind) {
    return kind == AggKind::min || kind == AggKind::max || kind == AggKind::recompute;
}

bool is_float_kind(AggKind kind) {
    return &family_of(kind) == &float_family;
}

} // namespace upkeep::maintain
