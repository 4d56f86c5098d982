// Scalar subqueries with aggregates: (SELECT f(x) FROM B WHERE b = a).
//
// The subquery is grouped by the inner sides of its correlation. Where a group is tied to the outer row it gives the
// value; where none is, the value is that of no rows at all (0 for count, else NULL):
//   A × f(B | b = a)  =  A ⋈ γ_b(B)  ⊎  (A ▷ γ_b(B)) × f(∅)
#include "analysis/flatten.hpp"
#include "analysis/guards.hpp"

extern "C" {
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
}

namespace upkeep::analysis {

using algebra::Role;

namespace {

struct Links {
    List *found = NIL;
};

bool find_links(Node *node, void *context) {
    if (node == nullptr || guards_subquery(node))
        return false;
    if (IsA(node, SubLink)) {
        auto *links = static_cast<Links *>(context);
        if (castNode(SubLink, node)->subLinkType == EXPR_SUBLINK)
            links->found = list_append_unique(links->found, node);
        return false;
    }
    return pg::walk_tree(node, find_links, context);
}

/// Those in the arguments of the level's aggregates. FILTER keeps its argument from being evaluated.
bool find_links_in_calls(Node *node, void *context) {
    if (node == nullptr || IsA(node, SubLink))
        return false;
    if (!IsA(node, Aggref))
        return pg::walk_tree(node, find_links_in_calls, context);
    const auto *call = castNode(Aggref, node);
    return find_links(reinterpret_cast<Node *>(call->aggfilter), context) ||
           (call->aggfilter == nullptr && find_links(reinterpret_cast<Node *>(call->args), context));
}

struct Replacement {
    List *from;
    List *to;
};

Node *replace_nodes(Node *node, void *context) {
    if (node == nullptr)
        return nullptr;
    auto *replacement = static_cast<Replacement *>(context);
    for (int i = 0; i < list_length(replacement->from); i++)
        if (equal(node, list_nth(replacement->from, i)))
            return static_cast<Node *>(copyObjectImpl(list_nth(replacement->to, i)));
    return pg::mutate_tree(node, replace_nodes, context);
}

/// The same in the arguments of aggregates alone.
Node *replace_in_calls(Node *node, void *context) {
    if (node == nullptr || IsA(node, SubLink))
        return node;
    if (!IsA(node, Aggref))
        return pg::mutate_tree(node, replace_in_calls, context);
    auto *call = static_cast<Aggref *>(copyObjectImpl(node));
    call->args = reinterpret_cast<List *>(replace_nodes(reinterpret_cast<Node *>(call->args), context));
    call->aggfilter = reinterpret_cast<Expr *>(replace_nodes(reinterpret_cast<Node *>(call->aggfilter), context));
    return reinterpret_cast<Node *>(call);
}

void move_conditions(Node *item, Node **where) {
    if (!IsA(item, JoinExpr) || castNode(JoinExpr, item)->jointype != JOIN_INNER)
        return;
    auto *join = castNode(JoinExpr, item);
    move_conditions(join->larg, where);
    move_conditions(join->rarg, where);
    List *staying = NIL;
    ListCell *lc;
    foreach (lc, conjuncts(join->quals)) {
        auto *conjunct = static_cast<Node *>(lfirst(lc));
        Links links;
        find_links(conjunct, &links);
        if (links.found == NIL)
            staying = lappend(staying, conjunct);
        else
            *where = make_and_qual(*where, conjunct);
    }
    if (join->quals != nullptr)
        join->quals = reinterpret_cast<Node *>(make_ands_explicit(staying));
}

struct Calls {
    List *found = NIL;
    bool columns = false;
};

bool find_calls(Node *node, void *context) {
    if (node == nullptr)
        return false;
    auto *calls = static_cast<Calls *>(context);
    if (IsA(node, Aggref)) {
        calls->found = list_append_unique(calls->found, node);
        return false;
    }
    calls->columns |= IsA(node, Var) || IsA(node, SubLink);
    return pg::walk_tree(node, find_calls, context);
}

/// What an aggregate of the server says of no rows.
Node *empty_value(const Aggref *call) {
    if (call->aggfnoid == F_COUNT_ || call->aggfnoid == F_COUNT_ANY)
        return reinterpret_cast<Node *>(
            makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(0), false, FLOAT8PASSBYVAL));
    return reinterpret_cast<Node *>(makeNullConst(call->aggtype, -1, call->aggcollid));
}

/// The query with the columns that the calls read instead of its own targets, not aggregated.
Query *below_aggregates(const Query *sub, List *columns) {
    auto *below = static_cast<Query *>(copyObjectImpl(sub));
    below->hasAggs = false;
    below->targetList = NIL;
    int n = 0;
    ListCell *lc;
    foreach (lc, columns)
        below->targetList = lappend(below->targetList, makeTargetEntry(static_cast<Expr *>(copyObjectImpl(lfirst(lc))),
                                                                       static_cast<AttrNumber>(++n), nullptr, false));
    return below;
}

} // namespace

void move_scalar_conditions(Query *q) {
    ListCell *lc;
    foreach (lc, q->jointree->fromlist)
        move_conditions(static_cast<Node *>(lfirst(lc)), &q->jointree->quals);
}

/// Puts a scalar subquery's value into the arms, bound to column 1 of range table entry `index`.
bool Analyser::add_scalar(SubLink *link, int index, List *ctes, Arms *arms) {
    auto *sub = castNode(Query, link->subselect);
    if (!sub->hasAggs || sub->groupClause != NIL || sub->groupingSets != NIL || sub->havingQual != nullptr ||
        sub->distinctClause != NIL || sub->setOperations != nullptr || sub->hasWindowFuncs ||
        sub->limitCount != nullptr || sub->limitOffset != nullptr || !check_features(sub))
        return no_rule("a scalar subquery that is not an aggregate without GROUP BY");
    auto *target = static_cast<Node *>(linitial(visible_targets(sub->targetList)));
    Calls calls;
    find_calls(target, &calls);
    GroupNode prototype;
    List *columns = NIL;
    ListCell *lc;
    foreach (lc, calls.found) {
        auto *call = lfirst_node(Aggref, lc);
        if (call->agglevelsup > 0 || call->aggfnoid >= FirstUnpinnedObjectId || call->aggfnoid == F_REGR_COUNT)
            calls.columns = true;
        if (!add_call(call, &prototype, &columns))
            return false;
    }
    if (calls.columns)
        return no_rule("a scalar subquery of this form");
    Arms below;
    if (!query(below_aggregates(sub, columns), ctes, &below))
        return false;
    Arms result;
    for (const Arm &arm : *arms)
        if (!add_scalar_to(arm, index, target, calls.found, prototype, below, &result))
            return false;
    *arms = result;
    return true;
}

bool Analyser::add_scalar_to(const Arm &arm, int index, Node *target, List *calls, const GroupNode &prototype,
                             const Arms &below, Arms *result) {
    Arms combined, inner;
    for (const Arm &part : below)
        combined.push_back(merge(arm, part));
    Correlation correlation;
    if (refusal != nullptr || !correlate(arm, combined[0], &correlation))
        return false;
    const int nkeys = list_length(correlation.ties);
    for (const Arm &c : combined) {
        Correlation own;
        if (!correlate(arm, c, &own))
            return false;
        if (own.outer_only != NIL || !equal(own.outer_sides, correlation.outer_sides) || list_length(own.ties) != nkeys)
            return no_rule("a scalar subquery of this form");
        const InputsRead read = inputs_read(reinterpret_cast<Node *>(c.outputs));
        if (read.unresolved || (read.set & (algebra::only(static_cast<int>(arm.inputs.size())) - 1)) != 0)
            return no_rule("a scalar subquery whose aggregates read columns of outer queries");
        Arm in = inner_arm(arm, c, own);
        List *columns = reinterpret_cast<List *>(
            shift_inputs(reinterpret_cast<Node *>(c.outputs), -static_cast<int>(arm.inputs.size())));
        in.outputs = nkeys == 0 ? columns : list_concat(in.outputs, columns);
        inner.push_back(in);
    }
    auto *node = new (palloc(sizeof(GroupNode))) GroupNode(prototype);
    node->scalar = nkeys == 0;
    for (AggCall &call : node->aggs) {
        for (int &column : call.args)
            column += column >= 0 ? nkeys : 0;
        call.filter += call.filter >= 0 ? nkeys : 0;
    }
    for (int k = 0; k < nkeys; k++)
        node->keys.push_back(functional_key(static_cast<Node *>(list_nth(correlation.inner_sides, k))));
    if (!add_node(node, inner))
        return false;
    for (const Role role : {Role::inner, Role::anti}) {
        if (role == Role::anti && nkeys == 0)
            continue; // an aggregate without GROUP BY always has its row
        Arm next = arm;
        const int input = static_cast<int>(next.inputs.size());
        next.inputs.push_back({algebra::InputKind::node, static_cast<int>(view_->nodes.size()) - 1, role});
        next.rtes.push_back(nullptr);
        next.quals = list_concat(list_copy(arm.quals), tie_quals(correlation, input));
        Replacement values{calls, NIL};
        for (int a = 0; a < list_length(calls); a++) {
            auto *call = static_cast<Aggref *>(list_nth(calls, a));
            Node *value =
                role == Role::anti
                    ? empty_value(call)
                    : reinterpret_cast<Node *>(makeVar(kInputBase + input, static_cast<AttrNumber>(nkeys + a + 1),
                                                       call->aggtype, -1, call->aggcollid, 0));
            values.to = lappend(values.to, value);
        }
        next.bindings[index - 1].columns = list_make1(replace_nodes(target, &values));
        result->push_back(next);
    }
    return true;
}

/// Scalar subqueries of WHERE, the conditions of inner joins, the select list of a query that does not group, and the
/// arguments of aggregates become references to entries of their own.
bool Analyser::lift_scalars(Query *q, List *ctes, Arms *arms) {
    const bool grouped = q->hasAggs || q->groupClause != NIL || q->groupingSets != NIL || q->havingQual != nullptr;
    auto flatten = [&](auto *&tree) {
        tree = reinterpret_cast<std::remove_reference_t<decltype(tree)>>(
            flatten_join_alias_vars(q, reinterpret_cast<Node *>(tree)));
    };
    flatten(q->jointree->quals);
    flatten(q->targetList);
    flatten(q->havingQual);
    Links links;
    ListCell *conjunct;
    foreach (conjunct, conjuncts(q->jointree->quals)) // which the server evaluates in any order
        find_links(static_cast<Node *>(lfirst(conjunct)), &links);
    auto *targets = reinterpret_cast<Node *>(q->targetList);
    (grouped ? find_links_in_calls : find_links)(targets, &links);
    find_links_in_calls(q->havingQual, &links);
    Replacement lifted{NIL, NIL};
    ListCell *lc;
    foreach (lc, links.found) {
        auto *link = lfirst_node(SubLink, lc);
        RangeTblEntry *rte = makeNode(RangeTblEntry);
        rte->rtekind = RTE_RESULT;
        rte->eref = makeAlias("scalar", NIL);
        q->rtable = lappend(q->rtable, rte);
        const int index = list_length(q->rtable);
        for (Arm &arm : *arms)
            arm.bindings.resize(static_cast<size_t>(index));
        const Mark before = mark();
        Arms result = *arms;
        if (!add_scalar(link, index, ctes, &result)) {
            if (!retreat(before))
                return false;
            continue; // it becomes an input where its expression is resolved
        }
        *arms = result;
        auto *node = reinterpret_cast<Node *>(link);
        lifted.from = lappend(lifted.from, node);
        lifted.to = lappend(lifted.to, makeVar(index, 1, exprType(node), exprTypmod(node), exprCollation(node), 0));
    }
    if (lifted.from == NIL)
        return true;
    q->jointree->quals = replace_nodes(q->jointree->quals, &lifted);
    q->targetList = reinterpret_cast<List *>((grouped ? replace_in_calls : replace_nodes)(targets, &lifted));
    q->havingQual = replace_in_calls(q->havingQual, &lifted);
    return true;
}

} // namespace upkeep::analysis
