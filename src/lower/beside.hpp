// Conditions that maintenance adds to those of a query: which of them may stand beside these.
#pragma once

#include "analysis/view_query.hpp"

namespace upkeep::lower {

/// Whether the expression over the inputs of a block can be evaluated for any of their rows, those that the block's
/// conditions leave out too, and the rows that a derived node or a subquery inside leaves out.
bool is_harmless(const analysis::Block &block, Node *expression);

/// Whether an index of a table has the expression's value for each of its rows.
bool is_indexed(const analysis::Block &block, Node *expression);

/// Whether a condition on the expression may stand beside the block's own: it is harmless, or there are no rows that the
/// block leaves out, or an index proves that it has a value for each row.
bool may_stand_beside(const analysis::Block &block, Node *expression);

} // namespace upkeep::lower
