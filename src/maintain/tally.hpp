// DISTINCT inside an aggregate that has an inverse. Beside the group's state there is a tally: how many rows have each
// value of the argument, in each group.
//
//   T = δ(π_keys,x σ_filter X)      Δ(γ sum(DISTINCT x)) = γ sum(x) ΔT
//
// What is added to the group's state is what the tally reports, a value that has come or gone. A tally is part of its
// group node: both are folded from one reading of the flow, and whoever writes a tally holds the group's row.
#pragma once

#include "maintain/run.hpp"

namespace upkeep::maintain {

/// Gives group nodes the tallies that their calls can do with, as nodes behind all others. A node whose groups are read
/// again at every change anyway gets none.
void add_tallies(analysis::ViewQuery *query);

/// The rows of a group node's flow go into its groups and into its tallies.
class TalliedGroups final : public RowSink {
  public:
    TalliedGroups(Run &run, NodeProgram &node, GroupTable &groups);

    void add(const Datum *values, const bool *nulls, int64 weight) override;

    /// Locks the groups, merges the tallies into their states, and adds what they report to the groups. False: broken.
    bool apply_tallies();

    /// The same for a build: store(tally, values) makes the state hold them and leaves them as the tally's rows.
    template <typename Store> void store_tallies(Store store) {
        for (Tally &tally : tallies_) {
            store(*tally.node, *tally.values);
            take_report(tally);
        }
    }

  private:
    struct Tally {
        NodeProgram *node;
        GroupTable *values;
    };

    void take_report(const Tally &tally);

    Run &run_;
    NodeProgram &node_;
    GroupTable &groups_;
    pg::Vector<Tally> tallies_;
    Datum *row_; // keys and value
    bool *row_nulls_;
};

} // namespace upkeep::maintain
