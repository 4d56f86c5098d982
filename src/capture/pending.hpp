// Changes that wait for their outermost statement to end.
//
// Rows are kept in one tuplestore per table and weight, in TopTransactionContext and TopTransactionResourceOwner (a
// spilled file of a subtransaction's owner would be closed when it commits). Which subtransaction wrote which rows is
// kept as runs of row numbers: an abort marks its runs dead and a commit gives them to the parent, neither of which can
// fail, and a statement that runs a subtransaction per row does not end up with a tuplestore per row.
#pragma once
#include "capture/capture.hpp"
#include "capture/rows.hpp"

namespace upkeep::capture {

/// Rows from number `first` to the next run (or the end) were written by this subtransaction.
struct Run {
    SubTransactionId subid;
    int64 first;
    bool dead;
};

struct PendingRows {
    Tuplestorestate *store = nullptr;
    pg::Vector<Run> runs;
    bool writing = false; // an append is under way
    bool broken = false;  // an append failed half way: the rows cannot be read back
};

struct PendingTable {
    Oid relid;
    Columns columns;
    TupleDesc desc;
    PendingRows old_rows;
    PendingRows new_rows;
};

struct UnknownTable {
    Oid relid;
    SubTransactionId subid;
    const char *why;
};

struct BuiltView {
    Oid view;
    SubTransactionId subid;
};

/// What is pending in one scope; a thing of its own memory context, which goes with it.
struct Pending {
    MemoryContext context;
    Pending *next_dropped = nullptr;
    pg::Vector<PendingTable *> tables;
    pg::Vector<UnknownTable> unknown;
    pg::Vector<BuiltView> built; // see capture::note_built

    explicit Pending(MemoryContext c)
        : context(c), tables(pg::Palloc<PendingTable *>(c)), unknown(pg::Palloc<UnknownTable>(c)),
          built(pg::Palloc<BuiltView>(c)) {}

    bool has_unknown(Oid relid) const;
    const char *why_unknown(Oid relid) const; // nullptr if the changes of this table are known
};

/// The pending changes of a scope, nullptr if nothing is pending. `require` makes them.
Pending *find_pending(Scope scope);
Pending &require_pending(Scope scope);
/// Hands them over: the caller drops them.
Pending *detach_pending(Scope scope);
/// Ends them, now or (during an abort, where nothing may fail) at the next sweep_dropped.
void drop_later(Pending *pending);
void sweep_dropped();
bool has_dropped();

/// Marks a table's changes as lost in the scopes that have views which read it, for the current subtransaction. `why`
/// is a literal.
void add_unknown(Oid relid, const char *why);
/// The same in one scope.
void add_unknown(Scope scope, Oid relid, const char *why);

/// The table's place; marks it unknown and returns nullptr if its columns have changed since the first use.
PendingTable *require_table(Scope scope, Relation relation, const Columns &columns);

/// Appends rows of the current subtransaction between begin_append and end_append.
void begin_append(Pending &pending, PendingRows &rows);
void end_append(PendingRows &rows);

/// The rows that are not dead, as a tuplestore; nullptr if there are none.
Tuplestorestate *live_rows(Pending &pending, PendingRows &rows, TupleDesc desc);

void abort_pending(SubTransactionId subid);
void commit_pending(SubTransactionId subid, SubTransactionId parent);
void forget_pending();

} // namespace upkeep::capture
