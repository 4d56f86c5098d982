// What is stored of a design, so that changes of its tables and of its facts are noticed.
#pragma once

#include "maintain/program.hpp"

namespace upkeep::maintain {

void record_facts(const Design &design);
/// `keep`: those of the first activation stay.
void record_settings(const Design &design, bool keep);
/// The relations whose statements are captured for the view.
void record_sources(const Design &design);

/// Drops the capture triggers of those among these relations that no view is registered for any more.
void drop_unused_triggers(const pg::Vector<Oid> &relids);

/// Creates or widens the change logs of what a deferred view reads.
void require_logs(const analysis::ViewQuery &query);
/// Drops the logs of tables that no deferred view reads any more.
void drop_unused_logs(const pg::Vector<Oid> &relids);

} // namespace upkeep::maintain
