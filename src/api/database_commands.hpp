// Commands that the background has to know of.
#pragma once

namespace upkeep::api {

/// Called when the library is preloaded: installs the hook.
void follow_database_commands();

} // namespace upkeep::api
