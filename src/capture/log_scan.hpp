// Finding in a change log what a frontier does not cover, without reading again what it does.
#pragma once
#include "catalog/log.hpp"

namespace upkeep::capture {

/// Calls visit(slot, weight) for the rows of the log that the snapshot sees and the frontier does not cover, until it
/// returns false. The slot has the segment's columns.
using LogVisit = bool (*)(void *state, TupleTableSlot *slot, int weight);
void scan_log(const catalog::Log &log, const catalog::Frontier &frontier, Snapshot snapshot, LogVisit visit,
              void *state);

template <typename Visit>
void scan_log(const catalog::Log &log, const catalog::Frontier &frontier, Snapshot snapshot, Visit visit) {
    scan_log(
        log, frontier, snapshot,
        [](void *state, TupleTableSlot *slot, int weight) { return (*static_cast<Visit *>(state))(slot, weight); },
        &visit);
}

} // namespace upkeep::capture
