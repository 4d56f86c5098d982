// Finding rows of a target by key, and locking their latest version.
//
// A lookup goes by a fresh MVCC snapshot and then up the row's update chain. A scan with a dirty snapshot, as logical
// replication does it, can miss a row: it reads an index page, then the row moves by a non-HOT update that commits, and
// the scan finds the old version dead and never sees the new entry. Under an MVCC snapshot the old version is still
// visible, and locking its last version leads to the new one. What such a snapshot does not show, rows of running
// transactions, is the business of insert_absent (speculative insertion) and of the key locks.
#include "maintain/target_internal.hpp"
#include "pg/memory.hpp"
#include "pg/row_fetch.hpp"

extern "C" {
#include "access/relscan.h"
#include "access/skey.h"
#include "access/stratnum.h"
}

namespace upkeep::maintain {

void raise_serialization_failure() {
    ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                    errmsg("could not serialize access due to concurrent update")));
    pg_unreachable();
}

void raise_changed_twice(Target *target) {
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
                    errmsg_internal("a row of \"%s\" is changed twice in one stage of maintenance",
                                    RelationGetRelationName(target->relation))));
    pg_unreachable();
}

void drop_snapshot(Target *target) {
    if (target->snapshot != nullptr) {
        UnregisterSnapshot(target->snapshot);
        target->snapshot = nullptr;
    }
}

Snapshot take_new_snapshot(Target *target) {
    drop_snapshot(target);
    target->snapshot = RegisterSnapshot(GetLatestSnapshot());
    return target->snapshot;
}

Snapshot lookup_snapshot(Target *target) {
    if (target->snapshot == nullptr || target->snapshot->curcid != GetCurrentCommandId(false)) {
        return take_new_snapshot(target);
    }
    return target->snapshot;
}

namespace {

// One scan key on the hash, or for each column of a unique index; none for the single row.
void prepare_scan_keys(Target *target) {
    const Identity &identity = *target->identity;
    MemoryContext saved = MemoryContextSwitchTo(target->estate->es_query_cxt);
    const bool by_columns = identity.kind == IdentityKind::unique_columns;
    target->nscankeys = by_columns ? identity.nkeys : identity.kind == IdentityKind::single_row ? 0 : 1;
    target->scankeys = static_cast<ScanKeyData *>(palloc0((target->nscankeys + 1) * sizeof(ScanKeyData)));
    target->key_of_scankey = static_cast<int *>(palloc0((target->nscankeys + 1) * sizeof(int)));
    if (by_columns) {
        for (int i = 0; i < identity.nkeys; i++) {
            AttrNumber *end = identity.attnos + identity.nkeys;
            int key = std::find(identity.attnos, end, target->index->rd_index->indkey.values[i]) - identity.attnos;
            if (key == identity.nkeys) {
                elog(ERROR, "index %u does not have the columns of its identity", identity.index);
            }
            target->key_of_scankey[i] = key;
            ScanKeyEntryInitializeWithInfo(&target->scankeys[i], 0, i + 1, BTEqualStrategyNumber, InvalidOid,
                                           identity.collations[key], identity.columns[key].equal, 0);
        }
    } else if (target->nscankeys == 1) {
        ScanKeyInit(target->scankeys, 1, BTEqualStrategyNumber, F_INT8EQ, 0);
    }
    MemoryContextSwitchTo(saved);
}

void fill_scan_keys(Target *target, const Datum *key, const bool *nulls) {
    if (target->identity->kind != IdentityKind::unique_columns) {
        if (target->nscankeys == 1) {
            target->scankeys[0].sk_argument = UInt64GetDatum(identity_hash(target, key, nulls));
        }
        return;
    }
    for (int i = 0; i < target->nscankeys; i++) {
        int k = target->key_of_scankey[i];
        target->scankeys[i].sk_flags = nulls[k] ? SK_ISNULL | SK_SEARCHNULL : 0;
        target->scankeys[i].sk_argument = nulls[k] ? Datum(0) : key[k];
    }
}

enum class Locked : uint8 { yes, look_again };

// Locks the last version of the row that the lookup left in `slot`.
Locked lock_last_version(Target *target, const Datum *key, const bool *nulls, TupleTableSlot *slot) {
    const bool fixed_snapshot = IsolationUsesXactSnapshot();
    if (fixed_snapshot && !table_tuple_satisfies_snapshot(target->relation, slot, GetTransactionSnapshot())) {
        raise_serialization_failure();
    }
    ItemPointerData tid = slot->tts_tid;
    TM_FailureData failure;
    TM_Result result = table_tuple_lock(target->relation, &tid, target->snapshot, slot, GetCurrentCommandId(false),
                                        LockTupleNoKeyExclusive, LockWaitBlock,
                                        fixed_snapshot ? 0 : TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
    switch (result) {
    case TM_Ok:
        // Nobody changes the key of a row today; a row that was found under another key is not ours all the same.
        return failure.traversed && !matches(target, key, nulls, slot) ? Locked::look_again : Locked::yes;
    case TM_Updated:
    case TM_Deleted:
        if (fixed_snapshot) {
            raise_serialization_failure();
        }
        return Locked::look_again;
    case TM_SelfModified:
        raise_changed_twice(target);
    default:
        elog(ERROR, "unexpected result %d of locking a row of \"%s\"", result,
             RelationGetRelationName(target->relation));
    }
    pg_unreachable();
}

bool find_visible(Target *target, const Datum *key, const bool *nulls, Snapshot snapshot, TupleTableSlot *out) {
    start_lookup(target, key, nulls, snapshot);
    return next_match(target, key, nulls, out);
}

} // namespace

void start_lookup(Target *target, const Datum *key, const bool *nulls, Snapshot snapshot) {
    MemoryContext saved = MemoryContextSwitchTo(target->estate->es_query_cxt);
    if (target->scan == nullptr) {
        prepare_scan_keys(target);
        target->scan = pg::begin_index_scan(target->relation, target->index, snapshot, target->nscankeys);
    }
    MemoryContextSwitchTo(GetPerTupleMemoryContext(target->estate));
    fill_scan_keys(target, key, nulls);
    target->scan->xs_snapshot = snapshot;
    index_rescan(target->scan, target->scankeys, target->nscankeys, nullptr, 0);
    MemoryContextSwitchTo(saved);
    ResetPerTupleExprContext(target->estate);
}

namespace {

// A B-tree scan allocates the list of entries that it found dead when it meets the first one, and keeps it until it
// ends: the context must live as long as the scan.
bool next_row(Target *target, TupleTableSlot *slot) {
    pg::InContext context(target->estate->es_query_cxt);
    return pg::next_row_to_update(target->scan, slot);
}

} // namespace

bool next_match(Target *target, const Datum *key, const bool *nulls, TupleTableSlot *slot) {
    const bool exact =
        target->identity->kind == IdentityKind::unique_columns || target->identity->kind == IdentityKind::single_row;
    MemoryContext per_row = GetPerTupleMemoryContext(target->estate);
    while (next_row(target, slot)) {
        CHECK_FOR_INTERRUPTS();
        if (exact) {
            return true;
        }
        MemoryContext saved = MemoryContextSwitchTo(per_row);
        bool found = matches(target, key, nulls, slot);
        MemoryContextSwitchTo(saved);
        MemoryContextReset(per_row);
        if (found) {
            return true;
        }
    }
    return false;
}

bool matches(Target *target, const Datum *key, const bool *nulls, TupleTableSlot *slot) {
    const Identity &identity = *target->identity;
    const bool by_image = identity.kind == IdentityKind::image_hash;
    for (int i = 0; i < identity.nkeys; i++) {
        bool isnull;
        Datum value = slot_getattr(slot, identity.attnos[i], &isnull);
        const pg::ColumnOps &column = identity.columns[i];
        if (by_image ? !pg::image_equal(column, value, isnull, key[i], nulls[i])
                     : !pg::key_equal(column, value, isnull, key[i], nulls[i])) {
            return false;
        }
    }
    return true;
}

bool is_there(Target *target, const Datum *key, const bool *nulls, TupleTableSlot *scratch) {
    const bool found = find_visible(target, key, nulls, lookup_snapshot(target), scratch);
    ExecClearTuple(scratch);
    return found;
}

bool find_and_lock(Target *target, const Datum *key, const bool *nulls, TupleTableSlot *out) {
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        ExecClearTuple(out); // a pin of ours on the page would keep it from being pruned
        Snapshot kept = target->snapshot;
        Snapshot snapshot = lookup_snapshot(target);
        if (find_visible(target, key, nulls, snapshot, out)) {
            if (lock_last_version(target, key, nulls, out) == Locked::yes) {
                return true;
            }
            drop_snapshot(target);
            continue;
        }
        drop_snapshot(target);
        if (snapshot == kept) {
            continue; // an older snapshot may miss what has come since
        }
        if (IsolationUsesXactSnapshot() && find_visible(target, key, nulls, GetTransactionSnapshot(), out)) {
            raise_serialization_failure();
        }
        return false;
    }
}

} // namespace upkeep::maintain
