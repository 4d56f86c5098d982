// What maintenance has cost, for each view. Kept in shared memory when the library is preloaded, else not at all: a
// statement never writes a table row for it.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::observe {

/// One maintenance run of one view.
struct Sample {
    int64 rows_in = 0;      // change rows consumed
    int64 rows_changed = 0; // rows of the view and of its state that were written
    double milliseconds = 0;
    int32 rebuilds = 0; // 1 if the whole query was computed again
    int32 waits = 0;    // locks of other writers that were waited for
};

/// The sum of all samples of a view since the server started.
struct Counters {
    int64 calls = 0;
    int64 rows_in = 0;
    int64 rows_changed = 0;
    double total_ms = 0;
    double max_ms = 0;
    int64 rebuilds = 0;
    int64 waits = 0;
};

/// Adds a run of a view of the current database. Costs nothing where nothing is kept. Counts also what is rolled back.
void record(Oid view, const Sample &sample);

/// Writes a run to the server log if it took at least `min_ms` (-1: never).
void log_duration(Oid view, const Sample &sample, int min_ms);

/// Forgets a dropped view of the current database.
void forget(Oid view);

/// False: the library was not preloaded, and nothing is counted.
bool is_counting();

/// The counters of a view of the current database; all zero if it was never maintained since the server started.
Counters counters_of(Oid view);

/// Called when the library is loaded: asks for shared memory if it still can.
void install();

} // namespace upkeep::observe
