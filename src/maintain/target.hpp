// A relation that maintenance writes: the materialized view itself, or a state table.
// Rows are found through the identity index and written through the table and index access methods, never by SQL DML.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::maintain {

enum class IdentityKind : uint8 {
  unique_columns, // unique index NULLS NOT DISTINCT over plain columns (every key column of fixed length), ours or the user's
  key_hash,       // non-unique btree on upkeep.key_hash(columns); rechecked by the key operators; new keys need lock_key()
  image_hash,     // bag: non-unique btree on upkeep.image_hash(all columns); rechecked by image; duplicates are physical rows
  single_row,     // unique btree on a constant: the one row of an aggregate without GROUP BY
};

/// How rows of a target are found. Lives in the view program's memory context.
struct Identity {
  IdentityKind kind;
  Oid index;             // OID of the index
  int nkeys;             // key columns (0 for single_row; all columns for image_hash)
  AttrNumber *attnos;    // of the target, in key order
  Oid *equality;         // btree equality operators (pg_operator OID), in key order; unused for image_hash
  Oid *collations;
};

/// An open target. Open per maintenance run: ExecOpenIndices(speculative) is never cached. All memory: current context.
class Target;

/// Opens with RowExclusiveLock. `isolation` rules (40001) follow the transaction's own isolation level.
Target *open_target(Oid relid, const Identity &identity);
void close_target(Target *target); // keeps the lock

Relation target_relation(Target *target);
TupleTableSlot *make_target_slot(Target *target); // a fresh slot of the relation's own kind, freed with close_target

/// 64-bit hash of a key by the key operators' own hash functions (equal keys, equal hashes; NULL included);
/// for image_hash, the image hash of the whole row. The same value as the SQL functions upkeep.key_hash / image_hash.
uint64 identity_hash(Target *target, const Datum *key, const bool *nulls);

/// Finds the live row of `key` (nkeys values) and locks its latest version (NoKeyExclusive), waiting for a concurrent
/// writer of it if need be. False: no such row now. The row is left in `out`.
/// REPEATABLE READ and SERIALIZABLE: raises 40001 where the row is not visible to the transaction's snapshot, was
/// updated since, or is absent now while the transaction's snapshot still sees one.
bool find_and_lock(Target *target, const Datum *key, const bool *nulls, TupleTableSlot *out);

/// Inserts a row whose key was not found. False: somebody inserted the key meanwhile, nothing was written, look again.
/// (key_hash: the caller holds the key lock; single_row and unique_columns: speculative insertion.)
bool insert_absent(Target *target, TupleTableSlot *row);

/// Inserts without looking for the key (bags, rebuilds under a lock that excludes others). Unique violations of the
/// user's own indexes raise.
void insert_row(Target *target, TupleTableSlot *row);

/// Replaces the row that find_and_lock left in `locked` (HOT where no indexed column changes), or removes it.
void update_row(Target *target, TupleTableSlot *locked, TupleTableSlot *row);
void delete_row(Target *target, TupleTableSlot *locked);

/// Bags: removes up to `copies` physical rows with exactly this image (find, lock, delete; a row that a concurrent
/// transaction just removed is not counted twice). Returns how many were removed.
int64 remove_copies(Target *target, const Datum *values, const bool *nulls, int64 copies);

/// True when the target has a unique or exclusion index other than the identity: then all deletes go before all inserts.
bool has_other_unique_indexes(Target *target);

/// Number of rows written (inserted, updated, deleted) through this target so far.
int64 rows_written(Target *target);

} // namespace upkeep::maintain
