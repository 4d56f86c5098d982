// What backends, the launcher and the workers tell each other: through shared memory alone, nothing is written for it.
#pragma once
#include "pg/memory.hpp"

extern "C" {
#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
}

namespace upkeep::scheduler {

inline constexpr int kMaxDatabases = 128;
inline constexpr int kMaxBuilders = 32;

/// Relations by the hash of their OID: what was put in is found, and now and then another one, too.
inline constexpr int kSetWords = 32;
struct RelationSet {
    uint32 words[kSetWords];
    bool has(Oid relid) const;
    bool is_empty() const;
    bool is_full() const;
};
/// One that many processes fill and one empties.
struct SharedRelationSet {
    pg_atomic_uint32 words[kSetWords];
    pg_atomic_uint32 all; // whatever the words say
    void init();
    /// False: it was there.
    bool add(Oid relid);
    void add_all();
    RelationSet look();
    RelationSet take();
    /// Takes these, and gives what was there of them by name.
    RelationSet take(std::span<const Oid> relids);
};

enum class Phase : uint8 { absent, starting, working, idle };

/// One database that has, or may have, the extension. Guarded by the lock, but for the atomics and the latch, which a
/// committing backend reads without.
struct Database {
    Oid database; // InvalidOid: the slot is free
    Phase phase;
    pid_t worker;
    Latch *volatile latch;  // of the worker; nullptr: there is none to wake
    bool wanted;            // there is something to do, and no worker
    bool leave;             // the worker is to go
    int bars;               // commands that need the database empty
    int failures;           // of workers, one after the other
    TimestampTz retry_at;   // no worker is started before
    TimestampTz next_due;   // of the views, where no worker is there to know; 0: none
    TimestampTz idle_since; // of an idle worker
    pg_atomic_uint32 woken;
    pg_atomic_uint64 since; // when woken was set
    SharedRelationSet changed; // base tables whose logs hold what no refresh has begun to read
    SharedRelationSet urgent;  // views that somebody waits for
    ConditionVariable refreshed;
};

/// A worker that refreshes some views and ends.
struct Builder {
    Oid database; // InvalidOid: the entry is free
    pid_t pid;    // 0: being started
};

struct Shared {
    Latch *volatile launcher;
    pg_atomic_uint32 rescan; // databases may have come or gone
    Database databases[kMaxDatabases];
    Builder builders[kMaxBuilders];
};

/// False: the library was not preloaded; there are no workers.
bool is_available();
Shared *shared();
LWLock *lock();

/// Of the database, or nullptr. The lock is held.
Database *find_database(Oid database);
/// The same, a new one if there is none; nullptr if all slots are taken. The lock is held exclusively.
Database *require_database(Oid database);
void free_database(Database *slot);

void wake_launcher();

/// Asks for shared memory, when the library is preloaded.
void install_memory();

} // namespace upkeep::scheduler
