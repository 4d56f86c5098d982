#include "maintain/row_comparison.hpp"

#include "observe/progress.hpp"

extern "C" {
#include "catalog/pg_operator_d.h"
#include "executor/tstoreReceiver.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/tcopprot.h"
#include "utils/tuplesort.h"
}

namespace upkeep::maintain {
namespace {

// What is sorted: the image hash of a row, the side that it comes from, and its columns.
constexpr int kHash = 0;
constexpr int kFromView = 1;
constexpr int kColumns = 2;

// So many spare copies are kept of one row.
constexpr size_t kMaxSpare = 1000;

TupleDesc make_sort_desc(TupleDesc rows) {
    TupleDesc desc = CreateTemplateTupleDesc(rows->natts + kColumns);
    TupleDescInitEntry(desc, kHash + 1, "hash", INT8OID, -1, 0);
    TupleDescInitEntry(desc, kFromView + 1, "from_view", BOOLOID, -1, 0);
    for (int i = 0; i < rows->natts; i++) {
        TupleDescCopyEntry(desc, kColumns + i + 1, rows, i + 1);
    }
    return desc;
}

Datum detoast(Form_pg_attribute attribute, Datum value) {
    return attribute->attlen == -1 ? PointerGetDatum(PG_DETOAST_DATUM_PACKED(value)) : value;
}

// The sort of both sides, by the image hash.
class Sorter {
  public:
    Sorter(TupleDesc rows, int ncolumns)
        : rows_(rows), ncolumns_(ncolumns), columns_(prepare_columns(rows)), desc_(make_sort_desc(rows)),
          slot_(MakeSingleTupleTableSlot(desc_, &TTSOpsVirtual)) {
        AttrNumber key = kHash + 1;
        Oid before = Int8LessOperator;
        Oid collation = InvalidOid;
        bool nulls_first = false;
        sort_ =
            tuplesort_begin_heap(desc_, 1, &key, &before, &collation, &nulls_first, work_mem, nullptr, TUPLESORT_NONE);
    }

    // Called in a context that the caller resets.
    void put(const Datum *values, const bool *nulls, int n, bool from_view) {
        observe::count_row();
        ExecClearTuple(slot_);
        uint64 hash = 0;
        for (int i = 0; i < rows_->natts; i++) {
            const bool present = i < n && !nulls[i];
            const Datum value = present ? detoast(TupleDescAttr(rows_, i), values[i]) : 0;
            slot_->tts_values[kColumns + i] = value;
            slot_->tts_isnull[kColumns + i] = !present;
            if (i < ncolumns_) {
                hash = pg::combine_hash(hash, pg::image_hash(columns_[i], value, !present));
            }
        }
        slot_->tts_values[kHash] = Int64GetDatum(static_cast<int64>(hash));
        slot_->tts_isnull[kHash] = false;
        slot_->tts_values[kFromView] = BoolGetDatum(from_view);
        slot_->tts_isnull[kFromView] = false;
        ExecStoreVirtualTuple(slot_);
        tuplesort_puttupleslot(sort_, slot_);
    }

    Tuplesortstate *finish() {
        ExecDropSingleTupleTableSlot(slot_);
        tuplesort_performsort(sort_);
        return sort_;
    }

    TupleDesc desc() const { return desc_; }
    const pg::ColumnOps *columns() const { return columns_; }

  private:
    TupleDesc rows_;
    int ncolumns_;
    pg::ColumnOps *columns_;
    TupleDesc desc_;
    TupleTableSlot *slot_;
    Tuplesortstate *sort_;
};

// Rows of one hash: copies of the two sides cancel each other as they come.
class HashGroup {
  public:
    HashGroup(TupleDesc rows, int ncolumns, const pg::ColumnOps *columns, Difference *difference)
        : rows_(rows), ncolumns_(ncolumns), columns_(columns), difference_(difference),
          context_(AllocSetContextCreate(CurrentMemoryContext, "upkeep hash group", ALLOCSET_DEFAULT_SIZES)),
          images_(pg::Palloc<Image>(context_)) {}

    void add(const Datum *values, const bool *nulls, bool from_view) {
        Image *image = find(values, nulls);
        if (image == nullptr) {
            const pg::Vector<Row> none{pg::Palloc<Row>(context_)};
            images_.push_back(Image{keep(values, nulls), from_view, none, none});
            image = &images_.back();
        }
        if (image->copies.empty()) {
            image->from_view = from_view;
        }
        if (image->from_view != from_view) {
            if (rows_->natts > ncolumns_ && image->spare.size() < kMaxSpare) {
                image->spare.push_back(from_view ? image->copies.back() : keep(values, nulls));
            }
            image->copies.pop_back();
        } else if (rows_->natts == ncolumns_) {
            image->copies.push_back(image->row);
        } else {
            image->copies.push_back(keep(values, nulls)); // the further columns belong to this copy alone
        }
    }

    // Hands over what is left, and starts the next hash.
    void finish() {
        for (const Image &image : images_) {
            const int first = static_cast<int>(difference_->query.size());
            for (const Row &row : image.copies) {
                (image.from_view ? difference_->view : difference_->query).push_back(copy(row));
            }
            difference_->first_copy.resize(difference_->query.size(), first);
            if (image.from_view || image.copies.empty()) {
                continue;
            }
            for (const Row &row : image.spare) {
                difference_->spare.push_back(copy(row));
                difference_->first_spare_copy.push_back(first);
            }
        }
        images_ = pg::Vector<Image>(pg::Palloc<Image>(context_));
        MemoryContextReset(context_);
    }

  private:
    struct Image {
        Row row;
        bool from_view;
        pg::Vector<Row> copies;
        pg::Vector<Row> spare; // of the query, gone with one of the view
    };

    Image *find(const Datum *values, const bool *nulls) {
        for (Image &image : images_) {
            int i = 0;
            while (i < ncolumns_ &&
                   pg::image_equal(columns_[i], image.row.values[i], image.row.nulls[i], values[i], nulls[i])) {
                i++;
            }
            if (i == ncolumns_) {
                return &image;
            }
        }
        return nullptr;
    }

    Row copy(const Row &row) const { return copy_row(rows_, row.values, row.nulls, rows_->natts); }

    Row keep(const Datum *values, const bool *nulls) {
        pg::InContext in_group(context_);
        return copy_row(rows_, values, nulls, rows_->natts);
    }

    TupleDesc rows_;
    int ncolumns_;
    const pg::ColumnOps *columns_;
    Difference *difference_;
    MemoryContext context_;
    pg::Vector<Image> images_;
};

void put_view(Relation view, Sorter *sorter) {
    TupleTableSlot *slot = table_slot_create(view, nullptr);
    TableScanDesc scan = table_beginscan(view, GetActiveSnapshot(), 0, nullptr);
    MemoryContext per_row = AllocSetContextCreate(CurrentMemoryContext, "upkeep row", ALLOCSET_DEFAULT_SIZES);
    while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
        CHECK_FOR_INTERRUPTS();
        slot_getallattrs(slot);
        {
            pg::InContext in_row(per_row);
            sorter->put(slot->tts_values, slot->tts_isnull, slot->tts_nvalid, true);
        }
        MemoryContextReset(per_row);
    }
    MemoryContextDelete(per_row);
    table_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
}

void require_same_columns(Relation view, TupleDesc rows) {
    TupleDesc own = RelationGetDescr(view);
    bool same = own->natts <= rows->natts;
    for (int i = 0; same && i < own->natts; i++) {
        same = TupleDescAttr(own, i)->atttypid == TupleDescAttr(rows, i)->atttypid;
    }
    if (!same) {
        ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                        errmsg("materialized view \"%s\" and its query have different columns",
                               RelationGetRelationName(view))));
    }
}

// Merges what was sorted: what the two sides do not have in common.
void subtract(Sorter *sorter, Tuplesortstate *sorted, HashGroup *group) {
    TupleTableSlot *slot = MakeSingleTupleTableSlot(sorter->desc(), &TTSOpsMinimalTuple);
    std::optional<int64> hash;
    while (tuplesort_gettupleslot(sorted, true, false, slot, nullptr)) {
        CHECK_FOR_INTERRUPTS();
        slot_getallattrs(slot);
        const int64 next = DatumGetInt64(slot->tts_values[kHash]);
        if (hash && *hash != next) {
            group->finish();
        }
        hash = next;
        group->add(slot->tts_values + kColumns, slot->tts_isnull + kColumns, DatumGetBool(slot->tts_values[kFromView]));
    }
    group->finish();
    ExecDropSingleTupleTableSlot(slot);
    tuplesort_end(sorted);
}

template <typename PutView> Difference compare(Relation view, const Query *query, PutView &&put_view_rows) {
    Difference difference;
    Tuplestorestate *result = run_query(query, &difference.query_desc);
    TupleDesc rows = difference.query_desc;
    require_same_columns(view, rows);
    const int ncolumns = RelationGetDescr(view)->natts;
    Sorter sorter(rows, ncolumns);
    put_view_rows(&sorter);
    for_each_row(result, rows, [&](TupleTableSlot *slot) {
        sorter.put(slot->tts_values, slot->tts_isnull, slot->tts_nvalid, false);
    });
    tuplestore_end(result);
    Tuplesortstate *sorted = sorter.finish();
    HashGroup group(rows, ncolumns, sorter.columns(), &difference);
    subtract(&sorter, sorted, &group);
    return difference;
}

} // namespace

Query *rewrite_query(const Query *query) {
    auto *copy = static_cast<Query *>(copyObjectImpl(query));
    AcquireRewriteLocks(copy, true, false);
    List *rewritten = QueryRewrite(copy);
    if (list_length(rewritten) != 1) {
        elog(ERROR, "unexpected rewrite result for the query of a materialized view");
    }
    return linitial_node(Query, rewritten);
}

Tuplestorestate *run_query(const Query *query, TupleDesc *desc) {
    static const char *const name = "upkeep.verify";
    PlannedStmt *plan =
        pg_plan_query(static_cast<Query *>(copyObjectImpl(query)), name, CURSOR_OPT_PARALLEL_OK, nullptr);
    Tuplestorestate *rows = tuplestore_begin_heap(false, false, work_mem);
    DestReceiver *receiver = CreateTuplestoreDestReceiver();
    SetTuplestoreDestReceiverParams(receiver, rows, CurrentMemoryContext, true, nullptr, nullptr);
    QueryDesc *execution =
        CreateQueryDesc(plan, name, GetActiveSnapshot(), InvalidSnapshot, receiver, nullptr, nullptr, 0);
    ExecutorStart(execution, 0);
    ExecutorRun(execution, ForwardScanDirection, 0, true);
    ExecutorFinish(execution);
    *desc = CreateTupleDescCopy(execution->tupDesc);
    ExecutorEnd(execution);
    FreeQueryDesc(execution);
    receiver->rDestroy(receiver);
    return rows;
}

pg::ColumnOps *prepare_columns(TupleDesc desc) {
    auto *columns = pg::create_array<pg::ColumnOps>(desc->natts);
    for (int i = 0; i < desc->natts; i++) {
        const Form_pg_attribute attribute = TupleDescAttr(desc, i);
        columns[i] = pg::prepare_column_ops(attribute->atttypid, attribute->attcollation, InvalidOid);
    }
    return columns;
}

Row copy_row(TupleDesc desc, const Datum *values, const bool *nulls, int n) {
    Row row{pg::create_array<Datum>(n), pg::create_array<bool>(n)};
    for (int i = 0; i < n; i++) {
        const Form_pg_attribute attribute = TupleDescAttr(desc, i);
        row.nulls[i] = nulls[i];
        if (!nulls[i]) {
            row.values[i] = datumCopy(detoast(attribute, values[i]), attribute->attbyval, attribute->attlen);
        }
    }
    return row;
}

Difference compare_rows(Relation view, const Query *query) {
    return compare(view, query, [view](Sorter *sorter) { put_view(view, sorter); });
}

Difference compare_rows(Relation view, const pg::Vector<Row> &rows, const Query *query) {
    const int ncolumns = RelationGetDescr(view)->natts;
    return compare(view, query, [&](Sorter *sorter) {
        for (const Row &row : rows) {
            sorter->put(row.values, row.nulls, ncolumns, true);
        }
    });
}

} // namespace upkeep::maintain
