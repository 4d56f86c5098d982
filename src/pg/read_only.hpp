// Commands that write, where nothing may be written.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::pg {

/// Raises read_only_sql_transaction on a standby and in a read-only transaction, as a command of the server's would.
inline void require_writable(const char *command) {
    PreventCommandDuringRecovery(command);
    PreventCommandIfReadOnly(command);
}

} // namespace upkeep::pg
