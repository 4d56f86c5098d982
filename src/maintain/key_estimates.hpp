// What is known of keys that the planner does not know: it has no statistics of a change, and few of a table's keys.
#pragma once

#include "maintain/run.hpp"

namespace upkeep::maintain {

/// How many different values these columns of a table's change have, by their hashes.
double count_keys(Run &run, int table, const Bitmapset *key);

/// What the planner takes that number to be, of so many changed rows.
double keys_expected(double rows, const Bitmapset *key);

/// How many times the rows that there can be for each key the planner expects, by statistics from a sample: a key that
/// is on a few rows each of a large table looks like one of many rows each.
double rows_too_many(Oid relid, const Bitmapset *key);

} // namespace upkeep::maintain
