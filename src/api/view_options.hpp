// CREATE and ALTER MATERIALIZED VIEW with options of upkeep.
#pragma once

namespace upkeep::api {

/// Called when the library is loaded.
void install_view_options();

} // namespace upkeep::api
