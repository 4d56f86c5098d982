// Writing rows of a target through the table and index access methods.
#include "maintain/target_internal.hpp"
#include "pg/memory.hpp"

extern "C" {
#include "catalog/index.h"
#include "storage/procarray.h"
}

namespace upkeep::maintain {

namespace {

// Runs index expressions and index insertion in the per-row context, which the next row resets.
class PerRow {
  public:
    explicit PerRow(Target *target) : target_(target) {
        ResetPerTupleExprContext(target->estate);
        saved_ = MemoryContextSwitchTo(GetPerTupleMemoryContext(target->estate));
    }
    ~PerRow() { MemoryContextSwitchTo(saved_); }
    PerRow(const PerRow &) = delete;
    PerRow &operator=(const PerRow &) = delete;

  private:
    Target *target_;
    MemoryContext saved_;
};

// What an arbiter index needs to look for conflicts; only insertions of new keys ask for it.
void prepare_arbiters(Target *target) {
    if (target->arbiters_ready) {
        return;
    }
    MemoryContext saved = MemoryContextSwitchTo(target->estate->es_query_cxt);
    for (int i = 0; i < target->info->ri_NumIndices; i++) {
        Relation index = target->info->ri_IndexRelationDescs[i];
        if (list_member_oid(target->arbiters, RelationGetRelid(index))) {
            BuildSpeculativeIndexInfo(index, target->info->ri_IndexRelationInfo[i]);
        }
    }
    MemoryContextSwitchTo(saved);
    target->arbiters_ready = true;
}

// A conflict with a row that this very command wrote would make the caller look again for ever.
void check_not_own_row(Target *target, ItemPointer tid) {
    TupleTableSlot *slot = table_slot_create(target->relation, nullptr);
    if (table_tuple_fetch_row_version(target->relation, tid, SnapshotAny, slot)) {
        bool isnull;
        TransactionId xmin = DatumGetTransactionId(slot_getsysattr(slot, MinTransactionIdAttributeNumber, &isnull));
        CommandId cid = DatumGetCommandId(slot_getsysattr(slot, MinCommandIdAttributeNumber, &isnull));
        if (TransactionIdIsCurrentTransactionId(xmin) && cid >= GetCurrentCommandId(false)) {
            raise_changed_twice(target);
        }
    }
    ExecDropSingleTupleTableSlot(slot);
}

// As ExecInsert does for ON CONFLICT: look, insert as a speculative row, enter it into the indexes, take it back if
// somebody was faster.
bool insert_speculatively(Target *target, TupleTableSlot *row) {
    prepare_arbiters(target);
    ItemPointerData conflict;
    if (!pg::check_index_constraints(target->info, row, target->estate, &conflict, target->arbiters)) {
        check_not_own_row(target, &conflict);
        return false;
    }
    TransactionId xid = GetCurrentTransactionId();
    uint32 token = SpeculativeInsertionLockAcquire(xid);
    table_tuple_insert_speculative(target->relation, row, GetCurrentCommandId(true), 0, nullptr, token);
    bool conflicts = false;
    pg::insert_index_tuples(target->info, row, target->estate, false, true, &conflicts, target->arbiters, false);
    table_tuple_complete_speculative(target->relation, row, token, !conflicts);
    SpeculativeInsertionLockRelease(xid);
    return !conflicts;
}

void insert_plainly(Target *target, TupleTableSlot *row) {
    table_tuple_insert(target->relation, row, GetCurrentCommandId(true), 0, nullptr);
    if (target->info->ri_NumIndices > 0) {
        pg::insert_index_tuples(target->info, row, target->estate, false, false, nullptr, NIL, false);
    }
}

enum class Direction : uint8 { leaves, comes };

// A row that is recorded twice, or not at all, makes the views above wrong: each function below records what it has
// written, once, when it has.
void record(Target *target, Direction direction, TupleTableSlot *row) {
    WrittenRows *rows = target->recorded;
    if (rows == nullptr) {
        return;
    }
    pg::InContext in(rows->context);
    if (rows->desc == nullptr) {
        rows->desc = CreateTupleDescCopy(RelationGetDescr(target->relation));
    }
    Tuplestorestate *&store = direction == Direction::leaves ? rows->left : rows->came;
    if (store == nullptr) {
        ResourceOwner owner = CurrentResourceOwner;
        CurrentResourceOwner = rows->owner;
        store = tuplestore_begin_heap(false, false, work_mem);
        CurrentResourceOwner = owner;
    }
    tuplestore_puttupleslot(store, row);
}

[[noreturn]] void raise_unexpected(Target *target, TM_Result result) {
    if (result == TM_SelfModified) {
        raise_changed_twice(target);
    }
    ereport(ERROR,
            (errcode(ERRCODE_INTERNAL_ERROR), errmsg_internal("unexpected result %d of writing a locked row of \"%s\"",
                                                              result, RelationGetRelationName(target->relation))));
    pg_unreachable();
}

} // namespace

bool insert_absent(Target *target, TupleTableSlot *row) {
    PerRow scope(target);
    bool inserted = true;
    row->tts_tableOid = RelationGetRelid(target->relation);
    if (target->arbiters != NIL) {
        inserted = insert_speculatively(target, row);
    } else {
        insert_plainly(target, row);
    }
    if (inserted) {
        target->written++;
        record(target, Direction::comes, row);
    }
    return inserted;
}

void insert_row(Target *target, TupleTableSlot *row) {
    PerRow scope(target);
    row->tts_tableOid = RelationGetRelid(target->relation);
    insert_plainly(target, row);
    target->written++;
    record(target, Direction::comes, row);
}

void update_row(Target *target, TupleTableSlot *locked, TupleTableSlot *row) {
    PerRow scope(target);
    row->tts_tableOid = RelationGetRelid(target->relation);
    TM_FailureData failure;
    LockTupleMode mode;
    pg::TU_UpdateIndexes indexes = pg::TU_None;
    TM_Result result = pg::update_tuple(target->relation, &locked->tts_tid, row, GetCurrentCommandId(true),
                                        target->snapshot, InvalidSnapshot, true, &failure, &mode, &indexes);
    if (result != TM_Ok) {
        raise_unexpected(target, result);
    }
    if (indexes != pg::TU_None) {
        pg::insert_index_tuples(target->info, row, target->estate, true, false, nullptr, NIL,
                                indexes == pg::TU_Summarizing);
    }
    target->written++;
    record(target, Direction::leaves, locked);
    record(target, Direction::comes, row);
}

void delete_row(Target *target, TupleTableSlot *locked) {
    TM_FailureData failure;
    TM_Result result = table_tuple_delete(target->relation, &locked->tts_tid, GetCurrentCommandId(true),
                                          target->snapshot, InvalidSnapshot, true, &failure, false);
    if (result != TM_Ok) {
        raise_unexpected(target, result);
    }
    target->written++;
    record(target, Direction::leaves, locked);
}

namespace {

// One pass over the copies of a row.
struct Removal {
    int64 removed = 0;
    bool contended = false; // a copy was being removed, or just has been, by another transaction
    bool unseen = false;    // a copy that the transaction's own snapshot does not show was left alone
};

Removal remove_pass(Target *target, const Datum *values, const bool *nulls, int64 copies, bool wait,
                    TupleTableSlot *slot) {
    Removal pass;
    start_lookup(target, values, nulls, take_new_snapshot(target));
    while (pass.removed < copies && next_match(target, values, nulls, slot)) {
        if (IsolationUsesXactSnapshot() &&
            !table_tuple_satisfies_snapshot(target->relation, slot, GetTransactionSnapshot())) {
            pass.unseen = true;
            continue;
        }
        TM_FailureData failure;
        TM_Result result = table_tuple_delete(target->relation, &slot->tts_tid, GetCurrentCommandId(true),
                                              target->snapshot, InvalidSnapshot, wait, &failure, false);
        if (result == TM_Ok) {
            pass.removed++;
            record(target, Direction::leaves, slot);
        } else if (result == TM_BeingModified || result == TM_Deleted || result == TM_Updated) {
            pass.contended = true;
        } else if (result != TM_SelfModified) { // that one was removed by this very command
            raise_unexpected(target, result);
        }
    }
    ExecClearTuple(slot);
    return pass;
}

// Copies that the transaction's snapshot shows, without those that it has removed by earlier commands.
int64 count_seen_copies(Target *target, const Datum *values, const bool *nulls, TupleTableSlot *slot) {
    int64 n = 0;
    start_lookup(target, values, nulls, GetTransactionSnapshot());
    while (next_match(target, values, nulls, slot)) {
        n++;
    }
    ExecClearTuple(slot);
    return n;
}

} // namespace

int64 remove_copies(Target *target, const Datum *values, const bool *nulls, int64 copies) {
    TupleTableSlot *slot = table_slot_create(target->relation, nullptr);
    int64 removed = 0;
    bool unseen = false;
    // First the copies that nobody else is at. A copy that somebody has removed meanwhile may have been put back as a
    // new row, which only a new snapshot shows: again until a pass meets nobody.
    for (bool wait = false;; wait = true) {
        CHECK_FOR_INTERRUPTS();
        Removal pass = remove_pass(target, values, nulls, copies - removed, wait, slot);
        removed += pass.removed;
        unseen = pass.unseen;
        if (removed == copies || !pass.contended) {
            break;
        }
    }
    if (removed < copies && IsolationUsesXactSnapshot() &&
        (unseen || count_seen_copies(target, values, nulls, slot) > removed)) {
        raise_serialization_failure();
    }
    ExecDropSingleTupleTableSlot(slot);
    drop_snapshot(target);
    target->written += removed;
    return removed;
}

} // namespace upkeep::maintain
