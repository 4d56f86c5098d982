// What ANALYZE has found.
#pragma once
#include "pg/postgres.hpp"

#include <optional>

namespace upkeep::pg {

/// How many different values a column of an open table has, with its children where it has some; nullopt: not analyzed.
std::optional<double> distinct_values(Relation table, AttrNumber column);

} // namespace upkeep::pg
