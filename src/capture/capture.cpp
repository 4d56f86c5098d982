// The trigger bodies, and handing out what is pending.
#include "capture/capture.hpp"
#include "capture/callbacks.hpp"
#include "capture/change_log.hpp"
#include "capture/executor_start.hpp"
#include "capture/nesting.hpp"
#include "capture/pending.hpp"
#include "catalog/registration.hpp"

namespace upkeep::capture {

namespace {

// The transition tables of the statement that has just ended, when nothing else is pending in the statement's scope.
struct Direct {
    bool set = false;
    SubTransactionId subid = InvalidSubTransactionId;
    Oid relid = InvalidOid;
    TupleDesc desc = nullptr;
    Tuplestorestate *old_rows = nullptr;
    Tuplestorestate *new_rows = nullptr;
};

// What maintenance has taken and not yet released.
struct Taken {
    bool set = false;
    bool from_log = false;
    Scope scope = Scope::statement;
    SubTransactionId subid = InvalidSubTransactionId;
    Pending *pending = nullptr;
};

Direct direct;
Taken taken;
bool committing = false; // the transaction has begun to commit: its changes wait no longer

[[gnu::hot]] bool is_empty(Tuplestorestate *rows) {
    return rows == nullptr || tuplestore_tuple_count(rows) == 0;
}

void add_batch(TableChange &change, Tuplestorestate *rows, TupleDesc desc, int weight) {
    if (!is_empty(rows)) {
        change.batches.push_back({rows, desc, weight});
    }
}

// Hands the transition tables to maintenance as they are; an UPDATE that changes no used column leaves nothing.
void record_direct(TriggerData *trigger, const Columns &columns) {
    TupleDesc desc = RelationGetDescr(trigger->tg_relation);
    Tuplestorestate *old_rows = trigger->tg_oldtable;
    Tuplestorestate *new_rows = trigger->tg_newtable;
    if (old_rows != nullptr && new_rows != nullptr && !has_relevant_update(desc, columns, old_rows, new_rows)) {
        return;
    }
    direct = {true, GetCurrentSubTransactionId(), RelationGetRelid(trigger->tg_relation), desc, old_rows, new_rows};
}

void record_copy(Scope scope, TriggerData *trigger, const Columns &columns) {
    const Oid relid = RelationGetRelid(trigger->tg_relation);
    if (find_pending(scope) != nullptr && find_pending(scope)->has_unknown(relid)) {
        return;
    }
    TupleDesc desc = RelationGetDescr(trigger->tg_relation);
    if (trigger->tg_oldtable != nullptr && trigger->tg_newtable != nullptr &&
        !has_relevant_update(desc, columns, trigger->tg_oldtable, trigger->tg_newtable)) {
        return;
    }
    PendingTable *table = require_table(scope, trigger->tg_relation, columns);
    if (table != nullptr) {
        copy_rows(require_pending(scope), *table, desc, trigger->tg_oldtable, trigger->tg_newtable);
    }
}

[[gnu::hot]] void record_rows(TriggerData *trigger, const catalog::TableEntry &table) {
    if (is_empty(trigger->tg_oldtable) && is_empty(trigger->tg_newtable)) {
        return;
    }
    // Not references into the catalog's cache: reading a toasted value can lead to its invalidation.
    TupleDesc desc = RelationGetDescr(trigger->tg_relation);
    const bool immediate = table.immediate.nviews > 0;
    const bool commit = table.commit.nviews > 0;
    const Columns now = immediate ? used_columns(desc, table.immediate.used) : Columns{};
    const Columns later = commit ? used_columns(desc, table.commit.used) : Columns{};
    if (table.deferred.nviews > 0) {
        log_rows(trigger, table);
    }
    if (commit) {
        record_copy(Scope::transaction, trigger, later);
    }
    if (immediate && !is_statement_open() && find_pending(Scope::statement) == nullptr && !taken.set) {
        record_direct(trigger, now);
    } else if (immediate) {
        record_copy(Scope::statement, trigger, now);
    }
}

} // namespace

[[gnu::hot]] void before_statement(TriggerData *trigger) {
    sweep_dropped();
    note_before_trigger(trigger->tg_trigger);
    if (catalog::find_table(RelationGetRelid(trigger->tg_relation)) != nullptr) {
        open_statement(trigger->tg_relation, operation_of(trigger->tg_event),
                       !direct.set && find_pending(Scope::statement) == nullptr);
    }
}

[[gnu::hot]] bool after_statement(TriggerData *trigger) {
    sweep_dropped();
    const Oid relid = RelationGetRelid(trigger->tg_relation);
    const Operation operation = operation_of(trigger->tg_event);
    const bool was_open = close_statement(relid, operation);
    const catalog::TableEntry *table = catalog::find_table(relid);
    if (table != nullptr) {
        if (!was_open) {
            add_unknown(relid, "a statement had begun before its changes were captured");
        } else if (operation == Operation::truncate) {
            add_unknown(relid, "it was truncated");
        } else {
            record_rows(trigger, *table);
        }
    }
    return !is_statement_open() && !taken.set && (is_due(Scope::statement) || is_due(Scope::transaction));
}

// In every scope whose views read the table.
static void record_row(Scope scope, Relation relation, const Columns &columns, TupleTableSlot *old_row,
                       TupleTableSlot *new_row) {
    const Oid relid = RelationGetRelid(relation);
    TupleDesc desc = RelationGetDescr(relation);
    if ((find_pending(scope) != nullptr && find_pending(scope)->has_unknown(relid)) ||
        (old_row != nullptr && new_row != nullptr && !is_relevant_change(desc, columns, old_row, new_row))) {
        return;
    }
    PendingTable *table = require_table(scope, relation, columns);
    if (table != nullptr) {
        copy_row(require_pending(scope), *table, desc, old_row, new_row);
    }
}

void after_row(TriggerData *trigger) {
    sweep_dropped();
    const bool captures_statements = trigger->tg_trigger->tgenabled == TRIGGER_FIRES_ON_REPLICA;
    if (captures_statements && is_statement_open_on(trigger->tg_relation)) {
        return;
    }
    const catalog::TableEntry *table = catalog::find_table(RelationGetRelid(trigger->tg_relation));
    if (table == nullptr) {
        return;
    }
    if (!is_statement_open()) {
        forget_command();
    }
    TupleTableSlot *old_row = TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ? nullptr : trigger->tg_trigslot;
    TupleTableSlot *new_row = TRIGGER_FIRED_BY_INSERT(trigger->tg_event)   ? trigger->tg_trigslot
                              : TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newslot
                                                                           : nullptr;
    TupleDesc desc = RelationGetDescr(trigger->tg_relation);
    const bool immediate = table->immediate.nviews > 0;
    const bool commit = table->commit.nviews > 0;
    const Columns now = immediate ? used_columns(desc, table->immediate.used) : Columns{};
    const Columns later = commit ? used_columns(desc, table->commit.used) : Columns{};
    if (table->deferred.nviews > 0) {
        log_row(trigger->tg_relation, *table, old_row, new_row);
    }
    if (commit) {
        record_row(Scope::transaction, trigger->tg_relation, later, old_row, new_row);
    }
    if (immediate) {
        record_row(Scope::statement, trigger->tg_relation, now, old_row, new_row);
    }
}

pg::Vector<TableChange> take_changes(Scope scope) {
    pg::Vector<TableChange> changes;
    drop_later(taken.pending);
    taken = {true, false, scope, GetCurrentSubTransactionId(), detach_pending(scope)};
    if (direct.set && scope == Scope::statement) {
        TableChange &change = changes.emplace_back(TableChange{direct.relid, false, nullptr, {}});
        add_batch(change, direct.old_rows, direct.desc, -1);
        add_batch(change, direct.new_rows, direct.desc, +1);
        direct = {};
    }
    if (taken.pending == nullptr) {
        return changes;
    }
    for (const UnknownTable &u : taken.pending->unknown) {
        if (std::none_of(changes.begin(), changes.end(), [&u](const TableChange &c) { return c.relid == u.relid; })) {
            changes.emplace_back(TableChange{u.relid, true, u.why, {}});
        }
    }
    for (PendingTable *table : taken.pending->tables) {
        if (taken.pending->has_unknown(table->relid)) {
            continue;
        }
        const char *why = taken.pending->why_unknown(table->relid);
        TableChange change{table->relid, why != nullptr, why, {}};
        if (!change.unknown) {
            add_batch(change, live_rows(*taken.pending, table->old_rows, table->desc), table->desc, -1);
            add_batch(change, live_rows(*taken.pending, table->new_rows, table->desc), table->desc, +1);
        }
        if (change.unknown || !change.batches.empty()) {
            changes.push_back(change);
        }
    }
    return changes;
}

void begin_log_run() {
    drop_later(taken.pending);
    taken = {true, true, Scope::statement, GetCurrentSubTransactionId(), nullptr};
}

void release_changes() {
    drop_later(taken.pending);
    taken = {};
    sweep_dropped();
}

void hold_written(Oid view, Tuplestorestate *left, Tuplestorestate *came) {
    const catalog::TableEntry *table = catalog::find_table(view);
    if (table == nullptr || table->commit.nviews == 0) {
        return;
    }
    Relation relation = table_open(view, NoLock); // whoever wrote has it locked
    TupleDesc desc = RelationGetDescr(relation);
    PendingTable *pending = require_table(Scope::transaction, relation, used_columns(desc, table->commit.used));
    if (pending != nullptr) {
        copy_rows(require_pending(Scope::transaction), *pending, desc, left, came);
    }
    table_close(relation, NoLock);
}

void hold_unknown(Oid view, const char *why) {
    const catalog::TableEntry *table = catalog::find_table(view);
    if (table != nullptr && table->commit.nviews > 0) {
        add_unknown(Scope::transaction, view, why);
    }
}

[[gnu::hot]] bool is_due(Scope scope) {
    return scope == Scope::statement ? direct.set || find_pending(scope) != nullptr
                                     : committing && find_pending(scope) != nullptr;
}

[[gnu::hot]] bool has_pending() {
    return direct.set || find_pending(Scope::statement) != nullptr || find_pending(Scope::transaction) != nullptr;
}

[[gnu::hot]] void begin_commit() {
    committing = true;
}

void note_built(Oid view) {
    if (!committing) {
        require_pending(Scope::transaction).built.push_back({view, GetCurrentSubTransactionId()});
    }
}

bool was_built(Oid view) {
    return taken.pending != nullptr && std::any_of(taken.pending->built.begin(), taken.pending->built.end(),
                                                   [view](const BuiltView &built) { return built.view == view; });
}

[[gnu::hot]] bool is_taken() {
    return taken.set;
}

std::optional<CommandId> old_state_command() {
    if (taken.set && taken.from_log) {
        return std::nullopt;
    }
    // What this transaction froze, it has made or truncated itself: views that read that are built, not maintained.
    return taken.set && taken.scope == Scope::transaction ? std::optional<CommandId>(FirstCommandId)
                                                          : outermost_command();
}

void abort_changes(SubTransactionId subid) {
    abort_statements(subid);
    abort_pending(subid);
    if (direct.subid == subid) {
        direct = {};
    }
    if (taken.subid == subid) {
        drop_later(taken.pending);
        taken = {};
    }
}

void commit_changes(SubTransactionId subid, SubTransactionId parent) {
    commit_statements(subid, parent);
    commit_pending(subid, parent);
    if (direct.subid == subid) {
        direct.subid = parent;
    }
    if (taken.subid == subid) {
        taken.subid = parent;
    }
}

[[gnu::hot]] void forget_changes() {
    forget_statements();
    forget_pending();
    direct = {};
    taken = {};
    committing = false;
    forget_logged();
}

} // namespace upkeep::capture
