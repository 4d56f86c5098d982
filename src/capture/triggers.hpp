// What the rest of capture needs to know of the capture triggers.
#pragma once
#include "capture/nesting.hpp"

namespace upkeep::capture {

/// The table's own AFTER STATEMENT trigger of that operation, or nullptr.
const Trigger *find_after_trigger(Relation relation, Operation operation);

} // namespace upkeep::capture
