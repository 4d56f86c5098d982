// The runs that one set of changes leads to.
#pragma once
#include "maintain/run.hpp"

namespace upkeep::maintain {

/// What a run leaves behind.
enum class Outcome : uint8 {
    followed, // the view is right, and every change of its rows was written down
    repaired, // the view is right, but its rows were not what the views above it had been told
    stale,    // the view is stale from now on, or not registered any more
    built,    // of a deferred view: its program was made anew, and the view was built at a newer snapshot
};

/// Brings one view up to date with the changes of its sources; a deferred one `at` the snapshot up to which its changes
/// were read. What that does to its rows is left in `written`, if anything reads the view.
Outcome maintain_view(Oid view, const pg::Vector<capture::TableChange> &changes, WrittenRows *written,
                      Snapshot at = nullptr);

/// What a refresh has done to a deferred view.
struct RefreshedView {
    Oid view;
    WrittenRows *written;
    bool unknown; // not all of it is in `written`
};

/// The views that writers maintain follow the deferred ones that they read. Ends what was written.
void follow_refreshed(const pg::Vector<RefreshedView> &views);

/// Brings views up to date with changes that no statement made, and the views that read them.
void maintain_apart(const pg::Vector<Oid> &views, const pg::Vector<capture::TableChange> &changes);

} // namespace upkeep::maintain
