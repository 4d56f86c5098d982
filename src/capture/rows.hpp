// Transition rows: which columns matter, and copying them.
#pragma once
#include "pg/memory.hpp"

namespace upkeep::capture {

struct Pending;
struct PendingTable;

/// The columns of a base table that its views use.
struct Columns {
    int natts = 0;
    int last = 0;         // the largest attribute number that is used
    bool *used = nullptr; // by attribute number - 1
};

/// From the catalog's set (offset by FirstLowInvalidHeapAttributeNumber; the whole row means all columns).
Columns used_columns(TupleDesc desc, const Bitmapset *used);
Columns copy_columns(const Columns &columns);
bool same_columns(const Columns &a, const Columns &b);

/// The shape of copied rows: the table's, where a column that is unused or dropped is a nullable integer.
TupleDesc pending_desc(TupleDesc desc, const Columns &columns);

/// True if some pair of rows (the same position in both) differs in a used column.
bool has_relevant_update(TupleDesc desc, const Columns &columns, Tuplestorestate *old_rows, Tuplestorestate *new_rows);

/// True if the two versions of a row differ in a used column.
bool is_relevant_change(TupleDesc desc, const Columns &columns, TupleTableSlot *old_row, TupleTableSlot *new_row);
/// Copies one row. Either may be nullptr.
void copy_row(Pending &pending, PendingTable &table, TupleDesc desc, TupleTableSlot *old_row, TupleTableSlot *new_row);

/// Copies the transition rows of a statement; of an UPDATE only the pairs that differ. Either may be nullptr.
void copy_rows(Pending &pending, PendingTable &table, TupleDesc desc, Tuplestorestate *old_rows,
               Tuplestorestate *new_rows);

} // namespace upkeep::capture
