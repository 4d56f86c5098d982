// Further indexes of state tables.
#pragma once

#include "maintain/program.hpp"

namespace upkeep::maintain {

/// Indexes by which statements find the rows of a node from the other side of a join, or by the key of a node above: a
/// btree, or for types of variable length a hash index, which takes values of any length. Where the identity is a
/// unique index that begins with the column, that one serves.
void index_tied_columns(const Program &p, const NodeProgram &node, Oid relid, IdentityKind kind);

} // namespace upkeep::maintain
