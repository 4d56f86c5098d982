// Capture: what the triggers on base tables record, and when an outermost statement has ended.
#pragma once
#include "pg/memory.hpp"

namespace upkeep::capture {

/// Rows of one base table with one weight. `desc` has the base table's attribute numbers (so that a Var of the table
/// reads it as it is); columns that no view uses may be NULL there whatever the table holds.
struct Batch {
  Tuplestorestate *rows;
  TupleDesc desc;
  int weight; // +1 new, -1 old
};

/// All changes of one base table since the outermost statement began, not consolidated.
struct TableChange {
  Oid relid;
  bool unknown;             // rows were lost to us (TRUNCATE, a statement without its end): rebuild what depends on it
  const char *unknown_why;  // for the log, or nullptr
  pg::Vector<Batch> batches;
};

/// Trigger bodies (called by api/triggers.cpp).
void before_statement(TriggerData *trigger);
/// Records the transition tables. Returns true when no statement on a base table is open any more: maintain now.
bool after_statement(TriggerData *trigger);

/// The pending changes, consumed: valid until release_changes. When the statement that has just ended is the only one,
/// the batches are its own transition tables (nothing was copied).
pg::Vector<TableChange> take_changes();
void release_changes();

/// True when changes are pending (used at PRE_COMMIT and by the executor-end hook).
bool has_pending();

/// Registered by module.cpp: transaction and subtransaction callbacks and the executor-end hook. `reconcile` is called
/// (up the layers, by function pointer) when pending changes exist though no AFTER STATEMENT trigger will come.
using Reconcile = void (*)();
void install(Reconcile reconcile);

/// Creates or drops the capture triggers of a base table (ENABLE ALWAYS statement triggers). Needs ShareRowExclusiveLock,
/// which CREATE TRIGGER takes. create is idempotent and repairs missing or disabled triggers.
void create_triggers(Oid relid);
void drop_triggers(Oid relid);
/// True if all capture triggers exist and are enabled ALWAYS.
bool has_triggers(Oid relid);

} // namespace upkeep::capture
