// Statements of a recursive node beside the terms of its blocks.
#pragma once

#include "maintain/run.hpp"

namespace upkeep::maintain {

/// All rows of the node, by its own query, under the active snapshot.
void read_all(Run &run, NodeProgram &node, RowSink &sink);

/// Those of the listed rows that the node's flow gives over its stored rows and the inputs as they are; under the
/// active snapshot. Bit i of `null_keys`: column i of all of them is NULL.
void read_derivable(Run &run, NodeProgram &node, std::span<const Group *> listed, std::uint64_t null_keys,
                    RowSink &sink);

} // namespace upkeep::maintain
