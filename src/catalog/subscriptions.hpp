// Tables that logical replication subscriptions feed. An apply worker changes rows without statements.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::catalog {

/// Whether any table of the database is fed.
bool has_subscriptions();
/// Whether a subscription feeds the table, by its own name.
bool is_subscribed(Oid relid);
/// Whether the rows that the table has on the publisher are still to come, in whole or in part.
bool is_being_copied(Oid relid);

} // namespace upkeep::catalog
