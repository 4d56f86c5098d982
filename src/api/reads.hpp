// What queries that read registered views are told, and how SERIALIZABLE ones are followed.
#pragma once

namespace upkeep::api {

/// Called when the library is loaded; does nothing unless it is preloaded, since no view is followed in sessions that
/// have not loaded it.
void install_reads();

} // namespace upkeep::api
