#include "capture/log_layout.hpp"

#include "catalog/log.hpp"

extern "C" {
#include "access/heaptoast.h"
#include "access/tupmacs.h"
}

namespace upkeep::capture {

namespace {

/// Where the data of a row without NULLs begins.
constexpr Size kHeader = MAXALIGN(SizeofHeapTupleHeader);

bool is_fixed(TupleDesc desc) {
    for (int i = 0; i < desc->natts; i++) {
        if (TupleDescAttr(desc, i)->attlen <= 0) {
            return false;
        }
    }
    return true;
}

/// Where a column goes that comes after `end` bytes of data; moves the end behind it.
Size place(Form_pg_attribute att, Size *end) {
    const Size at = att_align_nominal(*end, att->attalign);
    *end = at + att->attlen;
    return at;
}

void lay_out_fixed(LogLayout &layout, const catalog::LogTarget &target, TupleDesc segment) {
    Size end = 0;
    for (int i = 0; i < catalog::kLogFixedColumns; i++) {
        const Size at = place(TupleDescAttr(segment, i), &end);
        layout.weight_at = i == catalog::kLogWeight - 1 ? at : layout.weight_at;
    }
    layout.fixed = pg::create_array<FixedColumn>(target.ncolumns);
    for (int i = 0; i < target.ncolumns; i++) {
        Form_pg_attribute att = TupleDescAttr(segment, catalog::kLogFixedColumns + i);
        layout.fixed[i] = {target.columns[i] - 1, place(att, &end), att->attlen, att->attbyval};
    }
    layout.length = kHeader + end;
    if (layout.length > TOAST_TUPLE_THRESHOLD) {
        return;
    }
    layout.pattern = static_cast<HeapTupleHeader>(palloc0(layout.length));
    layout.pattern->t_hoff = kHeader;
    HeapTupleHeaderSetNatts(layout.pattern, segment->natts);
    layout.few_rows = static_cast<char *>(palloc(LogLayout::kFewRows * room_for_row(layout)));
}

} // namespace

[[gnu::hot]] LogLayout &layout_of(const catalog::TableEntry &table) {
    if (table.kept == nullptr) {
        const pg::InContext in(table.memory);
        table.kept = new (palloc(sizeof(LogLayout))) LogLayout{table.memory};
    }
    return *static_cast<LogLayout *>(table.kept);
}

[[gnu::hot]] LogLayout &layout_of(const catalog::TableEntry &table, TupleDesc base) {
    LogLayout &layout = layout_of(table);
    if (layout.base == nullptr) {
        const pg::InContext in(layout.memory);
        TupleDesc copy = CreateTupleDescCopy(base); // counts no references
        layout.used = used_columns(base, table.deferred.used);
        for (TupleTableSlot *&slot : layout.readers) {
            slot = MakeSingleTupleTableSlot(copy, &TTSOpsMinimalTuple);
        }
        layout.base = copy;
    }
    return layout;
}

[[gnu::hot]] void lay_out(LogLayout &layout, const catalog::LogTarget &target, TupleDesc segment) {
    if (layout.natts == segment->natts) {
        return;
    }
    const pg::InContext in(layout.memory);
    layout.values = pg::create_array<Datum>(segment->natts);
    layout.nulls = pg::create_array<bool>(segment->natts);
    layout.nread = target.ncolumns == 0 ? 0 : *std::max_element(target.columns, target.columns + target.ncolumns);
    layout.pattern = nullptr;
    if (is_fixed(segment) && segment->natts == catalog::kLogFixedColumns + target.ncolumns) {
        lay_out_fixed(layout, target, segment);
    }
    layout.natts = segment->natts;
}

[[gnu::hot]] Size room_for_row(const LogLayout &layout) {
    return HEAPTUPLESIZE + MAXALIGN(layout.length);
}

[[gnu::hot]] HeapTuple form_fixed(const LogLayout &layout, int ncolumns, char *room, TupleTableSlot *row, int weight) {
    auto *tuple = reinterpret_cast<HeapTuple>(room);
    tuple->t_data = reinterpret_cast<HeapTupleHeader>(room + HEAPTUPLESIZE);
    tuple->t_len = layout.length;
    ItemPointerSetInvalid(&tuple->t_self);
    tuple->t_tableOid = InvalidOid;
    std::memcpy(tuple->t_data, layout.pattern, layout.length);
    char *data = room + HEAPTUPLESIZE + kHeader;
    const auto stored_weight = static_cast<int16>(weight);
    std::memcpy(data + layout.weight_at, &stored_weight, sizeof(stored_weight));
    for (int i = 0; i < ncolumns; i++) {
        const FixedColumn &column = layout.fixed[i];
        if (row->tts_isnull[column.from]) {
            return nullptr;
        }
        const Datum value = row->tts_values[column.from];
        if (column.by_value) {
            store_att_byval(data + column.at, value, column.length);
        } else {
            std::memcpy(data + column.at, DatumGetPointer(value), column.length);
        }
    }
    return tuple;
}

[[gnu::hot]] TupleTableSlot *reader_slot(const LogLayout &layout, int which) {
    TupleTableSlot *slot = layout.readers[which];
    if (!TTS_EMPTY(slot)) {
        // An error came while it was read into, and has taken the row away.
        slot->tts_flags &= ~TTS_FLAG_SHOULDFREE;
        ExecClearTuple(slot);
    }
    return slot;
}

} // namespace upkeep::capture
