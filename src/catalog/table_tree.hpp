// Partitions and inheritance: which tables hold rows of a table, and whose statements reach its rows.
#pragma once
#include "pg/memory.hpp"

namespace upkeep::catalog {

/// The table and all that inherits from it (partitions too), each once, in the order in which the server locks them.
/// They are locked if `lock` is not NoLock.
pg::Vector<Oid> table_and_heirs(Oid relid, LOCKMODE lock);

/// All that the table inherits from, each once, the farthest first: the order in which a statement on one of them
/// locks.
pg::Vector<Oid> ancestors(Oid relid);

/// True for a parent or child by ordinary inheritance, not by partitioning. A statement on a parent changes rows of its
/// children, and its transition tables do not tell whose row is whose.
bool is_in_inheritance(Oid relid);

/// True for a parent by ordinary inheritance: constraints of its own do not hold for the rows of its children.
bool has_inheritance_children(Oid relid);

/// True if the partition tree that the table belongs to has a foreign table: the server then has no transition tables
/// for what a statement changes there.
bool has_foreign_partition(Oid relid);

} // namespace upkeep::catalog
