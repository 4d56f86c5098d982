// What follows a command that may have changed what registered views rely on.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::api {

/// After REFRESH MATERIALIZED VIEW, under its lock: a registered view is rebuilt, activated again if it was not in
/// force, or suspended (WITH NO DATA). Raises object_in_use if a statement on a base table is open.
void follow_refresh(const RefreshMatViewStmt *statement);

/// Compares the facts and the capture triggers of every active view with what was stored. What differs is repaired
/// and rebuilt, or marked stale with a warning: a legal command never fails for it.
void follow_definition_changes();

/// DETACH PARTITION CONCURRENTLY commits when new queries do not see the partition any more, and goes on when nobody
/// does: in between, and if it stops there, the views that read it are stale.
void begin_detaching(const Node *command);
/// When it is detached, or its detachment has been finalized: they are activated again.
void end_detaching(const Node *command);

/// What is made anew: the contents of a view and its state, or triggers, indexes and records as well; where that does,
/// only the rows of members of its tables, partitions and children; or nothing but the record of what feeds its tables,
/// or of which rows go to a default partition.
enum class Rebuild : uint8 { bounds, feed, members, rows, everything };

/// Activates a view; where that is not possible, suspends it with a warning. Returns whether it is active.
bool try_activate(Oid view, Rebuild scope);

/// After a view was built anew or became stale: the views that read it, and those above them, are built anew, or
/// suspended with a warning.
void follow_above(Oid view);

/// Activates a stale view of mode immediate or commit in the background, and what reads it. Raises what stands against it.
void reactivate(Oid view);

/// Marks a view stale whatever its state was, and warns. `hint` may be nullptr.
void suspend(Oid view, const char *why, const char *hint);

/// True if this session holds ShareUpdateExclusiveLock or a stronger lock on the relation: no command alters the
/// triggers or indexes of a relation without one.
bool is_altered_by_us(Oid relid);

} // namespace upkeep::api
