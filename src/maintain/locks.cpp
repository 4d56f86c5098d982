#include "maintain/locks.hpp"

#include <boost/container/static_vector.hpp>

namespace upkeep::maintain {

namespace {

// field4 of our tags. SQL's advisory locks have 1 (a bigint key) and 2 (two integers) there.
enum class TagClass : uint16 {
    join_key = 0x7501,  // field3: pair and join key hash
    join_left = 0x7502, // T1, which the left side takes to be coarse; field3: pair
    join_right = 0x7503, // T2, which the right side takes to be coarse
    key = 0x7504,       // field3: operator and key hash
    key_coarse = 0x7505, // field3: operator
};

// Fine lockers of one kind stand together on a coarse tag and against the coarse locker.
constexpr LOCKMODE kSelfConflicting = ShareRowExclusiveLock;
constexpr LOCKMODE kFinePresence = RowExclusiveLock;

// True if it had to wait.
bool acquire(Oid view, TagClass tag_class, uint32 what, LOCKMODE mode) {
    LOCKTAG tag;
    SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, view, what, static_cast<uint16>(tag_class));
    if (LockAcquire(&tag, mode, false, true) != LOCKACQUIRE_NOT_AVAIL) {
        return false;
    }
    LockAcquire(&tag, mode, false, false);
    return true;
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
    for (uint64 hash : hashes) {
        uint32 tag = fold(scope, hash);
        auto place = std::lower_bound(result.tags.begin(), result.tags.end(), tag);
        if (place != result.tags.end() && *place == tag) {
            continue;
        }
        if (result.tags.size() == kMaxFineTags) {
            result.coarse = true;
            break;
        }
        result.tags.insert(place, tag);
    }
    return result;
}

bool acquire_fine(Oid view, TagClass tag_class, const FineTags &fine, LOCKMODE mode) {
    bool waited = false;
    if (!fine.coarse) {
        for (uint32 tag : fine.tags) {
            waited |= acquire(view, tag_class, tag, mode);
        }
    }
    return waited;
}

} // namespace

bool lock_join_pair(Oid view, uint32 pair, Side side, std::span<const uint64> hashes) {
    if (hashes.empty()) {
        return false;
    }
    FineTags fine = collect_tags(pair, hashes);
    bool waited = false;
    LOCKMODE mode = kSelfConflicting;
    switch (side) {
    case Side::left:
        mode = RowExclusiveLock;
        if (fine.coarse) {
            waited |= acquire(view, TagClass::join_left, pair, RowExclusiveLock);
        }
        waited |= acquire(view, TagClass::join_right, pair, ShareLock);
        break;
    case Side::right:
        mode = ShareLock;
        waited |= acquire(view, TagClass::join_left, pair, ShareLock);
        if (fine.coarse) {
            waited |= acquire(view, TagClass::join_right, pair, RowExclusiveLock);
        }
        break;
    case Side::self:
        waited |= acquire(view, TagClass::join_left, pair, fine.coarse ? kSelfConflicting : kFinePresence);
        break;
    }
    waited |= acquire_fine(view, TagClass::join_key, fine, mode);
    return waited;
}

bool lock_keys(Oid view, uint32 op, std::span<const uint64> hashes) {
    if (hashes.empty()) {
        return false;
    }
    FineTags fine = collect_tags(op, hashes);
    bool waited = acquire(view, TagClass::key_coarse, op, fine.coarse ? kSelfConflicting : kFinePresence);
    waited |= acquire_fine(view, TagClass::key, fine, kSelfConflicting);
    return waited;
}

} // namespace upkeep::maintain
