// Acting as another role: as a view's owner, restricted and with pinned settings, or as the extension's.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::pg {

/// Switches to `user` for a scope. Settings set inside (set_setting) are put back at its end. The abort of the
/// (sub)transaction restores all of it after an error.
class RunAs {
  public:
    enum class Path : std::uint8_t { keep, fixed };
    /// Path::fixed: search_path = pg_catalog, pg_temp and row_security = on (needed when SQL is deparsed or run, or
    /// functions of the user's are called; costs about a microsecond).
    /// `context`: SECURITY_RESTRICTED_OPERATION where code of a user may run, SECURITY_LOCAL_USERID_CHANGE where only
    /// our own does.
    RunAs(Oid user, Path path, int context = SECURITY_RESTRICTED_OPERATION);
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
