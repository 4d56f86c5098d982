// A transaction of a background worker's own, whose failure the worker survives.
#pragma once
#include "pg/entry.hpp"

extern "C" {
#include "utils/timeout.h"
}

namespace upkeep::pg {

/// Calls body() in a transaction with an active snapshot. nullptr: it committed. Else it was rolled back; the error is
/// in the server log, and a copy of it is returned in the current memory context.
template <typename Body> ErrorData *in_transaction(Body &&body) {
    const MemoryContext context = CurrentMemoryContext;
    ErrorData *volatile error = nullptr;
    PG_TRY();
    {
        SetCurrentStatementStartTimestamp();
        StartTransactionCommand();
        PushActiveSnapshot(GetTransactionSnapshot());
        guard(body);
        PopActiveSnapshot();
        CommitTransactionCommand();
    }
    PG_CATCH();
    {
        HOLD_INTERRUPTS();
        disable_all_timeouts(false);
        QueryCancelPending = false;
        MemoryContextSwitchTo(context);
        error = CopyErrorData();
        EmitErrorReport();
        AbortCurrentTransaction();
        FlushErrorState();
        RESUME_INTERRUPTS();
    }
    PG_END_TRY();
    MemoryContextSwitchTo(context);
    return error;
}

} // namespace upkeep::pg
