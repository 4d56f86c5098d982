#include "settings.hpp"

namespace upkeep::settings {
namespace {

int log_min_duration_ms = -1;
int log_limit_mb = 1024;

} // namespace

int log_min_duration() {
    return log_min_duration_ms;
}

int64 log_limit() {
    return int64{log_limit_mb} * 1024 * 1024;
}

void define() {
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
