// Transaction and subtransaction callbacks, and the executor's hooks.
//
// A statement can end without its AFTER STATEMENT trigger: a C caller that runs a DML statement with RETURNING through
// SPI with a row limit fires BEFORE STATEMENT, changes rows, and stops before the triggers. ExecutorFinish is where
// triggers are fired, in every query that does not fail, so what is still open after it has lost its trigger.
// (COPY and TRUNCATE have executor states of their own and always fire both triggers, or fail.)
#include "capture/callbacks.hpp"
#include "capture/change_log.hpp"
#include "capture/capture.hpp"
#include "capture/executor_start.hpp"
#include "capture/merge.hpp"
#include "capture/nesting.hpp"
#include "capture/pending.hpp"
#include "pg/entry.hpp"

extern "C" {
#include "storage/proc.h"
#include "utils/timeout.h"
}

namespace upkeep::capture {

namespace {

Maintain maintain_changes = nullptr;
Announce announce_logged = nullptr;
ExecutorStart_hook_type next_executor_start = nullptr;
ExecutorFinish_hook_type next_executor_finish = nullptr;

void after_executor(MemoryContext executor, bool fires_triggers) {
    pg::Vector<Oid> lost;
    finish_executor(executor, fires_triggers, lost);
    for (const Oid relid : lost) {
        add_unknown(relid, "a statement ended without its AFTER STATEMENT triggers");
    }
    if (!lost.empty() && !is_statement_open() && !is_taken()) {
        maintain_changes();
    }
}

[[gnu::hot]] void on_executor_start(QueryDesc *query, int flags) {
    if (next_executor_start != nullptr) {
        next_executor_start(query, flags);
    } else {
        standard_ExecutorStart(query, flags);
    }
    if (query->operation != CMD_SELECT) {
        pg::guard([=] { open_without_trigger(query, flags); });
    }
}

[[gnu::hot]] void on_executor_finish(QueryDesc *query) {
    MemoryContext executor = query->estate->es_query_cxt;
    const bool fires_triggers = (query->estate->es_top_eflags & EXEC_FLAG_SKIP_TRIGGERS) == 0;
    if (is_statement_open()) {
        pg::guard([=] { complete_merge(query); });
    }
    if (next_executor_finish != nullptr) {
        next_executor_finish(query);
    } else {
        standard_ExecutorFinish(query);
    }
    if (is_statement_open()) {
        pg::guard([=] { after_executor(executor, fires_triggers); });
    }
}

// Deferred triggers have fired; no command of the user's comes after this. Nothing is skipped silently: what no trigger
// will come for any more is maintained too.
void maintain_all() {
    pg::Vector<Oid> lost;
    close_all_statements(lost);
    for (const Oid relid : lost) {
        add_unknown(relid, "a statement was still open at the end of the transaction");
    }
    while (is_due(Scope::statement) || is_due(Scope::transaction)) {
        PushActiveSnapshot(GetTransactionSnapshot());
        maintain_changes();
        PopActiveSnapshot();
    }
    sweep_dropped();
}

// The server has ended statement_timeout's clock before it commits, unless a procedure commits: it starts again.
void before_commit() {
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "upkeep maintenance before commit", ALLOCSET_DEFAULT_SIZES);
    const bool timed = StatementTimeout > 0 && !get_timeout_active(STATEMENT_TIMEOUT);
    if (timed) {
        enable_timeout_after(STATEMENT_TIMEOUT, StatementTimeout);
    }
    MemoryContext outer = MemoryContextSwitchTo(context);
    PG_TRY();
    {
        pg::guard([] { maintain_all(); });
    }
    PG_FINALLY();
    {
        if (timed) {
            disable_timeout(STATEMENT_TIMEOUT, false);
        }
    }
    PG_END_TRY();
    MemoryContextSwitchTo(outer);
    MemoryContextDelete(context);
}

[[gnu::hot]] void on_transaction(XactEvent event, void *) {
    switch (event) {
    case XACT_EVENT_PRE_COMMIT:
    case XACT_EVENT_PRE_PREPARE:
        begin_commit();
        if (is_statement_open() || has_pending() || has_dropped()) {
            before_commit();
        }
        break;
    case XACT_EVENT_COMMIT:
        if (has_logged()) {
            announce_logged(logged_tables());
        }
        forget_changes();
        break;
    case XACT_EVENT_PREPARE:
    case XACT_EVENT_ABORT:
        forget_changes();
        break;
    default: // parallel workers change nothing
        break;
    }
}

void on_subtransaction(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *) {
    if (event == SUBXACT_EVENT_ABORT_SUB) {
        abort_changes(subid);
    } else if (event == SUBXACT_EVENT_COMMIT_SUB) {
        commit_changes(subid, parent);
    }
}

} // namespace

void install(Maintain maintain, Announce announce) {
    maintain_changes = maintain;
    announce_logged = announce;
    next_executor_start = std::exchange(ExecutorStart_hook, on_executor_start);
    next_executor_finish = std::exchange(ExecutorFinish_hook, on_executor_finish);
    RegisterXactCallback(on_transaction, nullptr);
    RegisterSubXactCallback(on_subtransaction, nullptr);
}

} // namespace upkeep::capture
