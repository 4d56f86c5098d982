// Which of the rows that differ are permitted: rows that PostgreSQL itself could have returned for the same query.
#pragma once
#include "analysis/free_choice.hpp"
#include "maintain/row_comparison.hpp"

namespace upkeep::api {

using maintain::Difference;

/// Removes pairs of a view's row and a query's row from the difference where the view's row may stand for the query's.
/// `difference` comes from the companion query; the inputs are read under the active snapshot if they are needed. A row
/// takes part in one pair at most; a row that no rule accepts stays.
void remove_permitted(const analysis::FreeChoices *choices, Difference *difference);

} // namespace upkeep::api
