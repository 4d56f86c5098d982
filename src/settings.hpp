// Every setting of the extension.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::settings {

/// upkeep.log_min_duration: maintenance runs of at least so many milliseconds are logged; -1: none.
int log_min_duration();

/// upkeep.log_limit, in bytes: a change log that reaches this size is given up, and its views become stale.
int64 log_limit();

/// upkeep.max_staleness, in milliseconds: for deferred views that were registered without one.
int max_staleness();

/// upkeep.max_workers: background processes of all databases together, the launcher aside.
int max_workers();

/// upkeep.paused: nothing is maintained in the background.
bool paused();

/// Defines the settings; called once, when the library is loaded.
void define();

} // namespace upkeep::settings
