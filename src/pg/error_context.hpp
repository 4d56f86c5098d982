// A CONTEXT line for errors raised inside a scope.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::pg {

/// Adds 'while maintaining materialized view "…"' to errors raised while it lives.
class MaintenanceContext {
  public:
    explicit MaintenanceContext(Oid view) : view_(view), outer_(std::exchange(innermost, view)) {
        callback_.previous = error_context_stack;
        callback_.callback = &report;
        callback_.arg = this;
        error_context_stack = &callback_;
    }
    ~MaintenanceContext() {
        error_context_stack = callback_.previous;
        innermost = outer_;
    }
    MaintenanceContext(const MaintenanceContext &) = delete;
    MaintenanceContext &operator=(const MaintenanceContext &) = delete;

    /// After an error that passed such a scope: the view that was being maintained, once. Else InvalidOid.
    static Oid take_failed() { return std::exchange(innermost, InvalidOid); }

  private:
    static inline Oid innermost = InvalidOid;

    static void report(void *arg) {
        const char *name = get_rel_name(static_cast<MaintenanceContext *>(arg)->view_);
        if (name != nullptr)
            errcontext("while maintaining materialized view \"%s\"", name);
    }

    Oid view_;
    Oid outer_;
    ErrorContextCallback callback_;
};

} // namespace upkeep::pg
