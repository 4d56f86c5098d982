#include "settings.hpp"

namespace upkeep::settings {
namespace {

int log_min_duration_ms = -1;
int log_limit_mb = 1024;
int max_staleness_ms = 0;
int max_worker_count = 4;
bool is_paused = false;

} // namespace

int log_min_duration() {
    return log_min_duration_ms;
}

[[gnu::hot]] int64 log_limit() {
    return int64{log_limit_mb} * 1024 * 1024;
}

int max_staleness() {
    return max_staleness_ms;
}

int max_workers() {
    return max_worker_count;
}

bool paused() {
    return is_paused;
}

void define() {
    DefineCustomIntVariable("upkeep.max_staleness",
                            "Sets how far deferred views may lag behind a commit that were registered without a limit.",
                            "Zero brings them up to date as soon as possible.", &max_staleness_ms, 0, 0, INT_MAX,
                            PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("upkeep.max_workers",
                            "Sets the maximum number of background processes that maintain views.",
                            "They are taken from max_worker_processes. The launcher is not counted.", &max_worker_count,
                            4, 0, 1024, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("upkeep.paused", "Stops the maintenance of views in the background.",
                             "Changes are logged all the same.", &is_paused, false, PGC_SIGHUP, 0, nullptr, nullptr,
                             nullptr);
    DefineCustomIntVariable("upkeep.log_limit",
                            "Sets the size at which the change log of a base table is given up for its deferred views.",
                            "The views become stale and are computed anew by their next refresh.", &log_limit_mb, 1024,
                            1, INT_MAX, PGC_SUSET, GUC_UNIT_MB, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("upkeep.log_min_duration",
                            "Sets the minimum time above which the maintenance of a materialized view is logged.",
                            "Zero logs every run, -1 turns this off.", &log_min_duration_ms, -1, -1, INT_MAX, PGC_SUSET,
                            GUC_UNIT_MS, nullptr, nullptr, nullptr);
    MarkGUCPrefixReserved("upkeep");
}

} // namespace upkeep::settings
