// To MERGE, a row that an UPDATE moves to another partition is one row deleted and one inserted: they go into the
// transition tables of DELETE and INSERT. But it fires the statement triggers of those actions only that it has, so
// without WHEN … DELETE or INSERT these tables are filled for nobody. (An UPDATE by itself has them in its own tables.)
// Then our own triggers for them are fired here, and no one else's.
#include "capture/merge.hpp"
#include "capture/capture.hpp"
#include "capture/nesting.hpp"
#include "capture/triggers.hpp"
#include "catalog/registration.hpp"

namespace upkeep::capture {

namespace {

bool may_move_rows(const ModifyTableState *merge) {
    return merge->operation == CMD_MERGE && merge->mt_done && (merge->mt_merge_subcommands & MERGE_UPDATE) != 0 &&
           merge->rootResultRelInfo->ri_RelationDesc->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
}

/// The statement is open until that trigger has been called.
void fire(EState *estate, const ModifyTableState *merge, Operation operation) {
    const ResultRelInfo *root = merge->rootResultRelInfo;
    const Trigger *trigger = find_after_trigger(root->ri_RelationDesc, operation);
    if (trigger == nullptr) {
        return;
    }
    TriggerDesc only{};
    only.triggers = const_cast<Trigger *>(trigger);
    only.numtriggers = 1;
    only.trig_insert_after_statement = only.trig_insert_new_table = operation == Operation::insert;
    only.trig_delete_after_statement = only.trig_delete_old_table = operation == Operation::remove;
    ResultRelInfo info = *root;
    info.ri_TrigDesc = &only;
    pg::InContext in(estate->es_query_cxt); // an open statement belongs to its executor
    open_statement(root->ri_RelationDesc, operation, false);
    operation == Operation::insert ? ExecASInsertTriggers(estate, &info, merge->mt_transition_capture)
                                   : ExecASDeleteTriggers(estate, &info, merge->mt_transition_capture);
}

} // namespace

void complete_merge(QueryDesc *query) {
    if (query->operation != CMD_MERGE || !IsA(query->planstate, ModifyTableState)) {
        return;
    }
    const auto *merge = castNode(ModifyTableState, query->planstate);
    if (!may_move_rows(merge) ||
        catalog::find_table(RelationGetRelid(merge->rootResultRelInfo->ri_RelationDesc)) == nullptr) {
        return;
    }
    if ((merge->mt_merge_subcommands & MERGE_DELETE) == 0) {
        fire(query->estate, merge, Operation::remove);
    }
    if ((merge->mt_merge_subcommands & MERGE_INSERT) == 0) {
        fire(query->estate, merge, Operation::insert);
    }
}

} // namespace upkeep::capture
