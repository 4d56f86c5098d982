// The delta of a select-project-join block, against a small model: blocks are evaluated over old and new states in
// memory, and the terms must add up to the difference.
#include "delta/join.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <utility>
#include <vector>

namespace upkeep::delta {
namespace {

using algebra::Input;
using algebra::InputKind;
using algebra::Qual;
using Random = std::mt19937_64;

int below(Random &random, int end) {
    return static_cast<int>(random() % static_cast<uint64_t>(end));
}

// ---- the model ----

constexpr int kColumns = 2;
using Row = std::array<int, kColumns>;
/// One row of every input.
using WideRow = std::vector<Row>;

/// A Z-set: elements with the weights that are not zero.
template <typename Element> struct ZSet {
    std::map<Element, int64_t> weights;

    void add(const Element &element, int64_t weight) {
        const auto found = weights.try_emplace(element, 0).first;
        found->second += weight;
        if (found->second == 0)
            weights.erase(found);
    }
    void add(const ZSet &other, int64_t sign) {
        for (const auto &[element, weight] : other.weights)
            add(element, sign * weight);
    }
    bool contains(const Element &element) const { return weights.count(element) != 0; }
    bool operator==(const ZSet &other) const = default;
};

using Bag = ZSet<Row>;
using WideBag = ZSet<WideRow>;

/// Thrown by a fallible conjunct that is evaluated on rows of neither state.
struct Phantom {};

/// A conjunct: an equality of two columns, or something that depends on all of the rows that it reads in no simple way.
struct ModelQual {
    Qual shape;
    std::array<int, 2> columns; // of an equality
    int seed;

    bool holds(const WideRow &row) const {
        if (shape.left >= 0)
            return row[shape.left][columns[0]] == row[shape.right][columns[1]];
        unsigned mixed = static_cast<unsigned>(seed);
        for (size_t i = 0; i < row.size(); i++)
            if (algebra::has(shape.inputs, static_cast<int>(i)))
                for (const int value : row[i])
                    mixed = mixed * 31 + static_cast<unsigned>(value) + 7;
        return mixed % 3 != 0;
    }
};

struct Source {
    Bag before;
    Bag after;
    Bag delta;
};

struct ModelBlock {
    std::vector<Source> sources; // numbers of tables, then of nodes, then the constant ones
    std::vector<int> reads;      // per input its place in `sources`
    std::vector<Input> inputs;
    std::vector<ModelQual> quals;
    std::vector<Qual> shapes;

    Block block() const { return {inputs, shapes, true}; }
    const Source &source(size_t input) const { return sources[reads[input]]; }
    InputSet changed() const {
        return algebra::changed_inputs(block(), [&](const Input &input) {
            EXPECT_GE(input.source, 0);
            return !source(static_cast<size_t>(&input - inputs.data())).delta.weights.empty();
        });
    }
    /// Whether the rows of the given inputs stand together in the old state or in the new one.
    bool is_real(const WideRow &row, InputSet set) const {
        bool was = true;
        bool is = true;
        for (size_t i = 0; i < row.size(); i++)
            if (algebra::has(set, static_cast<int>(i))) {
                was = was && source(i).before.contains(row[i]);
                is = is && source(i).after.contains(row[i]);
            }
        return was || is;
    }
    bool evaluate(const ModelQual &qual, const WideRow &row) const {
        if (!qual.shape.infallible && !is_real(row, qual.shape.inputs))
            throw Phantom{};
        return qual.holds(row);
    }
};

/// Joins the given bags, one per input; calls take(row, weight). A conjunct is evaluated as soon as its rows are known,
/// as a planner may do it.
template <typename Take>
void join(const ModelBlock &model, const std::vector<const Bag *> &bags, const std::vector<const ModelQual *> &quals,
          WideRow &row, int64_t weight, Take take) {
    const size_t depth = row.size();
    if (depth == bags.size()) {
        take(row, weight);
        return;
    }
    for (const auto &[element, count] : bags[depth]->weights) {
        row.push_back(element);
        bool holds = true;
        for (const ModelQual *qual : quals) {
            const InputSet known = algebra::only(static_cast<int>(depth) + 1) - 1;
            const bool reads_this = depth == 0 || algebra::has(qual->shape.inputs, static_cast<int>(depth));
            if (holds && reads_this && (qual->shape.inputs & ~known) == 0)
                holds = model.evaluate(*qual, row);
        }
        if (holds)
            join(model, bags, quals, row, weight * count, take);
        row.pop_back();
    }
}

std::vector<const ModelQual *> all_quals(const ModelBlock &model) {
    std::vector<const ModelQual *> quals;
    for (const ModelQual &qual : model.quals)
        quals.push_back(&qual);
    return quals;
}

WideBag state(const ModelBlock &model, Bag Source::*version) {
    std::vector<const Bag *> bags;
    for (size_t i = 0; i < model.inputs.size(); i++)
        bags.push_back(&(model.source(i).*version));
    WideBag result;
    WideRow row;
    join(model, bags, all_quals(model), row, 1, [&](const WideRow &r, int64_t weight) { result.add(r, weight); });
    return result;
}

/// When the conjuncts that a term leaves out are evaluated.
enum class Rest { after_consolidation, on_every_row, everything_inside };

struct Computed {
    WideBag delta;
    int terms = 0;
    bool saw_phantom = false;
};

enum class Form { inclusion_exclusion, telescoped, cheaper };

template <typename Visit> void visit_terms(Form form, InputSet changed, Visit visit) {
    switch (form) {
    case Form::inclusion_exclusion:
        return join_terms(changed, visit);
    case Form::telescoped:
        return telescoped_terms(changed, 0, visit);
    case Form::cheaper:
        return delta_terms(changed, 0, visit);
    }
}

/// The delta by the rules of delta::join_terms (or another form) and delta::evaluates_in_term.
Computed delta_by_terms(const ModelBlock &model, Rest when, Form form = Form::inclusion_exclusion) {
    const InputSet changed = model.changed();
    std::vector<const ModelQual *> inside;
    std::vector<const ModelQual *> rest;
    for (const ModelQual &qual : model.quals)
        (when == Rest::everything_inside || evaluates_in_term(qual.shape, changed) ? inside : rest).push_back(&qual);
    const auto passes = [&](const WideRow &row) {
        for (const ModelQual *qual : rest)
            if (!model.evaluate(*qual, row))
                return false;
        return true;
    };

    Computed computed;
    const InputSet all = algebra::only(static_cast<int>(model.inputs.size())) - 1;
    WideBag sum;
    visit_terms(form, changed, [&](Term term) {
        computed.terms++;
        std::vector<const Bag *> bags;
        for (size_t i = 0; i < model.inputs.size(); i++)
            bags.push_back(algebra::has(term.changed, static_cast<int>(i)) ? &model.source(i).delta
                           : algebra::has(term.old, static_cast<int>(i))   ? &model.source(i).before
                                                                           : &model.source(i).after);
        WideRow row;
        join(model, bags, inside, row, term.sign, [&](const WideRow &r, int64_t weight) {
            computed.saw_phantom = computed.saw_phantom || !model.is_real(r, all);
            if (when != Rest::on_every_row || passes(r))
                sum.add(r, weight);
        });
    });
    for (const auto &[row, weight] : sum.weights)
        if (when == Rest::on_every_row || passes(row))
            computed.delta.add(row, weight);
    return computed;
}

// ---- random cases ----

Bag random_bag(Random &random) {
    Bag bag;
    for (int rows = below(random, 10) == 0 ? 0 : 1 + below(random, 3); rows > 0; rows--)
        bag.add({below(random, 2), below(random, 3)}, 1);
    return bag;
}

Bag random_change(Random &random, const Bag &before) {
    Bag after = before;
    for (int steps = 1 + below(random, 2); steps > 0; steps--) {
        const int what = below(random, 4); // an INSERT, a DELETE or (half of them) an UPDATE
        const int rows = static_cast<int>(after.weights.size());
        if (what != 0 && rows > 0)
            after.add(Row(std::next(after.weights.begin(), below(random, rows))->first), -1);
        if (what != 1)
            after.add({below(random, 2), below(random, 3)}, 1);
    }
    return after;
}

ModelQual random_qual(Random &random, int inputs) {
    ModelQual qual{{0, true}, {below(random, kColumns), below(random, kColumns)}, below(random, 1000)};
    const int a = below(random, inputs);
    const int b = below(random, inputs);
    switch (below(random, 4)) {
    case 0: // reads one input
        qual.shape.inputs = algebra::only(a);
        qual.shape.infallible = below(random, 2) == 0;
        break;
    case 1: // reads any number of inputs, or none
        qual.shape.inputs = (random() | random()) & (algebra::only(inputs) - 1);
        qual.shape.infallible = below(random, 4) == 0;
        break;
    default:
        qual.shape.inputs = algebra::only(a) | algebra::only(b);
        qual.shape.infallible = true;
        if (a != b) {
            qual.shape.left = a;
            qual.shape.right = b;
        }
    }
    return qual;
}

/// A block over one to three sources, some of them changed, each read any number of times, and over constant inputs.
ModelBlock random_block(Random &random) {
    ModelBlock model;
    const int sources = 1 + below(random, 3);
    const bool last_is_node = below(random, 4) == 0;
    for (int s = 0; s <= sources; s++) {
        Source source;
        source.before = random_bag(random);
        source.after = s < sources && below(random, 4) != 0 ? random_change(random, source.before) : source.before;
        source.delta = source.after;
        source.delta.add(source.before, -1);
        model.sources.push_back(source);
    }
    const int inputs = 1 + below(random, 5);
    for (int i = 0; i < inputs; i++) {
        const bool constant = below(random, 8) == 0;
        const int s = constant ? sources : below(random, sources);
        const bool node = last_is_node && s == sources - 1;
        model.reads.push_back(s);
        if (constant)
            model.inputs.push_back({below(random, 2) == 0 ? InputKind::values : InputKind::function, -1});
        else
            model.inputs.push_back({node ? InputKind::node : InputKind::table, node ? 0 : s});
    }
    for (int quals = below(random, inputs + 2); quals > 0; quals--) {
        model.quals.push_back(random_qual(random, inputs));
        model.shapes.push_back(model.quals.back().shape);
    }
    return model;
}

constexpr int kCases = 4000;

// ---- pairs ----

bool ties(const Qual &qual, int a, int b) {
    return (qual.left == a && qual.right == b) || (qual.left == b && qual.right == a);
}

TEST(JoinPairs, VisitEveryPairOfSourcesOnceTiedOnesFirst) {
    Random random(4);
    int tied_pairs = 0;
    int untied_pairs = 0;
    for (int i = 0; i < kCases; i++) {
        SCOPED_TRACE(i);
        const ModelBlock model = random_block(random);
        const Block block = model.block();
        std::set<std::pair<int, int>> expected;
        for (int a = 0; a < static_cast<int>(block.inputs.size()); a++)
            for (int b = 0; b < a; b++)
                if (block.inputs[a].source >= 0 && block.inputs[b].source >= 0)
                    expected.insert({b, a});
        bool untied_seen = false;
        join_pairs(block, [&](Pair pair) {
            EXPECT_EQ(expected.erase({pair.left, pair.right}), 1u) << pair.left << " " << pair.right;
            if (pair.qual >= 0) {
                ASSERT_LT(pair.qual, static_cast<int>(block.quals.size()));
                EXPECT_TRUE(ties(block.quals[pair.qual], pair.left, pair.right));
                EXPECT_FALSE(untied_seen);
                tied_pairs++;
            } else {
                EXPECT_EQ(pair.qual, -1);
                for (const Qual &qual : block.quals)
                    EXPECT_FALSE(ties(qual, pair.left, pair.right));
                untied_seen = true;
                untied_pairs++;
            }
        });
        ASSERT_TRUE(expected.empty());
    }
    EXPECT_GT(tied_pairs, kCases / 4);
    EXPECT_GT(untied_pairs, kCases / 4);
}

TEST(ChangedInputs, AreTheOccurrencesOfChangedSources) {
    const Input inputs[] = {{InputKind::table, 0}, {InputKind::function, -1}, {InputKind::node, 0},
                            {InputKind::table, 0}, {InputKind::values, -1},   {InputKind::table, 1}};
    const Block block{inputs, {}, true};
    const auto of = [&](InputKind kind, int source) {
        return algebra::changed_inputs(block, [=](const Input &i) { return i.kind == kind && i.source == source; });
    };
    EXPECT_EQ(of(InputKind::table, 0), InputSet{0b001001});
    EXPECT_EQ(of(InputKind::table, 1), InputSet{0b100000});
    EXPECT_EQ(of(InputKind::node, 0), InputSet{0b000100});
    EXPECT_EQ(of(InputKind::values, -1), InputSet{0}); // never changes
}

// ---- the sum of the terms ----

TEST(JoinTerms, AddUpToNewMinusOld) {
    Random random(1);
    std::map<int, int> cases_by_changed;
    int not_empty = 0;
    for (int i = 0; i < kCases; i++) {
        SCOPED_TRACE(i);
        const ModelBlock model = random_block(random);
        WideBag expected = state(model, &Source::after);
        expected.add(state(model, &Source::before), -1);
        const Computed computed = delta_by_terms(model, Rest::after_consolidation);
        ASSERT_TRUE(computed.delta == expected);
        ASSERT_EQ(computed.terms, (1 << algebra::size(model.changed())) - 1);
        cases_by_changed[algebra::size(model.changed())]++;
        not_empty += expected.weights.empty() ? 0 : 1;
    }
    // The cases are worth something only if they reach every number of changed occurrences.
    for (int changed = 0; changed <= 5; changed++)
        EXPECT_GT(cases_by_changed[changed], kCases / 100) << changed;
    EXPECT_GT(not_empty, kCases / 3);
}

TEST(JoinTerms, VisitEverySubsetOnceSmallestFirst) {
    for (const InputSet changed :
         {InputSet{0}, InputSet{1}, InputSet{0b100}, InputSet{0b1011}, InputSet{0b11111},
          algebra::only(0) | algebra::only(31) | algebra::only(32) | algebra::only(algebra::kMaxInputs - 1)}) {
        std::set<InputSet> seen;
        int last = 1;
        join_terms(changed, [&](Term term) {
            const int size = algebra::size(term.changed);
            EXPECT_TRUE(seen.insert(term.changed).second);
            EXPECT_EQ(term.changed & ~changed, 0u);
            EXPECT_GE(size, last);
            EXPECT_EQ(term.sign, size % 2 == 1 ? 1 : -1);
            last = size;
        });
        EXPECT_EQ(seen.size(), (size_t{1} << algebra::size(changed)) - 1);
    }
}

TEST(TelescopedTerms, AddUpToNewMinusOld) {
    Random random(5);
    for (int i = 0; i < kCases; i++) {
        SCOPED_TRACE(i);
        const ModelBlock model = random_block(random);
        WideBag expected = state(model, &Source::after);
        expected.add(state(model, &Source::before), -1);
        const Computed telescoped = delta_by_terms(model, Rest::after_consolidation, Form::telescoped);
        ASSERT_TRUE(telescoped.delta == expected);
        ASSERT_EQ(telescoped.terms, algebra::size(model.changed()));
        const Computed cheaper = delta_by_terms(model, Rest::after_consolidation, Form::cheaper);
        ASSERT_TRUE(cheaper.delta == expected);
        const int m = algebra::size(model.changed());
        ASSERT_EQ(cheaper.terms, m < 4 ? (1 << m) - 1 : m);
    }
}

TEST(TelescopedTerms, ReadEachInputOnceFromItsDelta) {
    const InputSet changed =
        algebra::only(0) | algebra::only(2) | algebra::only(31) | algebra::only(algebra::kMaxInputs - 1);
    InputSet seen = 0;
    telescoped_terms(changed, algebra::only(2), [&](Term term) {
        EXPECT_EQ(algebra::size(term.changed), 1);
        EXPECT_EQ(term.old, seen);
        EXPECT_EQ(term.sign, algebra::has(term.changed, 2) ? -1 : 1);
        seen |= term.changed;
    });
    EXPECT_EQ(seen, changed);
    telescoped_terms(0, 0, [](Term) { ADD_FAILURE(); });
}

// ---- what can fail ----

std::optional<Computed> delta_unless_it_fails(const ModelBlock &model, Rest when) {
    try {
        return delta_by_terms(model, when);
    } catch (const Phantom &) {
        return std::nullopt;
    }
}

TEST(FallibleQuals, AreNeverEvaluatedOnPhantoms) {
    Random random(2);
    int fails_on_every_row = 0;
    int fails_inside = 0;
    for (int i = 0; i < kCases / 2; i++) {
        SCOPED_TRACE(i);
        const ModelBlock model = random_block(random);
        ASSERT_TRUE(delta_unless_it_fails(model, Rest::after_consolidation).has_value());
        fails_on_every_row += delta_unless_it_fails(model, Rest::on_every_row).has_value() ? 0 : 1;
        fails_inside += delta_unless_it_fails(model, Rest::everything_inside).has_value() ? 0 : 1;
    }
    // Negative controls: the model does notice the forms that are wrong.
    EXPECT_GT(fails_on_every_row, kCases / 100);
    EXPECT_GT(fails_inside, kCases / 100);
}

TEST(HasPhantoms, HoldsWhereverATermMeetsOne) {
    Random random(3);
    std::map<int, int> phantoms_by_changed;
    for (int i = 0; i < kCases / 2; i++) {
        SCOPED_TRACE(i);
        const ModelBlock model = random_block(random);
        const bool saw_phantom = delta_by_terms(model, Rest::after_consolidation).saw_phantom;
        ASSERT_TRUE(!saw_phantom || has_phantoms(model.changed()));
        phantoms_by_changed[algebra::size(model.changed())] += saw_phantom ? 1 : 0;
    }
    // With one changed occurrence everything can be evaluated in the term; from two on, phantoms are an everyday thing.
    for (int changed = 0; changed <= 5; changed++) {
        const InputSet set = algebra::only(changed) - 1;
        EXPECT_EQ(has_phantoms(set), changed >= 2);
        EXPECT_EQ(phantoms_by_changed[changed] > 0, changed >= 2) << changed;
    }
}

TEST(EvaluatesInTerm, DependsOnPhantomsFallibilityAndReach) {
    const InputSet one = 0b010;
    const InputSet two = 0b110;
    for (const InputSet changed : {InputSet{0}, one, InputSet{0b100}})
        for (const InputSet reads : {InputSet{0}, one, two, InputSet{0b111}}) {
            EXPECT_TRUE(evaluates_in_term({reads, false}, changed));
            EXPECT_TRUE(evaluates_in_term({reads, true}, changed));
        }
    for (const InputSet changed : {two, InputSet{0b101}, InputSet{0b111}}) {
        for (const InputSet reads : {InputSet{0}, one, two, InputSet{0b111}})
            EXPECT_TRUE(evaluates_in_term({reads, true}, changed));      // else a join would become a product
        EXPECT_TRUE(evaluates_in_term({changed, false, true}, changed)); // real rows are all that can fail
        EXPECT_TRUE(evaluates_in_term({0, false}, changed));
        EXPECT_TRUE(evaluates_in_term({one, false}, changed));
        EXPECT_FALSE(evaluates_in_term({changed, false}, changed));
        EXPECT_FALSE(evaluates_in_term({0b111, false}, changed));
    }
}

TEST(EvaluatesInTerm, EveryTermOnlyWhereNoChangeMatters) {
    const InputSet two = 0b110;
    EXPECT_TRUE(evaluates_in_every_term({two, true}));
    EXPECT_TRUE(evaluates_in_every_term({two, false, true}));
    EXPECT_TRUE(evaluates_in_every_term({0b100, false}));
    EXPECT_FALSE(evaluates_in_every_term({two, false}));
}

TEST(FiltersRows, WhatIsAboutOneInputAloneAndCannotFail) {
    algebra::Qual qual{0b010, true};
    EXPECT_TRUE(algebra::filters_rows(qual, 1));
    EXPECT_FALSE(algebra::filters_rows(qual, 0));
    EXPECT_FALSE(algebra::filters_rows({0b110, true}, 1));
    EXPECT_FALSE(algebra::filters_rows({0, true}, 1));
    EXPECT_FALSE(algebra::filters_rows({0b010, false}, 1));
    qual.anti = true;
    EXPECT_FALSE(algebra::filters_rows(qual, 1));
    qual = {0b010, true};
    qual.watched = 2;
    EXPECT_FALSE(algebra::filters_rows(qual, 1));
}

} // namespace
} // namespace upkeep::delta
