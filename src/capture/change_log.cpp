#include "capture/change_log.hpp"

#include "capture/capture.hpp"
#include "capture/log_scan.hpp"
#include "capture/log_writer.hpp"
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

// Base tables whose changes this transaction has logged. Of the backend, made by the first statement that logs.
pg::Vector<Oid> *logged = nullptr;

} // namespace

[[gnu::hot]] void note_logged(Oid relid) {
    if (logged == nullptr) {
        logged = new (MemoryContextAlloc(CacheMemoryContext, sizeof(pg::Vector<Oid>)))
            pg::Vector<Oid>(pg::Palloc<Oid>(CacheMemoryContext));
    }
    if (std::find(logged->begin(), logged->end(), relid) == logged->end()) {
        logged->push_back(relid);
    }
}

namespace {

[[gnu::hot]] int64 count_rows(Tuplestorestate *rows) {
    return rows == nullptr ? 0 : tuplestore_tuple_count(rows);
}

[[gnu::hot]] void write_all(LogWriter &writer, const LogLayout &layout, Tuplestorestate *rows, int weight) {
    int64 left = count_rows(rows);
    if (left == 0) {
        return;
    }
    BatchReader reader(rows, reader_slot(layout, 0));
    for (; left > 0 && reader.next(); left--) {
        CHECK_FOR_INTERRUPTS();
        writer.add(reader.slot(), weight);
    }
}

[[gnu::hot]] void write_pairs(LogWriter &writer, const LogLayout &layout, Tuplestorestate *old_rows,
                              Tuplestorestate *new_rows) {
    int64 left = count_rows(old_rows);
    if (left == 0) {
        return;
    }
    BatchReader old_reader(old_rows, reader_slot(layout, 0));
    BatchReader new_reader(new_rows, reader_slot(layout, 1));
    for (; left > 0 && old_reader.next() && new_reader.next(); left--) {
        CHECK_FOR_INTERRUPTS();
        if (is_relevant_change(layout.base, layout.used, old_reader.slot(), new_reader.slot())) {
            writer.add(old_reader.slot(), -1);
            writer.add(new_reader.slot(), +1);
        }
    }
}

// Nobody consumes the log: the views are rebuilt some day, and the log grows no more.
void give_up(Oid relid, std::span<const Oid> views) {
    const char *why = psprintf("the change log of %s reached upkeep.log_limit", pg::qualified_name(relid));
    for (const Oid view : views) {
        if (!catalog::mark_stale(view, why)) {
            continue;
        }
        ereport(WARNING, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                          errmsg("materialized view %s is stale from now on", pg::qualified_name(view)),
                          errdetail("Its changes are not logged any more because %s.", why),
                          errhint("Call upkeep.refresh() on it, which computes it anew. See to it that deferred views "
                                  "are refreshed.")));
    }
}

[[gnu::hot]] void finish_log(LogWriter &writer, const catalog::TableEntry &table) {
    writer.finish();
    if (int64(writer.last_block()) * BLCKSZ >= settings::log_limit()) {
        // The entry goes with what is written about its views.
        const pg::Vector<Oid> views(table.deferred.views, table.deferred.views + table.deferred.nviews);
        give_up(table.relid, {views.data(), views.size()});
    }
}

} // namespace

// The catalog's entry stays while rows are logged: invalidations only mark it, and no trigger of anybody is called.

[[gnu::hot]] void log_rows(TriggerData *trigger, const catalog::TableEntry &table) {
    Tuplestorestate *old_rows = trigger->tg_oldtable;
    Tuplestorestate *new_rows = trigger->tg_newtable;
    LogLayout &layout = layout_of(table, RelationGetDescr(trigger->tg_relation));
    LogWriter writer(table, layout, count_rows(old_rows) + count_rows(new_rows));
    if (old_rows != nullptr && new_rows != nullptr && count_rows(old_rows) == count_rows(new_rows)) {
        write_pairs(writer, layout, old_rows, new_rows);
    } else {
        write_all(writer, layout, old_rows, -1);
        write_all(writer, layout, new_rows, +1);
    }
    finish_log(writer, table);
}

void log_row(Relation relation, const catalog::TableEntry &table, TupleTableSlot *old_row, TupleTableSlot *new_row) {
    LogLayout &layout = layout_of(table, RelationGetDescr(relation));
    if (old_row != nullptr && new_row != nullptr && !is_relevant_change(layout.base, layout.used, old_row, new_row)) {
        return;
    }
    LogWriter writer(table, layout, int{old_row != nullptr} + int{new_row != nullptr});
    if (old_row != nullptr) {
        writer.add(old_row, -1);
    }
    if (new_row != nullptr) {
        writer.add(new_row, +1);
    }
    finish_log(writer, table);
}

void log_written(Oid view, Tuplestorestate *left, Tuplestorestate *came) {
    const catalog::TableEntry *table = catalog::find_table(view);
    if (table == nullptr || table->deferred.nviews == 0) {
        return;
    }
    Relation relation = table_open(view, NoLock); // whoever wrote has it locked
    LogLayout &layout = layout_of(*table, RelationGetDescr(relation));
    LogWriter writer(*table, layout, count_rows(left) + count_rows(came));
    write_all(writer, layout, left, -1);
    write_all(writer, layout, came, +1);
    table_close(relation, NoLock);
    finish_log(writer, *table);
}

void log_lost(Oid relid) {
    const catalog::TableEntry *table = catalog::find_table(relid);
    if (table == nullptr || table->deferred.nviews == 0) {
        return;
    }
    LogWriter writer(*table, layout_of(*table), 1);
    writer.add_lost();
    writer.finish();
}

[[gnu::hot]] bool has_logged() {
    return logged != nullptr && !logged->empty();
}

[[gnu::hot]] std::span<const Oid> logged_tables() {
    return logged != nullptr ? std::span<const Oid>(logged->data(), logged->size()) : std::span<const Oid>();
}

bool has_logged(Oid relid) {
    return logged != nullptr && std::find(logged->begin(), logged->end(), relid) != logged->end();
}

[[gnu::hot]] void forget_logged() {
    if (logged != nullptr) {
        logged->clear();
    }
}

TableChange read_log(const catalog::Log &log, const Bitmapset *used, const catalog::Frontier &frontier,
                     Snapshot snapshot) {
    const Relation relation = table_open(log.relid, AccessShareLock);
    TupleDesc base = RelationGetDescr(relation);
    Columns columns;
    columns.natts = base->natts;
    columns.used = pg::create_array<bool>(base->natts);
    int last = 0; // column of the log that is read
    for (size_t i = 0; i < log.columns.size(); i++) {
        const AttrNumber column = log.columns[i];
        columns.used[column - 1] = !TupleDescAttr(base, column - 1)->attisdropped &&
                                   bms_is_member(column - FirstLowInvalidHeapAttributeNumber, used);
        if (columns.used[column - 1]) {
            last = static_cast<int>(i) + 1;
        }
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
        slot_getsomeattrs(slot, catalog::kLogFixedColumns + last);
        for (int i = 0; i < last; i++) {
            const int from = i + catalog::kLogFixedColumns;
            const AttrNumber to = log.columns[static_cast<size_t>(i)] - 1;
            if (!columns.used[to]) {
                continue;
            }
            nulls[to] = slot->tts_isnull[from];
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
