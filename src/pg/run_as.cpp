#include "pg/run_as.hpp"

namespace upkeep::pg {

RunAs::RunAs(Oid user, Path path, int context) {
    GetUserIdAndSecContext(&saved_user_, &saved_context_);
    SetUserIdAndSecContext(user, saved_context_ | context);
    if (path == Path::fixed) {
        // Even if nothing has to be set: what the owner's functions set must not outlast them.
        begin_settings();
        set_setting("search_path", "pg_catalog, pg_temp");
        set_setting("row_security", "on");
    }
}

void RunAs::begin_settings() {
    if (nest_level_ == 0)
        nest_level_ = NewGUCNestLevel();
}

void RunAs::set_setting(const char *name, const char *value) {
    const char *current = GetConfigOption(name, true, false);
    if (current != nullptr && strcmp(current, value) == 0)
        return;
    begin_settings();
    (void)set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

RunAs::~RunAs() {
    if (nest_level_ != 0)
        AtEOXact_GUC(false, nest_level_);
    SetUserIdAndSecContext(saved_user_, saved_context_);
}

} // namespace upkeep::pg
