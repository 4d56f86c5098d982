// The change log of a base table, and how far each deferred view has consumed it.
//
// A log is three append-only tables (segments) of the extension: xid (of the top transaction), w (+1 new row, -1 old
// row, 0: rows were lost to us, rebuild what depends on the table), then the columns that deferred views use. Writers
// append to the current segment; which one that is only matters for space: a reader reads all three.
#pragma once
#include "pg/memory.hpp"

namespace upkeep::catalog {

inline constexpr int kSegments = 3;
inline constexpr AttrNumber kLogXid = 1;
inline constexpr AttrNumber kLogWeight = 2;
inline constexpr int kLogFixedColumns = 2;

struct Log {
    Oid relid;
    int current;
    Oid segments[kSegments];
    pg::Vector<AttrNumber> columns; // of the base table, behind the fixed ones
};
bool find_log(Oid relid, Log *out);
/// Creates the base table's log, or adds columns to it. `used` is offset by FirstLowInvalidHeapAttributeNumber. The
/// caller holds off writers.
void require_log(Oid relid, const Bitmapset *used);
/// Does nothing while another transaction is changing the log's row.
void set_current_segment(Oid relid, int segment);
/// Drops the log of a table that no deferred view reads any more, which may be gone itself.
void drop_log(Oid relid);

/// Which transactions are in a view: those that this snapshot sees. Ids are of top transactions, with their epoch.
struct Frontier {
    uint64 xmin = 0;        // all below are over
    uint64 xmax = 0;        // none from here on
    pg::Vector<uint64> xip; // in between, those that were under way; ascending

    bool covers(uint64 xid) const;
};
/// Of a snapshot that this transaction took. What the transaction itself writes to a log is not covered.
Frontier frontier_of(Snapshot snapshot);
/// nullopt where the view has never been built.
std::optional<Frontier> find_frontier(Oid view);
void set_frontier(Oid view, const Frontier &frontier);
void remove_frontier(Oid view);
/// nullopt: the state tables hold the view's state at the frontier, as they do when one is set first. Else only the view
/// has been brought there, and a number that whoever decides about the states keeps (0 at first).
std::optional<double> owed_states(Oid view);
void set_owed_states(Oid view, std::optional<double> owed);

} // namespace upkeep::catalog
