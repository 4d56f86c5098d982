// The change log of base tables: what writers append for deferred views, and how it is read.
#pragma once
#include "capture/rows.hpp"
#include "catalog/registration.hpp"

namespace upkeep::capture {

/// Appends a statement's transition rows to the table's log: the used columns; of an UPDATE only the pairs that differ.
void log_rows(TriggerData *trigger, const catalog::TableEntry &table);

/// Appends one row; either may be nullptr.
void log_row(Relation relation, const catalog::TableEntry &table, TupleTableSlot *old_row, TupleTableSlot *new_row);

/// Notes that the transaction logs changes of the table; for has_logged.
void note_logged(Oid relid);

/// For the end of the transaction.
bool has_logged();
std::span<const Oid> logged_tables();
void forget_logged();

} // namespace upkeep::capture
