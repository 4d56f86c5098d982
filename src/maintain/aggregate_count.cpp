// count(*), count(x), bool_and, bool_or; and the aggregates that keep their result only.
#include "maintain/aggregate_family.hpp"

namespace upkeep::maintain {

namespace {

// count: the number of rows (count(*)) or of values that are not NULL

struct CountDelta : AggDelta {
    int64 n;
};

void fold_count(const AggSpec &spec, AggDelta *delta, Datum, bool isnull, int64 weight) {
    if (!isnull || spec.kind == AggKind::count_star) {
        static_cast<CountDelta *>(delta)->n += weight;
    }
}

Merge merge_count(const AggSpec &, const Datum *old_values, const bool *old_nulls, const AggDelta *delta,
                  Datum *new_values, bool *new_nulls) {
    int64 n = old_count(old_values, old_nulls, 0) + static_cast<const CountDelta *>(delta)->n;
    if (n < 0) {
        return Merge::inconsistent;
    }
    set_count(new_values, new_nulls, 0, n);
    return Merge::done;
}

Datum result_count(const AggSpec &, const Datum *values, const bool *, bool *) {
    return values[0];
}

int columns_count(const AggSpec &, StateColumn *out) {
    out[0] = {"n", INT8OID};
    return 1;
}

// bool_and, bool_or: how many values are true, how many false

struct BooleanDelta : AggDelta {
    int64 yes;
    int64 no;
};

enum BooleanColumn { kYes, kNo };

void fold_boolean(const AggSpec &, AggDelta *delta, Datum value, bool isnull, int64 weight) {
    if (isnull) {
        return;
    }
    auto *counts = static_cast<BooleanDelta *>(delta);
    (DatumGetBool(value) ? counts->yes : counts->no) += weight;
}

Merge merge_boolean(const AggSpec &, const Datum *old_values, const bool *old_nulls, const AggDelta *delta,
                    Datum *new_values, bool *new_nulls) {
    const auto *counts = static_cast<const BooleanDelta *>(delta);
    int64 yes = old_count(old_values, old_nulls, kYes) + counts->yes;
    int64 no = old_count(old_values, old_nulls, kNo) + counts->no;
    if (yes < 0 || no < 0) {
        return Merge::inconsistent;
    }
    set_count(new_values, new_nulls, kYes, yes);
    set_count(new_values, new_nulls, kNo, no);
    return Merge::done;
}

Datum result_boolean(const AggSpec &spec, const Datum *values, const bool *, bool *isnull) {
    int64 yes = DatumGetInt64(values[kYes]);
    int64 no = DatumGetInt64(values[kNo]);
    if (yes + no == 0) {
        return null_result(isnull);
    }
    return BoolGetDatum(spec.kind == AggKind::bool_and ? no == 0 : yes > 0);
}

int columns_boolean(const AggSpec &, StateColumn *out) {
    out[kYes] = {"yes", INT8OID};
    out[kNo] = {"no", INT8OID};
    return 2;
}

// recompute: whatever was folded, the group is read again

struct RecomputeDelta : AggDelta {};

void fold_recompute(const AggSpec &, AggDelta *, Datum, bool, int64) {}

Merge merge_recompute(const AggSpec &, const Datum *, const bool *, const AggDelta *, Datum *, bool *) {
    return Merge::read_again;
}

Datum result_recompute(const AggSpec &spec, const Datum *values, const bool *nulls, bool *isnull) {
    return nulls[0] ? null_result(isnull) : copy_value(values[0], spec.resultbyval, spec.resultlen);
}

int columns_recompute(const AggSpec &spec, StateColumn *out) {
    out[0] = {"value", spec.resulttype};
    return 1;
}

} // namespace

const AggFamily count_family = {
    delta_size_of<CountDelta>, nullptr, fold_count, merge_count, result_count, columns_count,
};

const AggFamily boolean_family = {
    delta_size_of<BooleanDelta>, nullptr, fold_boolean, merge_boolean, result_boolean, columns_boolean,
};

const AggFamily recompute_family = {
    delta_size_of<RecomputeDelta>, nullptr, fold_recompute, merge_recompute, result_recompute, columns_recompute,
};

} // namespace upkeep::maintain
