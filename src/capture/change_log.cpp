#include "capture/change_log.hpp"

#include "capture/capture.hpp"
#include "capture/pending.hpp"
#include "catalog/log.hpp"
#include "pg/names.hpp"
#include "settings.hpp"

extern "C" {
#include "access/heapam.h"
#include "catalog/pg_am_d.h"
#include "storage/bufmgr.h"
#include "utils/xid8.h"
}

namespace upkeep::capture {

namespace {

constexpr int kBatch = 64; // rows written together

pg::Vector<Oid> *logged = nullptr; // base tables whose changes this transaction has logged; in TopTransactionContext

void note_logged(Oid relid) {
    if (logged == nullptr) {
        auto *list = new (MemoryContextAlloc(TopTransactionContext, sizeof(pg::Vector<Oid>)))
            pg::Vector<Oid>(pg::Palloc<Oid>(TopTransactionContext));
        logged = list;
    }
    if (std::find(logged->begin(), logged->end(), relid) == logged->end()) {
        logged->push_back(relid);
    }
}

// Writes rows to the current segment of a log, which is opened when there is a row. Where the segment is gone, the last
// view that wanted the rows has just been unregistered.
class LogWriter {
  public:
    LogWriter(Oid relid, Oid segment, pg::Vector<AttrNumber> columns, bool bulk)
        : relid_(relid), segment_oid_(segment), columns_(std::move(columns)), is_bulk_(bulk) {}

    LogWriter(const LogWriter &) = delete;
    LogWriter &operator=(const LogWriter &) = delete;

    /// The row's columns in the log; nullptr: a row that says that changes were lost.
    void add(TupleTableSlot *row, int weight) {
        if (!opened_) {
            open();
        }
        if (segment_ == nullptr) {
            return;
        }
        TupleTableSlot *slot = next_slot();
        TupleDesc desc = RelationGetDescr(segment_);
        ExecClearTuple(slot);
        std::fill_n(slot->tts_isnull, desc->natts, true);
        slot->tts_values[catalog::kLogXid - 1] = xid_;
        slot->tts_values[catalog::kLogWeight - 1] = Int16GetDatum(int16(weight));
        slot->tts_isnull[catalog::kLogXid - 1] = slot->tts_isnull[catalog::kLogWeight - 1] = false;
        for (size_t i = 0; row != nullptr && i < columns_.size(); i++) {
            const size_t at = i + catalog::kLogFixedColumns;
            slot->tts_values[at] = slot_getattr(row, columns_[i], &slot->tts_isnull[at]);
        }
        ExecStoreVirtualTuple(slot);
        ExecMaterializeSlot(slot);
        if (++filled_ == kBatch) {
            flush();
        }
    }

    void finish() {
        if (segment_ == nullptr) {
            return;
        }
        flush();
        for (TupleTableSlot *slot : slots_) {
            ExecDropSingleTupleTableSlot(slot);
        }
        if (bulk_ != nullptr) {
            FreeBulkInsertState(bulk_);
        }
        table_close(segment_, NoLock);
        MemoryContextDelete(memory_);
    }

    /// The block that the last row went to.
    BlockNumber last_block() const { return last_block_; }

  private:
    void open() {
        opened_ = true;
        if (!OidIsValid(segment_oid_)) {
            elog(ERROR, "relation %u has no change log", relid_);
        }
        segment_ = try_relation_open(segment_oid_, RowExclusiveLock);
        if (segment_ == nullptr) {
            return;
        }
        note_logged(relid_);
        memory_ = AllocSetContextCreate(CurrentMemoryContext, "upkeep log rows", ALLOCSET_DEFAULT_SIZES);
        bulk_ = is_bulk_ ? GetBulkInsertState() : nullptr;
        xid_ = FullTransactionIdGetDatum(GetTopFullTransactionId());
    }

    TupleTableSlot *next_slot() {
        if (filled_ == int(slots_.size())) {
            slots_.push_back(MakeSingleTupleTableSlot(RelationGetDescr(segment_), &TTSOpsVirtual));
        }
        return slots_[filled_];
    }

    void flush() {
        if (filled_ == 0) {
            return;
        }
        const CommandId command = GetCurrentCommandId(true);
        MemoryContext outer = MemoryContextSwitchTo(memory_);
        heap_multi_insert(segment_, slots_.data(), filled_, command, HEAP_INSERT_SKIP_FSM, bulk_);
        MemoryContextSwitchTo(outer);
        MemoryContextReset(memory_);
        last_block_ = ItemPointerGetBlockNumber(&slots_[filled_ - 1]->tts_tid);
        filled_ = 0;
    }

    Oid relid_;
    Oid segment_oid_;
    pg::Vector<AttrNumber> columns_;
    bool is_bulk_;
    bool opened_ = false;
    Relation segment_ = nullptr;
    MemoryContext memory_ = nullptr; // of the tuples that are written
    BulkInsertState bulk_ = nullptr;
    Datum xid_ = 0;
    pg::Vector<TupleTableSlot *> slots_;
    int filled_ = 0;
    BlockNumber last_block_ = 0;
};

void write_all(LogWriter &writer, TupleDesc desc, Tuplestorestate *rows, int weight) {
    if (rows == nullptr || tuplestore_tuple_count(rows) == 0) {
        return;
    }
    for (BatchReader reader(rows, desc); reader.next();) {
        CHECK_FOR_INTERRUPTS();
        writer.add(reader.slot(), weight);
    }
}

void write_pairs(LogWriter &writer, TupleDesc desc, const Columns &columns, Tuplestorestate *old_rows,
                 Tuplestorestate *new_rows) {
    BatchReader old_reader(old_rows, desc);
    BatchReader new_reader(new_rows, desc);
    while (old_reader.next() && new_reader.next()) {
        CHECK_FOR_INTERRUPTS();
        if (is_relevant_change(desc, columns, old_reader.slot(), new_reader.slot())) {
            writer.add(old_reader.slot(), -1);
            writer.add(new_reader.slot(), +1);
        }
    }
}

// Nobody consumes the log: the views are rebuilt some day, and the log grows no more.
void give_up(Oid relid, std::span<const Oid> views) {
    const char *why = psprintf("the change log of %s reached upkeep.log_limit", pg::qualified_name(relid));
    for (const Oid view : views) {
        catalog::mark_stale(view, why);
        ereport(WARNING, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                          errmsg("materialized view %s is stale from now on", pg::qualified_name(view)),
                          errdetail("Its changes are not logged any more because %s.", why),
                          errhint("Call upkeep.refresh() on it, which computes it anew. See to it that deferred views "
                                  "are refreshed.")));
    }
}

int64 count_rows(Tuplestorestate *rows) {
    return rows == nullptr ? 0 : tuplestore_tuple_count(rows);
}

void finish_log(LogWriter &writer, Oid relid, const pg::Vector<Oid> &views) {
    writer.finish();
    if (int64(writer.last_block()) * BLCKSZ >= settings::log_limit()) {
        give_up(relid, {views.data(), views.size()});
    }
}

} // namespace

void log_rows(TriggerData *trigger, const catalog::TableEntry &table) {
    TupleDesc desc = RelationGetDescr(trigger->tg_relation);
    Tuplestorestate *old_rows = trigger->tg_oldtable;
    Tuplestorestate *new_rows = trigger->tg_newtable;
    const bool pairs = old_rows != nullptr && new_rows != nullptr && count_rows(old_rows) == count_rows(new_rows);
    // The catalog's entry may go at any moment from here on.
    const Columns columns = used_columns(desc, table.deferred.used);
    const pg::Vector<Oid> views(table.deferred.views, table.deferred.views + table.deferred.nviews);
    pg::Vector<AttrNumber> log_columns(table.log.columns, table.log.columns + table.log.ncolumns);
    const Oid relid = table.relid;
    const Oid segment = table.log.segment;
    LogWriter writer(relid, segment, std::move(log_columns), count_rows(old_rows) + count_rows(new_rows) > 2 * kBatch);
    if (pairs) {
        write_pairs(writer, desc, columns, old_rows, new_rows);
    } else {
        write_all(writer, desc, old_rows, -1);
        write_all(writer, desc, new_rows, +1);
    }
    finish_log(writer, relid, views);
}

void log_row(Relation relation, const catalog::TableEntry &table, TupleTableSlot *old_row, TupleTableSlot *new_row) {
    TupleDesc desc = RelationGetDescr(relation);
    const Columns columns = used_columns(desc, table.deferred.used);
    pg::Vector<AttrNumber> log_columns(table.log.columns, table.log.columns + table.log.ncolumns);
    LogWriter writer(table.relid, table.log.segment, std::move(log_columns), false);
    if (old_row != nullptr && new_row != nullptr && !is_relevant_change(desc, columns, old_row, new_row)) {
        return;
    }
    if (old_row != nullptr) {
        writer.add(old_row, -1);
    }
    if (new_row != nullptr) {
        writer.add(new_row, +1);
    }
    writer.finish();
}

void log_written(Oid view, Tuplestorestate *left, Tuplestorestate *came) {
    const catalog::TableEntry *table = catalog::find_table(view);
    if (table == nullptr || table->deferred.nviews == 0) {
        return;
    }
    pg::Vector<AttrNumber> log_columns(table->log.columns, table->log.columns + table->log.ncolumns);
    const pg::Vector<Oid> views(table->deferred.views, table->deferred.views + table->deferred.nviews);
    LogWriter writer(view, table->log.segment, std::move(log_columns),
                     count_rows(left) + count_rows(came) > 2 * kBatch);
    Relation relation = table_open(view, NoLock); // whoever wrote has it locked
    write_all(writer, RelationGetDescr(relation), left, -1);
    write_all(writer, RelationGetDescr(relation), came, +1);
    table_close(relation, NoLock);
    finish_log(writer, view, views);
}

void log_lost(Oid relid) {
    const catalog::TableEntry *table = catalog::find_table(relid);
    if (table == nullptr || table->deferred.nviews == 0) {
        return;
    }
    LogWriter writer(relid, table->log.segment, {}, false);
    writer.add(nullptr, 0);
    writer.finish();
}

bool has_logged() {
    return logged != nullptr;
}

bool has_logged(Oid relid) {
    return logged != nullptr && std::find(logged->begin(), logged->end(), relid) != logged->end();
}

void forget_logged() {
    logged = nullptr;
}

namespace {

// Calls visit(slot, weight) for the rows of the log that the snapshot sees and the frontier does not cover.
template <typename Visit>
void scan_log(const catalog::Log &log, const catalog::Frontier &frontier, Snapshot snapshot, Visit visit) {
    for (const Oid relid : log.segments) {
        const Relation segment = table_open(relid, AccessShareLock);
        TupleTableSlot *slot = table_slot_create(segment, nullptr);
        TableScanDesc scan = table_beginscan(segment, snapshot, 0, nullptr);
        bool more = true;
        while (more && table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
            CHECK_FOR_INTERRUPTS();
            slot_getsomeattrs(slot, catalog::kLogFixedColumns);
            const uint64 xid =
                U64FromFullTransactionId(DatumGetFullTransactionId(slot->tts_values[catalog::kLogXid - 1]));
            if (!frontier.covers(xid)) {
                more = visit(slot, int(DatumGetInt16(slot->tts_values[catalog::kLogWeight - 1])));
            }
        }
        table_endscan(scan);
        ExecDropSingleTupleTableSlot(slot);
        table_close(segment, AccessShareLock);
        if (!more) {
            return;
        }
    }
}

} // namespace

TableChange read_log(const catalog::Log &log, const catalog::Frontier &frontier, Snapshot snapshot) {
    const Relation relation = table_open(log.relid, AccessShareLock);
    TupleDesc base = RelationGetDescr(relation);
    Columns columns;
    columns.natts = base->natts;
    columns.used = pg::create_array<bool>(base->natts);
    for (const AttrNumber column : log.columns) {
        columns.used[column - 1] = !TupleDescAttr(base, column - 1)->attisdropped;
    }
    TupleDesc desc = pending_desc(base, columns);
    table_close(relation, NoLock);
    auto *values = pg::create_array<Datum>(desc->natts);
    auto *nulls = pg::create_array<bool>(desc->natts);
    std::fill_n(nulls, desc->natts, true);
    Tuplestorestate *stores[2] = {nullptr, nullptr}; // old rows, new rows
    TableChange change{log.relid, false, nullptr, {}};
    const MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "upkeep log row", ALLOCSET_SMALL_SIZES);
    scan_log(log, frontier, snapshot, [&](TupleTableSlot *slot, int weight) {
        if (weight == 0) {
            change.unknown = true;
            change.unknown_why = "its changes were lost, or it was truncated";
            return false;
        }
        slot_getallattrs(slot);
        for (size_t i = 0; i < log.columns.size(); i++) {
            const size_t from = i + catalog::kLogFixedColumns;
            const AttrNumber to = log.columns[i] - 1;
            nulls[to] = !columns.used[to] || slot->tts_isnull[from];
            values[to] = slot->tts_values[from];
            // The log may be truncated while the rows are still read.
            if (!nulls[to] && TupleDescAttr(desc, to)->attlen == -1) {
                pg::InContext in(scratch);
                values[to] = PointerGetDatum(PG_DETOAST_DATUM_PACKED(values[to]));
            }
        }
        Tuplestorestate *&store = stores[weight > 0 ? 1 : 0];
        if (store == nullptr) {
            store = tuplestore_begin_heap(false, false, work_mem);
        }
        tuplestore_putvalues(store, desc, values, nulls);
        MemoryContextReset(scratch);
        return true;
    });
    for (int i = 0; i < 2; i++) {
        if (stores[i] != nullptr) {
            change.batches.push_back({stores[i], desc, i == 0 ? -1 : 1});
        }
    }
    return change;
}

void release_log_rows(TableChange &change) {
    for (const Batch &batch : change.batches) {
        tuplestore_end(batch.rows);
    }
    change.batches.clear();
}

int64 count_log_rows(const catalog::Log &log, const catalog::Frontier &frontier, Snapshot snapshot, int64 at_most) {
    int64 count = 0;
    scan_log(log, frontier, snapshot, [&](TupleTableSlot *, int) { return ++count < at_most; });
    return count;
}

bool has_uncovered_rows(Oid relid, const pg::Vector<catalog::Frontier> &frontiers, Snapshot snapshot) {
    const Relation segment = table_open(relid, AccessShareLock);
    TupleTableSlot *slot = table_slot_create(segment, nullptr);
    TableScanDesc scan = table_beginscan(segment, snapshot, 0, nullptr);
    bool found = false;
    // What is not covered stands at the end, as a rule.
    while (!found && table_scan_getnextslot(scan, BackwardScanDirection, slot)) {
        CHECK_FOR_INTERRUPTS();
        slot_getsomeattrs(slot, catalog::kLogXid);
        const uint64 xid = U64FromFullTransactionId(DatumGetFullTransactionId(slot->tts_values[catalog::kLogXid - 1]));
        for (const catalog::Frontier &frontier : frontiers) {
            found |= !frontier.covers(xid);
        }
    }
    table_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    table_close(segment, AccessShareLock);
    return found;
}

namespace {

// Of a segment so many blocks are read to estimate its rows.
constexpr BlockNumber kSampledBlocks = 12;
// To read a smaller log costs no more than to estimate it.
constexpr BlockNumber kSmallLog = 64;

BlockNumber blocks_of(Oid relid) {
    const Relation segment = table_open(relid, AccessShareLock);
    const BlockNumber blocks =
        segment->rd_rel->relam == HEAP_TABLE_AM_OID ? RelationGetNumberOfBlocks(segment) : BlockNumber{0};
    table_close(segment, AccessShareLock);
    return blocks;
}

int64 count_in_blocks(Relation segment, BlockNumber first, BlockNumber blocks, const catalog::Frontier &frontier,
                      Snapshot snapshot, TupleTableSlot *slot) {
    TableScanDesc scan = table_beginscan_strat(segment, snapshot, 0, nullptr, true, false);
    heap_setscanlimits(scan, first, blocks);
    int64 count = 0;
    while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
        slot_getsomeattrs(slot, catalog::kLogXid);
        const uint64 xid = U64FromFullTransactionId(DatumGetFullTransactionId(slot->tts_values[catalog::kLogXid - 1]));
        count += frontier.covers(xid) ? 0 : 1;
    }
    table_endscan(scan);
    return count;
}

} // namespace

int64 estimate_log_rows(const catalog::Log &log, const catalog::Frontier &frontier, Snapshot snapshot) {
    double rows = 0;
    uint64 all_blocks = 0;
    for (const Oid relid : log.segments) {
        all_blocks += blocks_of(relid);
    }
    if (all_blocks <= kSmallLog) {
        return 0;
    }
    for (const Oid relid : log.segments) {
        const BlockNumber blocks = blocks_of(relid);
        const Relation segment = table_open(relid, AccessShareLock);
        TupleTableSlot *slot = table_slot_create(segment, nullptr);
        const BlockNumber sampled = std::min(blocks, kSampledBlocks);
        int64 found = 0;
        for (BlockNumber i = 0; i < sampled; i++) {
            CHECK_FOR_INTERRUPTS();
            const auto at = static_cast<BlockNumber>((static_cast<uint64>(i) * 2 + 1) * blocks / (sampled * 2));
            found += count_in_blocks(segment, at, 1, frontier, snapshot, slot);
        }
        rows += sampled == 0 ? 0 : static_cast<double>(found) * blocks / sampled;
        ExecDropSingleTupleTableSlot(slot);
        table_close(segment, AccessShareLock);
    }
    return static_cast<int64>(rows);
}

} // namespace upkeep::capture
