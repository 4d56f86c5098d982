// The capture triggers' functions.
#include "capture/capture.hpp"
#include "maintain/maintain.hpp"
#include "pg/entry.hpp"

using namespace upkeep;

static TriggerData *require_trigger(FunctionCallInfo fcinfo) {
    if (!CALLED_AS_TRIGGER(fcinfo)) {
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("capture functions can only be called as triggers")));
    }
    return reinterpret_cast<TriggerData *>(fcinfo->context);
}

UPKEEP_FUNCTION(upkeep_capture_before) {
    capture::before_statement(require_trigger(fcinfo));
    return PointerGetDatum(nullptr);
}

UPKEEP_FUNCTION(upkeep_capture_row) {
    TriggerData *trigger = require_trigger(fcinfo);
    if (TRIGGER_FIRED_BEFORE(trigger->tg_event)) { // disabled, so somebody has just enabled it
        return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple
                                                                          : trigger->tg_trigtuple);
    }
    capture::after_row(trigger);
    return PointerGetDatum(nullptr);
}

// As all that each statement runs: it lies together in the module then, see docs/internals/capture.md.
extern "C" [[gnu::hot]] PGDLLEXPORT Datum upkeep_capture_after(PG_FUNCTION_ARGS);

UPKEEP_FUNCTION(upkeep_capture_after) {
    if (capture::after_statement(require_trigger(fcinfo))) {
        maintain::run_pending();
    }
    return PointerGetDatum(nullptr);
}
