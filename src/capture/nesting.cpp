#include "capture/nesting.hpp"

namespace upkeep::capture {

namespace {

struct OpenStatement {
    Oid relid;
    Operation operation;
    SubTransactionId subid;
    MemoryContext executor; // es_query_cxt of the executor whose end is the latest that AFTER STATEMENT can come
};

struct Nesting {
    pg::Vector<OpenStatement> open;
    CommandId command = InvalidCommandId; // of the outermost statement
    bool has_command = false;

    Nesting() : open(pg::Palloc<OpenStatement>(TopTransactionContext)) { open.reserve(16); }
};

Nesting *nesting = nullptr; // in TopTransactionContext; nullptr until the transaction's first statement

Nesting &require_nesting() {
    if (nesting == nullptr) {
        nesting = new (MemoryContextAlloc(TopTransactionContext, sizeof(Nesting))) Nesting();
    }
    return *nesting;
}

// BEFORE STATEMENT triggers are called in the executor's per-tuple context, which lies below its query context.
MemoryContext calling_executor() {
    MemoryContext context = CurrentMemoryContext;
    while (context != nullptr && std::strcmp(context->name, "ExecutorState") != 0) {
        context = context->parent;
    }
    return context;
}

} // namespace

Operation operation_of(TriggerEvent event) {
    if (TRIGGER_FIRED_BY_INSERT(event)) {
        return Operation::insert;
    }
    if (TRIGGER_FIRED_BY_UPDATE(event)) {
        return Operation::update;
    }
    return TRIGGER_FIRED_BY_DELETE(event) ? Operation::remove : Operation::truncate;
}

// COPY FREEZE writes rows that every snapshot sees, into a table that this transaction created or truncated.
static bool can_freeze(Relation relation, Operation operation) {
    return operation == Operation::insert && (relation->rd_createSubid != InvalidSubTransactionId ||
                                              relation->rd_newRelfilelocatorSubid != InvalidSubTransactionId);
}

void open_statement(Relation relation, Operation operation, bool alone) {
    Nesting &n = require_nesting();
    if (n.open.empty()) {
        // The query writes with the command id that its snapshot was taken at; see old_state_command.
        n.command = GetCurrentCommandId(false);
        n.has_command = alone && ActiveSnapshotSet() && GetActiveSnapshot()->curcid == n.command;
    }
    n.has_command = n.has_command && !can_freeze(relation, operation);
    n.open.push_back({RelationGetRelid(relation), operation, GetCurrentSubTransactionId(), calling_executor()});
}

bool close_statement(Oid relid, Operation operation) {
    if (nesting == nullptr) {
        return false;
    }
    auto &open = nesting->open;
    for (auto it = open.end(); it != open.begin();) {
        --it;
        if (it->relid == relid && it->operation == operation) {
            open.erase(it);
            return true;
        }
    }
    return false;
}

bool is_statement_open() {
    return nesting != nullptr && !nesting->open.empty();
}

std::optional<CommandId> outermost_command() {
    if (nesting == nullptr || !nesting->has_command) {
        return std::nullopt;
    }
    return nesting->command;
}

void finish_executor(MemoryContext executor, bool fires_triggers, pg::Vector<Oid> &lost) {
    if (nesting == nullptr) {
        return;
    }
    auto &open = nesting->open;
    for (auto it = open.begin(); it != open.end();) {
        if (it->executor != executor) {
            ++it;
        } else if (fires_triggers) {
            lost.push_back(it->relid);
            it = open.erase(it);
        } else {
            it->executor = nullptr;
            ++it;
        }
    }
}

void close_all_statements(pg::Vector<Oid> &lost) {
    if (nesting == nullptr) {
        return;
    }
    for (const OpenStatement &statement : nesting->open) {
        lost.push_back(statement.relid);
    }
    nesting->open.clear();
}

void abort_statements(SubTransactionId subid) {
    if (nesting == nullptr) {
        return;
    }
    auto &open = nesting->open;
    open.erase(std::remove_if(open.begin(), open.end(),
                              [subid](const OpenStatement &statement) { return statement.subid == subid; }),
               open.end());
}

void commit_statements(SubTransactionId subid, SubTransactionId parent) {
    if (nesting == nullptr) {
        return;
    }
    for (OpenStatement &statement : nesting->open) {
        if (statement.subid == subid) {
            statement.subid = parent;
        }
    }
}

void forget_statements() {
    nesting = nullptr;
}

} // namespace upkeep::capture
