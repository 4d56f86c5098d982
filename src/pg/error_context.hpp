// A CONTEXT line for errors raised inside a scope.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::pg {

/// Adds 'while maintaining materialized view "…"' to errors raised while it lives.
class MaintenanceContext {
  public:
    explicit MaintenanceContext(Oid view) : view_(view) {
        callback_.previous = error_context_stack;
        callback_.callback = &report;
        callback_.arg = this;
        error_context_stack = &callback_;
    }
    ~MaintenanceContext() { error_context_stack = callback_.previous; }
    MaintenanceContext(const MaintenanceContext &) = delete;
    MaintenanceContext &operator=(const MaintenanceContext &) = delete;

  private:
    static void report(void *arg) {
        const char *name = get_rel_name(static_cast<MaintenanceContext *>(arg)->view_);
        if (name != nullptr)
            errcontext("while maintaining materialized view \"%s\"", name);
    }

    Oid view_;
    ErrorContextCallback callback_;
};

} // namespace upkeep::pg
