#include "analysis/guards.hpp"
#include "analysis/expressions.hpp"

#include "pg/entry.hpp"

extern "C" {
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
}

namespace upkeep::analysis {

namespace {

/// Whether the subquery gives at most one row, whatever it reads.
bool gives_one_row(const Query *q) {
    if (q->hasAggs && q->groupClause == NIL && q->groupingSets == NIL && !q->hasTargetSRFs)
        return true;
    const auto *limit = reinterpret_cast<Const *>(q->limitCount);
    return limit != nullptr && IsA(limit, Const) && !limit->constisnull && q->limitOption == LIMIT_OPTION_COUNT &&
           DatumGetInt64(limit->constvalue) <= 1;
}

/// Whether evaluating a tree with subqueries may raise an error. The server's aggregates are taken not to.
bool may_fail_below(Node *node, void *context) {
    if (node == nullptr)
        return false;
    check_stack_depth();
    switch (nodeTag(node)) {
    case T_Query:
        return pg::walk_query(castNode(Query, node), may_fail_below, context, 0);
    case T_SubLink: {
        const auto *link = castNode(SubLink, node);
        const bool one = link->subLinkType != EXPR_SUBLINK || gives_one_row(castNode(Query, link->subselect));
        return !one || pg::walk_tree(node, may_fail_below, context);
    }
    case T_FromExpr:
    case T_JoinExpr:
    case T_RangeTblRef:
    case T_Aggref:
        return pg::walk_tree(node, may_fail_below, context);
    default:
        return may_fail_by_itself(node) || pg::walk_tree(node, may_fail_below, context);
    }
}

bool has_fallible_link(Node *node, void *context) {
    if (node == nullptr)
        return false;
    if (IsA(node, SubLink))
        return may_fail_below(node, context);
    return pg::walk_tree(node, has_fallible_link, context);
}

bool is_any_fallible(const List *expressions, int from) {
    for (int i = from; i < list_length(expressions); i++)
        if (has_fallible_link(static_cast<Node *>(list_nth(expressions, i)), nullptr))
            return true;
    return false;
}

/// All but the first condition.
bool guards_by_choice(CaseExpr *choice) {
    ListCell *lc;
    foreach (lc, choice->args) {
        const auto *when = lfirst_node(CaseWhen, lc);
        if (has_fallible_link(reinterpret_cast<Node *>(when->result), nullptr) ||
            (foreach_current_index(lc) > 0 && has_fallible_link(reinterpret_cast<Node *>(when->expr), nullptr)))
            return true;
    }
    return has_fallible_link(reinterpret_cast<Node *>(choice->defresult), nullptr);
}

} // namespace

bool guards_subquery(Node *expression) {
    if (IsA(expression, BoolExpr))
        return is_any_fallible(castNode(BoolExpr, expression)->args, 1);
    if (IsA(expression, CoalesceExpr))
        return is_any_fallible(castNode(CoalesceExpr, expression)->args, 1);
    if (IsA(expression, WindowFunc) && castNode(WindowFunc, expression)->aggfilter != nullptr)
        return is_any_fallible(castNode(WindowFunc, expression)->args, 0);
    return IsA(expression, CaseExpr) && guards_by_choice(castNode(CaseExpr, expression));
}

} // namespace upkeep::analysis
