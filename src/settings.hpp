// Every setting of the extension.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::settings {

/// upkeep.log_min_duration: maintenance runs of at least so many milliseconds are logged; -1: none.
int log_min_duration();

/// Defines the settings; called once, when the library is loaded.
void define();

} // namespace upkeep::settings
