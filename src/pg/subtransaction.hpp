// The one way to go on after an error: a subtransaction.
#pragma once
#include "pg/entry.hpp"

namespace upkeep::pg {

/// Calls body() in a subtransaction. nullptr: it committed. Else it was rolled back, and the error is returned, in the
/// current memory context. Errors that ask to retry or to stop (classes 40, 53, 57) are not returned but raised.
template <typename Body> ErrorData *in_subtransaction(Body &&body) {
    const MemoryContext context = CurrentMemoryContext;
    const ResourceOwner owner = CurrentResourceOwner;
    ErrorData *volatile error = nullptr;
    BeginInternalSubTransaction(nullptr);
    MemoryContextSwitchTo(context);
    PG_TRY();
    {
        guard(body);
        ReleaseCurrentSubTransaction();
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        error = CopyErrorData();
        FlushErrorState();
        RollbackAndReleaseCurrentSubTransaction();
    }
    PG_END_TRY();
    MemoryContextSwitchTo(context);
    CurrentResourceOwner = owner;
    if (error) {
        const int category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
        if (category == ERRCODE_TRANSACTION_ROLLBACK || category == ERRCODE_INSUFFICIENT_RESOURCES ||
            category == ERRCODE_OPERATOR_INTERVENTION) {
            ReThrowError(error);
        }
    }
    return error;
}

} // namespace upkeep::pg
