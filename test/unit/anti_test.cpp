// The delta of blocks with anti inputs: Δ(X ▷ D₁ ▷ … ) by inclusion and exclusion, D being sets of distinct keys.
#include "delta/join.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

using namespace upkeep;
using algebra::InputSet;

namespace {

using Bag = std::map<int, int>; // key → weight

Bag random_bag(std::mt19937 &random, bool distinct) {
    Bag bag;
    for (int key = 0; key < 4; key++)
        if (const int n = static_cast<int>(random() % 3); n > 0)
            bag[key] = distinct ? 1 : n;
    return bag;
}

int weight(const Bag &bag, int key) {
    const auto found = bag.find(key);
    return found == bag.end() ? 0 : found->second;
}

Bag minus(const Bag &a, const Bag &b) {
    Bag result;
    for (int key = 0; key < 4; key++)
        if (const int w = weight(a, key) - weight(b, key); w != 0)
            result[key] = w;
    return result;
}

/// All inputs are joined on one key; an anti input is the factor 1 − D.
struct Model {
    std::vector<algebra::Input> inputs;
    std::vector<Bag> before, after;

    int contents(const std::vector<Bag> &state, int key) const {
        int product = 1;
        for (size_t i = 0; i < inputs.size(); i++)
            product *= inputs[i].role == algebra::Role::anti ? 1 - weight(state[i], key) : weight(state[i], key);
        return product;
    }

    template <typename Visit> static void terms(bool telescoped, InputSet changed, InputSet anti, Visit visit) {
        if (telescoped)
            delta::telescoped_terms(changed, anti, visit);
        else
            delta::join_terms(changed, anti, visit);
    }

    int delta(int key, bool telescoped) const {
        const algebra::Block block{{inputs.data(), inputs.size()}, {}, true};
        const InputSet changed = algebra::changed_inputs(block, [&](const algebra::Input &input) {
            return !minus(after[static_cast<size_t>(input.source)], before[static_cast<size_t>(input.source)]).empty();
        });
        int sum = 0;
        terms(telescoped, changed, algebra::anti_inputs(block), [&](delta::Term term) {
            int product = term.sign;
            for (size_t i = 0; i < inputs.size(); i++) {
                if (algebra::has(term.changed, static_cast<int>(i)))
                    product *= weight(minus(after[i], before[i]), key);
                else if (inputs[i].role == algebra::Role::anti)
                    product *=
                        weight(algebra::has(term.old, static_cast<int>(i)) ? before[i] : after[i], key) == 0 ? 1 : 0;
                else
                    product *= weight(algebra::has(term.old, static_cast<int>(i)) ? before[i] : after[i], key);
            }
            sum += product;
        });
        return sum;
    }
};

TEST(AntiJoin, TermsAddUpToTheDifference) {
    std::mt19937 random(20260101);
    int changed_rows = 0;
    for (int round = 0; round < 4000; round++) {
        Model model;
        const int n = 1 + static_cast<int>(random() % 4);
        for (int i = 0; i < n; i++) {
            const bool anti = i > 0 && random() % 2 == 0;
            model.inputs.push_back({anti ? algebra::InputKind::node : algebra::InputKind::table, i,
                                    anti ? algebra::Role::anti : algebra::Role::inner});
            model.before.push_back(random_bag(random, anti));
            model.after.push_back(random() % 3 == 0 ? model.before.back() : random_bag(random, anti));
        }
        for (int key = 0; key < 4; key++) {
            const int expected = model.contents(model.after, key) - model.contents(model.before, key);
            changed_rows += expected != 0 ? 1 : 0;
            ASSERT_EQ(model.delta(key, false), expected) << "round " << round << ", key " << key;
            ASSERT_EQ(model.delta(key, true), expected) << "telescoped, round " << round << ", key " << key;
        }
    }
    EXPECT_GT(changed_rows, 1000);
}

TEST(AntiJoin, KnowsItsAntiInputs) {
    const std::vector<algebra::Input> inputs = {{algebra::InputKind::table, 0},
                                                {algebra::InputKind::node, 0, algebra::Role::anti},
                                                {algebra::InputKind::node, 1, algebra::Role::inner},
                                                {algebra::InputKind::node, 2, algebra::Role::anti}};
    const algebra::Block block{{inputs.data(), inputs.size()}, {}, true};
    EXPECT_EQ(algebra::anti_inputs(block), algebra::only(1) | algebra::only(3));
}

} // namespace
