#include "maintain/scale_counts.hpp"

namespace upkeep::maintain {

namespace {

std::span<ScaleCount> entries_of(ScaleChange &change) {
    return {change.more != nullptr ? change.more : change.few, static_cast<size_t>(change.length)};
}

std::span<const ScaleCount> entries_of(const ScaleChange &change) {
    return {change.more != nullptr ? change.more : change.few, static_cast<size_t>(change.length)};
}

/// The pairs of a stored array.
std::span<const ScaleCount> entries_of(ArrayType *stored) {
    if (stored == nullptr || ARR_NDIM(stored) == 0) {
        return {};
    }
    int length = ArrayGetNItems(ARR_NDIM(stored), ARR_DIMS(stored));
    if (ARR_NDIM(stored) != 1 || ARR_HASNULL(stored) || ARR_ELEMTYPE(stored) != INT8OID || length % 2 != 0) {
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid counts of scales in an aggregate state")));
    }
    static_assert(sizeof(ScaleCount) == 2 * sizeof(int64));
    return {reinterpret_cast<const ScaleCount *>(ARR_DATA_PTR(stored)), static_cast<size_t>(length / 2)};
}

ArrayType *make_array(const ScaleCount *entries, int length) {
    if (length == 0) {
        return construct_empty_array(INT8OID);
    }
    Size size = ARR_OVERHEAD_NONULLS(1) + length * sizeof(ScaleCount);
    auto *array = static_cast<ArrayType *>(palloc0(size));
    SET_VARSIZE(array, size);
    array->ndim = 1;
    array->dataoffset = 0;
    array->elemtype = INT8OID;
    ARR_DIMS(array)[0] = length * 2;
    ARR_LBOUND(array)[0] = 1;
    std::memcpy(ARR_DATA_PTR(array), entries, length * sizeof(ScaleCount));
    return array;
}

void grow(ScaleChange *change) {
    int capacity = change->more == nullptr ? 4 * ScaleChange::kInline : 2 * change->capacity;
    auto *more = static_cast<ScaleCount *>(palloc(capacity * sizeof(ScaleCount)));
    std::memcpy(more, entries_of(*change).data(), change->length * sizeof(ScaleCount));
    if (change->more != nullptr) {
        pfree(change->more);
    }
    change->more = more;
    change->capacity = capacity;
}

} // namespace

void add_scale(ScaleChange *change, int scale, int64 weight) {
    std::span<ScaleCount> entries = entries_of(*change);
    size_t at = 0;
    while (at < entries.size() && entries[at].scale < scale) {
        at++;
    }
    if (at < entries.size() && entries[at].scale == scale) {
        entries[at].count += weight;
        return;
    }
    if (change->length == (change->more != nullptr ? change->capacity : ScaleChange::kInline)) {
        grow(change);
    }
    change->length++;
    entries = entries_of(*change);
    std::memmove(&entries[at] + 1, &entries[at], (entries.size() - 1 - at) * sizeof(ScaleCount));
    entries[at] = {scale, weight};
}

MergedScales merge_scales(ArrayType *old, const ScaleChange &change) {
    std::span<const ScaleCount> a = entries_of(old);
    std::span<const ScaleCount> b = entries_of(change);
    auto *merged = static_cast<ScaleCount *>(palloc((a.size() + b.size() + 1) * sizeof(ScaleCount)));
    int length = 0;
    size_t i = 0;
    size_t j = 0;
    while (i < a.size() || j < b.size()) {
        bool take_a = j == b.size() || (i < a.size() && a[i].scale <= b[j].scale);
        bool take_b = i == a.size() || (j < b.size() && b[j].scale <= a[i].scale);
        ScaleCount sum = {take_a ? a[i].scale : b[j].scale, (take_a ? a[i].count : 0) + (take_b ? b[j].count : 0)};
        i += take_a;
        j += take_b;
        if (sum.count < 0) {
            return {nullptr, 0};
        }
        if (sum.count > 0) {
            merged[length++] = sum;
        }
    }
    MergedScales result = {make_array(merged, length), length > 0 ? static_cast<int>(merged[length - 1].scale) : 0};
    pfree(merged);
    return result;
}

} // namespace upkeep::maintain
