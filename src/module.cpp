// The module: the magic block and what is set up when the library is loaded.

#include "api/database_commands.hpp"
#include "api/definition_changes.hpp"
#include "api/reads.hpp"
#include "api/view_options.hpp"
#include "capture/capture.hpp"
#include "maintain/maintain.hpp"
#include "maintain/program.hpp"
#include "observe/counters.hpp"
#include "observe/progress.hpp"
#include "pg/entry.hpp"
#include "scheduler/scheduler.hpp"
#include "settings.hpp"

extern "C" {

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void _PG_init(void) {
    upkeep::pg::guard([] {
        upkeep::settings::define();
        upkeep::observe::install();
        upkeep::observe::install_progress();
        upkeep::maintain::install_program_cache();
        upkeep::capture::install(upkeep::maintain::run_pending, upkeep::scheduler::wake);
        upkeep::scheduler::install(upkeep::api::reactivate);
        upkeep::api::follow_database_commands();
        upkeep::api::install_view_options();
        upkeep::api::install_reads();
    });
}
}
