// Where PostgreSQL is free in what a query returns, a query that leaves nothing free.
//
// Which of tied rows LIMIT and DISTINCT ON keep, the order among peers of a window, the order of the elements of
// ARRAY(SELECT …) and of array_agg: the settled query takes the order of the images of what it shows. Its result is one
// that the original query may return as well, and the same in every evaluation over the same data. Rows that come from
// a sorted subquery keep its order first, as users expect.
#pragma once
#include "pg/memory.hpp"

namespace upkeep::analysis {

enum class Choices : std::uint8_t {
    rows, // which rows, and their order; not how sums and variances of floats round, and which of equal values is shown
    all,  // these, too, as far as SQL can say it
    subqueries, // these, too, within sublinks: they are evaluated as they stand, and settled, by maintenance
};

/// The settled query, a palloc'd copy: `query` is not changed. All levels are settled: subqueries, CTEs, sublinks, arms
/// of set operations. Works on a query before and after rewriting; ordinary views in it are not looked into.
///
/// Left as they are: frames of RANGE or GROUPS with offsets or exclusions below functions that depend on the order
/// among peers, window functions of extensions, aggregates with DISTINCT, percentile_disc and mode over types whose
/// equal values have several images, and, in set operations, which of equal rows is shown.
Query *settle(const Query *query, Choices choices = Choices::all);

} // namespace upkeep::analysis
