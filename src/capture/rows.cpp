#include "capture/rows.hpp"
#include "capture/capture.hpp"
#include "capture/pending.hpp"

extern "C" {
#include "access/detoast.h"
}

namespace upkeep::capture {

namespace {

[[gnu::hot]] bool same_image(Form_pg_attribute att, Datum a, Datum b) {
    if (att->attbyval) {
        return a == b;
    }
    // An UPDATE that leaves a toasted value alone leaves its pointer.
    if (att->attlen == -1 && VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(a)) &&
        VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(b)) &&
        std::memcmp(DatumGetPointer(a), DatumGetPointer(b), VARSIZE_EXTERNAL(DatumGetPointer(a))) == 0) {
        return true;
    }
    return datum_image_eq(a, b, att->attbyval, att->attlen);
}

// Puts a row's used columns into a pending store.
class Copier {
  public:
    Copier(const PendingTable &table, TupleDesc desc)
        : table_(table), desc_(desc), values_(pg::create_array<Datum>(table.columns.natts)),
          nulls_(pg::create_array<bool>(table.columns.natts)),
          scratch_(AllocSetContextCreate(CurrentMemoryContext, "upkeep copied row", ALLOCSET_SMALL_SIZES)) {
        std::fill_n(nulls_, table.columns.natts, true);
    }
    ~Copier() { MemoryContextDelete(scratch_); }
    Copier(const Copier &) = delete;
    Copier &operator=(const Copier &) = delete;

    void put(Tuplestorestate *store, TupleTableSlot *slot) {
        const Columns &columns = table_.columns;
        slot_getsomeattrs(slot, columns.last);
        pg::InContext in(scratch_);
        for (int i = 0; i < columns.last; i++) {
            if (columns.used[i]) {
                nulls_[i] = slot->tts_isnull[i];
                values_[i] = nulls_[i] ? Datum(0) : fetched(i, slot->tts_values[i]);
            }
        }
        tuplestore_putvalues(store, table_.desc, values_, nulls_);
        MemoryContextReset(scratch_);
    }

  private:
    // A toasted value is fetched: before the rows are read, a nested command can replace the table's toast table.
    Datum fetched(int i, Datum value) const {
        if (TupleDescAttr(desc_, i)->attlen != -1 || !VARATT_IS_EXTERNAL(DatumGetPointer(value))) {
            return value;
        }
        return PointerGetDatum(detoast_external_attr(reinterpret_cast<struct varlena *>(DatumGetPointer(value))));
    }

    const PendingTable &table_;
    TupleDesc desc_;
    Datum *values_;
    bool *nulls_;
    MemoryContext scratch_;
};

void copy_all(Pending &pending, PendingTable &table, PendingRows &rows, TupleDesc desc, Tuplestorestate *from) {
    if (from == nullptr || tuplestore_tuple_count(from) == 0) {
        return;
    }
    Copier copier(table, desc);
    BatchReader reader(from, desc);
    begin_append(pending, rows);
    while (reader.next()) {
        CHECK_FOR_INTERRUPTS();
        copier.put(rows.store, reader.slot());
    }
    end_append(rows);
}

void copy_pairs(Pending &pending, PendingTable &table, TupleDesc desc, Tuplestorestate *old_from,
                Tuplestorestate *new_from) {
    Copier copier(table, desc);
    BatchReader old_reader(old_from, desc);
    BatchReader new_reader(new_from, desc);
    bool any = false;
    while (old_reader.next() && new_reader.next()) {
        CHECK_FOR_INTERRUPTS();
        if (!is_relevant_change(desc, table.columns, old_reader.slot(), new_reader.slot())) {
            continue;
        }
        if (!any) {
            any = true;
            begin_append(pending, table.old_rows);
            begin_append(pending, table.new_rows);
        }
        copier.put(table.old_rows.store, old_reader.slot());
        copier.put(table.new_rows.store, new_reader.slot());
    }
    if (any) {
        end_append(table.old_rows);
        end_append(table.new_rows);
    }
}

} // namespace

[[gnu::hot]] bool is_relevant_change(TupleDesc desc, const Columns &columns, TupleTableSlot *a, TupleTableSlot *b) {
    slot_getsomeattrs(a, columns.last);
    slot_getsomeattrs(b, columns.last);
    for (int i = 0; i < columns.last; i++) {
        if (!columns.used[i]) {
            continue;
        }
        if (a->tts_isnull[i] != b->tts_isnull[i]) {
            return true;
        }
        if (!a->tts_isnull[i] && !same_image(TupleDescAttr(desc, i), a->tts_values[i], b->tts_values[i])) {
            return true;
        }
    }
    return false;
}

BatchReader::BatchReader(Tuplestorestate *rows, TupleDesc desc)
    : rows_(rows), pointer_(tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND)),
      slot_(MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple)), owns_slot_(true) {
    rewind();
}

[[gnu::hot]] BatchReader::BatchReader(Tuplestorestate *rows, TupleTableSlot *slot)
    : rows_(rows), pointer_(tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND)), slot_(slot), owns_slot_(false) {
    rewind();
}

[[gnu::hot]] BatchReader::~BatchReader() {
    if (owns_slot_) {
        ExecDropSingleTupleTableSlot(slot_);
    } else {
        ExecClearTuple(slot_);
    }
}

[[gnu::hot]] bool BatchReader::next() {
    tuplestore_select_read_pointer(rows_, pointer_);
    return tuplestore_gettupleslot(rows_, true, false, slot_);
}

[[gnu::hot]] void BatchReader::rewind() {
    tuplestore_select_read_pointer(rows_, pointer_);
    tuplestore_rescan(rows_);
}

Columns used_columns(TupleDesc desc, const Bitmapset *used) {
    Columns columns;
    columns.natts = desc->natts;
    columns.used = pg::create_array<bool>(desc->natts);
    const bool whole_row = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used);
    for (int i = 0; i < desc->natts; i++) {
        if (!TupleDescAttr(desc, i)->attisdropped &&
            (whole_row || bms_is_member(i + 1 - FirstLowInvalidHeapAttributeNumber, used))) {
            columns.used[i] = true;
            columns.last = i + 1;
        }
    }
    return columns;
}

Columns copy_columns(const Columns &columns) {
    Columns copy = columns;
    copy.used = pg::create_array<bool>(columns.natts);
    std::copy_n(columns.used, columns.natts, copy.used);
    return copy;
}

bool same_columns(const Columns &a, const Columns &b) {
    return a.natts == b.natts && std::equal(a.used, a.used + a.natts, b.used);
}

TupleDesc pending_desc(TupleDesc desc, const Columns &columns) {
    TupleDesc copy = CreateTupleDescCopy(desc);
    for (int i = 0; i < copy->natts; i++) {
        if (!columns.used[i]) {
            const NameData name = TupleDescAttr(copy, i)->attname;
            TupleDescInitBuiltinEntry(copy, i + 1, NameStr(name), INT4OID, -1, 0);
        }
    }
    return copy;
}

bool has_relevant_update(TupleDesc desc, const Columns &columns, Tuplestorestate *old_rows, Tuplestorestate *new_rows) {
    if (tuplestore_tuple_count(old_rows) != tuplestore_tuple_count(new_rows)) {
        return true;
    }
    BatchReader old_reader(old_rows, desc);
    BatchReader new_reader(new_rows, desc);
    while (old_reader.next() && new_reader.next()) {
        CHECK_FOR_INTERRUPTS();
        if (is_relevant_change(desc, columns, old_reader.slot(), new_reader.slot())) {
            return true;
        }
    }
    return false;
}

void copy_row(Pending &pending, PendingTable &table, TupleDesc desc, TupleTableSlot *old_row, TupleTableSlot *new_row) {
    Copier copier(table, desc);
    if (old_row != nullptr) {
        begin_append(pending, table.old_rows);
        copier.put(table.old_rows.store, old_row);
        end_append(table.old_rows);
    }
    if (new_row != nullptr) {
        begin_append(pending, table.new_rows);
        copier.put(table.new_rows.store, new_row);
        end_append(table.new_rows);
    }
}

void copy_rows(Pending &pending, PendingTable &table, TupleDesc desc, Tuplestorestate *old_rows,
               Tuplestorestate *new_rows) {
    if (old_rows != nullptr && new_rows != nullptr &&
        tuplestore_tuple_count(old_rows) == tuplestore_tuple_count(new_rows)) {
        copy_pairs(pending, table, desc, old_rows, new_rows);
        return;
    }
    copy_all(pending, table, table.old_rows, desc, old_rows);
    copy_all(pending, table, table.new_rows, desc, new_rows);
}

} // namespace upkeep::capture
