// Acting as another role, with a fixed search_path.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::pg {

/// Runs a scope as `user` with search_path = pg_catalog, pg_temp. `flags`: SECURITY_RESTRICTED_OPERATION where code of
/// a user may run, SECURITY_LOCAL_USERID_CHANGE where only our own does. The scope's end restores both; so does the
/// abort of the (sub)transaction.
class ActAs {
  public:
    ActAs(Oid user, int flags) {
        GetUserIdAndSecContext(&user_, &context_);
        SetUserIdAndSecContext(user, context_ | flags);
        nest_level_ = NewGUCNestLevel();
        set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                          false);
    }
    ~ActAs() {
        AtEOXact_GUC(false, nest_level_);
        SetUserIdAndSecContext(user_, context_);
    }
    ActAs(const ActAs &) = delete;
    ActAs &operator=(const ActAs &) = delete;

  private:
    Oid user_;
    int context_;
    int nest_level_;
};

} // namespace upkeep::pg
