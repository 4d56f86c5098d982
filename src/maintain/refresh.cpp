// Deferred views: one step from what their logs hold.
#include "capture/nesting.hpp"
#include "catalog/registration.hpp"
#include "maintain/course.hpp"
#include "maintain/maintain.hpp"
#include "maintain/pass.hpp"
#include "maintain/run.hpp"
#include "maintain/sources.hpp"
#include "observe/progress.hpp"
#include "pg/names.hpp"

extern "C" {
#include "storage/bufmgr.h"
}

namespace upkeep::maintain {

namespace {

/// A segment of this size is followed by the next one; the readers of the log read it from its beginning.
constexpr BlockNumber kSegmentBlocks = 512;

bool is_deferred(Oid view, catalog::Registration *registration) {
    *registration = {};
    return catalog::find_registration(view, registration) && registration->mode == catalog::Mode::deferred;
}

void require_not_logged(Oid view, const pg::Vector<Oid> &sources) {
    for (Oid relid : sources)
        if (capture::has_logged(relid))
            ereport(ERROR,
                    (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                     errmsg("cannot refresh materialized view %s in a transaction that has changed its tables",
                            pg::qualified_name(view)),
                     errdetail("Table %s has been changed.", pg::qualified_name(relid)), errhint("Commit first.")));
}

void add_once(pg::Vector<Oid> *list, Oid relid) {
    if (std::find(list->begin(), list->end(), relid) == list->end())
        list->push_back(relid);
}

pg::Vector<Oid> sources_of(const pg::Vector<Oid> &views) {
    pg::Vector<Oid> all;
    for (Oid view : views) {
        const pg::Vector<Oid> sources = catalog::sources(view);
        require_not_logged(view, sources);
        for (Oid relid : sources)
            add_once(&all, relid);
    }
    std::sort(all.begin(), all.end());
    return all;
}

/// Views that have no contents to go on from. In a transaction with a snapshot of its own, rows that others have
/// written since cannot be told from the change: the view is computed whole.
bool must_build(Oid view, const catalog::Registration &registration) {
    return !registration.active || registration.state == catalog::State::stale ||
           registration.state == catalog::State::building || !catalog::find_frontier(view) ||
           IsolationUsesXactSnapshot();
}

/// Where it has failed before, or is stale, what it needs may have to be made anew.
void build(Oid view, const catalog::Registration &registration, WrittenRows *written) {
    if (!registration.active || registration.state == catalog::State::stale ||
        registration.state == catalog::State::failed)
        activate(view, written);
    else
        rebuild(view, written);
}

bool has_failed(Oid view) {
    catalog::Registration registration;
    return catalog::find_registration(view, &registration) && registration.state == catalog::State::failed;
}

pg::Vector<Oid> deferred_readers(Oid view) {
    const catalog::TableEntry *table = catalog::find_table(view);
    return table == nullptr ? pg::Vector<Oid>()
                            : pg::Vector<Oid>(table->deferred.views, table->deferred.views + table->deferred.nviews);
}

/// With the deferred views that read them, directly or through others: each after those that it reads. One that has
/// failed is not taken along, so that it holds up nobody.
pg::Vector<Oid> with_readers(pg::Vector<Oid> views) {
    for (size_t i = 0; i < views.size(); i++)
        for (const Oid reader : deferred_readers(views[i]))
            if (!has_failed(reader))
                add_once(&views, reader);
    std::sort(views.begin(), views.end(), [](Oid a, Oid b) {
        const int deep_a = catalog::depth(a), deep_b = catalog::depth(b);
        return deep_a != deep_b ? deep_a < deep_b : a < b;
    });
    return views;
}

bool same(const catalog::Frontier &a, const catalog::Frontier &b) {
    return a.xmin == b.xmin && a.xmax == b.xmax && a.xip.size() == b.xip.size() &&
           std::equal(a.xip.begin(), a.xip.end(), b.xip.begin());
}

/// What the logs hold for a view; kept, since views that advance together read the same.
class Window {
  public:
    Window(Snapshot at, const pg::Vector<Oid> &views) : at_(at), views_(views) {}
    ~Window() { release(); }
    Window(const Window &) = delete;
    Window &operator=(const Window &) = delete;

    /// Moves to a view: its changes, complete.
    const pg::Vector<capture::TableChange> &read(const catalog::Frontier &frontier, const pg::Vector<Oid> &sources) {
        if (!frontier_ || !same(*frontier_, frontier)) {
            release();
            frontier_ = frontier;
        }
        shown_.clear();
        for (Oid relid : sources) {
            const auto known = std::find_if(changes_.begin(), changes_.end(),
                                            [relid](const capture::TableChange &c) { return c.relid == relid; });
            catalog::Log log;
            if (known != changes_.end())
                shown_.push_back(*known);
            else if (catalog::find_log(relid, &log))
                shown_.push_back(changes_.emplace_back(capture::read_log(log, used_of(relid), frontier, at_)));
        }
        return shown_;
    }

  private:
    /// The columns that the views use, of a table that some of them read.
    Bitmapset *used_of(Oid relid) const {
        Bitmapset *used = nullptr;
        for (const Oid view : views_)
            used = bms_join(used, catalog::used_columns(view, relid));
        return used;
    }

    void release() {
        for (capture::TableChange &change : changes_)
            capture::release_log_rows(change);
        changes_.clear();
    }

    Snapshot at_;
    const pg::Vector<Oid> &views_;
    std::optional<catalog::Frontier> frontier_;
    pg::Vector<capture::TableChange> changes_;
    pg::Vector<capture::TableChange> shown_;
};

/// The number of change rows; -1 where rows were lost.
int64 count_rows(const pg::Vector<capture::TableChange> &changes) {
    int64 rows = 0;
    for (const capture::TableChange &change : changes) {
        if (change.unknown)
            return -1;
        for (const capture::Batch &batch : change.batches)
            rows += tuplestore_tuple_count(batch.rows);
    }
    return rows;
}

/// About how many rows the logs hold for a view; 0 where they are small.
int64 estimate_rows(const catalog::Frontier &frontier, const pg::Vector<Oid> &sources, Snapshot at) {
    int64 rows = 0;
    for (Oid relid : sources) {
        catalog::Log log;
        if (catalog::find_log(relid, &log))
            rows += capture::estimate_log_rows(log, frontier, at);
    }
    return rows;
}

/// One refresh of several views at one snapshot.
class Refresh {
  public:
    Refresh(Snapshot at, const pg::Vector<Oid> &views)
        : at_(at), reached_(catalog::frontier_of(at)), window_(at, views) {}

    /// Returns the change rows consumed.
    int64 advance(Oid view, RefreshedView *result) {
        const std::optional<catalog::Frontier> frontier = catalog::find_frontier(view);
        if (!frontier)
            return 0;
        const pg::Vector<Oid> sources = catalog::sources(view);
        const int64 estimated = estimate_rows(*frontier, sources, at_);
        const bool too_much = estimated > 0 && is_too_much(view, estimated);
        pg::Vector<capture::TableChange> changes =
            too_much ? all_unknown(sources) : window_.read(*frontier, sources);
        for (const capture::TableChange &change : below_)
            if (std::find(sources.begin(), sources.end(), change.relid) != sources.end())
                changes.push_back(change);
        const int64 rows = count_rows(changes);
        if (rows == 0)
            return 0;
        capture::begin_log_run();
        const Outcome outcome = maintain_view(view, changes, result->written, std::nullopt, at_);
        capture::release_changes();
        if (outcome == Outcome::followed || outcome == Outcome::repaired)
            catalog::set_frontier(view, reached_);
        result->unknown |= outcome != Outcome::followed;
        return std::max<int64>(too_much ? estimated : rows, 1);
    }

    /// What the views that read it are to follow.
    void pass_on(const RefreshedView &view) {
        capture::TableChange change{view.view, view.unknown, nullptr, {}};
        if (view.written->left != nullptr)
            change.batches.push_back({view.written->left, view.written->desc, -1});
        if (view.written->came != nullptr)
            change.batches.push_back({view.written->came, view.written->desc, +1});
        if (change.unknown || !change.batches.empty())
            below_.push_back(change);
    }

  private:
    /// A log that is not read: the view is computed anew.
    static pg::Vector<capture::TableChange> all_unknown(const pg::Vector<Oid> &sources) {
        pg::Vector<capture::TableChange> changes;
        for (Oid relid : sources)
            changes.push_back({relid, true, "more has changed than is worth to be read", {}});
        return changes;
    }

    Snapshot at_;
    catalog::Frontier reached_;
    Window window_;
    pg::Vector<capture::TableChange> below_; // of views that have been refreshed
};

BlockNumber blocks_of(Oid relid) {
    const Relation rel = table_open(relid, AccessShareLock);
    const BlockNumber blocks = RelationGetNumberOfBlocks(rel);
    table_close(rel, NoLock);
    return blocks;
}

/// What has been consumed by the views that read the log, each snapshot once: views that are refreshed together share it.
pg::Vector<catalog::Frontier> frontiers_of(const catalog::Log &log) {
    pg::Vector<catalog::Frontier> frontiers;
    for (Oid view : catalog::views_of(log.relid)) {
        catalog::Registration registration;
        if (!is_deferred(view, &registration) || registration.state == catalog::State::stale)
            continue;
        const std::optional<catalog::Frontier> frontier = catalog::find_frontier(view);
        if (frontier && std::none_of(frontiers.begin(), frontiers.end(),
                                     [&](const catalog::Frontier &known) { return same(known, *frontier); }))
            frontiers.push_back(*frontier);
    }
    return frontiers;
}

/// Whether every row of the segment that is committed by now is in every view that reads the log.
bool is_consumed(const catalog::Log &log, int segment) {
    Snapshot now = RegisterSnapshot(GetLatestSnapshot());
    const bool consumed = !capture::has_uncovered_rows(log.segments[segment], frontiers_of(log), now);
    UnregisterSnapshot(now);
    return consumed;
}

/// Empties a segment that everybody has consumed. Whoever writes to it or reads from it holds a lock on it to the end
/// of his transaction, so that with the exclusive one a new snapshot shows all that it holds.
bool try_truncate(const catalog::Log &log, int segment) {
    const Oid relid = log.segments[segment];
    if (!is_consumed(log, segment) || !ConditionalLockRelationOid(relid, AccessExclusiveLock))
        return false;
    if (!is_consumed(log, segment)) {
        UnlockRelationOid(relid, AccessExclusiveLock);
        return false;
    }
    catalog::truncate_member_table(relid);
    return true;
}

/// Whether this transaction keeps writers of the table away to its end (it has activated a view).
bool are_writers_away(Oid relid) {
    LOCKTAG tag;
    SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
    return LockHeldByMe(&tag, ShareRowExclusiveLock, true);
}

/// Writers go on in the next segment when theirs is large, and old ones are emptied; theirs as well if they are away: to
/// empty it makes them wait.
void tidy_log(Oid relid) {
    catalog::Log log;
    if (!catalog::find_log(relid, &log))
        return;
    const bool all = are_writers_away(relid);
    bool empty[catalog::kSegments];
    for (int i = 0; i < catalog::kSegments; i++)
        empty[i] = blocks_of(log.segments[i]) == 0 || ((all || i != log.current) && try_truncate(log, i));
    const int next = (log.current + 1) % catalog::kSegments;
    if (empty[next] && blocks_of(log.segments[log.current]) >= kSegmentBlocks)
        catalog::set_current_segment(relid, next);
}

/// A view that has failed does not follow those that it reads: it is to be built anew.
void leave_failed_readers(const RefreshedView &view) {
    if (!view.unknown && view.written->left == nullptr && view.written->came == nullptr)
        return;
    for (const Oid reader : deferred_readers(view.view))
        if (has_failed(reader))
            catalog::remove_frontier(reader);
}

void note_recovered(Oid view) {
    catalog::Registration registration;
    if (!catalog::find_registration(view, &registration) || registration.state != catalog::State::failed)
        return;
    registration.state = catalog::State::active;
    catalog::update_registration(registration);
}

} // namespace

void lock_logs(const pg::Vector<Oid> &sources) {
    lock_sources(sources);
    for (Oid relid : sources) {
        catalog::Log log;
        if (catalog::find_log(relid, &log))
            for (Oid segment : log.segments)
                LockRelationOid(segment, AccessShareLock);
    }
}

bool takes_long(Oid view) {
    catalog::Registration registration;
    const std::optional<catalog::Frontier> frontier = catalog::find_frontier(view);
    if (!frontier || !is_deferred(view, &registration) || !registration.active)
        return false;
    Snapshot at = RegisterSnapshot(GetLatestSnapshot());
    const int64 rows = estimate_rows(*frontier, catalog::sources(view), at);
    UnregisterSnapshot(at);
    if (!catalog::owed_states(view) && (rows == 0 || !is_too_much(view, rows)))
        return false;
    const char *why = nullptr;
    Program *program = find_program(view, &why);
    return program != nullptr && is_long(rebuild_cost(program).least());
}

pg::Vector<Oid> apart_from_built(const pg::Vector<Oid> &views) {
    const auto reads_built = [](Oid view) {
        const pg::Vector<Oid> sources = catalog::sources(view);
        return std::any_of(sources.begin(), sources.end(), [](Oid relid) {
            return get_rel_relkind(relid) == RELKIND_MATVIEW && capture::has_logged(relid);
        });
    };
    pg::Vector<Oid> apart;
    for (Oid view : views) {
        const pg::Vector<Oid> together = with_readers({view});
        if (std::none_of(together.begin(), together.end(), reads_built))
            apart.push_back(view);
    }
    return apart;
}

int64 refresh_deferred(const pg::Vector<Oid> &views) {
    if (views.empty())
        return 0;
    if (capture::is_statement_open())
        ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
                        errmsg("cannot refresh deferred views inside a statement on a base table")));
    const pg::Vector<Oid> wanted = with_readers(views);
    const pg::Vector<Oid> sources = sources_of(wanted);
    lock_sources(sources);
    const CommandId before = present_command();
    pg::Vector<RefreshedView> refreshed;
    for (Oid view : wanted) {
        catalog::Registration registration;
        LockRelationOid(view, ShareUpdateExclusiveLock);
        if (!is_deferred(view, &registration))
            continue;
        auto *written = new (palloc(sizeof(WrittenRows))) WrittenRows();
        refreshed.push_back({view, written, false});
        if (must_build(view, registration)) {
            build(view, registration, written);
            refreshed.back().unknown = catalog::find_frontier(view).has_value();
        }
    }
    lock_logs(sources);
    CommandCounterIncrement();
    Snapshot at = RegisterSnapshot(GetLatestSnapshot());
    int64 rows = 0;
    {
        Refresh refresh(at, wanted);
        for (RefreshedView &view : refreshed) {
            std::optional<observe::Building> building;
            if (view.unknown) // just built: what was logged meanwhile
                building.emplace(view.view, observe::Phase::catching_up);
            rows += refresh.advance(view.view, &view);
            refresh.pass_on(view);
            note_recovered(view.view);
            leave_failed_readers(view);
        }
    }
    UnregisterSnapshot(at);
    follow_refreshed(refreshed, before);
    for (Oid relid : sources)
        tidy_log(relid);
    return rows;
}

} // namespace upkeep::maintain
