// A session has a slot while it builds. Nobody else writes to it, so that no lock is needed: a reader that finds the
// same owner before and after may see a phase and a number of rows that belong to different moments, and no worse.
#include "observe/progress.hpp"

#include "pg/entry.hpp"

extern "C" {
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"
}

namespace upkeep::observe {
namespace {

constexpr const char *kName = "upkeep progress";
constexpr int kSlots = 128; // a build that finds none is not shown

struct Slot {
    pg_atomic_uint32 owner; // process ID; 0: free
    Oid database;
    Oid view;
    TimestampTz started;
    pg_atomic_uint32 phase;
    pg_atomic_uint64 rows_done;
    pg_atomic_uint64 rows_estimated;
};

Slot *slots = nullptr; // nullptr: nothing is kept
Slot *own = nullptr;
int own_level = 0; // of the transaction that took it
shmem_request_hook_type next_request_hook = nullptr;
shmem_startup_hook_type next_startup_hook = nullptr;

void request_memory() {
    pg::guard([] {
        if (next_request_hook != nullptr)
            next_request_hook();
        RequestAddinShmemSpace(MAXALIGN(kSlots * sizeof(Slot)));
    });
}

void attach_memory() {
    pg::guard([] {
        if (next_startup_hook != nullptr)
            next_startup_hook();
        bool found;
        LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
        slots = static_cast<Slot *>(ShmemInitStruct(kName, kSlots * sizeof(Slot), &found));
        for (int i = 0; !found && i < kSlots; i++) {
            memset(&slots[i], 0, sizeof(Slot));
            pg_atomic_init_u32(&slots[i].owner, 0);
            pg_atomic_init_u32(&slots[i].phase, 0);
            pg_atomic_init_u64(&slots[i].rows_done, 0);
            pg_atomic_init_u64(&slots[i].rows_estimated, 0);
        }
        LWLockRelease(AddinShmemInitLock);
    });
}

void release() {
    if (own != nullptr)
        pg_atomic_write_u32(&own->owner, 0);
    own = nullptr;
}

void on_transaction(XactEvent event, void *) {
    if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE && event != XACT_EVENT_PARALLEL_PRE_COMMIT)
        release();
}

void on_subtransaction(SubXactEvent event, SubTransactionId, SubTransactionId, void *) {
    if (event == SUBXACT_EVENT_ABORT_SUB && GetCurrentTransactionNestLevel() <= own_level)
        release();
}

void register_callbacks() {
    static bool registered = false;
    if (registered)
        return;
    RegisterXactCallback(on_transaction, nullptr);
    RegisterSubXactCallback(on_subtransaction, nullptr);
    before_shmem_exit([](int, Datum) { release(); }, Datum(0));
    registered = true;
}

Slot *take_slot() {
    for (int i = 0; i < kSlots; i++) {
        uint32 nobody = 0;
        if (pg_atomic_compare_exchange_u32(&slots[i].owner, &nobody, PG_UINT32_MAX))
            return &slots[i];
    }
    return nullptr;
}

} // namespace

Building::Building(Oid view, Phase phase) : shown_(false) {
    if (slots == nullptr || own != nullptr)
        return;
    register_callbacks();
    Slot *slot = take_slot();
    if (slot == nullptr)
        return;
    slot->database = MyDatabaseId;
    slot->view = view;
    slot->started = GetCurrentTimestamp();
    own = slot;
    own_level = GetCurrentTransactionNestLevel();
    begin_phase(phase);
    pg_write_barrier();
    pg_atomic_write_u32(&slot->owner, static_cast<uint32>(MyProcPid));
    shown_ = true;
}

Building::~Building() {
    if (shown_)
        release();
}

void begin_phase(Phase phase, int64 rows_estimated) {
    if (own == nullptr)
        return;
    pg_atomic_write_u32(&own->phase, uint32(phase));
    pg_atomic_write_u64(&own->rows_done, 0);
    pg_atomic_write_u64(&own->rows_estimated, static_cast<uint64>(rows_estimated));
}

void count_row() {
    if (own != nullptr)
        pg_atomic_write_u64(&own->rows_done, pg_atomic_read_u64(&own->rows_done) + 1);
}

pg::Vector<Progress> builds_under_way() {
    pg::Vector<Progress> all;
    for (Slot *slot = slots; slot != nullptr && slot < slots + kSlots; slot++) {
        const uint32 owner = pg_atomic_read_u32(&slot->owner);
        if (owner == 0 || owner == PG_UINT32_MAX)
            continue;
        pg_read_barrier();
        const Progress progress{slot->view,
                                static_cast<int>(owner),
                                Phase(pg_atomic_read_u32(&slot->phase)),
                                static_cast<int64>(pg_atomic_read_u64(&slot->rows_done)),
                                static_cast<int64>(pg_atomic_read_u64(&slot->rows_estimated)),
                                slot->started};
        const Oid database = slot->database;
        pg_read_barrier();
        if (database == MyDatabaseId && pg_atomic_read_u32(&slot->owner) == owner)
            all.push_back(progress);
    }
    return all;
}

void install_progress() {
    if (!process_shared_preload_libraries_in_progress)
        return;
    next_request_hook = std::exchange(shmem_request_hook, request_memory);
    next_startup_hook = std::exchange(shmem_startup_hook, attach_memory);
}

} // namespace upkeep::observe
