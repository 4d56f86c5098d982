#include "maintain/locks.hpp"

#include <boost/container/static_vector.hpp>

namespace upkeep::maintain {

namespace {

// field4 of our tags. SQL's advisory locks have 1 (a bigint key) and 2 (two integers) there.
enum class TagClass : uint16 {
    join_key = 0x7501,   // field3: pair and join key hash
    join_left = 0x7502,  // T1, which the left side takes to be coarse; field3: pair
    join_right = 0x7503, // T2, which the right side takes to be coarse
    key = 0x7504,        // field3: operator and key hash
    key_coarse = 0x7505, // field3: operator
};

// Fine lockers of one kind stand together on a coarse tag and against the coarse locker.
constexpr LOCKMODE kSelfConflicting = ShareRowExclusiveLock;
constexpr LOCKMODE kFinePresence = RowExclusiveLock;

// Tags that the transaction `holder` has taken. Those that a rolled back subtransaction has given back still count.
TransactionId holder = InvalidTransactionId;
uint32 held = 0;

uint32 tags_held() {
    TransactionId xid = GetTopTransactionId();
    if (holder != xid) {
        holder = xid;
        held = 0;
    }
    return held;
}

// True if it had to wait.
bool acquire(Oid view, TagClass tag_class, uint32 what, LOCKMODE mode) {
    LOCKTAG tag;
    SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, view, what, static_cast<uint16>(tag_class));
    LockAcquireResult result = LockAcquire(&tag, mode, false, true);
    const bool waits = result == LOCKACQUIRE_NOT_AVAIL;
    if (waits) {
        result = LockAcquire(&tag, mode, false, false);
    }
    if (result == LOCKACQUIRE_OK) {
        held = tags_held() + 1;
    }
    return waits;
}

// Distinct tags in ascending order, or coarse when there are more than may be taken.
struct FineTags {
    boost::container::static_vector<uint32, kMaxFineTags> tags;
    bool coarse = false;
};

// The tag of a hash within a pair or operator; a collision makes two keys share a lock and nothing worse.
uint32 fold(uint32 scope, uint64 hash) {
    uint64 x = (hash ^ (uint64{scope} << 32 | scope)) * UINT64CONST(0x9e3779b97f4a7c15);
    return static_cast<uint32>(x >> 32);
}

FineTags collect_tags(uint32 scope, std::span<const uint64> hashes) {
    FineTags result;
    result.coarse = !hashes.empty() && must_be_coarse(1);
    for (uint64 hash : hashes) {
        uint32 tag = fold(scope, hash);
        auto place = std::lower_bound(result.tags.begin(), result.tags.end(), tag);
        if (place != result.tags.end() && *place == tag) {
            continue;
        }
        if (result.tags.size() == kMaxFineTags) {
            result.coarse = true;
        }
        if (result.coarse) {
            break;
        }
        result.tags.insert(place, tag);
    }
    if (result.coarse) {
        result.tags.clear();
    }
    return result;
}

// One mode that stands for both.
LOCKMODE join_modes(bool row_exclusive, bool share) {
    return row_exclusive && share ? kSelfConflicting : row_exclusive ? RowExclusiveLock : share ? ShareLock : NoLock;
}

} // namespace

bool must_be_coarse(size_t tags) {
    return tags > kMaxFineTags || tags_held() + tags > kMaxTagsPerTransaction;
}

bool lock_join_pair(Oid view, uint32 pair, std::span<const uint64> left, std::span<const uint64> right) {
    FineTags l = collect_tags(pair, left), r = collect_tags(pair, right);
    bool waited = false;
    if (LOCKMODE mode = join_modes(l.coarse, !right.empty()); mode != NoLock) {
        waited |= acquire(view, TagClass::join_left, pair, mode);
    }
    if (LOCKMODE mode = join_modes(r.coarse, !left.empty()); mode != NoLock) {
        waited |= acquire(view, TagClass::join_right, pair, mode);
    }
    for (auto a = l.tags.begin(), b = r.tags.begin(); a != l.tags.end() || b != r.tags.end();) {
        const uint32 tag = b == r.tags.end() || (a != l.tags.end() && *a < *b) ? *a : *b;
        const bool in_left = a != l.tags.end() && *a == tag, in_right = b != r.tags.end() && *b == tag;
        waited |= acquire(view, TagClass::join_key, tag, join_modes(in_left, in_right));
        a += in_left;
        b += in_right;
    }
    return waited;
}

bool lock_self_pair(Oid view, uint32 pair, std::span<const uint64> hashes) {
    if (hashes.empty()) {
        return false;
    }
    FineTags fine = collect_tags(pair, hashes);
    bool waited = acquire(view, TagClass::join_left, pair, fine.coarse ? kSelfConflicting : kFinePresence);
    for (uint32 tag : fine.tags) {
        waited |= acquire(view, TagClass::join_key, tag, kSelfConflicting);
    }
    return waited;
}

bool lock_key_set(Oid view, uint32 op, bool coarse) {
    return acquire(view, TagClass::key_coarse, op, coarse ? kSelfConflicting : kFinePresence);
}

bool lock_key(Oid view, uint32 op, uint64 hash) {
    return acquire(view, TagClass::key, fold(op, hash), kSelfConflicting);
}

bool lock_key_unchanged(Oid view, uint32 op, uint64 hash) {
    return acquire(view, TagClass::key, fold(op, hash), kFinePresence);
}

} // namespace upkeep::maintain
