// Heavyweight lock tags of maintenance: a class of their own (LOCKTAG_ADVISORY with a field4 that SQL cannot produce),
// transaction-scoped, held to the end of the transaction.
#pragma once
#include "pg/postgres.hpp"

#include <span>

namespace upkeep::maintain {

/// At most this many fine tags per pair (or operator) and statement; beyond that the statement goes coarse.
inline constexpr int kMaxFineTags = 8;

/// A transaction that holds this many tags takes coarse ones only: the lock table is shared by all, and a transaction
/// of many thousand statements must fit as well.
inline constexpr uint32 kMaxTagsPerTransaction = 512;

/// Locks for one pair of table occurrences of one view's join. `left`, `right`: join key hashes of each side's changed
/// rows (old and new images, NULL keys left out, in any order, distinct or not; none: that side has not changed). The
/// left side takes RowExclusiveLock, the right one ShareLock on fine tags. With more than kMaxFineTags distinct hashes
/// a side goes coarse, by two extra tags per pair: the left side *always* takes Share on T2, and RowExclusive on T1
/// when coarse; the right side always Share on T1, and RowExclusive on T2 when coarse. Where both sides have changed, a
/// tag that both would take is taken once, in a mode that conflicts with everything that either conflicts with: taken
/// twice, two such statements would each wait for the other. A pair without an equality passes the single hash 0. The
/// order among pairs is the caller's; within a pair every caller takes T1, T2 and the fine tags in this order. Returns
/// true if any lock had to be waited for (the caller then needs a newer snapshot).
bool lock_join_pair(Oid view, uint32 pair, std::span<const uint64> left, std::span<const uint64> right);

/// The same where both occurrences are one table: self-conflicting fine tags, and T1 as for lock_key_set.
bool lock_self_pair(Oid view, uint32 pair, std::span<const uint64> hashes);

/// Insertion of keys that no unique index guards. First, before any row is locked, the set of the view's operator:
/// coarse for many keys (no lock_key then), else a mode that conflicts with coarse but not with other fine ones. Then,
/// key by key in the order of the hashes, the key's own lock just before its row: a key that was found is locked by its
/// row alone. They return true if they had to wait.
bool lock_key_set(Oid view, uint32 op, bool coarse);
bool lock_key(Oid view, uint32 op, uint64 hash);

/// The key's lock in a mode that conflicts with lock_key and not with itself: what is stored under the key stays as it is
/// until the transaction ends.
bool lock_key_unchanged(Oid view, uint32 op, uint64 hash);

/// Whether this many keys or tags more must be taken as a coarse one.
bool must_be_coarse(size_t tags);

} // namespace upkeep::maintain
