// MERGE that moves rows between partitions.
#pragma once
#include "pg/postgres.hpp"

extern "C" {
#include "executor/execdesc.h"
}

namespace upkeep::capture {

/// Sees to it that the rows which a MERGE has moved are recorded. To be called when the query has run, and before its
/// AFTER triggers do.
void complete_merge(QueryDesc *query);

} // namespace upkeep::capture
