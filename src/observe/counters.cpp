#include "observe/counters.hpp"

#include "pg/entry.hpp"

extern "C" {
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
}

namespace upkeep::observe {
namespace {

constexpr const char *kName = "upkeep counters";

// The table has a fixed size. When it is full, the view with the fewest runs makes room.
constexpr int kMaxViews = 2048;

struct Key {
    Oid database;
    Oid view;
};

struct Entry {
    Key key;
    slock_t mutex; // guards the counters; the lock guards the table
    Counters counters;
};

LWLock *lock = nullptr;
HTAB *table = nullptr;
shmem_request_hook_type next_request_hook = nullptr;
shmem_startup_hook_type next_startup_hook = nullptr;

HTAB *attach_table() {
    HASHCTL control = {};
    control.keysize = sizeof(Key);
    control.entrysize = sizeof(Entry);
    return ShmemInitHash(kName, kMaxViews, kMaxViews, &control, HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
}

void request_memory() {
    pg::guard([] {
        if (next_request_hook != nullptr) {
            next_request_hook();
        }
        RequestAddinShmemSpace(hash_estimate_size(kMaxViews, sizeof(Entry)));
        RequestNamedLWLockTranche(kName, 1);
    });
}

void attach_memory() {
    pg::guard([] {
        if (next_startup_hook != nullptr) {
            next_startup_hook();
        }
        LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
        table = attach_table();
        lock = &GetNamedLWLockTranche(kName)->lock;
        LWLockRelease(AddinShmemInitLock);
    });
}

Key key_of(Oid view) {
    return Key{MyDatabaseId, view};
}

Entry *find_entry(Oid view) {
    const Key key = key_of(view);
    return static_cast<Entry *>(hash_search(table, &key, HASH_FIND, nullptr));
}

void make_room() {
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, table);
    std::optional<Key> least;
    int64 calls = PG_INT64_MAX;
    while (const auto *entry = static_cast<Entry *>(hash_seq_search(&scan))) {
        if (entry->counters.calls < calls) {
            calls = entry->counters.calls;
            least = entry->key;
        }
    }
    if (least) {
        hash_search(table, &*least, HASH_REMOVE, nullptr);
    }
}

// The lock is held exclusively.
Entry *require_entry(Oid view) {
    const Key key = key_of(view);
    if (hash_get_num_entries(table) >= kMaxViews && find_entry(view) == nullptr) {
        make_room();
    }
    bool found;
    auto *entry = static_cast<Entry *>(hash_search(table, &key, HASH_ENTER, &found));
    if (!found) {
        SpinLockInit(&entry->mutex);
        entry->counters = Counters();
    }
    return entry;
}

void add(Entry *entry, const Sample &sample) {
    SpinLockAcquire(&entry->mutex);
    Counters *counters = &entry->counters;
    counters->calls++;
    counters->rows_in += sample.rows_in;
    counters->rows_changed += sample.rows_changed;
    counters->total_ms += sample.milliseconds;
    counters->max_ms = std::max(counters->max_ms, sample.milliseconds);
    counters->rebuilds += sample.rebuilds;
    counters->waits += sample.waits;
    SpinLockRelease(&entry->mutex);
}

} // namespace

bool is_counting() {
    return table != nullptr;
}

void record(Oid view, const Sample &sample) {
    if (!is_counting()) {
        return;
    }
    LWLockAcquire(lock, LW_SHARED);
    Entry *entry = find_entry(view);
    if (entry == nullptr) {
        LWLockRelease(lock);
        LWLockAcquire(lock, LW_EXCLUSIVE);
        entry = require_entry(view);
    }
    add(entry, sample);
    LWLockRelease(lock);
}

void log_duration(Oid view, const Sample &sample, int min_ms) {
    if (min_ms < 0 || sample.milliseconds < min_ms) {
        return;
    }
    ereport(LOG,
            (errmsg("duration: %.3f ms  maintenance of materialized view \"%s\": %lld change rows, %lld rows written%s",
                    sample.milliseconds, get_rel_name(view), static_cast<long long>(sample.rows_in),
                    static_cast<long long>(sample.rows_changed), sample.rebuilds > 0 ? ", rebuilt" : ""),
             errhidestmt(true)));
}

void forget(Oid view) {
    if (!is_counting()) {
        return;
    }
    const Key key = key_of(view);
    LWLockAcquire(lock, LW_EXCLUSIVE);
    hash_search(table, &key, HASH_REMOVE, nullptr);
    LWLockRelease(lock);
}

Counters counters_of(Oid view) {
    Counters counters;
    if (!is_counting()) {
        return counters;
    }
    LWLockAcquire(lock, LW_SHARED);
    if (Entry *entry = find_entry(view)) {
        SpinLockAcquire(&entry->mutex);
        counters = entry->counters;
        SpinLockRelease(&entry->mutex);
    }
    LWLockRelease(lock);
    return counters;
}

void install() {
    if (!process_shared_preload_libraries_in_progress) {
        return;
    }
    next_request_hook = shmem_request_hook;
    shmem_request_hook = request_memory;
    next_startup_hook = shmem_startup_hook;
    shmem_startup_hook = attach_memory;
}

} // namespace upkeep::observe
