// One row is written by heap_insert, more by heap_multi_insert. What a statement needs besides the rows is kept for the
// next one: most statements change one row, and are not to pay for contexts, arrays and slots.
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

// Of the backend: rows of a batch that are not of fixed width. Reset by each flush, and by the next writer if an error
// came before. The first block has room for a page, which heap_multi_insert asks for.
MemoryContext batch_memory = nullptr;
// Of the backend: slots for the rows of a small batch.
TupleTableSlot *few_slots[LogLayout::kFewRows];

/// heap_multi_insert takes slots, and asks them for nothing but the row.
TupleTableSlot *make_slot() {
    return MakeSingleTupleTableSlot(CreateTemplateTupleDesc(0), &TTSOpsHeapTuple);
}

[[gnu::hot]] void prepare_memory() {
    if (batch_memory != nullptr) {
        MemoryContextReset(batch_memory);
        return;
    }
    const pg::InContext in(CacheMemoryContext);
    for (TupleTableSlot *&slot : few_slots) {
        slot = make_slot();
    }
    batch_memory = AllocSetContextCreate(CacheMemoryContext, "upkeep log rows", 0, 4 * BLCKSZ, 64 * BLCKSZ);
}

/// The slot says that it owns the row, else the row would be copied. It is never cleared, so it frees nothing.
[[gnu::hot]] void lend(TupleTableSlot *slot, HeapTuple tuple) {
    slot->tts_flags = static_cast<uint16>((slot->tts_flags | TTS_FLAG_SHOULDFREE) & ~TTS_FLAG_EMPTY);
    slot->tts_nvalid = 0;
    auto *heap_slot = reinterpret_cast<HeapTupleTableSlot *>(slot);
    heap_slot->tuple = tuple;
    heap_slot->off = 0;
}

/// nullptr: it is gone. As try_relation_open, but the relation cache alone is asked, which knows it too once the lock is
/// held; and what is written is not counted: autovacuum leaves logs alone.
[[gnu::hot]] Relation open_segment(Oid relid) {
    LockRelationOid(relid, RowExclusiveLock);
    Relation segment = RelationIdGetRelation(relid);
    if (!RelationIsValid(segment)) {
        UnlockRelationOid(relid, RowExclusiveLock);
        return nullptr;
    }
    segment->pgstat_enabled = false;
    return segment;
}

} // namespace

[[gnu::hot]] LogWriter::LogWriter(const catalog::TableEntry &table, LogLayout &layout, int64 at_most)
    : relid_(table.relid), target_(table.log), layout_(layout), at_most_(at_most),
      batch_rows_(int(std::min<int64>(at_most, kBatchRows))) {}

[[gnu::hot]] bool LogWriter::open() {
    if (opened_) {
        return segment_ != nullptr;
    }
    opened_ = true;
    if (!OidIsValid(target_.segment)) {
        elog(ERROR, "relation %u has no change log", relid_);
    }
    segment_ = open_segment(target_.segment);
    if (segment_ == nullptr) {
        return false;
    }
    note_logged(relid_);
    lay_out(layout_, target_, RelationGetDescr(segment_));
    prepare_memory();
    prepare_batch();
    return true;
}

[[gnu::hot]] void LogWriter::prepare_batch() {
    const FullTransactionId xid = GetTopFullTransactionId();
    layout_.values[catalog::kLogXid - 1] = FullTransactionIdGetDatum(xid);
    if (layout_.pattern != nullptr) {
        static_assert(catalog::kLogXid == 1, "the transaction's id is at the start of a row's data");
        std::memcpy(reinterpret_cast<char *>(layout_.pattern) + layout_.pattern->t_hoff, &xid.value, sizeof(xid.value));
    }
    stride_ = room_for_row(layout_);
    if (batch_rows_ <= LogLayout::kFewRows) {
        rows_ = few_;
        slots_ = few_slots;
        room_ = layout_.few_rows;
        return;
    }
    bulk_ = at_most_ >= kBulkRows ? GetBulkInsertState() : nullptr;
    if (layout_.pattern != nullptr) {
        batch_rows_ = std::min(batch_rows_, static_cast<int>(kBatchBytes / layout_.length) + 1);
        room_ = static_cast<char *>(palloc(batch_rows_ * stride_));
    }
    rows_ = pg::create_array<HeapTuple>(batch_rows_);
    slots_ = pg::create_array<TupleTableSlot *>(batch_rows_);
}

[[gnu::hot]] void LogWriter::add(TupleTableSlot *row, int weight) {
    if (!open()) {
        return;
    }
    slot_getsomeattrs(row, layout_.nread);
    HeapTuple tuple = nullptr;
    if (layout_.pattern != nullptr) {
        tuple = form_fixed(layout_, target_.ncolumns, room_ + filled_ * stride_, row, weight);
    }
    if (tuple == nullptr) {
        std::fill_n(layout_.nulls + catalog::kLogFixedColumns, layout_.natts - catalog::kLogFixedColumns, true);
        for (int i = 0; i < target_.ncolumns; i++) {
            const int at = i + catalog::kLogFixedColumns;
            const int from = target_.columns[i] - 1;
            layout_.values[at] = row->tts_values[from];
            layout_.nulls[at] = row->tts_isnull[from];
        }
        tuple = form(weight);
    }
    put(tuple);
}

void LogWriter::add_lost() {
    if (open()) {
        std::fill_n(layout_.nulls + catalog::kLogFixedColumns, layout_.natts - catalog::kLogFixedColumns, true);
        put(form(0));
    }
}

HeapTuple LogWriter::form(int weight) {
    const pg::InContext in(batch_memory);
    layout_.values[catalog::kLogWeight - 1] = Int16GetDatum(int16(weight));
    return heap_form_tuple(RelationGetDescr(segment_), layout_.values, layout_.nulls);
}

[[gnu::hot]] void LogWriter::put(HeapTuple tuple) {
    rows_[filled_++] = tuple;
    bytes_ += tuple->t_len;
    if (filled_ == batch_rows_ || bytes_ >= kBatchBytes) {
        flush();
    }
}

[[gnu::hot]] void LogWriter::flush() {
    if (filled_ == 0) {
        return;
    }
    const CommandId command = GetCurrentCommandId(true);
    {
        const pg::InContext in(batch_memory);
        last_block_ = filled_ == 1 ? insert_one(command) : insert_together(command);
    }
    filled_ = 0;
    bytes_ = 0;
    MemoryContextReset(batch_memory);
}

[[gnu::hot]] BlockNumber LogWriter::insert_one(CommandId command) {
    heap_insert(segment_, rows_[0], command, HEAP_INSERT_SKIP_FSM, bulk_);
    return ItemPointerGetBlockNumber(&rows_[0]->t_self);
}

[[gnu::hot]] BlockNumber LogWriter::insert_together(CommandId command) {
    for (int i = 0; i < filled_; i++) {
        if (slots_[i] == nullptr) {
            const pg::InContext in(memory_);
            slots_[i] = make_slot();
        }
        lend(slots_[i], rows_[i]);
    }
    heap_multi_insert(segment_, slots_, filled_, command, HEAP_INSERT_SKIP_FSM, bulk_);
    return ItemPointerGetBlockNumber(&slots_[filled_ - 1]->tts_tid);
}

[[gnu::hot]] void LogWriter::finish() {
    if (segment_ == nullptr) {
        return;
    }
    flush();
    if (bulk_ != nullptr) {
        FreeBulkInsertState(bulk_);
    }
    table_close(segment_, NoLock);
}

} // namespace upkeep::capture
