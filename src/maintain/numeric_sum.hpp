// Exact arithmetic over numeric values, for aggregate states.
#pragma once
#include "pg/postgres.hpp"

extern "C" {
#include "utils/numeric.h"
}

namespace upkeep::maintain {

/// A 128-bit integer as a numeric of scale 0.
Numeric numeric_from_int128(int128 value);

/// A numeric of a state column; zero where the group did not exist.
Numeric old_numeric(const Datum *values, const bool *nulls, int column);

/// The display scale of a finite numeric.
int display_scale(Numeric value);

/// The same number with another display scale, which must hide no digit that is not zero (it would be cut off).
Numeric with_display_scale(Numeric value, int scale);

/// A sum of finite numerics that cannot overflow: what PostgreSQL's own accumulator can hold and a numeric cannot is
/// kept apart, in a smaller unit. Zeroed memory is the sum of nothing. Partial sums stay in the context where they
/// were made.
struct NumericSum {
    Numeric plain; // nullptr: nothing was added
    Numeric large; // an integer, in units of 10^20; nullptr: zero
};

/// Adds weight * value; `value` is not kept.
void add_weighted(NumericSum *sum, Numeric value, int64 weight);

/// old + sum. Raises 22003 if that is out of numeric's range.
Numeric add_sum(Numeric old, const NumericSum &sum);

} // namespace upkeep::maintain
