// What the transaction callbacks do to the state of capture.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::capture {

/// True between take_changes and release_changes.
bool is_taken();
/// True when anything is pending, in any scope.
bool has_pending();
/// From now on the transaction's changes are due as soon as no statement is open.
void begin_commit();

/// Undoes, or gives to the parent, what this subtransaction has recorded. Cannot fail.
void abort_changes(SubTransactionId subid);
void commit_changes(SubTransactionId subid, SubTransactionId parent);
/// The transaction is over; its memory and files are released by the server.
void forget_changes();

} // namespace upkeep::capture
