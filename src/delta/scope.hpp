// The delta of a block with a subquery that is evaluated as it stands.
//
//   F(A, B) = { (a, f(a, {b ∈ B | tied(a, b)})) | a ∈ A }        A: the block's one input, B: what the subquery reads
//
// A row a is touched if some row of ΔB is tied to it; for every other row f has not changed. With the touched rows
// evaluated once over all new states and once over all old ones,
//
//   ΔF = { ΔA not touched, f new }  ⊎  { A touched, f new }  −  { A° touched, f old }
//
// whatever f is, as long as it is determined by its arguments. Several watched inputs: the first that touches a row
// counts.
#pragma once

#include "algebra/block.hpp"

namespace upkeep::delta {

using algebra::InputSet;

/// One summand: the rows that the delta of `touching` touches (-1: the rows of ΔA), and the deltas of `untouched` do
/// not.
struct ScopeTerm {
    int touching;
    InputSet untouched;
    bool old; // over the old states, with weight −1
};

/// Calls visit(ScopeTerm) for each summand. `changed`: of the input that is joined, and of the watched ones.
template <typename Visit> void scope_terms(InputSet changed, InputSet watched, Visit visit) {
    const InputSet touching = changed & watched;
    if ((changed & ~watched) != 0)
        visit(ScopeTerm{-1, touching, false});
    InputSet before = 0;
    for (int i = 0; i < algebra::kMaxInputs; i++) {
        if (!algebra::has(touching, i))
            continue;
        visit(ScopeTerm{i, before, false});
        visit(ScopeTerm{i, before, true});
        before |= algebra::only(i);
    }
}

} // namespace upkeep::delta
