#include "capture/nesting.hpp"

#include "catalog/table_tree.hpp"

namespace upkeep::capture {

namespace {

struct OpenStatement {
    Oid relid;
    Operation operation;
    SubTransactionId subid;
    MemoryContext executor; // es_query_cxt of the executor whose end is the latest that AFTER STATEMENT can come
    bool is_partitioned;
    Oid *partitions = nullptr; // ascending; nullptr until somebody asks
    size_t npartitions = 0;
};

struct Nesting {
    pg::Vector<OpenStatement> open;
    CommandId command = InvalidCommandId; // of the outermost statement
    bool has_command = false;

    Nesting() : open(pg::Palloc<OpenStatement>(CacheMemoryContext)) { open.reserve(16); }
};

Nesting *nesting = nullptr; // of the backend; nullptr until its first statement

[[gnu::hot]] Nesting &require_nesting() {
    if (nesting == nullptr) {
        nesting = new (MemoryContextAlloc(CacheMemoryContext, sizeof(Nesting))) Nesting();
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

[[gnu::hot]] Operation operation_of(TriggerEvent event) {
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
    open_statement(relation, operation, alone, calling_executor());
}

[[gnu::hot]] void open_statement(Relation relation, Operation operation, bool alone, MemoryContext executor) {
    Nesting &n = require_nesting();
    if (n.open.empty()) {
        // The query writes with the command id that its snapshot was taken at; see old_state_command.
        n.command = GetCurrentCommandId(false);
        n.has_command = alone && ActiveSnapshotSet() && GetActiveSnapshot()->curcid == n.command;
    }
    n.has_command = n.has_command && !can_freeze(relation, operation);
    n.open.push_back({RelationGetRelid(relation), operation, GetCurrentSubTransactionId(), executor,
                      relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE});
}

// Rows come one by one: the list is made once for a statement.
static bool has_partition(OpenStatement &statement, Oid relid) {
    if (!statement.is_partitioned) {
        return false;
    }
    if (statement.partitions == nullptr) {
        const pg::Vector<Oid> members = catalog::table_and_heirs(statement.relid, NoLock);
        statement.npartitions = members.size();
        const pg::InContext in(TopTransactionContext);
        statement.partitions = pg::create_array<Oid>(members.size());
        std::copy(members.begin(), members.end(), statement.partitions);
        std::sort(statement.partitions, statement.partitions + statement.npartitions);
    }
    return std::binary_search(statement.partitions, statement.partitions + statement.npartitions, relid);
}

bool is_statement_open_on(Relation relation) {
    if (nesting == nullptr) {
        return false;
    }
    const Oid relid = RelationGetRelid(relation);
    const bool is_partition = relation->rd_rel->relispartition;
    return std::any_of(nesting->open.begin(), nesting->open.end(), [=](OpenStatement &statement) {
        return statement.relid == relid || (is_partition && has_partition(statement, relid));
    });
}

void forget_command() {
    if (nesting != nullptr) {
        nesting->has_command = false;
    }
}

[[gnu::hot]] bool close_statement(Oid relid, Operation operation) {
    if (nesting == nullptr) {
        return false;
    }
    auto &open = nesting->open;
    for (auto it = open.end(); it != open.begin();) {
        --it;
        if (it->relid == relid && it->operation == operation) {
            if (it->partitions != nullptr) {
                pfree(it->partitions);
            }
            open.erase(it);
            return true;
        }
    }
    return false;
}

[[gnu::hot]] bool is_statement_open() {
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

[[gnu::hot]] void forget_statements() {
    if (nesting != nullptr) {
        nesting->open.clear();
        nesting->has_command = false;
    }
}

} // namespace upkeep::capture
