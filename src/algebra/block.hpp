// The linear part of a query: select-project-join blocks over sources, joined together by UNION ALL into a flow.
//
//   view  = flow
//   flow  = block ⊎ block ⊎ …
//   block = π_outputs σ_quals (input × input × …)        input = base table | node | function | VALUES
//   node  = γ_keys,aggregates (flow)                      DISTINCT is a node without aggregates
//
// Scalar expressions are opaque handles (positions in lists that the analysis keeps), described only by what the
// rules need: which inputs they read and whether they can fail.
#pragma once

#include <cstdint>
#include <span>

namespace upkeep::algebra {

/// A set of inputs of one block, as bits.
using InputSet = std::uint64_t;
inline constexpr int kMaxInputs = 60;

constexpr InputSet only(int input) {
    return InputSet{1} << input;
}
constexpr bool has(InputSet set, int input) {
    return (set & only(input)) != 0;
}
constexpr int size(InputSet set) {
    return __builtin_popcountll(set);
}

enum class InputKind : std::uint8_t {
    table,    // an occurrence of a base table
    node,     // the output of an aggregation below
    function, // a set-returning function, possibly over columns of inputs to its left
    values,   // a VALUES list
    subquery, // evaluated as it stands for each row of the inputs that it reads; what it reads itself is watched
};

/// How an input takes part in its block.
enum class Role : std::uint8_t {
    inner,   // joined
    anti,    // a node of distinct keys: a row stays where no key is tied to it
    watched, // read by a subquery of the block: a change of it touches the rows that it is tied to
};

struct Input {
    InputKind kind;
    int source; // table or node number; -1 for function and values
    Role role = Role::inner;
};

/// One conjunct of the block's condition.
struct Qual {
    InputSet inputs;    // what it reads
    bool infallible;    // evaluating it can never raise an error
    bool apart = false; // whatever in it may raise one reads one input: a.x + 1 = b.y * 2
    int left = -1;      // a plain equality between columns of two inputs: the two inputs, else -1
    int right = -1;
    bool anti = false; // it ties an anti input (then it is a plain equality)
    int watched = -1;  // it says which rows a change of this watched input touches, and filters nothing
};

/// Whether it is about the rows of one input alone, and can be asked of any of them.
inline bool filters_rows(const Qual &qual, int input) {
    return qual.inputs == only(input) && qual.infallible && !qual.anti && qual.watched < 0;
}

struct Block {
    std::span<const Input> inputs;
    std::span<const Qual> quals;
    bool outputs_infallible;
};

/// The inputs of a block with role anti.
inline InputSet anti_inputs(const Block &block) {
    InputSet set = 0;
    for (int i = 0; i < static_cast<int>(block.inputs.size()); i++)
        if (block.inputs[i].role == Role::anti)
            set |= only(i);
    return set;
}

/// The inputs of a block with role watched.
inline InputSet watched_inputs(const Block &block) {
    InputSet set = 0;
    for (int i = 0; i < static_cast<int>(block.inputs.size()); i++)
        if (block.inputs[i].role == Role::watched)
            set |= only(i);
    return set;
}

/// The occurrences of sources (tables, nodes) whose delta is not empty.
template <typename Changed> InputSet changed_inputs(const Block &block, Changed changed) {
    InputSet set = 0;
    for (int i = 0; i < static_cast<int>(block.inputs.size()); i++)
        if (block.inputs[i].source >= 0 && changed(block.inputs[i]))
            set |= only(i);
    return set;
}

} // namespace upkeep::algebra
