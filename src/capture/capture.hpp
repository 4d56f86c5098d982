// Capture: what the triggers on base tables record, and when an outermost statement has ended.
#pragma once
#include "catalog/log.hpp"
#include "pg/memory.hpp"

namespace upkeep::capture {

/// Rows of one base table with one weight. `desc` has the base table's attribute numbers (so that a Var of the table
/// reads it as it is); columns that no view uses may be NULL there, and of another type, whatever the table holds.
/// Read it with a BatchReader, or from SQL as a named tuplestore.
struct Batch {
    Tuplestorestate *rows;
    TupleDesc desc;
    int weight; // +1 new, -1 old
};

/// Whose changes: those since the outermost statement began, for immediate views, or those of the whole transaction,
/// for views that are maintained before the commit.
enum class Scope : uint8 { statement, transaction };

/// All changes of one base table in a scope, not consolidated.
struct TableChange {
    Oid relid;
    bool unknown;            // rows were lost to us (TRUNCATE, a statement without its end): rebuild what depends on it
    const char *unknown_why; // for the log, or nullptr
    pg::Vector<Batch> batches; // empty if unknown
    bool exact = false;        // rows of just this table as a source, not of others that share them
};

/// Reads rows through a read pointer of its own, so that several readers, and a user's triggers on the same transition
/// table, do not disturb each other. The pointer lives as long as the rows do.
class BatchReader {
  public:
    explicit BatchReader(const Batch &batch) : BatchReader(batch.rows, batch.desc) {}
    BatchReader(Tuplestorestate *rows, TupleDesc desc);
    /// Reads into a slot of the caller's, which is empty afterwards.
    BatchReader(Tuplestorestate *rows, TupleTableSlot *slot);
    ~BatchReader();
    BatchReader(const BatchReader &) = delete;
    BatchReader &operator=(const BatchReader &) = delete;

    /// Fetches the next row into slot(); false at the end. A row is valid until the next call.
    bool next();
    void rewind();
    TupleTableSlot *slot() const { return slot_; }

  private:
    Tuplestorestate *rows_;
    int pointer_;
    TupleTableSlot *slot_;
    bool owns_slot_;
};

/// Trigger bodies (called by api/triggers.cpp). Both do nothing for a table that is read by no view that writers
/// maintain.
void before_statement(TriggerData *trigger);
/// Records the transition tables. Returns true when no statement on a base table is open any more and something is due:
/// call maintain::run_pending() at once, while the trigger's transition tables exist.
bool after_statement(TriggerData *trigger);

/// Records one row: of a table that takes part in inheritance, whose statements have no transition tables for us, or of
/// any that is changed without a statement (by a subscription). It comes before its statement's AFTER STATEMENT trigger;
/// without any, before the commit.
void after_row(TriggerData *trigger);

/// The pending changes of a scope, consumed: valid until release_changes. When the statement that has just ended is the
/// only one, the batches of its scope are its own transition tables (nothing was copied). Until release_changes, or
/// until the subtransaction that took them aborts, statements on base tables only add to what is pending.
pg::Vector<TableChange> take_changes(Scope scope);
void release_changes();

/// What the maintenance of a view has written to it, or that this is not known, is kept until the commit for the views
/// of mode commit that read it. Does nothing if there are none.
void hold_written(Oid view, Tuplestorestate *left, Tuplestorestate *came);
void hold_unknown(Oid view, const char *why);

/// The same for deferred views: appended to the view's log.
void log_written(Oid view, Tuplestorestate *left, Tuplestorestate *came);
void log_lost(Oid relid);

/// True when changes are pending that are to be maintained as soon as no statement is open: those of the statement
/// scope, and once the transaction is about to commit all.
bool is_due(Scope scope);

/// A view of mode commit is built from what this transaction has written so far, so the changes of the transaction are
/// in it in part: it is to be built again before the commit, if any of its tables changes or has changed.
void note_built(Oid view);
/// Whether that holds for the changes that have been taken.
bool was_built(Oid view);

/// Whether this transaction has logged changes of the base table for deferred views (perhaps in a subtransaction that
/// was rolled back).
bool has_logged(Oid relid);

/// The rows of a log that the snapshot sees and the frontier does not cover, as a change (in the current context and
/// resource owner): unknown, if rows were lost. The caller has locked the segments before he took the snapshot. Columns
/// that are not in `used` (offset by FirstLowInvalidHeapAttributeNumber) are NULL.
TableChange read_log(const catalog::Log &log, const Bitmapset *used, const catalog::Frontier &frontier,
                     Snapshot snapshot);
void release_log_rows(TableChange &change);
/// How many those are, counted up to `at_most`.
int64 count_log_rows(const catalog::Log &log, const catalog::Frontier &frontier, Snapshot snapshot, int64 at_most);

/// Whether a segment of a log holds a row that the snapshot sees and that one of these does not cover.
bool has_uncovered_rows(Oid segment, const pg::Vector<catalog::Frontier> &frontiers, Snapshot snapshot);

/// About how many rows count_log_rows would count, by some blocks of the log; 0 where that is not worth asking.
int64 estimate_log_rows(const catalog::Log &log, const catalog::Frontier &frontier, Snapshot snapshot);

/// While a change from the log is maintained, what the triggers record is not maintained, and no command id shows the
/// old state. Ends with release_changes.
void begin_log_run();

/// The command id that a snapshot must have as its curcid to see the base tables as they were before the taken (or the
/// statement's pending) changes. In the transaction scope that is the start of the transaction. Nothing where no such
/// id exists: a function that wrote ran in the outermost query before its first change of a base table, so that ids of
/// older commands are larger than those of the change; or rows may have been frozen as they were copied in.
std::optional<CommandId> old_state_command();

/// Registers the transaction and subtransaction callbacks and the executor's hook (called once, by module.cpp).
/// `maintain` is called (up the layers, by function pointer; with an active snapshot) when changes are due though no
/// AFTER STATEMENT trigger will come: after a query that ended without it, and before commit or prepare.
/// `announce` is told of the base tables whose changes were logged for deferred views, when that has been committed.
using Maintain = void (*)();
using Announce = void (*)(std::span<const Oid> relids);
void install(Maintain maintain, Announce announce);

/// Creates the capture triggers of a base table (ENABLE ALWAYS statement triggers, and one for rows), or repairs those that are missing,
/// disabled or altered. Takes ShareRowExclusiveLock, so that whoever calls can build a view after it. The caller's
/// right to create triggers has been checked; they are created whoever calls. Raises object_in_use while a statement on
/// a base table is open (the view would get its changes twice), and, if a trigger has to be created, while a query of
/// this session uses the table (its changes so far are unknown to us), so the caller must not have it open itself.
/// A materialized view that is read like a table has no triggers: its maintenance says what it writes. It is locked all
/// the same, which waits for the writers that are at it.
void create_triggers(Oid relid);
/// The first of these checks alone, for a table whose triggers are there and whose changes are being captured.
void require_quiet(Relation relation);
/// Drops them. They are left (and do nothing, once no view is registered) if a query of this session uses the table,
/// or if anybody has it locked: whoever drops a view holds a lock on it already, which a writer of the table may wait
/// for.
void drop_triggers(Oid relid);
/// True if all capture triggers exist and are enabled as they should be, or none are needed.
bool has_triggers(Oid relid);
/// True if that is what the server calls a trigger of ours: "name" on schema.table.
bool is_trigger_identity(const char *identity);

} // namespace upkeep::capture
