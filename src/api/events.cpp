// The event triggers' functions. They run in every session, whatever its role's rights.
#include "api/definition_changes.hpp"
#include "api/drops.hpp"
#include "catalog/registration.hpp"
#include "pg/entry.hpp"

extern "C" {
#include "commands/event_trigger.h"
#include "tcop/cmdtag.h"
}

using namespace upkeep;

static EventTriggerData *require_event(FunctionCallInfo fcinfo) {
    if (!CALLED_AS_EVENT_TRIGGER(fcinfo)) {
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("functions that follow DDL can only be called as event triggers")));
    }
    return reinterpret_cast<EventTriggerData *>(fcinfo->context);
}

// Frequent commands that change nothing that a view can rely on.
static bool is_harmless(CommandTag tag) {
    switch (tag) {
    case CMDTAG_COMMENT:
    case CMDTAG_CREATE_EXTENSION:
    case CMDTAG_CREATE_INDEX:
    case CMDTAG_CREATE_MATERIALIZED_VIEW:
    case CMDTAG_CREATE_SCHEMA:
    case CMDTAG_CREATE_SEQUENCE:
    case CMDTAG_CREATE_STATISTICS:
    case CMDTAG_CREATE_TABLE_AS:
    case CMDTAG_CREATE_TYPE:
    case CMDTAG_ALTER_SEQUENCE:
    case CMDTAG_GRANT:
    case CMDTAG_REVOKE:
    case CMDTAG_SECURITY_LABEL:
    case CMDTAG_SELECT_INTO:
        return true;
    default:
        return false;
    }
}

UPKEEP_FUNCTION(upkeep_ddl_start) {
    const EventTriggerData *event = require_event(fcinfo);
    if (!catalog::in_own_ddl()) {
        api::begin_detaching(event->parsetree);
    }
    PG_RETURN_NULL();
}

UPKEEP_FUNCTION(upkeep_ddl_end) {
    const EventTriggerData *event = require_event(fcinfo);
    if (catalog::in_own_ddl() || is_harmless(event->tag)) {
        PG_RETURN_NULL();
    }
    if (event->tag == CMDTAG_REFRESH_MATERIALIZED_VIEW) {
        api::follow_refresh(castNode(RefreshMatViewStmt, event->parsetree));
    } else {
        api::end_detaching(event->parsetree);
        api::follow_definition_changes();
    }
    PG_RETURN_NULL();
}

UPKEEP_FUNCTION(upkeep_sql_drop) {
    const EventTriggerData *event = require_event(fcinfo);
    if (!catalog::in_own_ddl()) {
        api::follow_drop(event->parsetree);
    }
    PG_RETURN_NULL();
}
