// The trigger bodies, and handing out what is pending.
#include "capture/capture.hpp"
#include "capture/callbacks.hpp"
#include "capture/nesting.hpp"
#include "capture/pending.hpp"
#include "catalog/registration.hpp"

namespace upkeep::capture {

namespace {

// The transition tables of the statement that has just ended, when nothing else is pending.
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
    SubTransactionId subid = InvalidSubTransactionId;
    Pending *pending = nullptr;
};

Direct direct;
Taken taken;

bool is_empty(Tuplestorestate *rows) {
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

void record_copy(TriggerData *trigger, const Columns &columns) {
    const Oid relid = RelationGetRelid(trigger->tg_relation);
    if (find_pending() != nullptr && find_pending()->has_unknown(relid)) {
        return;
    }
    TupleDesc desc = RelationGetDescr(trigger->tg_relation);
    if (trigger->tg_oldtable != nullptr && trigger->tg_newtable != nullptr &&
        !has_relevant_update(desc, columns, trigger->tg_oldtable, trigger->tg_newtable)) {
        return;
    }
    PendingTable *table = require_table(trigger->tg_relation, columns);
    if (table != nullptr) {
        copy_rows(require_pending(), *table, desc, trigger->tg_oldtable, trigger->tg_newtable);
    }
}

void record_rows(TriggerData *trigger, const Bitmapset *used) {
    if (is_empty(trigger->tg_oldtable) && is_empty(trigger->tg_newtable)) {
        return;
    }
    // Not a reference into the catalog's cache: reading a toasted value can lead to its invalidation.
    const Columns columns = used_columns(RelationGetDescr(trigger->tg_relation), used);
    if (!is_statement_open() && find_pending() == nullptr && !taken.set) {
        record_direct(trigger, columns);
    } else {
        record_copy(trigger, columns);
    }
}

} // namespace

void before_statement(TriggerData *trigger) {
    sweep_dropped();
    if (catalog::find_table(RelationGetRelid(trigger->tg_relation)) != nullptr) {
        open_statement(trigger->tg_relation, operation_of(trigger->tg_event), !has_pending());
    }
}

bool after_statement(TriggerData *trigger) {
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
            record_rows(trigger, table->used);
        }
    }
    return !is_statement_open() && !taken.set && has_pending();
}

pg::Vector<TableChange> take_changes() {
    pg::Vector<TableChange> changes;
    drop_later(taken.pending);
    taken = {true, GetCurrentSubTransactionId(), detach_pending()};
    if (direct.set) {
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

void release_changes() {
    drop_later(taken.pending);
    taken = {};
    sweep_dropped();
}

bool has_pending() {
    return direct.set || find_pending() != nullptr;
}

bool is_taken() {
    return taken.set;
}

std::optional<CommandId> old_state_command() {
    return outermost_command();
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

void forget_changes() {
    forget_statements();
    forget_pending();
    direct = {};
    taken = {};
}

} // namespace upkeep::capture
