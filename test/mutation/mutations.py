"""The mutations that test/mutation/run applies, one wrong rule each.

`old` must occur exactly once in `file` (else the list is stale, which counts as a failure) and is replaced by `new`;
`killed_by` names the kind of test that has to notice. A mutation that changes nothing but speed, or that is right as
well, does not belong here.
"""

from typing import NamedTuple


class Mutation(NamedTuple):
    name: str
    file: str
    old: str
    new: str
    killed_by: str = "unit"


BLOCK = "src/algebra/block.hpp"
JOIN_H = "src/delta/join.hpp"
JOIN = "src/delta/join.cpp"
GROUP = "src/delta/group.cpp"
FLOAT = "src/delta/float_state.cpp"
EXACT = "src/delta/exact_sum.cpp"
MAGNITUDE = "src/delta/magnitude.cpp"

MUTATIONS = [
    # Which occurrences changed
    Mutation("changed-inputs-asks-constants", BLOCK, "block.inputs[i].source >= 0 && changed", "changed"),
    Mutation("changed-inputs-skips-the-first", BLOCK, "if (block.inputs[i].source >= 0 &&",
             "if (i > 0 && block.inputs[i].source >= 0 &&"),
    Mutation("changed-inputs-keeps-only-the-last", BLOCK, "changed(block.inputs[i]))\n            set |= only(i);",
             "changed(block.inputs[i]))\n            set = only(i);"),
    Mutation("anti-inputs-are-the-others", BLOCK, "role == Role::anti)\n", "role != Role::anti)\n"),
    Mutation("anti-inputs-keeps-only-the-last", BLOCK, "role == Role::anti)\n            set |= only(i);",
             "role == Role::anti)\n            set = only(i);"),

    # Inclusion and exclusion
    Mutation("join-sign-does-not-alternate", JOIN_H, "(want + algebra::size(s & anti)) % 2 == 1 ? 1 : -1", "1"),
    Mutation("join-sign-flipped", JOIN_H, "algebra::size(s & anti)) % 2 == 1 ? 1 : -1", "algebra::size(s & anti)) % 2 == 1 ? -1 : 1"),
    Mutation("join-sign-plus-once-only", JOIN_H, "(want + algebra::size(s & anti)) % 2 == 1 ? 1 : -1", "want + algebra::size(s & anti) == 1 ? 1 : -1"),
    Mutation("join-anti-sign-ignored", JOIN_H, "(want + algebra::size(s & anti)) % 2", "want % 2"),
    Mutation("join-anti-counted-among-all", JOIN_H, "algebra::size(s & anti)", "algebra::size(anti)"),
    Mutation("join-without-intersections", JOIN_H, "want <= m; want++", "want <= m && want < 2; want++"),
    Mutation("join-with-pairs-only", JOIN_H, "want <= m; want++", "want <= m && want < 3; want++"),
    Mutation("join-without-single-terms", JOIN_H, "int want = 1; want", "int want = 2; want"),
    Mutation("join-without-the-full-term", JOIN_H, "InputSet s = changed; s != 0",
             "InputSet s = (changed - 1) & changed; s != 0"),
    Mutation("join-drops-the-last-size", JOIN_H, "want <= m; want++", "want < m; want++"),
    Mutation("join-drops-terms-of-the-first-input", JOIN_H, "if (algebra::size(s) == want)",
             "if (algebra::size(s) == want && (want == 1 || !algebra::has(s, 0)))"),
    Mutation("join-largest-terms-first", JOIN_H, "for (int want = 1; want <= m; want++)",
             "for (int want = m; want >= 1; want--)"),
    Mutation("join-repeats-single-terms", JOIN_H, "if (algebra::size(s) == want)",
             "if (algebra::size(s) == want || algebra::size(s) == 1)"),

    # Telescoping
    Mutation("telescope-anti-sign-ignored", JOIN_H, "(first & anti) == 0 ? 1 : -1", "1"),
    Mutation("telescope-sign-flipped", JOIN_H, "(first & anti) == 0 ? 1 : -1", "(first & anti) == 0 ? -1 : 1"),
    Mutation("telescope-without-old-states", JOIN_H, "changed & (first - 1)", "changed & 0"),
    Mutation("telescope-old-on-the-other-side", JOIN_H, "changed & (first - 1)", "changed & ~first & ~(first - 1)"),
    Mutation("telescope-old-on-both-sides", JOIN_H, "changed & (first - 1)", "changed & ~first"),
    Mutation("telescope-skips-the-first", JOIN_H, "InputSet rest = changed; rest", "InputSet rest = changed & (changed - 1); rest"),
    Mutation("telescope-from-five-on", JOIN_H, "kTelescopeFrom = 4", "kTelescopeFrom = 5"),

    # What may be evaluated in a term
    Mutation("phantoms-from-three-on", JOIN, "algebra::size(changed) >= 2", "algebra::size(changed) >= 3"),
    Mutation("phantoms-from-one-on", JOIN, "algebra::size(changed) >= 2", "algebra::size(changed) >= 1"),
    Mutation("phantoms-never", JOIN, "return algebra::size(changed) >= 2;", "return changed == ~InputSet{0};"),
    Mutation("evaluates-everything-in-the-term", JOIN,
             "!has_phantoms(changed) || evaluates_in_every_term(qual)",
             "has_phantoms(changed) || qual.infallible || true"),
    Mutation("evaluates-nothing-with-phantoms", JOIN, " || evaluates_in_every_term(qual)", ""),
    Mutation("evaluates-what-fails-apart-later", JOIN, "qual.apart || ", ""),
    Mutation("evaluates-fallible-pairs", JOIN, "algebra::size(qual.inputs) <= 1", "algebra::size(qual.inputs) <= 2"),
    Mutation("evaluates-constants-only", JOIN, "algebra::size(qual.inputs) <= 1", "algebra::size(qual.inputs) < 1"),
    Mutation("evaluates-infallible-later", JOIN, "qual.infallible || ", ""),
    Mutation("evaluates-fallible-instead", JOIN, "qual.infallible", "!qual.infallible"),
    Mutation("evaluates-later-without-phantoms", JOIN, "!has_phantoms(changed) || ", ""),
    Mutation("evaluates-where-few-are-changed", JOIN, "evaluates_in_every_term(qual);\n",
             "evaluates_in_every_term(qual) || algebra::size(qual.inputs & changed) <= 2;\n"),

    # Which conjuncts are asked of the rows of a change as they are read
    Mutation("filters-by-what-others-are-tied-to", BLOCK, "qual.inputs == only(input) && qual.infallible",
             "has(qual.inputs, input) && qual.infallible"),
    Mutation("filters-by-what-may-fail", BLOCK, "qual.inputs == only(input) && qual.infallible", "qual.inputs == only(input)"),
    Mutation("filters-by-ties", BLOCK, "!qual.anti && qual.watched < 0;", "true;"),

    # Pairs
    Mutation("pairs-tied-only", JOIN_H, "pass < 2", "pass < 1"),
    Mutation("pairs-untied-only", JOIN_H, "int pass = 0", "int pass = 1"),
    Mutation("pairs-untied-first", JOIN_H, "(pass == 0)", "(pass == 1)"),
    Mutation("pairs-adjacent-only", JOIN_H, "int j = i + 1; j < n;", "int j = i + 1; j < n && j <= i + 1;"),
    Mutation("pairs-with-themselves", JOIN_H, "int j = i + 1;", "int j = i;"),
    Mutation("pairs-of-constants", JOIN_H, "block.inputs[i].source < 0 || block.inputs[j].source < 0",
             "block.inputs[i].source < 0 && block.inputs[j].source < 0"),
    Mutation("pairs-of-different-sources-only", JOIN_H, "block.inputs[j].source < 0)",
             "block.inputs[j].source < 0 || block.inputs[i].source == block.inputs[j].source)"),
    Mutation("pairs-tied-in-one-direction-only", JOIN_H,
             "(block.quals[q].left == i && block.quals[q].right == j) ||", "false ||"),
    Mutation("pairs-tied-in-the-other-direction-only", JOIN_H,
             "(block.quals[q].left == j && block.quals[q].right == i)", "false"),
    Mutation("pairs-tied-by-one-side", JOIN_H, "block.quals[q].left == i && block.quals[q].right == j",
             "block.quals[q].left == i"),
    Mutation("pairs-forget-their-tie", JOIN_H, "visit(Pair{i, j, tie})", "visit(Pair{i, j, -1})"),
    Mutation("pairs-ignore-the-last-conjunct", JOIN_H, "q < static_cast<int>(block.quals.size())",
             "q + 1 < static_cast<int>(block.quals.size())"),

    # The row of a group
    Mutation("group-counter-without-row", GROUP, "stored ? stored_rows : 0", "stored_rows"),
    Mutation("group-delta-subtracted", GROUP, "before + delta_rows", "before - delta_rows"),
    Mutation("group-below-zero-ignored", GROUP, "if (after < 0)", "if (after < 0 && false)"),
    Mutation("group-zero-is-broken", GROUP, "if (after < 0)", "if (after <= 0)"),
    Mutation("group-scalar-rule-dropped", GROUP, "if (scalar)", "if (scalar && after > 0)"),
    Mutation("group-scalar-rule-for-all", GROUP, "if (scalar)", "if (scalar || after > 0 || stored)"),
    Mutation("group-scalar-never-appears", GROUP, "return stored ? GroupFate::changes : GroupFate::appears;",
             "return GroupFate::changes;"),
    Mutation("group-appears-empty", GROUP, "after > 0 ? GroupFate::appears", "after >= 0 ? GroupFate::appears"),
    Mutation("group-stays-empty", GROUP, "after > 0 ? GroupFate::changes", "after >= 0 ? GroupFate::changes"),
    Mutation("group-vanishes-with-one-row", GROUP, "after > 0 ? GroupFate::changes", "after > 1 ? GroupFate::changes"),
    Mutation("group-appears-instead-of-changes", GROUP, "after > 0 ? GroupFate::changes",
             "after > 0 ? GroupFate::appears"),

    # min and max
    Mutation("extreme-removed-equal-is-harmless", GROUP, "removed_vs_stored < 0", "removed_vs_stored <= 0"),
    Mutation("extreme-removed-worse-is-read", GROUP, "!has_removed || removed_vs_stored < 0", "!has_removed"),
    Mutation("extreme-removed-better-ignored", GROUP, "removed_vs_stored < 0", "removed_vs_stored != 0"),
    Mutation("extreme-nothing-removed-is-compared", GROUP, "!has_removed || ", ""),
    Mutation("extreme-added-equal-replaces", GROUP, "added_vs_removed <= 0", "added_vs_removed < 0"),
    Mutation("extreme-added-never-replaces", GROUP, "!has_added || added_vs_removed <= 0", "!has_added || true"),
    Mutation("extreme-added-always-replaces", GROUP, " || added_vs_removed <= 0", ""),
    Mutation("extreme-nothing-added-is-compared", GROUP, "!has_added || ", ""),
    Mutation("extreme-direction-flipped", GROUP, "added_vs_removed <= 0", "added_vs_removed >= 0"),

    # Float aggregates: what is counted apart
    Mutation("float-negzero-ignored", FLOAT, "if (std::signbit(x))", "if (false)"),
    Mutation("float-negzero-every-zero", FLOAT, "if (std::signbit(x))", "if (true)"),
    Mutation("float-negzero-one-is-enough", FLOAT,
             "        return {FloatStatus::value, -0.0};\n    return finite_or_overflow(sum.round());",
             "        return {FloatStatus::value, 0.0};\n    return finite_or_overflow(sum.round());"),
    Mutation("float-negzero-lost-in-merge", FLOAT, "    negzero += other.negzero;\n", ""),
    Mutation("float-negzero-not-in-is-zero", FLOAT, " && negzero == 0", ""),
    Mutation("float-nan-never-leaves", FLOAT, "nan += weight;", "nan += weight > 0 ? weight : 0;"),
    Mutation("float-infinities-swapped", FLOAT, "(x > 0 ? pinf : ninf)", "(x > 0 ? ninf : pinf)"),
    Mutation("float-infinities-do-not-meet", FLOAT, "if (pinf != 0 && ninf != 0)", "if (pinf != 0 && ninf > pinf)"),
    Mutation("float-infinity-lost-in-merge", FLOAT, "    ninf += other.ninf;\n", ""),
    Mutation("float-count-ignores-weight", FLOAT, "    n += weight;", "    n += 1;"),
    Mutation("float-squares-ignore-weight", FLOAT, "squares.add_square(x, weight);", "squares.add_square(x, 1);"),
    Mutation("float-squares-lost-in-merge", FLOAT, "squares.add(other.squares);", "squares.add(ExactSquareSum());"),
    Mutation("float-sample-variance-of-one", FLOAT, "if (n <= 1)", "if (n <= 0)"),
    Mutation("float-overflow-not-raised", FLOAT, "return std::isinf(value) ? kOverflow",
             "return std::isinf(value) && false ? kOverflow"),
    Mutation("float-overflow-of-deviations-ignored", FLOAT, "return with_squares && std::isinf(squares.round()) &&",
             "return false &&"),
    Mutation("float-overflow-of-squares", FLOAT, " && std::isinf(squared_deviations(sum, squares, n))", ""),

    # Exact sums
    Mutation("exact-weight-sign-ignored", EXACT, "d.negative != (weight < 0)", "d.negative"),
    Mutation("exact-square-sign-ignored", EXACT, "    if (weight < 0)\n        negate(addend, size);", ""),
    Mutation("exact-carry-lost", EXACT, "addend[i] + carry;", "addend[i];"),
    Mutation("exact-carry-not-carried-on", EXACT, "i < end_ && carry != (extension & 1)", "i < end_ && false"),
    Mutation("exact-sign-not-extended", EXACT, "const uint64_t fill = sign_limb(limb(end_ - 1));",
             "const uint64_t fill = 0;"),
    Mutation("exact-sign-limb-missing", EXACT, "        limb(end_++) = extension;\n", "        (void)extension;\n"),
    Mutation("exact-negate-without-carry", EXACT, "uint64_t carry = 1;", "uint64_t carry = 0;"),
    Mutation("exact-shift-drops-bits", EXACT, "limbs[i] << shift | limbs[i - 1] >> (64 - shift)", "limbs[i] << shift"),
    Mutation("exact-round-loses-sign", EXACT, "return is_negative() ? -value : value;", "return value;"),
    Mutation("exact-sample-variance-by-n", EXACT, "divided_spread(sum, squares, n, n, n - 1)",
             "divided_spread(sum, squares, n, n, n)"),
    Mutation("exact-form-not-canonical", EXACT, "std::countr_zero(limb(first)) / 8;\n    const int highest",
             "0;\n    const int highest"),
    Mutation("exact-ties-away-from-even", MAGNITUDE, "half && ((kept & 1) != 0 ||", "half && (true ||"),
    Mutation("exact-fraction-ignored", MAGNITUDE, "|| has_fraction ||", "||"),
    Mutation("exact-borrow-lost", MAGNITUDE, "other.limbs[i] - borrow;", "other.limbs[i];"),
    Mutation("exact-product-carry-lost", MAGNITUDE, "value.limbs[i]) * factor + carry", "value.limbs[i]) * factor"),
    Mutation("exact-remainder-not-reported", MAGNITUDE, "return remainder != 0;", "return false;"),
]
