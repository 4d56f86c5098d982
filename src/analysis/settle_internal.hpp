// The parts of settle(), each of which changes one level of a query in place.
#pragma once
#include "analysis/settle.hpp"

namespace upkeep::analysis {

/// Extends the ORDER BY of windows whose functions depend on the order among peers.
void settle_windows(Query *q);

/// Extends an ORDER BY list by the order of the one subquery (CTE, view) that the level selects from, if that is
/// sorted: hidden columns that it is sorted by become columns of it. Clauses refer to `targets`.
void order_as_source(Query *q, List **clauses, List **targets);

/// Whether the rows of the level are those that it selects from.
bool is_ungrouped(const Query *q);

/// Gives an aggregate call whose result depends on the order of its input rows an order by its arguments, behind the
/// ORDER BY that it has, and that of the source of its level if that is told.
void settle_call(Aggref *call, Choices choices, Query *level);
/// The same for the calls of the level itself.
void settle_calls(Query *q, Choices choices);

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

/// Whether the expressions hold a key of the level's rows, so that no two of them are copies.
bool tells_rows_apart(Query *q, List *expressions);

/// A further column of a level: numbers, from 1, for the rows that are copies of each other. It is the level's only
/// window function.
TargetEntry *add_copy_number(Query *q);

} // namespace upkeep::analysis
