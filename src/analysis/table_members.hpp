// The tables behind a base table: those whose rows it has, and those by whose name a statement can change these rows.
#pragma once

#include "analysis/view_query.hpp"

namespace upkeep::analysis {

/// Fills in the members and ancestors of a source. Locks the members for reading.
void find_members(TableSource *source);

/// A relation whose statements have to be captured, and the columns of it that count.
struct Captured {
    Oid relid;
    Bitmapset *used; // offset by FirstLowInvalidHeapAttributeNumber
};

/// All of a query, each once; ancestors before their heirs, as statements lock them.
pg::Vector<Captured> captured_relations(const ViewQuery &query);

/// How rows that were captured in one relation are rows of a source.
struct Passage {
    bool passes;        // they may be
    AttrNumber *column; // by attribute number of the source - 1: the relation's; 0 where the source's is not used.
                        // nullptr where there is no condition and all used columns have the same number in both
    List *condition;    // over the source's columns: which rows are (implicitly ANDed); NIL: all
};

/// The columns of another table of the source's tree, by attribute number of the source - 1; 0 where the source's is
/// not used (nor among `more`).
AttrNumber *columns_elsewhere(const TableSource &source, Oid other, const Bitmapset *more, bool *same);

/// Rows of a member are rows of the source. A statement that names an ancestor of a partition reports rows of all its
/// partitions; those that satisfy the partition's constraint are the source's. Children by inheritance report their own
/// rows, whatever a statement names.
Passage find_passage(const TableSource &source, Oid from);

} // namespace upkeep::analysis
