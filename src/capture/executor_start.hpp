// Statements that are opened by the executor's hook, without their BEFORE STATEMENT trigger.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::capture {

/// The trigger has been called: from now on its calls can be saved.
void note_before_trigger(const Trigger *trigger);

/// To be called when a query's executor has been set up. Where nothing but a deferred view reads the table that the
/// query changes, its statement is opened here, and its own copy of the table's triggers loses BEFORE STATEMENT.
void open_without_trigger(QueryDesc *query, int flags);

} // namespace upkeep::capture
