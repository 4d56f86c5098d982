// Outer joins, EXISTS and IN, through a node of the distinct keys that the inner side offers.
//
//   A ⋉ B on a = b  =  A ⋈ δ(π_b B)             A ▷ B on a = b  =  A ▷ δ(π_b B)
//   A ⟕ B           =  (A ⋈ B) ⊎ (A ▷ B) × NULLs
//
// The node counts the rows of each key, so that only the appearance and the disappearance of a key reach the outer
// side.
#include "analysis/flatten.hpp"
#include "analysis/levels.hpp"
#include "analysis/row_source.hpp"

extern "C" {
#include "parser/parse_relation.h"
}

namespace upkeep::analysis {

using algebra::InputSet;
using algebra::Role;

namespace {

InputSet first_inputs(size_t n) {
    return algebra::only(static_cast<int>(n)) - 1;
}

void collect_indexes(Node *item, List **indexes) {
    if (IsA(item, RangeTblRef)) {
        *indexes = lappend_int(*indexes, castNode(RangeTblRef, item)->rtindex);
        return;
    }
    auto *join = castNode(JoinExpr, item);
    collect_indexes(join->larg, indexes);
    collect_indexes(join->rarg, indexes);
}

/// Every column of the relations of a FROM item reads NULL.
void bind_to_nulls(Query *q, Node *item, Arm *arm) {
    List *indexes = NIL;
    collect_indexes(item, &indexes);
    ListCell *lc;
    foreach (lc, indexes) {
        const int index = lfirst_int(lc);
        List *vars = NIL;
        expandRTE(rt_fetch(index, q->rtable), index, 0, -1, true, nullptr, &vars);
        List *nulls = NIL;
        ListCell *v;
        foreach (v, vars) {
            auto *var = static_cast<Node *>(lfirst(v));
            nulls = lappend(nulls, makeNullConst(exprType(var), exprTypmod(var), exprCollation(var)));
        }
        arm->bindings[index - 1].input = -1;
        arm->bindings[index - 1].columns = nulls;
        arm->bindings[index - 1].absent = true;
    }
}

/// The instant that a local time of the inner side stands for, where it is tied to an instant; else null. Where clocks
/// are put forward several local times are one instant, so that they would be several keys for one outer row.
Node *find_instant(Node *inner, Node *outer) {
    if (exprType(outer) != TIMESTAMPTZOID)
        return nullptr;
    const Oid type = exprType(inner);
    const Oid function = type == TIMESTAMPOID ? F_TIMESTAMPTZ_TIMESTAMP
                         : type == DATEOID    ? F_TIMESTAMPTZ_DATE
                                              : InvalidOid;
    if (!OidIsValid(function))
        return nullptr;
    return reinterpret_cast<Node *>(
        makeFuncExpr(function, TIMESTAMPTZOID, list_make1(inner), InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL));
}

struct Substitution {
    List *outputs;
};

/// The subquery's output columns in the test expression of IN.
Node *substitute_outputs(Node *node, void *context) {
    if (node == nullptr)
        return nullptr;
    if (IsA(node, Param) && castNode(Param, node)->paramkind == PARAM_SUBLINK)
        return static_cast<Node *>(copyObjectImpl(
            list_nth(static_cast<Substitution *>(context)->outputs, castNode(Param, node)->paramid - 1)));
    return pg::mutate_tree(node, substitute_outputs, context);
}

} // namespace

Arm inner_arm(const Arm &outer, const Arm &combined, const Correlation &correlation) {
    const int n = static_cast<int>(outer.inputs.size());
    Arm arm;
    for (size_t i = outer.inputs.size(); i < combined.inputs.size(); i++) {
        arm.inputs.push_back(combined.inputs[i]);
        arm.rtes.push_back(map_row_expressions(combined.rtes[i], [&](Node *node) { return shift_inputs(node, -n); }));
    }
    for (Watch watch : combined.watches) {
        if (watch.input < n)
            continue;
        watch.input -= n;
        watch.quals = reinterpret_cast<List *>(shift_inputs(reinterpret_cast<Node *>(watch.quals), -n));
        arm.watches.push_back(watch);
    }
    arm.quals = reinterpret_cast<List *>(shift_inputs(reinterpret_cast<Node *>(correlation.inner_only), -n));
    arm.outputs = reinterpret_cast<List *>(shift_inputs(reinterpret_cast<Node *>(correlation.inner_sides), -n));
    return arm;
}

List *tie_quals(const Correlation &correlation, int input) {
    List *quals = NIL;
    for (int t = 0; t < list_length(correlation.ties); t++) {
        auto *tie = static_cast<OpExpr *>(copyObjectImpl(list_nth(correlation.ties, t)));
        auto *inner = static_cast<Node *>(list_nth(correlation.inner_sides, t));
        Var *key = makeVar(kInputBase + input, static_cast<AttrNumber>(t + 1), exprType(inner), exprTypmod(inner),
                           exprCollation(inner), 0);
        tie->args = equal(linitial(tie->args), inner) ? list_make2(key, lsecond(tie->args))
                                                      : list_make2(linitial(tie->args), key);
        quals = lappend(quals, tie);
    }
    return quals;
}

SubLink *existence_test(Node *conjunct, bool *negated) {
    *negated = false;
    if (is_notclause(conjunct)) {
        *negated = true;
        conjunct = reinterpret_cast<Node *>(get_notclausearg(reinterpret_cast<Expr *>(conjunct)));
    }
    if (!IsA(conjunct, SubLink))
        return nullptr;
    auto *link = castNode(SubLink, conjunct);
    // NOT IN has a rule of its own for NULLs.
    if (link->subLinkType == EXISTS_SUBLINK || (link->subLinkType == ANY_SUBLINK && !*negated))
        return link;
    return nullptr;
}

/// Sorts the conditions that the combined arm has beyond the outer one.
bool Analyser::correlate(const Arm &outer, const Arm &combined, Correlation *correlation) {
    const InputSet outside = first_inputs(outer.inputs.size());
    for (size_t i = outer.inputs.size(); i < combined.inputs.size(); i++) {
        const InputsRead read = inputs_read(row_expressions(combined.rtes[i]));
        if ((read.set & outside) != 0 || read.unresolved)
            return no_rule("a correlated function on the inner side of an outer join or in a subquery");
    }
    for (int i = list_length(outer.quals); i < list_length(combined.quals); i++) {
        auto *qual = static_cast<Node *>(list_nth(combined.quals, i));
        const InputsRead read = inputs_read(qual);
        if (read.unresolved)
            return no_rule("a subquery correlated on several levels");
        if ((read.set & outside) == 0) {
            correlation->inner_only = lappend(correlation->inner_only, qual);
            continue;
        }
        if ((read.set & ~outside) == 0) {
            correlation->outer_only = lappend(correlation->outer_only, qual);
            continue;
        }
        auto *op = reinterpret_cast<OpExpr *>(qual);
        if (!IsA(qual, OpExpr) || list_length(op->args) != 2 ||
            !op_mergejoinable(op->opno, exprType(static_cast<Node *>(linitial(op->args)))))
            return no_rule("an outer join or subquery that is correlated by something else than equalities");
        auto *left = static_cast<Node *>(linitial(op->args)), *right = static_cast<Node *>(lsecond(op->args));
        const InputSet l = inputs_read(left).set, r = inputs_read(right).set;
        const bool left_is_outer = l != 0 && (l & ~outside) == 0 && (r & outside) == 0;
        const bool right_is_outer = r != 0 && (r & ~outside) == 0 && (l & outside) == 0;
        if (!left_is_outer && !right_is_outer)
            return no_rule("an outer join or subquery that is correlated by an equality of mixed columns");
        if (Node *instant = find_instant(left_is_outer ? right : left, left_is_outer ? left : right)) {
            (left_is_outer ? right : left) = instant;
            op = castNode(OpExpr, make_opclause(lookup_type_cache(TIMESTAMPTZOID, TYPECACHE_EQ_OPR)->eq_opr, BOOLOID,
                                                false, reinterpret_cast<Expr *>(left), reinterpret_cast<Expr *>(right),
                                                InvalidOid, InvalidOid));
            set_opfuncid(op);
        }
        Node *inner = left_is_outer ? right : left;
        const Oid own = exprCollation(inner);
        if (OidIsValid(own) && own != op->inputcollid)
            return no_rule("an outer join or subquery that is correlated under another collation than the column's");
        correlation->ties = lappend(correlation->ties, op);
        correlation->outer_sides = lappend(correlation->outer_sides, left_is_outer ? left : right);
        correlation->inner_sides = lappend(correlation->inner_sides, inner);
    }
    return true;
}

/// δ over the inner sides of the ties; returns the node's number, or -1.
int Analyser::add_key_node(const Arm &outer, const Arms &combined, const Correlation &correlation) {
    Arms arms;
    for (const Arm &c : combined) {
        Correlation own;
        if (!correlate(outer, c, &own))
            return -1;
        bool alike =
            list_length(own.ties) == list_length(correlation.ties) && equal(own.outer_sides, correlation.outer_sides);
        for (int t = 0; alike && t < list_length(own.ties); t++)
            alike = static_cast<OpExpr *>(list_nth(own.ties, t))->opno ==
                        static_cast<OpExpr *>(list_nth(correlation.ties, t))->opno &&
                    exprType(static_cast<Node *>(list_nth(own.inner_sides, t))) ==
                        exprType(static_cast<Node *>(list_nth(correlation.inner_sides, t)));
        if (!alike || (combined.size() > 1 && own.outer_only != NIL)) {
            no_rule("an outer join or subquery whose UNION ALL arms are correlated in different ways");
            return -1;
        }
        arms.push_back(inner_arm(outer, c, own));
        if (own.ties == NIL) // uncorrelated: one key, there or not
            arms.back().outputs =
                list_make1(makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(1), false, true));
    }
    auto *node = new (palloc(sizeof(GroupNode))) GroupNode();
    ListCell *lc;
    foreach (lc, arms[0].outputs)
        node->keys.push_back(functional_key(static_cast<Node *>(lfirst(lc))));
    return add_node(node, arms) ? static_cast<int>(view_->nodes.size()) - 1 : -1;
}

/// The outer arm's rows for which some (Role::inner) or no (Role::anti) row of the combined arms is there.
bool Analyser::keep_where(const Arm &outer, const Arms &combined, Role role, Arms *result) {
    const int first = list_length(outer.quals);
    if (role == Role::anti &&
        std::all_of(combined.begin(), combined.end(), [&](const Arm &arm) { return is_empty(arm, first); })) {
        result->push_back(outer);
        return true;
    }
    Correlation correlation;
    if (!correlate(outer, combined[0], &correlation))
        return false;
    const int node = add_key_node(outer, combined, correlation);
    if (node < 0)
        return false;
    Arm arm = outer;
    const int input = static_cast<int>(arm.inputs.size());
    arm.inputs.push_back({algebra::InputKind::node, node, role});
    arm.rtes.push_back(nullptr);
    arm.quals = list_concat(list_copy(outer.quals), list_copy(correlation.outer_only));
    arm.quals = list_concat(arm.quals, tie_quals(correlation, input));
    result->push_back(arm);
    if (role == Role::inner || correlation.outer_only == NIL)
        return true;
    // Where the conditions over the outer side alone do not hold, nothing can match.
    Arm rest = outer;
    BooleanTest *test = makeNode(BooleanTest);
    test->arg = make_ands_explicit(list_copy(correlation.outer_only));
    test->booltesttype = IS_NOT_TRUE;
    test->location = -1;
    rest.quals = lappend(list_copy(outer.quals), test);
    result->push_back(rest);
    return true;
}

bool Analyser::add_existence(SubLink *link, bool negated, List *ctes, Arms *arms) {
    Arms below;
    if (!query(static_cast<Query *>(copyObjectImpl(link->subselect)), ctes, &below))
        return false;
    Arms result;
    for (const Arm &arm : *arms) {
        Arms combined;
        for (const Arm &part : below) {
            Arm next = merge(arm, part);
            if (link->subLinkType == ANY_SUBLINK) {
                Substitution substitution{next.outputs};
                Node *test = substitute_outputs(to_inputs(link->testexpr, arm), &substitution);
                next.quals = list_concat(next.quals, conjuncts(test));
            }
            if (refusal != nullptr || !check_tree(reinterpret_cast<Node *>(next.quals)))
                return false;
            if (next.inputs.size() == arm.inputs.size())
                return no_rule("a subquery without FROM");
            combined.push_back(next);
        }
        if (!keep_where(arm, combined, negated ? Role::anti : Role::inner, &result))
            return false;
    }
    *arms = result;
    return true;
}

/// The rows of one outer arm with their matches, and (behind them) those without any, the inner side NULL.
bool Analyser::add_unmatched(Query *q, Node *inner, Node *quals, List *ctes, const Arm &outer, Arms *matched,
                             Arms *unmatched) {
    matched->clear();
    matched->push_back(outer);
    if (!from_item(q, inner, ctes, matched) || !add_quals(q, quals, ctes, matched))
        return false;
    Arm alone = outer;
    bind_to_nulls(q, inner, &alone);
    return keep_where(alone, *matched, Role::anti, unmatched);
}

/// The rows of one outer arm with their matches, or with NULLs. `matched`: those with matches, if they have arms of
/// their own.
bool Analyser::with_matches(Query *q, Node *inner, Node *quals, List *ctes, const Arm &outer, Arms *result,
                            Arms *matched) {
    const Mark attempt = mark();
    Arms unmatched;
    if (!add_unmatched(q, inner, quals, ctes, outer, matched, &unmatched)) {
        if (!retreat(attempt))
            return false;
        matched->clear();
        Arms both;
        both.push_back(outer);
        if (!add_nullable(q, inner, quals, ctes, &both))
            return false;
        result->insert(result->end(), both.begin(), both.end());
        return true;
    }
    for (Arm &arm : *matched)
        add_fence(&arm, outer.inputs.size(), list_length(outer.quals), false);
    result->insert(result->end(), matched->begin(), matched->end());
    result->insert(result->end(), unmatched.begin(), unmatched.end());
    return true;
}

/// The rows of one arm of the other side of a FULL JOIN that match nothing, with NULLs.
bool Analyser::without_match(Query *q, Node *item, Node *quals, List *ctes, const Arm &arm, Arms *result) {
    const Mark attempt = mark();
    Arms matched, unmatched;
    if (!add_unmatched(q, item, quals, ctes, arm, &matched, &unmatched)) {
        if (!retreat(attempt))
            return false;
        unmatched.clear();
        unmatched.push_back(arm);
        if (!keep_without_match(q, item, quals, ctes, &unmatched))
            return false;
        bind_to_nulls(q, item, &unmatched[0]);
    }
    result->insert(result->end(), unmatched.begin(), unmatched.end());
    return true;
}

/// The arms of a join whose outer side is these arms, and for a FULL JOIN, what the inner side alone gives. `matched`:
/// those of the last outer arm with its matches.
bool Analyser::join_outer(Query *q, JoinExpr *join, List *ctes, const Arms &before, const Arms &outer, Arms *matched,
                          Arms *result) {
    const bool chain = in_chain_;
    const bool right = join->jointype == JOIN_RIGHT;
    Node *outer_item = right ? join->rarg : join->larg, *inner_item = right ? join->larg : join->rarg;
    // The arms of a FULL JOIN on the inner side would not be tied alike: one of them has NULL where others have a key.
    in_chain_ = has_full_join(inner_item);
    result->clear();
    for (const Arm &arm : outer)
        if (!with_matches(q, inner_item, join->quals, ctes, arm, result, matched))
            return false;
    if (join->jointype != JOIN_FULL)
        return true;
    Arms other = before;
    if (!from_item(q, inner_item, ctes, &other))
        return false;
    in_chain_ = chain;
    for (const Arm &arm : other)
        if (!without_match(q, outer_item, join->quals, ctes, arm, result))
            return false;
    // Either side is the nullable one.
    for (Arm &arm : *result)
        if (before.size() == 1)
            add_fence(&arm, before[0].inputs.size(), list_length(before[0].quals), false);
    return true;
}

/// `outer`: the arms of the outer side. In a chain it becomes one arm where it can, as it does where its arms would
/// multiply to too many.
bool Analyser::join_sides(Query *q, JoinExpr *join, List *ctes, bool chain, Arms *outer, Arms *matched, Arms *arms) {
    const Arms before = *arms;
    const bool first = before[0].inputs.empty();
    Arms result;
    *outer = before;
    in_chain_ = chain;
    if (!from_item(q, join->jointype == JOIN_RIGHT ? join->rarg : join->larg, ctes, outer))
        return false;
    if (first && outer->size() > kMaxArms / 2 && !collapse(q, nullptr, outer, nullptr, {}))
        return false;
    const Mark attempt = mark();
    if (!join_outer(q, join, ctes, before, *outer, matched, &result))
        return false;
    if (result.size() > kMaxArms && first && outer->size() > 1) {
        no_rule("outer joins with more than 64 combinations");
        retreat(attempt);
        in_chain_ = chain;
        if (!collapse(q, nullptr, outer, nullptr, {}) || !join_outer(q, join, ctes, before, *outer, matched, &result))
            return false;
    }
    if (result.size() > kMaxArms)
        return no_rule("outer joins with more than 64 combinations");
    *arms = result;
    return true;
}

bool Analyser::outer_join(Query *q, JoinExpr *join, List *ctes, Arms *arms) {
    const bool above = in_chain_, chain = above || is_long_chain(join);
    const bool first = (*arms)[0].inputs.empty(); // nothing stands before it in FROM
    if (chain && !first) {
        const Mark attempt = mark();
        if (outer_join_beside(q, join, ctes, arms))
            return true;
        if (!retreat(attempt))
            return false;
    }
    if (chain && above && first && use_collapsed(q, join, arms))
        return true;
    Arms outer, matched;
    const bool fine = join_sides(q, join, ctes, chain, &outer, &matched, arms);
    in_chain_ = above;
    if (!fine || !chain || !above || !first)
        return fine;
    const bool plain = join->jointype != JOIN_FULL && outer.size() == 1 && !matched.empty();
    return collapse(q, join, arms, plain ? &outer[0] : nullptr, matched);
}

} // namespace upkeep::analysis
