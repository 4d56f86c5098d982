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

/// The command id that a snapshot must have as its curcid to see a view's sources as they were before its changes.
using OldCommand = std::optional<CommandId>;

/// Brings one view up to date with the changes of its sources; a deferred one `at` the snapshot up to which its changes
/// were read. What that does to its rows is left in `written`, if anything reads the view.
Outcome maintain_view(Oid view, const pg::Vector<capture::TableChange> &changes, WrittenRows *written,
                      OldCommand before, Snapshot at = nullptr);

/// The command id that shows all that this transaction has written so far, and nothing that it will write.
CommandId present_command();

/// What a refresh has done to a deferred view.
struct RefreshedView {
    Oid view;
    WrittenRows *written;
    bool unknown; // not all of it is in `written`
};

/// The views that writers maintain follow the deferred ones that they read, which the present command of `before` shows
/// as they were. Ends what was written.
void follow_refreshed(const pg::Vector<RefreshedView> &views, CommandId before);

/// Brings views up to date with changes that no statement made, and the views that read them.
void maintain_apart(const pg::Vector<Oid> &views, const pg::Vector<capture::TableChange> &changes);

} // namespace upkeep::maintain
