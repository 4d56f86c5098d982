#include "scheduler/schedule.hpp"

#include "catalog/log.hpp"
#include "settings.hpp"

extern "C" {
#include "utils/timestamp.h"
}

namespace upkeep::scheduler {

namespace {

constexpr int64 kLongestRest = USECS_PER_SEC / 10;
constexpr int64 kFirstRetry = USECS_PER_SEC;
constexpr int64 kLongestRetry = 600 * USECS_PER_SEC;

TimestampTz later(TimestampTz from, int64 microseconds) {
    return microseconds >= DT_NOEND - from ? DT_NOEND : from + microseconds;
}

/// Half of what is allowed is left for the refresh, or more where it is known to take more. Without anything allowed, a
/// view rests as long as it was worked on, so that a stream of small commits is taken in larger steps.
TimestampTz due_by_staleness(const ScheduledView &view, int64 staleness) {
    const int64 lead = std::max(staleness / 2, 2 * view.took);
    return std::max(later(view.changed, std::max<int64>(staleness - lead, 0)),
                    later(view.ended, std::min(view.took, kLongestRest)));
}

TimestampTz due_at(const ScheduledView &view) {
    if (view.in_builder || view.changed == 0)
        return 0;
    if (view.failures > 0)
        return view.retry_at;
    if (view.urgent || view.needs_build())
        return view.changed;
    const catalog::Timing &timing = view.timing;
    TimestampTz due = DT_NOEND;
    if (timing.every)
        due = later(view.ended, *timing.every);
    if (timing.max_staleness || !timing.every)
        due = std::min(due,
                       due_by_staleness(view, timing.max_staleness.value_or(settings::max_staleness() * int64{1000})));
    return due;
}

bool is_background_work(const catalog::Registration &r) {
    return r.mode == catalog::Mode::deferred || (r.mode != catalog::Mode::manual && r.state == catalog::State::stale);
}

/// From the table itself: whoever wakes a worker at his commit has not sent his invalidations yet.
bool is_populated(Oid view) {
    const Relation rel = table_open(RelationRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_class_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(view));
    SysScanDesc scan = systable_beginscan(rel, ClassOidIndexId, true, nullptr, 1, &key);
    HeapTuple tuple = systable_getnext(scan);
    const bool populated =
        HeapTupleIsValid(tuple) && reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relispopulated;
    systable_endscan(scan);
    table_close(rel, AccessShareLock);
    return populated;
}

ScheduledView to_scheduled(const catalog::Registration &r, MemoryContext keep) {
    ScheduledView view{r.view, r.mode, r.state, is_populated(r.view), false, catalog::timing(r.view), 0, nullptr};
    const std::optional<catalog::Frontier> frontier = catalog::find_frontier(r.view);
    view.built = frontier.has_value();
    const pg::Vector<Oid> sources = catalog::sources(r.view);
    const pg::InContext in(keep);
    Oid *copy = pg::create_array<Oid>(sources.size());
    std::copy(sources.begin(), sources.end(), copy);
    view.nsources = static_cast<int>(sources.size());
    view.sources = copy;
    return view;
}

void keep_seen(ScheduledView *view, const ScheduledView &before) {
    view->changed = before.changed;
    view->urgent = before.urgent;
    view->ended = before.ended;
    view->took = before.took;
    view->failures = before.failures;
    view->retry_at = before.retry_at;
    view->in_builder = before.in_builder;
}

bool is_above_or_below(const ScheduledView &a, const ScheduledView &b) {
    return a.reads(b.view) || b.reads(a.view);
}

bool are_tied(const ScheduledView &a, const ScheduledView &b) {
    return is_above_or_below(a, b) ||
           std::any_of(a.sources, a.sources + a.nsources, [&](Oid relid) { return b.reads(relid); });
}

/// Takes from `left` what is tied to the last one of it, directly or through others.
template <typename Tied> Views take_group(Views *left, Tied are_tied) {
    Views group;
    group.push_back(left->back());
    left->pop_back();
    for (size_t i = 0; i < group.size(); i++)
        for (size_t k = left->size(); k-- > 0;)
            if (are_tied(*group[i], *(*left)[k])) {
                group.push_back((*left)[k]);
                left->erase(left->begin() + static_cast<std::ptrdiff_t>(k));
            }
    return group;
}

} // namespace

void Schedule::reload() {
    const MemoryContext memory =
        AllocSetContextCreate(TopMemoryContext, "upkeep schedule", ALLOCSET_DEFAULT_SIZES);
    pg::Vector<ScheduledView> now;
    const TimestampTz started = GetCurrentTimestamp();
    for (const catalog::Registration &r : catalog::all_registrations()) {
        if (!is_background_work(r))
            continue;
        ScheduledView view = to_scheduled(r, memory);
        // REFRESH … WITH NO DATA suspends a view until it is populated.
        if (!view.populated && r.state == catalog::State::stale)
            continue;
        if (const ScheduledView *before = find(r.view))
            keep_seen(&view, *before);
        else
            view.changed = started; // whatever was logged before this worker came
        if (view.needs_build() && view.changed == 0)
            view.changed = started;
        now.push_back(view);
    }
    auto *copy = static_cast<ScheduledView *>(
        MemoryContextAlloc(memory, std::max<size_t>(now.size(), 1) * sizeof(ScheduledView)));
    std::copy(now.begin(), now.end(), copy);
    if (memory_ != nullptr)
        MemoryContextDelete(memory_);
    memory_ = memory;
    views_ = copy;
    nviews_ = static_cast<int>(now.size());
}

ScheduledView *Schedule::find(Oid view) {
    for (ScheduledView &known : views())
        if (known.view == view)
            return &known;
    return nullptr;
}

void Schedule::note_changes(const RelationSet &tables, TimestampTz since) {
    if (tables.is_empty())
        return;
    if (tables.is_full()) // perhaps the cause of a failure is gone
        for (ScheduledView &view : views())
            view.retry_at = std::min(view.retry_at, since);
    for (ScheduledView &view : views())
        if (view.mode == catalog::Mode::deferred && view.changed == 0 &&
            std::any_of(view.sources, view.sources + view.nsources, [&](Oid relid) { return tables.has(relid); }))
            view.changed = since;
}

void Schedule::note_urgent(const RelationSet &set) {
    if (set.is_empty())
        return;
    const TimestampTz now = GetCurrentTimestamp();
    for (ScheduledView &view : views())
        if (set.has(view.view)) {
            view.urgent = true;
            view.changed = view.changed == 0 ? now : view.changed;
        }
}

pg::Vector<Views> Schedule::due(TimestampTz now) {
    pg::Vector<Views> groups;
    Views to_follow, to_build;
    for (ScheduledView &view : views()) {
        const TimestampTz at = due_at(view);
        if (at == 0 || at > now)
            continue;
        // One that has failed, or is no deferred view, goes alone: it holds up nobody else.
        if (view.failures > 0 || view.mode != catalog::Mode::deferred)
            groups.push_back(Views(1, &view));
        else
            (view.needs_build() ? to_build : to_follow).push_back(&view);
    }
    while (!to_follow.empty())
        groups.push_back(take_group(&to_follow, are_tied));
    while (!to_build.empty())
        groups.push_back(take_group(&to_build, is_above_or_below));
    return groups;
}

TimestampTz Schedule::next_due() {
    TimestampTz next = 0;
    for (const ScheduledView &view : views()) {
        const TimestampTz at = due_at(view);
        if (at != 0 && at != DT_NOEND)
            next = next == 0 ? at : std::min(next, at);
    }
    return next;
}

void Schedule::note_success(ScheduledView *view, TimestampTz ended, int64 took) {
    view->ended = ended;
    // A rebuild now and then says little about the next refresh.
    view->took = view->took == 0 ? took : std::min(took, 4 * view->took + USECS_PER_SEC / 1000);
    view->failures = 0;
    view->retry_at = 0;
}

void Schedule::note_failure(ScheduledView *view, TimestampTz now) {
    const int64 pause = std::min(kFirstRetry << std::min(view->failures, 20), kLongestRetry);
    view->failures++;
    view->retry_at = later(now, pause);
    if (view->changed == 0)
        view->changed = now;
}

} // namespace upkeep::scheduler
