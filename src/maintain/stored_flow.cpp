// Nodes that store the rows of a flow as they are: a bag, whose change is the flow's.
#include "maintain/fixpoint.hpp"

namespace upkeep::maintain {

namespace {

bool broken(Run &run) {
    run.broken = true;
    run.broken_why = "a row to delete is missing";
    return false;
}

/// In the order of the hashes, the same for every writer.
bool write_rows(Run &run, Target *target, ZSet &change) {
    pg::Vector<const ZSet::Row *> rows;
    for (const ZSet::Row *row : change.rows())
        if (row->weight != 0)
            rows.push_back(row);
    std::sort(rows.begin(), rows.end(), [](const ZSet::Row *a, const ZSet::Row *b) { return a->hash < b->hash; });
    for (const ZSet::Row *row : rows) {
        CHECK_FOR_INTERRUPTS();
        if (row->weight < 0 && remove_copies(target, row->values, row->nulls, -row->weight) != -row->weight)
            return broken(run);
    }
    TupleTableSlot *slot = make_target_slot(target);
    const int n = slot->tts_tupleDescriptor->natts;
    for (const ZSet::Row *row : rows)
        for (int64 i = 0; i < row->weight; i++) {
            CHECK_FOR_INTERRUPTS();
            ExecClearTuple(slot);
            std::copy(row->values, row->values + n, slot->tts_values);
            std::copy(row->nulls, row->nulls + n, slot->tts_isnull);
            ExecStoreVirtualTuple(slot);
            insert_row(target, slot);
        }
    return true;
}

} // namespace

bool run_stored_flow_stage(Run &run, NodeProgram &node) {
    pg::InContext in(run.memory);
    auto *change = new (palloc(sizeof(ZSet))) ZSet(node.row_ops, run.memory);
    read_flow(run, node.blocks, node.flow_ops, *change);
    run.node_deltas[node.number] = change;
    Target *target = open_target(node.relid, node.identity);
    const bool fine = !run.broken && write_rows(run, target, *change);
    run.rows_changed += rows_written(target);
    close_target(target);
    return fine;
}

} // namespace upkeep::maintain
