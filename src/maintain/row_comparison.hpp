// Rows of a view and rows of its query, compared as multisets of images.
#pragma once
#include "pg/memory.hpp"
#include "pg/row_hash.hpp"

namespace upkeep::maintain {

/// A row, deformed, values detoasted.
struct Row {
    Datum *values;
    bool *nulls;
};

/// The rows of which one side has more copies than the other, one entry for each copy too many. Where the query has
/// further columns, its copies of a row of the view are no copies of each other, and it is open which of them is too
/// many: the others are spare.
struct Difference {
    pg::Vector<Row> view;
    pg::Vector<Row> query; // with the query's further columns, if it has any
    pg::Vector<Row> spare; // some of them, where there are many
    pg::Vector<int> first_copy;       // for each row of `query`, the first of its copies there
    pg::Vector<int> first_spare_copy; // the same for each row of `spare`
    TupleDesc query_desc;
};

/// Plans and runs a rewritten query (it is not changed) under the active snapshot. The rows come in
/// a tuplestore that may spill to disk.
Tuplestorestate *run_query(const Query *query, TupleDesc *desc);

/// A copy of the query as the rewriter leaves it: ordinary views expanded, row security applied. Locks its tables.
Query *rewrite_query(const Query *query);

/// Compares the rows of `view` with the first columns of a rewritten query's rows, both read under the active snapshot.
/// Sorts on disk beyond work_mem; what differs is kept in memory, in the current context.
Difference compare_rows(Relation view, const Query *query);

/// The same for some rows of the view.
Difference compare_rows(Relation view, const pg::Vector<Row> &rows, const Query *query);

/// How to compare the columns of a row type by image.
pg::ColumnOps *prepare_columns(TupleDesc desc);

/// Reads all rows of a tuplestore: body(slot) with a context that is reset after each row.
template <typename Body> void for_each_row(Tuplestorestate *rows, TupleDesc desc, Body &&body) {
    TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
    MemoryContext per_row = AllocSetContextCreate(CurrentMemoryContext, "upkeep row", ALLOCSET_DEFAULT_SIZES);
    while (tuplestore_gettupleslot(rows, true, false, slot)) {
        CHECK_FOR_INTERRUPTS();
        slot_getallattrs(slot);
        {
            pg::InContext in_row(per_row);
            body(slot);
        }
        MemoryContextReset(per_row);
    }
    ExecDropSingleTupleTableSlot(slot);
    MemoryContextDelete(per_row);
}

/// Copies a row's first n columns (values detoasted) into the current context.
Row copy_row(TupleDesc desc, const Datum *values, const bool *nulls, int n);

} // namespace upkeep::maintain
