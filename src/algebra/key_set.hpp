// Which key columns of a node: those that are NULL in a group, say.
#pragma once

#include <bitset>

namespace upkeep::algebra {

/// As many as a row of PostgreSQL's executor has columns at most (MaxTupleAttributeNumber).
inline constexpr int kMaxKeys = 1664;

/// A set of key columns of one node, by their positions.
using KeySet = std::bitset<kMaxKeys>;

/// The columns that are NULL.
inline KeySet null_keys_of(const bool *nulls, int nkeys) {
    KeySet set;
    for (int k = 0; k < nkeys; k++)
        set.set(static_cast<size_t>(k), nulls[k]);
    return set;
}

} // namespace upkeep::algebra
