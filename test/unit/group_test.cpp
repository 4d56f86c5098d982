// The delta of grouping, against models of a stored counter and of the values of one group.
#include "delta/group.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <utility>
#include <vector>

namespace upkeep::delta {
namespace {

// ---- group_fate ----

TEST(GroupFate, FollowsFromWhatIsThereBeforeAndAfter) {
    const std::map<std::pair<bool, bool>, GroupFate> by_presence = {
        {{false, false}, GroupFate::none},
        {{false, true}, GroupFate::appears},
        {{true, true}, GroupFate::changes},
        {{true, false}, GroupFate::vanishes},
    };
    for (const bool scalar : {false, true})
        for (const bool stored : {false, true})
            for (int64_t rows = 0; rows <= 4; rows++)
                for (int64_t delta = -6; delta <= 6; delta++) {
                    SCOPED_TRACE(::testing::Message() << scalar << stored << " " << rows << " " << delta);
                    // A counter that is not stored has no meaning: whatever is in its place must not matter.
                    const int64_t after = (stored ? rows : 0) + delta;
                    const bool there = scalar || after > 0;
                    const GroupFate expected = after < 0 ? GroupFate::broken : by_presence.at({stored, there});
                    EXPECT_EQ(group_fate(stored, rows, delta, scalar), expected);
                }
    const int64_t many = std::numeric_limits<int64_t>::max();
    EXPECT_EQ(group_fate(true, many, -many, false), GroupFate::vanishes);
    EXPECT_EQ(group_fate(true, many, -many + 1, false), GroupFate::changes);
}

/// A stored row with its counter, kept by the fates alone, has to be there exactly when the query shows it.
TEST(GroupFate, KeepsAStoredCounterRight) {
    std::mt19937_64 random(5);
    for (int walk = 0; walk < 2000; walk++) {
        const bool scalar = walk % 2 == 0;
        int64_t rows = 0; // of the group, in truth
        std::optional<int64_t> stored;
        if (scalar)
            stored = 0; // the one group is there from the start
        for (int step = 0; step < 12; step++) {
            const int64_t delta = static_cast<int64_t>(random() % static_cast<uint64_t>(rows + 3)) - rows;
            rows += delta;
            switch (group_fate(stored.has_value(), stored.value_or(99), delta, scalar)) {
            case GroupFate::none:
                ASSERT_FALSE(stored.has_value());
                break;
            case GroupFate::appears:
                ASSERT_FALSE(stored.has_value());
                stored = delta;
                break;
            case GroupFate::changes:
                ASSERT_TRUE(stored.has_value());
                stored = *stored + delta;
                break;
            case GroupFate::vanishes:
                ASSERT_TRUE(stored.has_value());
                stored.reset();
                break;
            case GroupFate::broken:
                FAIL() << "a consistent history";
            }
            ASSERT_EQ(stored.has_value(), scalar || rows > 0);
            ASSERT_EQ(stored.value_or(0), rows);
        }
    }
}

// ---- extreme_needs_reading ----

/// A value and its looks: values that compare as equal may look different (1.0 and 1.00).
struct Value {
    int number;
    int looks;
    auto operator<=>(const Value &) const = default;
};
using Group = std::multiset<Value>;

/// A comparison in the direction of the aggregate: > 0 if a is better.
int compare(const Value &a, const Value &b, bool is_max) {
    const int order = a.number < b.number ? -1 : a.number > b.number ? 1 : 0;
    return is_max ? order : -order;
}

template <typename Values> std::optional<Value> best(const Values &values, bool is_max) {
    std::optional<Value> result;
    for (const Value &value : values)
        if (!result || compare(value, *result, is_max) > 0)
            result = value;
    return result;
}

/// What is known when the decision is made: has_removed, removed_vs_stored, has_added, added_vs_removed.
using Known = std::array<int, 4>;

struct Change {
    Group before;
    Group after;
    std::vector<Value> removed;
    std::vector<Value> added;
};

Change random_change(std::mt19937_64 &random) {
    const auto any_value = [&] { return Value{static_cast<int>(random() % 4), static_cast<int>(random() % 2)}; };
    Change change;
    for (uint64_t n = 1 + random() % 4; n > 0; n--)
        change.before.insert(any_value());
    change.after = change.before;
    for (uint64_t n = random() % 3; n > 0 && !change.after.empty(); n--)
        change.after.erase(std::next(change.after.begin(), static_cast<int64_t>(random() % change.after.size())));
    for (uint64_t n = random() % 3; n > 0; n--)
        change.after.insert(any_value());
    // Consolidated: what leaves and comes again in the same looks is no change.
    for (int number = 0; number < 4; number++)
        for (int looks = 0; looks < 2; looks++) {
            const Value value{number, looks};
            const auto was = static_cast<int64_t>(change.before.count(value));
            const auto is = static_cast<int64_t>(change.after.count(value));
            if (is != was)
                (is > was ? change.added : change.removed).push_back(value);
        }
    return change;
}

TEST(ExtremeNeedsReading, ExactlyWhereTheMergeCanBeWrong) {
    std::mt19937_64 random(6);
    std::map<Known, bool> can_be_wrong;
    for (int i = 0; i < 50000; i++) {
        const bool is_max = i % 2 == 0;
        const Change change = random_change(random);
        const Value stored = *best(change.before, is_max);
        const std::optional<Value> down = best(change.removed, is_max);
        const std::optional<Value> up = best(change.added, is_max);
        // m' = m ⊔ up, unless the group is read again
        const Value merged = up && compare(*up, stored, is_max) > 0 ? *up : stored;
        const std::optional<Value> truth = best(change.after, is_max);
        const bool wrong = !truth || compare(merged, *truth, is_max) != 0 || change.after.count(merged) == 0;
        const Known known{down.has_value(), down ? compare(*down, stored, is_max) : 0, up.has_value(),
                          down && up ? compare(*up, *down, is_max) : 0};
        bool &known_to_be_wrong = can_be_wrong[known];
        known_to_be_wrong = known_to_be_wrong || wrong;
    }
    EXPECT_GE(can_be_wrong.size(), 10u);
    // Never wrong without reading, and no reading where the merge is always right.
    for (const auto &[known, wrong] : can_be_wrong)
        EXPECT_EQ(extreme_needs_reading(known[0] != 0, known[1], known[2] != 0, known[3]), wrong)
            << known[0] << " " << known[1] << " " << known[2] << " " << known[3];
}

TEST(ExtremeNeedsReading, WhereTheStoredExtremeIsNotTheGroups) {
    // A value leaves that is better than the stored extreme: the state is wrong, and reading repairs it.
    EXPECT_TRUE(extreme_needs_reading(true, 1, false, 0));
    EXPECT_TRUE(extreme_needs_reading(true, 1, true, -1));
    EXPECT_TRUE(extreme_needs_reading(true, 1, true, 0));
    EXPECT_FALSE(extreme_needs_reading(true, 1, true, 1));
}

TEST(ExtremeNeedsReading, TakesTheSignsOfComparisonsOnly) {
    EXPECT_TRUE(extreme_needs_reading(true, 17, true, -17));
    EXPECT_FALSE(extreme_needs_reading(true, 17, true, 17));
    EXPECT_FALSE(extreme_needs_reading(true, -17, false, 0));
    // What was not removed, or not added, was not compared either.
    EXPECT_FALSE(extreme_needs_reading(false, 1, false, 0));
    EXPECT_TRUE(extreme_needs_reading(true, 0, false, 1));
}

} // namespace
} // namespace upkeep::delta
