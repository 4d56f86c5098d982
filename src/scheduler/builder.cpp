// A builder: refreshes the views of its order, and ends.
#include "pg/entry.hpp"
#include "scheduler/process.hpp"
#include "scheduler/task.hpp"

extern "C" {
#include "storage/ipc.h"

PGDLLEXPORT void upkeep_builder_main(Datum);
}

namespace upkeep::scheduler {

namespace {

BuildOrder order;

void leave_entry(int, Datum) {
    LWLockAcquire(lock(), LW_EXCLUSIVE);
    shared()->builders[order.entry] = Builder{};
    LWLockRelease(lock());
    wake_launcher(); // somebody may wait for a process
}

void run_builder() {
    memcpy(&order, MyBgworkerEntry->bgw_extra, sizeof(order));
    begin_process();
    LWLockAcquire(lock(), LW_EXCLUSIVE);
    shared()->builders[order.entry] = Builder{order.database, MyProcPid};
    LWLockRelease(lock());
    before_shmem_exit(leave_entry, Datum(0));
    BackgroundWorkerInitializeConnectionByOid(order.database, InvalidOid, 0);
    pin_settings();
    (void)refresh(pg::Vector<Oid>(order.views, order.views + order.nviews));
    announce_refresh();
}

} // namespace

} // namespace upkeep::scheduler

extern "C" void upkeep_builder_main(Datum) {
    upkeep::pg::guard([] { upkeep::scheduler::run_builder(); });
}
