// What a block with a subquery reads as it was before the change, where no command id shows that: a deferred view's
// tables were changed by others, long ago. Sources are numbered: the tables of the query, then its nodes.
#pragma once

#include "maintain/run.hpp"

namespace upkeep::maintain {

/// The changes by image, by source: those that a statement asks for are there before it runs.
struct OldChanges {
    int64 number; // of the run
    pg::Vector<ZSet *> of_source;
};

/// Whether the old states of all blocks that need them can be made.
bool can_make_old_states(Program &program);

/// Makes the old states known to SQL of what the block reads and what has changed, under the active snapshot. SPI is
/// connected. Returns these sources; run.broken where the change does not fit what is there.
std::uint64_t make_old_states(Run &run, BlockProgram &block);

/// A statement whose $1 is the number of the run; and its parameters.
SPIPlanPtr prepare_with_old_states(const char *sql);
ParamListInfo old_state_params(Run &run);

/// What upkeep.has_changed looks into: the change of a source in the run of this number; nullptr: there is none.
ZSet *changes_of(int64 run, int source);

} // namespace upkeep::maintain
