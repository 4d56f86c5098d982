#include "scheduler/shared.hpp"

#include "pg/entry.hpp"
#include "scheduler/scheduler.hpp"

extern "C" {
#include "common/hashfn.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"
}

namespace upkeep::scheduler {

namespace {

constexpr const char *kName = "upkeep scheduler";

Shared *memory = nullptr;
LWLock *memory_lock = nullptr;
shmem_request_hook_type next_request_hook = nullptr;
shmem_startup_hook_type next_startup_hook = nullptr;

[[gnu::hot]] uint32 hash(Oid relid) {
    return murmurhash32(relid) % (kSetWords * 32);
}

void clear_slot(Database *slot) {
    slot->database = InvalidOid;
    slot->phase = Phase::absent;
    slot->worker = 0;
    slot->latch = nullptr;
    slot->wanted = slot->leave = false;
    slot->bars = slot->failures = 0;
    slot->retry_at = slot->next_due = slot->idle_since = 0;
    pg_atomic_write_u32(&slot->woken, 0);
    pg_atomic_write_u64(&slot->since, 0);
    // What has happened before is not known: everything may have changed.
    slot->changed.add_all();
    (void)slot->urgent.take();
}

void request_memory() {
    pg::guard([] {
        if (next_request_hook != nullptr)
            next_request_hook();
        RequestAddinShmemSpace(sizeof(Shared));
        RequestNamedLWLockTranche(kName, 1);
    });
}

void attach_memory() {
    pg::guard([] {
        if (next_startup_hook != nullptr)
            next_startup_hook();
        LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
        bool found;
        memory = static_cast<Shared *>(ShmemInitStruct(kName, sizeof(Shared), &found));
        if (!found) {
            memset(static_cast<void *>(memory), 0, sizeof(Shared));
            pg_atomic_init_u32(&memory->rescan, 0);
            for (Database &slot : memory->databases) {
                pg_atomic_init_u32(&slot.woken, 0);
                pg_atomic_init_u64(&slot.since, 0);
                slot.changed.init();
                slot.urgent.init();
                ConditionVariableInit(&slot.refreshed);
                clear_slot(&slot);
            }
        }
        memory_lock = &GetNamedLWLockTranche(kName)->lock;
        LWLockRelease(AddinShmemInitLock);
    });
}

/// The slot of this database, for a committing backend, which must not wait or fail. It stays where it is as long as
/// the database exists.
[[gnu::hot]] Database *own_database() {
    static Database *own = nullptr;
    if (own != nullptr && own->database == MyDatabaseId)
        return own;
    LWLockAcquire(memory_lock, LW_EXCLUSIVE);
    own = require_database(MyDatabaseId);
    LWLockRelease(memory_lock);
    return own;
}

[[gnu::hot]] void wake_worker(Database *slot) {
    pg_memory_barrier(); // what it will find is written before
    if (pg_atomic_read_u32(&slot->woken) != 0 || pg_atomic_exchange_u32(&slot->woken, 1) != 0)
        return; // it has yet to look at what woke it before
    pg_atomic_write_u64(&slot->since, static_cast<uint64>(GetCurrentTimestamp()));
    Latch *latch = slot->latch;
    if (latch != nullptr)
        SetLatch(latch);
    else
        wake_launcher();
}

} // namespace

bool RelationSet::has(Oid relid) const {
    const uint32 bit = hash(relid);
    return ((words[bit / 32] >> (bit % 32)) & 1) != 0;
}

bool RelationSet::is_empty() const {
    return std::all_of(words, words + kSetWords, [](uint32 word) { return word == 0; });
}

bool RelationSet::is_full() const {
    return std::all_of(words, words + kSetWords, [](uint32 word) { return word == ~uint32{0}; });
}

void SharedRelationSet::init() {
    for (pg_atomic_uint32 &word : words)
        pg_atomic_init_u32(&word, 0);
    pg_atomic_init_u32(&all, 0);
}

[[gnu::hot]] bool SharedRelationSet::add(Oid relid) {
    const uint32 bit = hash(relid);
    pg_atomic_uint32 *word = &words[bit / 32];
    const uint32 mask = uint32{1} << (bit % 32);
    pg_memory_barrier();
    return (pg_atomic_read_u32(word) & mask) == 0 && (pg_atomic_fetch_or_u32(word, mask) & mask) == 0;
}

void SharedRelationSet::add_all() {
    pg_memory_barrier();
    pg_atomic_write_u32(&all, 1);
}

RelationSet SharedRelationSet::look() {
    const bool everything = pg_atomic_read_u32(&all) != 0;
    RelationSet set;
    for (int i = 0; i < kSetWords; i++)
        set.words[i] = everything ? ~uint32{0} : pg_atomic_read_u32(&words[i]);
    return set;
}

RelationSet SharedRelationSet::take(std::span<const Oid> relids) {
    RelationSet set{};
    for (const Oid relid : relids) {
        const uint32 bit = hash(relid);
        const uint32 mask = uint32{1} << (bit % 32);
        set.words[bit / 32] |= pg_atomic_fetch_and_u32(&words[bit / 32], ~mask) & mask;
    }
    return set;
}

RelationSet SharedRelationSet::take() {
    const bool everything = pg_atomic_exchange_u32(&all, 0) != 0;
    RelationSet set;
    for (int i = 0; i < kSetWords; i++) {
        const uint32 word = pg_atomic_exchange_u32(&words[i], 0);
        set.words[i] = everything ? ~uint32{0} : word;
    }
    return set;
}

bool is_available() {
    return memory != nullptr;
}

Shared *shared() {
    return memory;
}

LWLock *lock() {
    return memory_lock;
}

Database *find_database(Oid database) {
    for (Database &slot : memory->databases)
        if (slot.database == database)
            return &slot;
    return nullptr;
}

Database *require_database(Oid database) {
    Database *slot = find_database(database);
    if (slot == nullptr) {
        slot = find_database(InvalidOid);
        if (slot != nullptr)
            slot->database = database;
    }
    return slot;
}

void free_database(Database *slot) {
    clear_slot(slot);
}

void wake_launcher() {
    Latch *latch = memory->launcher;
    if (latch != nullptr)
        SetLatch(latch);
}

[[gnu::hot]] void wake(std::span<const Oid> relids) {
    if (memory == nullptr)
        return;
    Database *slot = own_database();
    if (slot == nullptr)
        return;
    // A worker knows of a table that is in the set: it is woken once for all commits until it begins to refresh.
    bool is_news = slot->latch == nullptr;
    for (const Oid relid : relids)
        is_news |= slot->changed.add(relid);
    if (is_news)
        wake_worker(slot);
}

void wake_for_anything() {
    if (memory == nullptr)
        return;
    if (Database *slot = own_database()) {
        slot->changed.add_all();
        wake_worker(slot);
    }
}

void look_for_databases() {
    if (memory == nullptr)
        return;
    pg_atomic_write_u32(&memory->rescan, 1);
    wake_launcher();
}

bool urge(Oid view) {
    Database *slot = own_database();
    if (slot == nullptr)
        return false;
    slot->urgent.add(view);
    wake_worker(slot);
    return true;
}

void prepare_to_await_refresh() {
    if (Database *slot = own_database())
        ConditionVariablePrepareToSleep(&slot->refreshed);
}

void await_refresh(long milliseconds) {
    (void)ConditionVariableTimedSleep(&own_database()->refreshed, milliseconds, pg::wait_event("UpkeepRefresh"));
}

void stop_awaiting_refresh() {
    ConditionVariableCancelSleep();
}

void install_memory() {
    next_request_hook = std::exchange(shmem_request_hook, request_memory);
    next_startup_hook = std::exchange(shmem_startup_hook, attach_memory);
}

} // namespace upkeep::scheduler
