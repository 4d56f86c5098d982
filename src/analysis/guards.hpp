// Expressions that evaluate a part of themselves only where another part allows it: CASE, COALESCE, AND, OR, and
// FILTER of window functions.
#pragma once

#include "analysis/view_query.hpp"

namespace upkeep::analysis {

/// Whether the node itself keeps a subquery that may fail from being evaluated for every row. Such a subquery must not
/// be taken out of the expression.
bool guards_subquery(Node *expression);

} // namespace upkeep::analysis
