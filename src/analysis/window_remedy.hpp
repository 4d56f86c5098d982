// Which window functions depend on the order among peers, and what helps.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::analysis {

/// What takes the place of a window.
enum class Remedy : std::uint8_t {
    none,    // nothing depends on the order among peers, or nothing can be done
    order,   // a longer ORDER BY, the same frame
    number,  // a longer ORDER BY, no frame: for functions that have none
    whole,   // a longer ORDER BY, the whole partition as frame
    peers,   // each group of peers as a partition of its own, which is the frame
    nth,     // as whole, where the frame reaches as far
    running, // the value at the last of the peers, of a frame that ends at each row and its copies
};

/// What a function over this window needs so that its result does not depend on the order among peers.
Remedy find_remedy(const WindowFunc *function, const WindowClause *window);

} // namespace upkeep::analysis
