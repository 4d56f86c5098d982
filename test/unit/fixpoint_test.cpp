// The rounds of a recursive query, against the query computed anew: random graphs with edges that come and go at once.
#include "delta/fixpoint.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

using namespace upkeep;
using delta::Inputs;

namespace {

using Node = int;
using Edge = std::pair<Node, Node>;
using Bag = std::map<Node, int>;
using Edges = std::map<Edge, int>;

template <typename Map, typename Key> void add(Map &map, const Key &key, int weight) {
    if ((map[key] += weight) == 0)
        map.erase(key);
}

template <typename Map> Map part(const Map &before, const Map &after, int sign) {
    Map result;
    for (const Map *side : {&before, &after})
        for (const auto &[key, ignored] : *side) {
            const int b = before.count(key) ? before.at(key) : 0, a = after.count(key) ? after.at(key) : 0;
            if ((a - b) * sign > 0)
                result[key] = a - b;
        }
    return result;
}

Bag follow(const Bag &rows, const Edges &edges) {
    Bag result;
    for (const auto &[row, weight] : rows)
        for (const auto &[edge, count] : edges)
            if (edge.first == row)
                add(result, edge.second, weight * count);
    return result;
}

Bag sum(Bag a, const Bag &b, int sign = 1) {
    for (const auto &[row, weight] : b)
        add(a, row, sign * weight);
    return a;
}

/// The query itself, as the server runs it.
Bag query(const Bag &seed, const Edges &edges, bool set) {
    Bag result, round = seed;
    while (!round.empty()) {
        Bag fresh;
        for (const auto &[row, weight] : round)
            if (!set)
                fresh[row] = weight;
            else if (!result.count(row))
                fresh[row] = 1;
        result = sum(result, fresh);
        round = follow(fresh, edges);
    }
    return result;
}

/// The change of one query, over its stored rows.
struct Recursion {
    bool set;
    Bag seed_before, seed_after, state;
    Edges before, after;
    Bag removed;
    int rounds = 0;
    using Rows = Bag;

    Edges kept() const {
        Edges edges = after;
        for (const auto &[edge, weight] : part(before, after, 1))
            add(edges, edge, -weight);
        return edges;
    }
    Rows lost() const {
        return sum(part(seed_before, seed_after, -1), sum(follow(state, kept()), follow(state, before), -1));
    }
    Rows gained() const {
        Rows rows = sum(part(seed_before, seed_after, 1), sum(follow(state, after), follow(state, kept()), -1));
        if (set) {
            const Rows derived = sum(seed_after, follow(state, after));
            for (const auto &[row, weight] : removed)
                if (derived.count(row))
                    add(rows, row, 1);
        }
        return rows;
    }
    Rows step(const Rows &round, Inputs inputs) {
        rounds++;
        return follow(round, inputs == Inputs::kept ? kept() : after);
    }
    bool take_out(Rows *rows) {
        if (rounds > 100)
            return false;
        Rows there;
        for (const auto &[row, weight] : *rows) {
            if (set && !state.count(row))
                continue;
            there[row] = set ? -1 : weight;
            add(state, row, there[row]);
            add(removed, row, 1);
            if (state.count(row) && state[row] < 0)
                return false;
        }
        *rows = there;
        return true;
    }
    bool put_in(Rows *rows) {
        if (rounds > 100)
            return false;
        Rows fresh;
        for (const auto &[row, weight] : *rows) {
            if (set && state.count(row))
                continue;
            fresh[row] = set ? 1 : weight;
            if (fresh[row] < 0)
                return false;
            add(state, row, fresh[row]);
        }
        *rows = fresh;
        return true;
    }
    static bool is_empty(const Rows &rows) { return rows.empty(); }
};

constexpr int kNodes = 6;

/// Whether the bag of what is reachable from the seed is finite.
bool ends(const Bag &seed, const Edges &edges) {
    Bag round = seed;
    for (int i = 0; i <= kNodes && !round.empty(); i++)
        round = follow(round, edges);
    return round.empty();
}

Bag random_seed(std::mt19937 &random) {
    Bag seed;
    for (int i = static_cast<int>(random() % 3); i >= 0; i--)
        add(seed, static_cast<int>(random() % kNodes), 1);
    return seed;
}

void change_seed(std::mt19937 &random, Bag &seed) {
    if (random() % 2 == 0)
        add(seed, static_cast<int>(random() % kNodes), 1);
    if (!seed.empty() && random() % 2 == 0)
        add(seed, seed.begin()->first, -1);
}

void change_edges(std::mt19937 &random, Edges &edges) {
    for (int i = static_cast<int>(random() % 4); i > 0; i--) {
        if (edges.empty() || random() % 2 == 0) {
            add(edges, Edge{random() % kNodes, random() % kNodes}, 1);
            continue;
        }
        auto place = edges.begin();
        std::advance(place, random() % edges.size());
        add(edges, Edge(place->first), -1);
    }
}

void run(bool set, int rounds) {
    std::mt19937 random(20260202);
    int changed = 0, tried = 0;
    while (tried < rounds) {
        Recursion r{set, random_seed(random)};
        for (int i = static_cast<int>(random() % 9); i > 0; i--)
            add(r.before, Edge{random() % kNodes, random() % kNodes}, 1);
        r.seed_after = r.seed_before;
        r.after = r.before;
        if (random() % 3 == 0)
            change_seed(random, r.seed_after);
        change_edges(random, r.after);
        if (!set && (!ends(r.seed_before, r.before) || !ends(r.seed_after, r.after)))
            continue;
        tried++;
        const Bag old = query(r.seed_before, r.before, set), wanted = query(r.seed_after, r.after, set);
        r.state = old;
        ASSERT_TRUE(delta::change_fixpoint(r)) << "case " << tried;
        ASSERT_EQ(r.state, wanted) << "case " << tried;
        changed += old != wanted ? 1 : 0;
    }
    EXPECT_GT(changed, rounds / 4);
}

TEST(Fixpoint, BagsFollowTheirInputs) {
    run(false, 4000);
}

TEST(Fixpoint, SetsFollowTheirInputs) {
    run(true, 8000);
}

/// A cycle that comes where the query leaves: followed from the old rows it would never end.
TEST(Fixpoint, OldRowsAreNotFollowedThroughNewInputs) {
    Recursion r{false, {{1, 1}}};
    r.seed_after = r.seed_before;
    r.before = {{{1, 2}, 1}};
    r.after = {{{2, 3}, 1}, {{3, 2}, 1}};
    r.state = query(r.seed_before, r.before, false);
    ASSERT_TRUE(delta::change_fixpoint(r));
    EXPECT_EQ(r.state, (Bag{{1, 1}}));
    EXPECT_LT(r.rounds, 4);
}

/// Two rows that derive each other fall together when what held both goes.
TEST(Fixpoint, ACycleDoesNotHoldItself) {
    Recursion r{true, {{1, 1}}};
    r.seed_after = r.seed_before;
    r.before = {{{1, 2}, 1}, {{2, 3}, 1}, {{3, 2}, 1}};
    r.after = {{{2, 3}, 1}, {{3, 2}, 1}};
    r.state = query(r.seed_before, r.before, true);
    ASSERT_TRUE(delta::change_fixpoint(r));
    EXPECT_EQ(r.state, (Bag{{1, 1}}));
}

/// What is taken out on suspicion comes back where another way leads to it.
TEST(Fixpoint, ASecondDerivationHolds) {
    Recursion r{true, {{1, 1}}};
    r.seed_after = r.seed_before;
    r.before = {{{1, 2}, 1}, {{1, 3}, 1}, {{3, 2}, 1}, {{2, 4}, 1}};
    r.after = {{{1, 3}, 1}, {{3, 2}, 1}, {{2, 4}, 1}};
    r.state = query(r.seed_before, r.before, true);
    ASSERT_TRUE(delta::change_fixpoint(r));
    EXPECT_EQ(r.state, (Bag{{1, 1}, {2, 1}, {3, 1}, {4, 1}}));
}

} // namespace
