// The stack of open statements on base tables. BEFORE STATEMENT pushes, AFTER STATEMENT removes its match.
#pragma once
#include "pg/memory.hpp"

namespace upkeep::capture {

enum class Operation : uint8 { insert, update, remove, truncate };

Operation operation_of(TriggerEvent event);

/// Pushes a statement of the current subtransaction. To be called in its BEFORE STATEMENT trigger, in the memory
/// context that the server calls triggers in. `alone`: no changes are pending from before.
void open_statement(Relation relation, Operation operation, bool alone);
/// The same without that trigger, for the executor whose es_query_cxt this is.
void open_statement(Relation relation, Operation operation, bool alone, MemoryContext executor);

/// Removes the most recent open statement of that relation and operation; false if there is none.
bool close_statement(Oid relid, Operation operation);

bool is_statement_open();

/// Whether a statement that is open names the table, or one that the table is a partition of: its transition tables get
/// the rows.
bool is_statement_open_on(Relation relation);

/// Rows were changed without a statement: no command id shows the state before them.
void forget_command();

/// See capture::old_state_command.
std::optional<CommandId> outermost_command();

/// An executor has run its triggers. If it fires its own, what it still has open has lost its AFTER STATEMENT trigger:
/// such relations are appended to `lost` and closed. If it leaves them to the query around it (foreign key actions),
/// its statements stay open without an executor.
void finish_executor(MemoryContext executor, bool fires_triggers, pg::Vector<Oid> &lost);

/// Closes whatever is open, for the end of the transaction.
void close_all_statements(pg::Vector<Oid> &lost);

void abort_statements(SubTransactionId subid);
void commit_statements(SubTransactionId subid, SubTransactionId parent);
void forget_statements();

} // namespace upkeep::capture
