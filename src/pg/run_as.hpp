// Running maintenance as the view's owner: restricted, with pinned settings.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::pg {

/// Switches to `owner` in a security-restricted context for a scope. Settings set inside (set_setting) are put back at
/// its end. An error's abort restores all of it.
class RunAs {
  public:
    enum class Path : std::uint8_t { keep, fixed };
    /// Path::fixed: search_path = pg_catalog, pg_temp and row_security = on (needed when SQL is deparsed or run, or
    /// functions of the user's are called; costs about a microsecond).
    RunAs(Oid owner, Path path);
    ~RunAs();
    RunAs(const RunAs &) = delete;
    RunAs &operator=(const RunAs &) = delete;

    void set_setting(const char *name, const char *value);

  private:
    void begin_settings();
    Oid saved_user_;
    int saved_context_;
    int nest_level_ = 0;
};

} // namespace upkeep::pg
