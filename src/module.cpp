// The module: the magic block and what is set up when the library is loaded.

#include "api/view_options.hpp"
#include "capture/capture.hpp"
#include "maintain/maintain.hpp"
#include "maintain/program.hpp"
#include "observe/counters.hpp"
#include "pg/entry.hpp"
#include "settings.hpp"

extern "C" {

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void _PG_init(void) {
    upkeep::pg::guard([] {
        upkeep::settings::define();
        upkeep::observe::install();
        upkeep::maintain::install_program_cache();
        upkeep::capture::install(upkeep::maintain::run_pending);
        upkeep::api::install_view_options();
    });
}
}
