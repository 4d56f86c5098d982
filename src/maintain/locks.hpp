// Heavyweight lock tags of maintenance: a class of their own (LOCKTAG_ADVISORY with a field4 that SQL cannot produce),
// transaction-scoped, held to the end of the transaction. See docs/internals/concurrency.md.
#pragma once
#include "pg/postgres.hpp"

#include <span>

namespace upkeep::maintain {

/// At most this many fine tags per pair (or operator) and statement; beyond that the statement goes coarse.
inline constexpr int kMaxFineTags = 8;

enum class Side : uint8 { left, right, self };

/// Locks for one pair of table occurrences of one view's join. `hashes`: join key hashes of the side's changed rows
/// (old and new images, NULL keys left out, in any order, distinct or not; none: no lock at all). left takes RowExclusiveLock, right
/// ShareLock on fine tags; self (both occurrences are the same table) a self-conflicting mode, and T1 as for lock_keys. With more than
/// kMaxFineTags distinct hashes: coarse, by the two extra tags per pair: the left side *always* takes Share on T2, and
/// RowExclusive on T1 when coarse; the right side always Share on T1, and RowExclusive on T2 when coarse.
/// A pair without an equality passes the single hash 0. The order among pairs is the caller's; within a pair every
/// caller takes T1, T2 and the fine tags in this order.
/// Returns true if any lock had to be waited for (the caller then needs a newer snapshot).
bool lock_join_pair(Oid view, uint32 pair, Side side, std::span<const uint64> hashes);

/// Self-conflicting key locks of (view, operator, key hash): scoped evaluations, and insertions of keys that no unique
/// index guards. More than kMaxFineTags: one self-conflicting coarse tag, which every fine locker of this (view,
/// operator) also takes in a mode that conflicts with coarse but not with other fine ones.
/// Calls for the same (view, operator) within one transaction may repeat. Returns true if it had to wait.
bool lock_keys(Oid view, uint32 op, std::span<const uint64> hashes);

} // namespace upkeep::maintain
