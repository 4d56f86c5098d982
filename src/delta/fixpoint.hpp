// The change of a recursive query T = S ∪ R(T, E), where R is linear in T, by rounds.
//
// E° are the inputs before the change, E′ after it, Eₘ what is common to both: a row of E that came is in E′ alone, one
// that went in E° alone (a key of an anti input the other way round). What falls away is followed through Eₘ and what
// comes through E′, so that each closure stays within the old result or within the new one and ends where the query
// itself does. Old rows followed through E′ need not end: they may meet a cycle that the query never reaches.
//
// UNION ALL: T, S and R are bags, weights flow through.
//   Lost:    L₀ = −S⁻ ⊎ (R(T°, Eₘ) − R(T°, E°)),   Lᵢ₊₁ = R(Lᵢ, Eₘ),   Tₘ = T° ⊎ ΣLᵢ
//   Gained:  G₀ = S⁺ ⊎ (R(Tₘ, E′) − R(Tₘ, Eₘ)),    Gᵢ₊₁ = R(Gᵢ, E′),   T′ = Tₘ ⊎ ΣGᵢ
//
// UNION: delete and derive again (Gupta, Mumick and Subrahmanian 1993). Each round keeps only rows of the state; what
// was taken out may have another derivation, from S′ or from what stayed, and then starts the second pass too.
//   Lost:    Lᵢ ∩ T,   Tₘ = T° − ∪Lᵢ
//   Gained:  G₀ ∪ (∪Lᵢ ∩ (S′ ∪ R(Tₘ, E′))),   Gᵢ − T
#pragma once

#include "algebra/block.hpp"

namespace upkeep::delta {

/// Which state of its inputs a round of the recursive term reads.
enum class Inputs : std::uint8_t {
    kept, // Eₘ: what is there before and after the change
    now,  // E′
};

/// Runs both passes. A Node has a type Rows, handed around by value, and
///   Rows lost(), gained()            L₀ and G₀ over the state as it is; gained() of a set also what derives again
///   Rows step(const Rows &, Inputs)  R over a round
///   bool take_out(Rows *)            removes them from the state; leaves those that were there. False: stop
///   bool put_in(Rows *)              adds them to the state; leaves those that are new. False: stop
///   bool is_empty(const Rows &)
/// False: one of them said so.
template <typename Node> bool change_fixpoint(Node &node) {
    for (auto round = node.lost(); !node.is_empty(round); round = node.step(round, Inputs::kept)) {
        if (!node.take_out(&round))
            return false;
        if (node.is_empty(round))
            break;
    }
    for (auto round = node.gained(); !node.is_empty(round); round = node.step(round, Inputs::now)) {
        if (!node.put_in(&round))
            return false;
        if (node.is_empty(round))
            break;
    }
    return true;
}

} // namespace upkeep::delta
