// Which views are to be brought up to date, and when: kept by the worker of a database, from the registrations and from
// what wakes it.
#pragma once
#include "catalog/registration.hpp"
#include "scheduler/shared.hpp"

namespace upkeep::scheduler {

struct ScheduledView {
    Oid view;
    catalog::Mode mode;
    catalog::State state;
    bool populated;
    bool built; // a deferred view with contents to go on from
    catalog::Timing timing;
    int nsources;
    const Oid *sources;

    // What the worker has seen of it.
    TimestampTz changed = 0; // since when there is something to do; 0: nothing
    bool urgent = false;     // somebody waits for it
    TimestampTz ended = 0;   // the last refresh
    int64 took = 0;          // it, in microseconds
    int failures = 0;        // one after the other
    TimestampTz retry_at = 0;
    bool in_builder = false;

    bool needs_build() const { return !built || state != catalog::State::active; }
    bool reads(Oid relid) const { return std::find(sources, sources + nsources, relid) != sources + nsources; }
};

using Views = pg::Vector<ScheduledView *>;

class Schedule {
  public:
    /// Reads the registrations, in a transaction. What was seen of a view is kept.
    void reload();
    bool is_empty() const { return nviews_ == 0; }

    /// Base tables have changed since then.
    void note_changes(const RelationSet &tables, TimestampTz since);
    void note_urgent(const RelationSet &views);

    /// Views whose time has come: of each group those that share a source, or read one another.
    pg::Vector<Views> due(TimestampTz now);
    /// When the next one's time comes; 0: not before something changes.
    TimestampTz next_due();

    void note_success(ScheduledView *view, TimestampTz ended, int64 took);
    void note_failure(ScheduledView *view, TimestampTz now);
    ScheduledView *find(Oid view);

  private:
    std::span<ScheduledView> views() { return {views_, static_cast<size_t>(nviews_)}; }

    MemoryContext memory_ = nullptr;
    ScheduledView *views_ = nullptr;
    int nviews_ = 0;
};

} // namespace upkeep::scheduler
