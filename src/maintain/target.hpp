// A relation that maintenance writes: the materialized view itself, or a state table.
// Rows are found through the identity index and written through the table and index access methods, never by SQL DML.
#pragma once
#include "pg/row_hash.hpp"

namespace upkeep::maintain {

enum class IdentityKind : uint8 {
    unique_columns, // unique index NULLS NOT DISTINCT over plain columns (every key column of fixed length), ours or
                    // the user's
    key_hash, // non-unique btree on upkeep.key_hash(columns); rechecked by the key operators; new keys need lock_key()
    image_hash, // bag: non-unique btree on upkeep.image_hash(all columns); rechecked by image; duplicates are physical
                // rows
    none,       // rows are inserted, or deleted where a scan of the whole relation has found them
    single_row, // unique btree on a constant: the one row of an aggregate without GROUP BY
};

/// How rows of a target are found. Made by the functions of identity.hpp; lives in the view program's memory context.
struct Identity {
    IdentityKind kind;
    Oid index;          // OID of the index
    int nkeys;          // key columns (0 for single_row; all columns for image_hash)
    AttrNumber *attnos; // of the target, in key order
    Oid *equality;      // btree equality operators (pg_operator OID), in key order; unused for image_hash
    Oid *collations;
    pg::ColumnOps *columns; // in key order: hash and equality, prepared once
};

/// An open target. Open per maintenance run: index information is never cached. All memory: a child of the current
/// context. Calls are for one command: CommandCounterIncrement is the caller's, before and after a stage. No row may be
/// changed twice within one command (an internal error, except for remove_copies).
class Target;

/// Opens with RowExclusiveLock; the rules for 40001 follow the transaction's own isolation level. `identity` must
/// outlive the target. Raises object_not_in_prerequisite_state if the identity index is gone or not valid (see
/// find_identity for what to do then).
Target *open_target(Oid relid, const Identity &identity);
void close_target(Target *target); // keeps the lock

Relation target_relation(Target *target);
/// A fresh slot of the relation's own kind, freed with close_target. A row to write may also be built in it as a
/// virtual one (ExecClearTuple, tts_values, tts_isnull, ExecStoreVirtualTuple).
TupleTableSlot *make_target_slot(Target *target);

/// 64-bit hash of a key by the key operators' own hash functions (equal keys, equal hashes; NULL included);
/// for image_hash, the image hash of the whole row. The same value as the SQL functions upkeep.key_hash / image_hash.
/// single_row: a constant.
uint64 identity_hash(Target *target, const Datum *key, const bool *nulls);

/// Finds the live row of `key` (nkeys values) and locks its latest version (NoKeyExclusive), waiting for a concurrent
/// writer of it if need be. False: no such row now (rows that others have not committed yet are not looked at). The row
/// is left in `out`, a slot of make_target_slot. Not for image_hash.
/// REPEATABLE READ and SERIALIZABLE: raises 40001 where the row is not visible to the transaction's snapshot, was
/// updated since, or is absent now while the transaction's snapshot still sees one.
bool find_and_lock(Target *target, const Datum *key, const bool *nulls, TupleTableSlot *out);

/// Whether a committed row of `key` is there, without locking anything: a hint, true or false only by luck a moment
/// later.
bool is_there(Target *target, const Datum *key, const bool *nulls, TupleTableSlot *scratch);

/// The snapshot of is_there: the same for all calls of one command that no other call on the target comes between.
Snapshot lookup_snapshot(Target *target);

/// Inserts a row whose key was not found. False: somebody inserted the key meanwhile (its transaction has ended now),
/// nothing was written, look again.
/// (key_hash: the caller holds the key lock and looked again after taking it, and the answer is always true;
/// single_row and unique_columns: speculative insertion.)
bool insert_absent(Target *target, TupleTableSlot *row);

/// Inserts without looking for the key (bags, rebuilds under a lock that excludes others). Unique violations of the
/// user's own indexes raise.
void insert_row(Target *target, TupleTableSlot *row);

/// Replaces the row that find_and_lock left in `locked` (HOT where no indexed column changes), or removes it. The new
/// row keeps the key. `row` may be virtual and point into `locked`, but is not the same slot.
void update_row(Target *target, TupleTableSlot *locked, TupleTableSlot *row);
void delete_row(Target *target, TupleTableSlot *locked);

/// Bags: removes up to `copies` physical rows with exactly this image, first those that nobody else is removing; a row
/// that a concurrent transaction has just removed is not counted. Returns how many were removed.
/// REPEATABLE READ and SERIALIZABLE: raises 40001 where too few are left though the transaction's snapshot sees more,
/// or the missing ones are there and not visible to it.
int64 remove_copies(Target *target, const Datum *values, const bool *nulls, int64 copies);

/// True when the target has a unique or exclusion index other than the identity: then all deletes go before all
/// inserts.
bool has_other_unique_indexes(Target *target);

/// Number of rows written (inserted, updated, deleted) through this target so far.
int64 rows_written(Target *target);

/// The rows that left a view and those that came: its change, for the views that read it. Kept in the context and by
/// the resource owner that were current when it was made.
struct WrittenRows {
    MemoryContext context = CurrentMemoryContext;
    ResourceOwner owner = CurrentResourceOwner;
    TupleDesc desc = nullptr; // of the view's rows; set by the first
    Tuplestorestate *left = nullptr;
    Tuplestorestate *came = nullptr;
};

/// From now on every row written through the target is added to `rows`, which may have rows of other targets of the
/// same relation. nullptr: nowhere.
void record_writes(Target *target, WrittenRows *rows);

} // namespace upkeep::maintain
