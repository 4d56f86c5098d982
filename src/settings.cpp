#include "settings.hpp"

namespace upkeep::settings {
namespace {

int log_min_duration_ms = -1;

} // namespace

int log_min_duration() {
    return log_min_duration_ms;
}

void define() {
    DefineCustomIntVariable("upkeep.log_min_duration",
                            "Sets the minimum time above which the maintenance of a materialized view is logged.",
                            "Zero logs every run, -1 turns this off.", &log_min_duration_ms, -1, -1, INT_MAX, PGC_SUSET,
                            GUC_UNIT_MS, nullptr, nullptr, nullptr);
    MarkGUCPrefixReserved("upkeep");
}

} // namespace upkeep::settings
