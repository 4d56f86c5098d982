// Which views are being built, and how far. Kept in shared memory when the library is preloaded, else not at all.
#pragma once
#include "pg/memory.hpp"

extern "C" {
#include "datatype/timestamp.h"
}

namespace upkeep::observe {

enum class Phase : uint8 { locking, computing, writing, catching_up };

/// Shows that this session builds a view, while it lives or until its (sub)transaction is aborted. Inside another one of
/// the same view it does nothing.
class Building {
  public:
    explicit Building(Oid view, Phase phase = Phase::locking);
    ~Building();
    Building(const Building &) = delete;
    Building &operator=(const Building &) = delete;

  private:
    bool shown_;
};

/// A phase of the build under way begins, with about so many rows to come (-1: unknown).
void begin_phase(Phase phase, int64 rows_estimated = -1);

/// One more row. Costs a few instructions.
void count_row();

struct Progress {
    Oid view;
    int pid;
    Phase phase;
    int64 rows_done;
    int64 rows_estimated; // -1: unknown
    TimestampTz started;
};

/// Of all sessions in the current database; empty where nothing is kept.
pg::Vector<Progress> builds_under_way();

/// Called when the library is loaded: asks for shared memory if it still can.
void install_progress();

} // namespace upkeep::observe
