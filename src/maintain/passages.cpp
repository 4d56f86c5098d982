// From the relation in which rows were captured to the source whose rows they are.
#include "maintain/run.hpp"

#include "analysis/table_members.hpp"

extern "C" {
#include "optimizer/optimizer.h"
}

namespace upkeep::maintain {

namespace {

using analysis::Passage;
using analysis::TableSource;

/// Which rows of the source's shape are rows of the source.
class Filter {
  public:
    explicit Filter(List *condition) : estate_(condition == NIL ? nullptr : CreateExecutorState()) {
        if (estate_ != nullptr)
            check_ = ExecPrepareCheck(condition, estate_);
    }
    ~Filter() {
        if (estate_ != nullptr)
            FreeExecutorState(estate_);
    }
    Filter(const Filter &) = delete;
    Filter &operator=(const Filter &) = delete;

    bool holds(TupleTableSlot *slot) {
        if (estate_ == nullptr)
            return true;
        ResetPerTupleExprContext(estate_);
        ExprContext *context = GetPerTupleExprContext(estate_);
        context->ecxt_scantuple = slot;
        return ExecCheck(check_, context);
    }

  private:
    EState *estate_;
    ExprState *check_ = nullptr;
};

/// A row of another table as one of the source: the columns that are used, all others NULL.
void put_columns(TupleTableSlot *from, const AttrNumber *column, TupleTableSlot *to) {
    ExecClearTuple(to);
    for (int i = 0; i < to->tts_tupleDescriptor->natts; i++) {
        to->tts_isnull[i] = true;
        if (column[i] != 0)
            to->tts_values[i] = slot_getattr(from, column[i], &to->tts_isnull[i]);
    }
    ExecStoreVirtualTuple(to);
}

TupleDesc source_shape(Oid relid) {
    Relation rel = table_open(relid, AccessShareLock);
    TupleDesc desc = CreateTupleDescCopy(RelationGetDescr(rel));
    table_close(rel, NoLock);
    return desc;
}

bool passes_exactly(const TableSource &source, const capture::TableChange &change) {
    return source.relid == change.relid && !source.only;
}

void scan(const TableSource &source, Oid member, TupleDesc desc, Tuplestorestate *rows) {
    Relation rel = table_open(member, AccessShareLock);
    if (rel->rd_rel->relkind == RELKIND_RELATION) {
        bool same;
        const AttrNumber *column = analysis::columns_elsewhere(source, member, nullptr, &same);
        const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
        TupleTableSlot *from = table_slot_create(rel, nullptr);
        TupleTableSlot *to = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
        TableScanDesc scan = table_beginscan(rel, snapshot, 0, nullptr);
        while (table_scan_getnextslot(scan, ForwardScanDirection, from)) {
            CHECK_FOR_INTERRUPTS();
            put_columns(from, column, to);
            tuplestore_puttupleslot(rows, to);
        }
        table_endscan(scan);
        ExecDropSingleTupleTableSlot(to);
        ExecDropSingleTupleTableSlot(from);
        UnregisterSnapshot(snapshot);
    }
    table_close(rel, NoLock);
}

} // namespace

capture::Batch read_member(const TableSource &source, Oid member, int weight) {
    capture::Batch batch{tuplestore_begin_heap(false, false, work_mem), source_shape(source.relid), weight};
    scan(source, member, batch.desc, batch.rows);
    return batch;
}

capture::Batch pass_rows(Run &run, const TableSource &source, const capture::TableChange &change,
                         const capture::Batch &batch) {
    if (change.exact)
        return passes_exactly(source, change) ? batch : capture::Batch{};
    const Passage passage = analysis::find_passage(source, change.relid);
    if (!passage.passes)
        return {};
    if (passage.column == nullptr)
        return batch;
    capture::Batch passed{tuplestore_begin_heap(false, false, work_mem), source_shape(source.relid), batch.weight};
    run.passed.push_back(passed.rows);
    Filter filter(passage.condition);
    TupleTableSlot *slot = MakeSingleTupleTableSlot(passed.desc, &TTSOpsVirtual);
    for (capture::BatchReader reader(batch); reader.next();) {
        CHECK_FOR_INTERRUPTS();
        put_columns(reader.slot(), passage.column, slot);
        if (filter.holds(slot))
            tuplestore_puttupleslot(passed.rows, slot);
    }
    ExecDropSingleTupleTableSlot(slot);
    return passed;
}

void finish_passages(Run &run) {
    for (Tuplestorestate *rows : run.passed)
        tuplestore_end(rows);
    run.passed.clear();
}

} // namespace upkeep::maintain
