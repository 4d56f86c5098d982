// Maintenance in the background: a launcher, a worker for every database that has the extension, and builders for views
// that take long. Without preloading all of it does nothing.
#pragma once
#include "pg/memory.hpp"

namespace upkeep::scheduler {

/// True if views are refreshed in the background.
bool is_available();

/// Makes a stale view of mode immediate or commit right again, with what reads it: a function of a higher room.
using Reactivate = void (*)(Oid view);

/// Called when the library is loaded: asks for shared memory and registers the launcher, if it still can.
void install(Reactivate reactivate);

// --- wake-up; safe in a commit: nothing is raised ---
/// Changes of these tables have been logged, and committed.
void wake(std::span<const Oid> relids);
/// Anything may have changed in this database.
void wake_for_anything();
/// The same, if this transaction commits.
void wake_at_commit();
/// Databases, or extensions in them, may have come or gone.
void look_for_databases();

// --- for upkeep.wait() ---
/// Asks for a refresh of the view now, whatever staleness it allows. False: nobody is there to do it.
bool urge(Oid view);
/// Between these two, a refresh in this database ends await_refresh(); else it ends after that time.
void prepare_to_await_refresh();
void stop_awaiting_refresh();
void await_refresh(long milliseconds);

// --- for commands that need a database without connections ---
/// Makes the workers leave a database, and keeps them out until this transaction ends.
void bar(Oid database);

} // namespace upkeep::scheduler
