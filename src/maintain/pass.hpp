// The runs that one set of changes leads to.
#pragma once
#include "maintain/run.hpp"

namespace upkeep::maintain {

/// What a run leaves behind.
enum class Outcome : uint8 {
    followed, // the view is right, and every change of its rows was written down
    repaired, // the view is right, but its rows were not what the views above it had been told
    stale,    // the view is stale from now on, or not registered any more
};

/// Brings one view up to date with the changes of its sources. What that does to its rows is left in `written`, if
/// anything reads the view.
Outcome maintain_view(Oid view, const pg::Vector<capture::TableChange> &changes, WrittenRows *written);

/// Brings views up to date with changes that no statement made, and the views that read them.
void maintain_apart(const pg::Vector<Oid> &views, const pg::Vector<capture::TableChange> &changes);

} // namespace upkeep::maintain
