// PostgreSQL's own final functions of variance and stddev over numeric sums.
#pragma once
#include "maintain/aggregate.hpp"

extern "C" {
#include "utils/numeric.h"
}

namespace upkeep::maintain {

/// The variance or standard deviation (`kind`: a kind of the integer or numeric variance family) of n finite values
/// with this sum and sum of squares; NULL where PostgreSQL's is. The display scale of `sum` must be the largest of the
/// values. The first call in a backend tests the way to the server's functions and raises XX000 if it does not work.
Datum numeric_variance(AggKind kind, int64 n, Numeric sum, Numeric squares, bool *isnull);

/// True for var_samp and stddev_samp, which are NULL for one value.
bool is_sample_variance(AggKind kind);

} // namespace upkeep::maintain
