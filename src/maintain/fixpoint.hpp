// A recursive node beside its rounds, and a node that stores the rows of a flow that does not read itself.
#pragma once

#include "maintain/run.hpp"

namespace upkeep::maintain {

/// Whether the node only stores what its flow gives.
inline bool is_stored_flow(const analysis::GroupNode &node) {
    return node.kind == analysis::NodeKind::fixpoint && node.query == nullptr;
}

/// The stage of such a node. False: broken.
bool run_stored_flow_stage(Run &run, NodeProgram &node);

/// All rows of the node, by its own query, under the active snapshot.
void read_all(Run &run, NodeProgram &node, RowSink &sink);

/// Those of the listed rows that the node's flow gives over its stored rows and the inputs as they are; under the
/// active snapshot. `null_keys`: the columns that are NULL in all of them.
void read_derivable(Run &run, NodeProgram &node, std::span<const Group *> listed, const algebra::KeySet &null_keys,
                    RowSink &sink);

} // namespace upkeep::maintain
