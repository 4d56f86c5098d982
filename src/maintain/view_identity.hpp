// How apply finds the rows of a view: chosen from what its query shows.
#pragma once

#include "maintain/program.hpp"

namespace upkeep::maintain {

/// The column of the view that shows output column `wanted` (1-based) of the node below bare, or 0.
AttrNumber shown_as(const analysis::Block &top, int wanted);

/// Lays the node's state into the view's own columns, if all of it is visible there. False: it needs a state table.
bool lay_into_view(NodeProgram *p, const analysis::Block &top);

/// Sets the design's view_kind and view_key, and where the last node keeps its state in the view.
void choose_view_identity(Design *design, Relation view);

} // namespace upkeep::maintain
