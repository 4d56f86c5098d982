// A call of BEFORE STATEMENT only says that a statement begins, which the executor's hook knows as well. It is left out
// where the pairing with AFTER STATEMENT is known beforehand: the server fires BEFORE once for each query level, table
// and operation, and a level can have more than one executor that writes to the table. Those are: modifying CTEs, the
// second operation of ON CONFLICT DO UPDATE, MERGE, and foreign key actions, which lead from a table that is referenced
// perhaps back to it, in the same level. In all these cases, in COPY, and until the trigger has been seen once, the
// trigger is called.
//
// The executor takes its triggers from a copy of its own (InitResultRelInfo): what is left out, is for this query.
#include "capture/executor_start.hpp"

#include "capture/capture.hpp"
#include "capture/nesting.hpp"
#include "capture/pending.hpp"
#include "catalog/registration.hpp"

namespace upkeep::capture {

namespace {

Oid before_function = InvalidOid; // of the trigger

struct Event {
    Operation operation;
    int16 type;
    bool TriggerDesc::*has_before;
};

[[gnu::hot]] const Event *event_of(CmdType command) {
    static constexpr Event insert = {Operation::insert, TRIGGER_TYPE_INSERT,
                                     &TriggerDesc::trig_insert_before_statement};
    static constexpr Event update = {Operation::update, TRIGGER_TYPE_UPDATE,
                                     &TriggerDesc::trig_update_before_statement};
    static constexpr Event remove = {Operation::remove, TRIGGER_TYPE_DELETE,
                                     &TriggerDesc::trig_delete_before_statement};
    switch (command) {
    case CMD_INSERT:
        return &insert;
    case CMD_UPDATE:
        return &update;
    case CMD_DELETE:
        return &remove;
    default:
        return nullptr;
    }
}

bool is_ours(const Trigger &trigger) {
    return trigger.tgfoid == before_function && trigger.tgenabled == TRIGGER_FIRES_ALWAYS && trigger.tgnattr == 0 &&
           trigger.tgqual == nullptr;
}

/// Exactly one BEFORE STATEMENT trigger of the event, which is ours, and no foreign key that refers to the table. (One
/// may refer to a partition or child alone: whether it does is not looked for.)
[[gnu::hot]] bool can_leave_out(Relation relation, const TriggerDesc *triggers, int16 event) {
    if (relation->rd_rel->relkind != RELKIND_RELATION || relation->rd_rel->relhassubclass) {
        return false;
    }
    int ours = 0;
    for (int i = 0; i < triggers->numtriggers; i++) {
        const Trigger &trigger = triggers->triggers[i];
        if (trigger.tgisinternal && RI_FKey_trigger_type(trigger.tgfoid) == RI_TRIGGER_PK) {
            return false;
        }
        if (TRIGGER_TYPE_MATCHES(trigger.tgtype, TRIGGER_TYPE_STATEMENT, TRIGGER_TYPE_BEFORE, event)) {
            if (!is_ours(trigger)) {
                return false;
            }
            ours++;
        }
    }
    return ours == 1;
}

} // namespace

void note_before_trigger(const Trigger *trigger) {
    before_function = trigger->tgfoid;
}

[[gnu::hot]] void open_without_trigger(QueryDesc *query, int flags) {
    const Event *event = event_of(query->operation);
    if (event == nullptr || !OidIsValid(before_function) || query->plannedstmt->hasModifyingCTE ||
        (flags & (EXEC_FLAG_EXPLAIN_ONLY | EXEC_FLAG_SKIP_TRIGGERS)) != 0 ||
        !IsA(query->planstate, ModifyTableState)) {
        return;
    }
    const auto *node = castNode(ModifyTableState, query->planstate);
    const ResultRelInfo *root = node->rootResultRelInfo;
    TriggerDesc *triggers = root->ri_TrigDesc;
    if (triggers == nullptr || !(triggers->*event->has_before) ||
        castNode(ModifyTable, node->ps.plan)->onConflictAction == ONCONFLICT_UPDATE ||
        !can_leave_out(root->ri_RelationDesc, triggers, event->type)) {
        return;
    }
    sweep_dropped();
    const catalog::TableEntry *table = catalog::find_table(RelationGetRelid(root->ri_RelationDesc));
    if (table == nullptr || table->immediate.nviews > 0 || table->commit.nviews > 0) {
        return;
    }
    triggers->*event->has_before = false;
    open_statement(root->ri_RelationDesc, event->operation, !is_due(Scope::statement), query->estate->es_query_cxt);
}

} // namespace upkeep::capture
