// Conditions on the values of subqueries, with the subqueries themselves in them: of EXISTS the planner makes a
// semijoin or an antijoin where it stands in WHERE, but not where a column that it gives is asked.
//
//   SELECT … FROM (SELECT …, s.c AS e FROM a, LATERAL (SELECT EXISTS (…) AS c) s) n WHERE NOT n.e
//   SELECT … FROM (SELECT … FROM a WHERE NOT EXISTS (…)) n
#include "lower/query.hpp"

#include "analysis/levels.hpp"

extern "C" {
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
}

namespace upkeep::lower {

namespace {

bool holds_link(Node *node, void *) {
    return node != nullptr && (IsA(node, SubLink) || pg::walk_tree(node, holds_link, nullptr));
}

/// Rows in, rows out: a condition on its rows may be asked inside.
bool is_plain(const Query *q) {
    return q->commandType == CMD_SELECT && q->setOperations == nullptr && q->groupClause == NIL &&
           q->groupingSets == NIL && !q->hasAggs && !q->hasWindowFuncs && !q->hasTargetSRFs &&
           q->distinctClause == NIL && q->limitCount == nullptr && q->limitOffset == nullptr &&
           q->havingQual == nullptr && q->cteList == NIL && q->rowMarks == NIL;
}

/// What stands in FROM by itself, not in a join.
bool is_item(const Query *q, int index) {
    ListCell *lc;
    foreach (lc, q->jointree->fromlist)
        if (IsA(lfirst(lc), RangeTblRef) && lfirst_node(RangeTblRef, lc)->rtindex == index)
            return true;
    return false;
}

/// The subquery in FROM of which alone the condition speaks; 0: none.
int subject_of(const Query *q, Node *condition) {
    int index = 0;
    bool one = !holds_link(condition, nullptr) && !contain_volatile_functions(condition);
    analysis::for_each_var(condition, [&](const Var *var, int depth) {
        one &= static_cast<int>(var->varlevelsup) == depth && var->varattno > 0 && (index == 0 || index == var->varno);
        index = var->varno;
    });
    if (!one || index == 0 || !is_item(q, index))
        return 0;
    const RangeTblEntry *rte = rt_fetch(index, q->rtable);
    return rte->rtekind == RTE_SUBQUERY && rte->subquery != nullptr && is_plain(rte->subquery) ? index : 0;
}

Expr *target_of(const Query *q, AttrNumber column) {
    return list_nth_node(TargetEntry, q->targetList, column - 1)->expr;
}

/// Whether a column of it is the value of a subquery, here or further below.
bool gives_link(const Query *q, AttrNumber column) {
    auto *e = reinterpret_cast<Node *>(target_of(q, column));
    if (holds_link(e, nullptr))
        return true;
    if (!IsA(e, Var) || castNode(Var, e)->varlevelsup != 0 || castNode(Var, e)->varattno <= 0)
        return false;
    const int index = castNode(Var, e)->varno;
    const RangeTblEntry *rte = rt_fetch(index, q->rtable);
    return rte->rtekind == RTE_SUBQUERY && rte->subquery != nullptr && is_item(q, index) && is_plain(rte->subquery) &&
           gives_link(rte->subquery, castNode(Var, e)->varattno);
}

bool asks_link(const Query *sub, Node *condition) {
    bool found = false;
    analysis::for_each_var(condition, [&](const Var *var, int) { found |= gives_link(sub, var->varattno); });
    return found;
}

/// The condition with the subquery's expressions in place of its columns.
Node *said_inside(const Query *sub, Node *condition) {
    return analysis::replace_vars(condition, [&](const Var *var, int) {
        return static_cast<Node *>(copyObjectImpl(target_of(sub, var->varattno)));
    });
}

/// In the rows that are left a column of truth values is what the condition has asked.
void settle_targets(Query *q, Node *condition) {
    const bool negated = is_notclause(condition);
    auto *asked = negated ? reinterpret_cast<Node *>(get_notclausearg(condition)) : condition;
    if (!IsA(asked, Var))
        return;
    struct Settle {
        Node *asked;
        bool value;
        static Node *settle(Node *node, void *context) {
            const auto *s = static_cast<Settle *>(context);
            if (node == nullptr || equal(node, s->asked))
                return node == nullptr ? nullptr : makeBoolConst(s->value, false);
            return pg::mutate_tree(node, settle, context);
        }
    } settling{asked, !negated};
    q->targetList = reinterpret_cast<List *>(Settle::settle(reinterpret_cast<Node *>(q->targetList), &settling));
}

} // namespace

void ask_subqueries(Query *q) {
    check_stack_depth();
    List *rest = NIL, *asked = NIL;
    ListCell *lc;
    foreach (lc, make_ands_implicit(reinterpret_cast<Expr *>(q->jointree->quals))) {
        auto *condition = static_cast<Node *>(lfirst(lc));
        const int index = subject_of(q, condition);
        Query *sub = index == 0 ? nullptr : rt_fetch(index, q->rtable)->subquery;
        if (sub == nullptr || !asks_link(sub, condition)) {
            rest = lappend(rest, condition);
            continue;
        }
        settle_targets(q, condition);
        Node *inside = said_inside(sub, condition);
        if (sub->jointree->fromlist == NIL && sub->jointree->quals == nullptr) {
            IncrementVarSublevelsUp(inside, -1, 1);
            rest = lappend(rest, inside);
        } else {
            List *all = make_ands_implicit(reinterpret_cast<Expr *>(sub->jointree->quals));
            sub->jointree->quals = reinterpret_cast<Node *>(make_ands_explicit(lappend(list_copy(all), inside)));
            asked = list_append_unique_ptr(asked, sub);
        }
    }
    q->jointree->quals = rest == NIL ? nullptr : reinterpret_cast<Node *>(make_ands_explicit(rest));
    foreach (lc, asked)
        ask_subqueries(lfirst_node(Query, lc));
}

} // namespace upkeep::lower
