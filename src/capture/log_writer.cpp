// One row is written by heap_insert, more by heap_multi_insert. What a statement needs besides the rows is kept for the
// next one: most statements change one row, and are not to pay for contexts.
#include "capture/log_writer.hpp"

#include "capture/change_log.hpp"
#include "catalog/log.hpp"

extern "C" {
#include "utils/xid8.h"
}

namespace upkeep::capture {

namespace {

// As COPY has them.
constexpr int kBatchRows = 1000;
constexpr Size kBatchBytes = 65536;
// From here on the pages are written through a ring of buffers of their own.
constexpr int64 kBulkRows = 1000;

// Of the backend: the rows of a batch. Reset by each flush, and by the next writer if an error came before. The first
// block has room for a page, which heap_multi_insert asks for.
MemoryContext batch_memory = nullptr;

void prepare_batch_memory() {
    if (batch_memory == nullptr) {
        batch_memory = AllocSetContextCreate(CacheMemoryContext, "upkeep log rows", 0, 4 * BLCKSZ, 64 * BLCKSZ);
    }
    MemoryContextReset(batch_memory);
}

} // namespace

LogWriter::LogWriter(Oid relid, const catalog::LogTarget &target, int64 at_most)
    : relid_(relid), target_(target), at_most_(at_most), batch_rows_(int(std::min<int64>(at_most, kBatchRows))) {}

bool LogWriter::open() {
    if (opened_) {
        return segment_ != nullptr;
    }
    opened_ = true;
    if (!OidIsValid(target_.segment)) {
        elog(ERROR, "relation %u has no change log", relid_);
    }
    segment_ = try_relation_open(target_.segment, RowExclusiveLock);
    if (segment_ == nullptr) {
        return false;
    }
    note_logged(relid_);
    prepare_batch_memory();
    bulk_ = at_most_ >= kBulkRows ? GetBulkInsertState() : nullptr;
    const int natts = RelationGetNumberOfAttributes(segment_);
    values_ = pg::create_array<Datum>(natts);
    nulls_ = pg::create_array<bool>(natts);
    std::fill_n(nulls_, natts, true);
    values_[catalog::kLogXid - 1] = FullTransactionIdGetDatum(GetTopFullTransactionId());
    nulls_[catalog::kLogXid - 1] = nulls_[catalog::kLogWeight - 1] = false;
    rows_ = pg::create_array<HeapTuple>(batch_rows_);
    return true;
}

void LogWriter::add(TupleTableSlot *row, int weight) {
    if (!open()) {
        return;
    }
    for (int i = 0; i < target_.ncolumns; i++) {
        const int at = i + catalog::kLogFixedColumns;
        values_[at] = slot_getattr(row, target_.columns[i], &nulls_[at]);
    }
    put(weight);
}

void LogWriter::add_lost() {
    if (open()) {
        put(0);
    }
}

void LogWriter::put(int weight) {
    values_[catalog::kLogWeight - 1] = Int16GetDatum(int16(weight));
    pg::InContext in(batch_memory);
    HeapTuple tuple = heap_form_tuple(RelationGetDescr(segment_), values_, nulls_);
    rows_[filled_++] = tuple;
    bytes_ += tuple->t_len;
    if (filled_ == batch_rows_ || bytes_ >= kBatchBytes) {
        flush();
    }
}

void LogWriter::flush() {
    if (filled_ == 0) {
        return;
    }
    pg::InContext in(batch_memory);
    const CommandId command = GetCurrentCommandId(true);
    last_block_ = filled_ == 1 ? insert_one(command) : insert_together(command);
    filled_ = 0;
    bytes_ = 0;
    MemoryContextReset(batch_memory);
}

BlockNumber LogWriter::insert_one(CommandId command) {
    heap_insert(segment_, rows_[0], command, HEAP_INSERT_SKIP_FSM, bulk_);
    return ItemPointerGetBlockNumber(&rows_[0]->t_self);
}

BlockNumber LogWriter::insert_together(CommandId command) {
    if (slots_ == nullptr) {
        slots_ = static_cast<TupleTableSlot **>(MemoryContextAllocZero(memory_, batch_rows_ * sizeof(TupleTableSlot *)));
    }
    for (int i = 0; i < filled_; i++) {
        if (slots_[i] == nullptr) {
            pg::InContext in(memory_);
            slots_[i] = MakeSingleTupleTableSlot(RelationGetDescr(segment_), &TTSOpsHeapTuple);
        }
        ExecStoreHeapTuple(rows_[i], slots_[i], true);
    }
    heap_multi_insert(segment_, slots_, filled_, command, HEAP_INSERT_SKIP_FSM, bulk_);
    const BlockNumber block = ItemPointerGetBlockNumber(&slots_[filled_ - 1]->tts_tid);
    for (int i = 0; i < filled_; i++) {
        ExecClearTuple(slots_[i]);
    }
    return block;
}

void LogWriter::finish() {
    if (segment_ == nullptr) {
        return;
    }
    flush();
    for (int i = 0; slots_ != nullptr && i < batch_rows_ && slots_[i] != nullptr; i++) {
        ExecDropSingleTupleTableSlot(slots_[i]);
    }
    if (bulk_ != nullptr) {
        FreeBulkInsertState(bulk_);
    }
    table_close(segment_, NoLock);
}

} // namespace upkeep::capture
