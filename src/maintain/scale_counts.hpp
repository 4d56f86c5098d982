// How many values have which display scale: what numeric sums need to show the scale that a recomputation would show.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::maintain {

struct ScaleCount {
    int64 scale;
    int64 count;
};

/// A change of such counts, ascending by scale. Zeroed memory has none. It may be moved by memcpy.
struct ScaleChange {
    static constexpr int kInline = 3;
    int length;
    int capacity; // of `more`
    ScaleCount few[kInline];
    ScaleCount *more; // nullptr: they are in `few`
};

void add_scale(ScaleChange *change, int scale, int64 weight);

/// The stored counts (int8[] of scale, count pairs, ascending, counts above zero) plus a change.
struct MergedScales {
    ArrayType *stored; // nullptr: a count would be below zero
    int largest;       // the largest scale there is, 0 if none
};

/// `old` may be nullptr (none stored). The result is in the current memory context.
MergedScales merge_scales(ArrayType *old, const ScaleChange &change);

} // namespace upkeep::maintain
