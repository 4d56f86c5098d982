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

/// The condition by which rows are this partition's, over its own columns; NIL if it is none. Read anew: of a partition
/// below a default one the server may have an old condition in its cache.
List *partition_condition(Oid relid);

/// True where the transition tables of a statement do not say what it changed, so that rows are captured one by one.
/// For a parent or child by ordinary inheritance: those of a statement on a parent hold rows of its children too, and
/// do not tell whose is whose. For a partitioned table or partition with a stored generated column: of a row that goes
/// into a partition with columns in another order, the server's transition table has NULL in place of what was
/// computed.
bool is_captured_by_row(Relation relation);

/// True for a parent by ordinary inheritance: constraints of its own do not hold for the rows of its children.
bool has_inheritance_children(Oid relid);

/// True for a parent by ordinary inheritance with a stored generated column. A MERGE that may update it and has a BEFORE
/// STATEMENT trigger to call for that (ours) lets PostgreSQL 15 decide which generated columns to compute, by the columns
/// of its UPDATE; rows that it inserts then have NULL in the others. A BEFORE ROW trigger for UPDATE, be it disabled,
/// makes the server compute all.
bool loses_generated(Relation relation);

/// True if the partition tree that the table belongs to has a foreign table: the server then has no transition tables
/// for what a statement changes there.
bool has_foreign_partition(Oid relid);

} // namespace upkeep::catalog
