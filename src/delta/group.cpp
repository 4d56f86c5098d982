#include "delta/group.hpp"

namespace upkeep::delta {

GroupFate group_fate(bool stored, std::int64_t stored_rows, std::int64_t delta_rows, bool scalar) {
    const std::int64_t before = stored ? stored_rows : 0;
    const std::int64_t after = before + delta_rows;
    if (after < 0)
        return GroupFate::broken;
    if (scalar)
        return stored ? GroupFate::changes : GroupFate::appears;
    if (!stored)
        return after > 0 ? GroupFate::appears : GroupFate::none;
    return after > 0 ? GroupFate::changes : GroupFate::vanishes;
}

bool extreme_needs_reading(bool has_removed, int removed_vs_stored, bool has_added, int added_vs_removed) {
    if (!has_removed || removed_vs_stored < 0)
        return false;
    return !has_added || added_vs_removed <= 0;
}

} // namespace upkeep::delta
