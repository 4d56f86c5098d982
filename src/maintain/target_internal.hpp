// The open target, for the files that implement target.hpp.
#pragma once
#include "maintain/target.hpp"

namespace upkeep::maintain {

class Target {
  public:
    const Identity *identity;
    Relation relation;
    EState *estate;      // owns everything else: its query context, its slots
    ResultRelInfo *info; // the open indexes
    Relation index;      // the identity index, one of info's
    List *arbiters;      // unique indexes with exactly the identity's columns
    bool arbiters_ready; // the operators that a speculative insertion checks with are filled in
    bool other_unique;
    int64 written;
    WrittenRows *recorded; // or nullptr

    // The scan of the identity index, begun by the first lookup.
    IndexScanDesc scan;
    ScanKeyData *scankeys;
    int nscankeys;
    int *key_of_scankey; // unique_columns: which key column each scan key holds

    // The latest snapshot, registered, kept for the lookups of one command until a lookup finds nothing.
    Snapshot snapshot;
};

/// In place of lookup_snapshot after a miss or a conflict.
Snapshot take_new_snapshot(Target *target);
void drop_snapshot(Target *target);

/// Starts looking for `key` under `snapshot`; next_match leaves rows with this key or image in `slot`, one by one.
void start_lookup(Target *target, const Datum *key, const bool *nulls, Snapshot snapshot);
bool next_match(Target *target, const Datum *key, const bool *nulls, TupleTableSlot *slot);

/// True when `slot` holds this key (image_hash: this image).
bool matches(Target *target, const Datum *key, const bool *nulls, TupleTableSlot *slot);

[[noreturn]] void raise_serialization_failure();
[[noreturn]] void raise_changed_twice(Target *target);

} // namespace upkeep::maintain
