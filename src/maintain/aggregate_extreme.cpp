// min and max: the extreme itself. The group is read again only if the extreme may have left.
//
// Values that compare as equal can look different (numeric 1.0 and 1.00, float 0 and -0, '1 mon' and '30 days'). The
// stored extreme must be one that exists, so that what is removed is told from it by its image.
#include "maintain/aggregate_family.hpp"

namespace upkeep::maintain {

namespace {

/// The extreme of the values that were added, or of those that were removed.
struct Side {
    Datum value;
    int64 weight; // of the values with the image of `value`
    bool is_present;
    bool is_mixed; // there are values equal to `value` with another image
};

struct ExtremeDelta : AggDelta {
    Side up;
    Side down;
};

/// Positive if a is the better extreme, negative if b is.
int compare(const AggSpec &spec, Datum a, Datum b) {
    int order = DatumGetInt32(FunctionCall2Coll(spec.compare, spec.inputcollation, a, b));
    return spec.kind == AggKind::max ? order : order > 0 ? -1 : order < 0 ? 1 : 0;
}

bool is_same_image(const AggSpec &spec, Datum a, Datum b) {
    return datum_image_eq(a, b, spec.argbyval, spec.arglen);
}

Datum copy_argument(const AggSpec &spec, Datum value) {
    return copy_value(value, spec.argbyval, spec.arglen);
}

void fold_extreme(const AggSpec &spec, AggDelta *delta, Datum value, bool isnull, int64 weight) {
    if (isnull || weight == 0) {
        return;
    }
    auto *change = static_cast<ExtremeDelta *>(delta);
    Side &side = weight > 0 ? change->up : change->down;
    int order = side.is_present ? compare(spec, value, side.value) : 1;
    if (order < 0) {
        return;
    }
    if (order == 0) {
        if (is_same_image(spec, value, side.value)) {
            side.weight += weight;
        } else {
            side.is_mixed = true;
        }
        return;
    }
    if (side.is_present && !spec.argbyval) {
        pfree(DatumGetPointer(side.value));
    }
    side = {copy_argument(spec, value), weight, true, false};
}

/// The extreme after a change that took away a value not worse than `old`. Nothing if only the group can tell.
std::optional<Datum> find_after_loss(const AggSpec &spec, Datum old, const Side &up, const Side &down) {
    int up_to_down = up.is_present ? compare(spec, up.value, down.value) : -1;
    if (up_to_down > 0) {
        return up.value;
    }
    if (down.is_mixed) {
        return std::nullopt;
    }
    bool is_put_back = up_to_down == 0 && is_same_image(spec, up.value, down.value);
    if (compare(spec, down.value, old) > 0) {
        // It came and went within the change: then it was not in the old state.
        return is_put_back && up.weight + down.weight > 0 ? std::optional(up.value) : std::nullopt;
    }
    if (!is_same_image(spec, down.value, old)) {
        return old; // its equal was removed, not itself
    }
    if (is_put_back) {
        return up.weight + down.weight >= 0 ? std::optional(old) : std::nullopt;
    }
    return up_to_down == 0 ? std::optional(up.value) : std::nullopt; // its equal was added
}

std::optional<Datum> find_extreme(const AggSpec &spec, Datum old, const Side &up, const Side &down) {
    if (down.is_present && compare(spec, down.value, old) >= 0) {
        return find_after_loss(spec, old, up, down);
    }
    return up.is_present && compare(spec, up.value, old) > 0 ? up.value : old;
}

/// The same where the old state has no value. What was removed then came within the change.
std::optional<Datum> find_first_extreme(const AggSpec &spec, const Side &up, const Side &down) {
    if (!down.is_present || (up.is_present && compare(spec, up.value, down.value) > 0)) {
        return up.value;
    }
    return std::nullopt;
}

Merge merge_extreme(const AggSpec &spec, const Datum *old_values, const bool *old_nulls, const AggDelta *delta,
                    Datum *new_values, bool *new_nulls) {
    const auto *change = static_cast<const ExtremeDelta *>(delta);
    bool has_old = old_values != nullptr && !old_nulls[0];
    if (!has_old && !change->up.is_present && !change->down.is_present) {
        new_values[0] = static_cast<Datum>(0);
        new_nulls[0] = true;
        return Merge::done;
    }
    std::optional<Datum> extreme = has_old ? find_extreme(spec, old_values[0], change->up, change->down)
                                           : find_first_extreme(spec, change->up, change->down);
    if (!extreme) {
        return Merge::read_again;
    }
    new_values[0] = copy_argument(spec, *extreme);
    new_nulls[0] = false;
    return Merge::done;
}

Datum result_extreme(const AggSpec &spec, const Datum *values, const bool *nulls, bool *isnull) {
    return nulls[0] ? null_result(isnull) : copy_argument(spec, values[0]);
}

int columns_extreme(const AggSpec &spec, StateColumn *out) {
    out[0] = {"value", spec.argtype};
    return 1;
}

} // namespace

const AggFamily extreme_family = {
    delta_size_of<ExtremeDelta>, nullptr, fold_extreme, merge_extreme, result_extreme, columns_extreme,
};

} // namespace upkeep::maintain
