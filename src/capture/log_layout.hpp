// How rows of a base table become rows of its log. Most statements change one row, and what such a row needs besides
// itself is made once: it is kept with the catalog's entry of the table, which goes when the table or its log changes.
#pragma once
#include "capture/rows.hpp"
#include "catalog/registration.hpp"

namespace upkeep::capture {

/// A column of a log row, where all columns are of fixed width.
struct FixedColumn {
    int from; // the table's column, from 0
    Size at;  // where in the row's data
    int16 length;
    bool by_value;
};

struct LogLayout {
    static constexpr int kFewRows = 2; // of a statement that changes one row

    MemoryContext memory;

    // The table's rows. `base` is nullptr until somebody reads transition tables or compares rows.
    TupleDesc base = nullptr;
    Columns used;                                   // by deferred views
    TupleTableSlot *readers[2] = {nullptr, nullptr}; // for old and for new rows; empty between statements

    // The log's rows.
    int natts = 0;   // of a segment; 0 until one has been opened
    int nread = 0;   // so many of the table's columns are looked at
    Datum *values = nullptr;
    bool *nulls = nullptr;
    // Where every column is of fixed width, a row without NULLs is a copy of this one with its values put in.
    HeapTupleHeader pattern = nullptr; // nullptr: some width is not fixed
    Size length = 0;
    Size weight_at = 0;
    FixedColumn *fixed = nullptr; // of target.ncolumns
    char *few_rows = nullptr;     // room for kFewRows
};

/// The table's; the second also makes what reads its rows.
LogLayout &layout_of(const catalog::TableEntry &table);
LogLayout &layout_of(const catalog::TableEntry &table, TupleDesc base);

/// Lays rows out for a segment.
void lay_out(LogLayout &layout, const catalog::LogTarget &target, TupleDesc segment);

/// What a formed row of fixed width takes, with its HeapTupleData before it.
Size room_for_row(const LogLayout &layout);
/// Forms one in that room. nullptr: it has a NULL.
HeapTuple form_fixed(const LogLayout &layout, int ncolumns, char *room, TupleTableSlot *row, int weight);

/// A slot for old (0) or new (1) rows of a transition table.
TupleTableSlot *reader_slot(const LogLayout &layout, int which);

} // namespace upkeep::capture
