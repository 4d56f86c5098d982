// The delta of grouping: what happens to the row of one group.
#pragma once

#include <cstdint>

namespace upkeep::delta {

/// What a change does to a stored group (or to a distinct row).
enum class GroupFate : std::uint8_t {
    none,     // nothing there before, nothing now
    appears,  // ∅ → row
    changes,  // row → row
    vanishes, // row → ∅
    broken,   // more rows leave than are there: the stored state is not the query's
};

/// S' = S ⊎ ΔS: a group's row is there as long as its number of rows is above zero; the one group of an aggregate
/// without GROUP BY is always there.
GroupFate group_fate(bool stored, std::int64_t stored_rows, std::int64_t delta_rows, bool scalar);

/// min/max: whether the stored extreme m can be kept or replaced without reading the group again. `removed_vs_stored`
/// and `added_vs_removed` are comparisons in the aggregate's direction (> 0: better).
///   m' = m ⊔ up            unless down ≥ m and not up > down, then the group is read again
bool extreme_needs_reading(bool has_removed, int removed_vs_stored, bool has_added, int added_vs_removed);

} // namespace upkeep::delta
