// From one mode to another, with the contents as they are.
#include "capture/callbacks.hpp"
#include "capture/capture.hpp"
#include "capture/nesting.hpp"
#include "catalog/log.hpp"
#include "maintain/maintain.hpp"
#include "maintain/records.hpp"
#include "maintain/sources.hpp"

namespace upkeep::maintain {

namespace {

/// Everything that writers have committed is in the view and its states, or in the logs behind its frontier.
bool is_followed(const catalog::Registration &registration) {
    return registration.active && registration.state == catalog::State::active && !registration.identity_lost &&
           (registration.mode != catalog::Mode::deferred ||
            (catalog::find_frontier(registration.view) && !catalog::owed_states(registration.view)));
}

/// What this transaction has written is in the view in part, or not at all.
bool has_own_changes(Oid view) {
    if (capture::is_statement_open() || capture::has_pending())
        return true;
    for (const Oid relid : catalog::sources(view))
        if (capture::has_logged(relid))
            return true;
    return false;
}

} // namespace

bool switch_mode(Oid view, catalog::Mode mode) {
    catalog::Registration registration;
    const pg::Refusal *refusal;
    if (IsolationUsesXactSnapshot() || has_own_changes(view) || !catalog::find_registration(view, &registration) ||
        !is_followed(registration) || !layout_still_fits(view, &refusal))
        return false;
    const char *why;
    const Program *program = find_program(view, &why);
    if (program == nullptr)
        return false;
    catalog::OwnDdl own_ddl;
    hold_off_writers(view, *program->query);
    program = find_program(view, &why);
    if (program == nullptr || !catalog::find_registration(view, &registration) || !is_followed(registration))
        return false;
    if (registration.mode == catalog::Mode::deferred) {
        refresh_deferred({view});
        if (!catalog::find_registration(view, &registration) || !is_followed(registration))
            return false;
    }
    registration.mode = mode;
    catalog::remove_frontier(view);
    catalog::update_registration(registration);
    if (mode == catalog::Mode::deferred) {
        require_logs(*program->query);
        CommandCounterIncrement();
        Snapshot now = RegisterSnapshot(GetLatestSnapshot());
        catalog::set_frontier(view, catalog::frontier_of(now));
        UnregisterSnapshot(now);
    } else {
        drop_unused_logs(catalog::sources(view));
    }
    return true;
}

} // namespace upkeep::maintain
