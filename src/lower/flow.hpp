// The input flow of a node, narrowed down to the groups that are to be read again.
#pragma once

#include "algebra/key_set.hpp"
#include "lower/query.hpp"

namespace upkeep::lower {

inline constexpr const char *kFlowName = "upkeep_flow";

/// Which rows of a flow are wanted.
enum class Rows : std::uint8_t {
    all,
    of_group,  // whose keys are $1 … $n
    of_listed, // whose keys are a row of upkeep_keys
};

/// WITH upkeep_flow(c1, …) AS NOT MATERIALIZED (…), with a blank behind it. `null_keys`: those that are NULL.
void append_flow(StringInfo sql, const analysis::GroupNode &node, Rows rows, const algebra::KeySet &null_keys = {});

/// $number in place of a key.
Node *key_parameter(const Node *key, int number);

} // namespace upkeep::lower
