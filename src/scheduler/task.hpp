// Bringing views up to date: in the worker itself, or in a builder, a process of its own.
#pragma once
#include "scheduler/schedule.hpp"
#include "scheduler/scheduler.hpp"

namespace upkeep::scheduler {

void set_reactivate(Reactivate reactivate);

/// What is passed to a builder.
inline constexpr int kMaxBuilt = 24;
struct BuildOrder {
    int entry; // of Shared::builders
    Oid database;
    int nviews;
    Oid views[kMaxBuilt];
};

/// Refreshes views together, in a transaction of their own; where that fails, each by itself. A deferred view that fails
/// is marked so. Returns those that failed.
pg::Vector<Oid> refresh(const pg::Vector<Oid> &views);

/// Those of these views that a refresh would compute anew, and take long for that. In transactions of their own.
pg::Vector<Oid> find_long(const pg::Vector<Oid> &views);

/// Tells those who wait for a refresh in this database.
void announce_refresh();

} // namespace upkeep::scheduler
