// The parts of settle(), each of which changes one level of a query in place.
#pragma once
#include "analysis/settle.hpp"

namespace upkeep::analysis {

/// Extends the ORDER BY of windows whose functions depend on the order among peers.
void settle_windows(Query *q);

/// Replaces group keys whose equal values have several images by the first one in the group. Grouping sets and
/// DISTINCT over groups are left alone.
void settle_keys(Query *q);

/// Whether the result of a built-in or other aggregate over these arguments depends on the order of its input rows.
bool is_order_sensitive(Oid aggregate, List *arguments);

/// The expressions of the target entries that are not hidden.
List *visible_entries(const Query *q);

/// Makes a level a subquery of itself, returned; DISTINCT, ORDER BY and LIMIT stay outside. Hidden columns become
/// columns of the subquery.
Query *push_down(Query *q);

/// A query that selects from `inner`, whose outer references reach one level higher already; without columns so far.
Query *begin_outer(Query *inner);
/// Names the columns of the subquery.
void finish_outer(Query *outer, Query *inner);

} // namespace upkeep::analysis
