// The worker of a database: brings its views up to date when their time comes, and sleeps.
#include "catalog/tables.hpp"
#include "pg/transaction.hpp"
#include "scheduler/process.hpp"
#include "scheduler/task.hpp"
#include "settings.hpp"

extern "C" {
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

PGDLLEXPORT void upkeep_worker_main(Datum);
}

namespace upkeep::scheduler {

namespace {

/// Views that take longer do not keep others waiting: a builder takes them.
constexpr int64 kLong = USECS_PER_SEC;
constexpr int64 kFirstRestart = USECS_PER_SEC;

Database *slot = nullptr; // this worker's
bool is_clean = false;    // it goes because there is nothing more for it to do
TimestampTz left_due = 0; // what it leaves to be done

void leave_slot(int, Datum) {
    LWLockAcquire(lock(), LW_EXCLUSIVE);
    slot->phase = Phase::absent;
    slot->worker = 0;
    slot->latch = nullptr;
    slot->leave = false;
    slot->next_due = left_due;
    if (!is_clean) {
        slot->retry_at = GetCurrentTimestamp() + (kFirstRestart << std::min(slot->failures++, 6));
        slot->wanted = true;
    }
    // Whoever comes from here on finds no latch; who came before has found one that nobody looks at any more.
    pg_memory_barrier();
    if (!slot->changed.look().is_empty())
        slot->wanted = true;
    LWLockRelease(lock());
    wake_launcher();
}

void take_slot(int number) {
    slot = &shared()->databases[number];
    LWLockAcquire(lock(), LW_EXCLUSIVE);
    slot->phase = Phase::working;
    slot->worker = MyProcPid;
    slot->latch = MyLatch;
    LWLockRelease(lock());
    before_shmem_exit(leave_slot, Datum(0));
}

void set_phase(Phase phase) {
    LWLockAcquire(lock(), LW_EXCLUSIVE);
    slot->phase = phase;
    slot->idle_since = GetCurrentTimestamp();
    LWLockRelease(lock());
}

struct Running {
    BackgroundWorkerHandle *handle; // nullptr: the entry is free
    int entry;                      // of Shared::builders
    TimestampTz begun;
    int nviews;
    Oid views[kMaxBuilt];
};

class Worker {
  public:
    explicit Worker(MemoryContext context) : context_(context) {}

    [[noreturn]] void run() {
        // Whatever was logged before this worker came is not known.
        slot->changed.add_all();
        for (;;) {
            MemoryContextReset(context_);
            ResetLatch(MyLatch);
            handle_signals();
            collect();
            // Views come into being, and go, while others are refreshed.
            for (int round = 0; round < 100 && work(); round++) {
                handle_signals();
                collect();
            }
            if (slot->leave || !is_wanted_)
                leave();
            slot->failures = 0;
            rest();
        }
    }

  private:
    /// What has happened since the last look.
    void collect() {
        const auto since = static_cast<TimestampTz>(pg_atomic_read_u64(&slot->since));
        const TimestampTz now = GetCurrentTimestamp();
        const bool woken = pg_atomic_exchange_u32(&slot->woken, 0) != 0;
        const RelationSet known = slot->changed.look();
        const RelationSet changed = known.is_full() ? slot->changed.take() : known;
        const RelationSet urgent = slot->urgent.take();
        pg::Vector<Running> ended;
        take_ended(&ended); // before the registrations are read
        if (changed.is_full() || !ended.empty() || is_outdated_)
            reload();
        schedule_.note_changes(changed, woken && since != 0 ? std::min(since, now) : now);
        schedule_.note_urgent(urgent);
        for (const Running &r : ended)
            notice_built(r);
    }

    void reload() {
        const bool known = pg::in_transaction([&] {
                               is_wanted_ = OidIsValid(catalog::find_extension());
                               schedule_.reload();
                           }) == nullptr;
        if (!known)
            proc_exit(1);
        is_outdated_ = false;
    }

    /// Refreshes what is due. False: nothing was.
    bool work() {
        if (settings::paused() || slot->leave || !is_wanted_)
            return false;
        const pg::Vector<Views> groups = schedule_.due(GetCurrentTimestamp());
        if (groups.empty())
            return false;
        set_phase(Phase::working);
        for (const Views &group : groups) {
            if (slot->leave)
                break;
            begin_refresh(group);
            if (!is_long(group) || !start_builder(group))
                refresh_group(without_long(group));
        }
        return true;
    }

    static bool is_building(const Views &group) {
        return std::any_of(group.begin(), group.end(), [](const ScheduledView *view) { return view->needs_build(); });
    }

    static bool is_long(const Views &group) {
        return group.size() <= kMaxBuilt &&
               (is_building(group) || std::any_of(group.begin(), group.end(),
                                                  [](const ScheduledView *view) { return view->took > kLong; }));
    }

    /// Before anybody takes a snapshot for it: changes that are committed from now on are news again.
    void begin_refresh(const Views &group) {
        for (const ScheduledView *view : group)
            schedule_.note_changes(slot->changed.take({view->sources, static_cast<size_t>(view->nsources)}),
                                   GetCurrentTimestamp());
        for (ScheduledView *view : group) {
            view->changed = 0;
            view->urgent = false;
        }
    }

    /// What takes long goes to a builder of its own, if there is one, and the others do not wait for it.
    Views without_long(const Views &group) {
        const pg::Vector<Oid> found = find_long(relids_of(group));
        Views others, long_ones;
        for (ScheduledView *view : group)
            (std::find(found.begin(), found.end(), view->view) != found.end() ? long_ones : others).push_back(view);
        return long_ones.empty() || long_ones.size() > kMaxBuilt || !start_builder(long_ones) ? group : others;
    }

    static pg::Vector<Oid> relids_of(const Views &group) {
        pg::Vector<Oid> relids;
        for (const ScheduledView *view : group)
            relids.push_back(view->view);
        return relids;
    }

    void refresh_group(const Views &group) {
        if (group.empty())
            return;
        const TimestampTz begun = GetCurrentTimestamp();
        const pg::Vector<Oid> failed = refresh(relids_of(group));
        const TimestampTz ended = GetCurrentTimestamp();
        for (ScheduledView *view : group) {
            if (std::find(failed.begin(), failed.end(), view->view) != failed.end())
                schedule_.note_failure(view, ended);
            else
                schedule_.note_success(view, ended, ended - begun);
        }
        is_outdated_ |= !failed.empty() || is_building(group);
        announce_refresh();
        handle_signals();
    }

    /// An entry among the builders, if there is room for one more.
    int reserve_builder() {
        int processes = 0, free = -1;
        LWLockAcquire(lock(), LW_EXCLUSIVE);
        for (const Database &other : shared()->databases)
            processes += other.phase != Phase::absent ? 1 : 0;
        for (int i = 0; i < kMaxBuilders; i++) {
            if (OidIsValid(shared()->builders[i].database))
                processes++;
            else
                free = i;
        }
        if (processes >= settings::max_workers() || slot->bars > 0)
            free = -1;
        if (free >= 0)
            shared()->builders[free] = Builder{MyDatabaseId, 0};
        LWLockRelease(lock());
        return free;
    }

    bool start_builder(const Views &group) {
        Running *place = std::find_if(running_, running_ + kMaxBuilders, [](const Running &r) { return !r.handle; });
        if (place == running_ + kMaxBuilders)
            return false;
        BuildOrder order{reserve_builder(), MyDatabaseId, static_cast<int>(group.size()), {}};
        if (order.entry < 0)
            return false;
        for (int i = 0; i < order.nviews; i++)
            order.views[i] = group[static_cast<size_t>(i)]->view;
        static_assert(sizeof(order) <= BGW_EXTRALEN);
        const pg::InContext in(TopMemoryContext);
        place->handle =
            start_process("upkeep builder", "upkeep builder", "upkeep_builder_main", Datum(0), &order, sizeof(order));
        if (place->handle == nullptr) {
            LWLockAcquire(lock(), LW_EXCLUSIVE);
            shared()->builders[order.entry] = Builder{};
            LWLockRelease(lock());
            return false;
        }
        place->nviews = order.nviews;
        memcpy(place->views, order.views, sizeof(order.views));
        place->entry = order.entry;
        place->begun = GetCurrentTimestamp();
        for (ScheduledView *view : group)
            view->in_builder = true;
        return true;
    }

    void take_ended(pg::Vector<Running> *ended) {
        for (Running &r : running_) {
            pid_t pid;
            if (r.handle == nullptr || GetBackgroundWorkerPid(r.handle, &pid) != BGWH_STOPPED)
                continue;
            LWLockAcquire(lock(), LW_EXCLUSIVE);
            Builder &entry = shared()->builders[r.entry];
            if (entry.database == MyDatabaseId && entry.pid == 0)
                entry = Builder{}; // it never came to life
            LWLockRelease(lock());
            ended->push_back(r);
            pfree(std::exchange(r.handle, nullptr));
        }
    }

    /// Its views are as the registrations say by now.
    void notice_built(const Running &r) {
        const TimestampTz now = GetCurrentTimestamp();
        for (int i = 0; i < r.nviews; i++) {
            ScheduledView *view = schedule_.find(r.views[i]);
            if (view == nullptr)
                continue;
            view->in_builder = false;
            if (view->needs_build())
                schedule_.note_failure(view, now);
            else
                schedule_.note_success(view, now, now - r.begun);
        }
    }

    void rest() {
        set_phase(Phase::idle);
        pgstat_report_stat(true);
        pgstat_report_activity(STATE_IDLE, nullptr);
        const TimestampTz next = settings::paused() ? 0 : schedule_.next_due();
        sleep_until_woken(next == 0 ? -1 : milliseconds_until(next));
    }

    [[noreturn]] void leave() {
        is_clean = true;
        schedule_.note_changes(slot->changed.take(), GetCurrentTimestamp());
        left_due = is_wanted_ ? schedule_.next_due() : 0;
        proc_exit(0);
    }

    MemoryContext context_; // of one round
    Schedule schedule_;
    bool is_wanted_ = true;    // the extension exists
    bool is_outdated_ = false; // registrations have changed
    Running running_[kMaxBuilders] = {};
};

[[noreturn]] void run_worker(int number) {
    take_slot(number);
    begin_process();
    BackgroundWorkerInitializeConnectionByOid(slot->database, InvalidOid, 0);
    pin_settings();
    const MemoryContext context =
        AllocSetContextCreate(TopMemoryContext, "upkeep worker", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(context);
    auto *worker = new (MemoryContextAlloc(TopMemoryContext, sizeof(Worker))) Worker(context);
    worker->run();
}

} // namespace

} // namespace upkeep::scheduler

extern "C" void upkeep_worker_main(Datum number) {
    upkeep::pg::guard([=] { upkeep::scheduler::run_worker(DatumGetInt32(number)); });
}
