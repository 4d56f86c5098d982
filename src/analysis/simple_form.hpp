// Other ways to write a query, under which it is easier to see where PostgreSQL is free.
#pragma once
#include "pg/memory.hpp"

namespace upkeep::analysis {

/// The arms of a UNION ALL at the top of a rewritten query, each a query of its own with the same columns; the query
/// itself if it is none; and an arm for each of several grouping sets. Together they return the same rows. A plain selection from a grouped subquery, ordinary view
/// or CTE is merged with it. The order of the rows is not kept. Nothing is shared with `query`.
pg::Vector<Query *> simple_form(const Query *query);

} // namespace upkeep::analysis
