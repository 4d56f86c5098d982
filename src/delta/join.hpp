// The delta of a select-project-join block, by inclusion and exclusion over new states.
#pragma once

#include "algebra/block.hpp"

namespace upkeep::delta {

using algebra::Block;
using algebra::InputSet;

/// One summand of the delta: the inputs in `changed` are read from their deltas, those in `old` from their old states,
/// all others from their new states; every resulting row has weight sign × the product of the weights of its delta rows
/// and of its old ones (an old state is the new one and the delta with the opposite weights).
struct Term {
    InputSet changed;
    int sign;
    InputSet old = 0;
};

/// Δ(A₁ ⋈ … ⋈ Aₙ) = Σ over non-empty S ⊆ changed of (−1)^(|S|+1) · (⋈ ΔAᵢ, i ∈ S) ⋈ (⋈ Aⱼ, j ∉ S), new states only.
/// (From Aᵢ° = Aᵢ − ΔAᵢ, multiplied out; Griffin and Libkin 1995 in its form over new states.) Calls visit(Term) for
/// each of the 2^m − 1 terms, single-occurrence terms first.
/// An anti input D (distinct keys) is the factor 1 − D: its new state is "no key is tied", its delta is −ΔD, so that
/// A ▷ D has Δ(A ▷ D) = ΔA ▷ D − A ⋈ ΔD + ΔA ⋈ ΔD.
template <typename Visit> void join_terms(InputSet changed, InputSet anti, Visit visit) {
    const int m = algebra::size(changed);
    for (int want = 1; want <= m; want++)
        for (InputSet s = changed; s != 0; s = (s - 1) & changed)
            if (algebra::size(s) == want)
                visit(Term{s, (want + algebra::size(s & anti)) % 2 == 1 ? 1 : -1});
}

template <typename Visit> void join_terms(InputSet changed, Visit visit) {
    join_terms(changed, 0, visit);
}

/// Δ(A₁ ⋈ … ⋈ Aₘ) = Σ over i of A₁° ⋈ … ⋈ Aᵢ₋₁° ⋈ ΔAᵢ ⋈ Aᵢ₊₁ ⋈ … ⋈ Aₘ: one term for each changed occurrence. The old
/// state of an anti input is "no key was tied", of weight 1.
template <typename Visit> void telescoped_terms(InputSet changed, InputSet anti, Visit visit) {
    for (InputSet rest = changed; rest != 0; rest &= rest - 1) {
        const InputSet first = rest & (~rest + 1);
        visit(Term{first, (first & anti) == 0 ? 1 : -1, changed & (first - 1)});
    }
}

/// From so many changed occurrences on the terms telescope: old states cost more than new ones, but there are 2^m − 1
/// terms without them.
inline constexpr int kTelescopeFrom = 4;

/// The terms of a delta in the form that is cheaper.
template <typename Visit> void delta_terms(InputSet changed, InputSet anti, Visit visit) {
    if (algebra::size(changed) < kTelescopeFrom)
        join_terms(changed, anti, visit);
    else
        telescoped_terms(changed, anti, visit);
}

/// With two or more changed occurrences the terms hold phantom pairs, rows of neither state, that cancel only once all
/// terms are added up: what can fail must not be evaluated on them.
bool has_phantoms(InputSet changed);

/// Whether a conjunct may be evaluated inside the terms of a block, all of whose changed inputs are given (not those of
/// one term alone: ΔA ⋈ B holds phantoms as soon as B has changed too): always when there are no phantoms; else only if
/// it cannot fail, or reads a single input (whose rows are all real).
bool evaluates_in_term(const algebra::Qual &qual, InputSet changed);

/// Whether a conjunct evaluates inside the terms whatever has changed.
bool evaluates_in_every_term(const algebra::Qual &qual);

/// A pair of source occurrences of one block that concurrent writers can change from both sides.
struct Pair {
    int left;
    int right;
    int qual; // a conjunct that ties them by a plain equality, or -1
};

/// Calls visit(Pair) for every pair of table occurrences, those tied by an equality first.
template <typename Visit> void join_pairs(const Block &block, Visit visit) {
    const int n = static_cast<int>(block.inputs.size());
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < n; i++)
            for (int j = i + 1; j < n; j++) {
                if (block.inputs[i].source < 0 || block.inputs[j].source < 0)
                    continue;
                int tie = -1;
                for (int q = 0; tie < 0 && q < static_cast<int>(block.quals.size()); q++)
                    if ((block.quals[q].left == i && block.quals[q].right == j) ||
                        (block.quals[q].left == j && block.quals[q].right == i))
                        tie = q;
                if ((tie >= 0) == (pass == 0))
                    visit(Pair{i, j, tie});
            }
}

} // namespace upkeep::delta
