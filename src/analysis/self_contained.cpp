// Queries that can be evaluated anywhere: views and the CTEs around them put in place.
#include "analysis/flatten.hpp"
#include "analysis/levels.hpp"
#include "analysis/settle.hpp"

extern "C" {
#include "rewrite/rewriteHandler.h"
}

namespace upkeep::analysis {

namespace {

struct Containing {
    List *ctes; // the stack of CTE lists in sight, innermost first
    int inside; // how many of them are of queries of the tree itself
    ViewQuery *view;
};

Node *contain(Node *node, void *context);

/// SELECT * FROM the CTE, with the list that it is defined in.
Query *recursive_query(const RangeTblEntry *rte, List *scope) {
    Query *q = makeNode(Query);
    q->commandType = CMD_SELECT;
    q->canSetTag = true;
    q->hasRecursive = true;
    q->cteList = static_cast<List *>(copyObjectImpl(scope));
    auto *inner = static_cast<RangeTblEntry *>(copyObjectImpl(rte));
    inner->ctelevelsup = 0;
    q->rtable = list_make1(inner);
    RangeTblRef *ref = makeNode(RangeTblRef);
    ref->rtindex = 1;
    q->jointree = makeFromExpr(list_make1(ref), nullptr);
    for (int i = 0; i < list_length(rte->coltypes); i++) {
        Var *var = makeVar(1, static_cast<AttrNumber>(i + 1), list_nth_oid(rte->coltypes, i),
                           list_nth_int(rte->coltypmods, i), list_nth_oid(rte->colcollations, i), 0);
        q->targetList =
            lappend(q->targetList, makeTargetEntry(reinterpret_cast<Expr *>(var), static_cast<AttrNumber>(i + 1),
                                                   pstrdup(strVal(list_nth(rte->eref->colnames, i))), false));
    }
    return q;
}

/// `fenced`: conditions around it are not evaluated before its own.
void become_subquery(RangeTblEntry *rte, Query *query, bool fenced) {
    rte->security_barrier = fenced;
    rte->rtekind = RTE_SUBQUERY;
    rte->subquery = query;
    rte->ctename = nullptr;
    rte->ctelevelsup = 0;
    rte->coltypes = rte->coltypmods = rte->colcollations = NIL;
    rte->relid = InvalidOid;
    rte->relkind = '\0';
    rte->rellockmode = 0;
    rte->requiredPerms = 0;
}

void contain_view(RangeTblEntry *rte, Containing *c) {
    Relation rel = table_open(rte->relid, AccessShareLock);
    auto *query = reinterpret_cast<Node *>(settle(get_view_query(rel), Choices::rows));
    const bool barrier = RelationIsSecurityView(rel);
    table_close(rel, NoLock);
    c->view->facts.push_back({RelationRelationId, rte->relid, 0, "view"});
    Containing inside{NIL, 0, c->view};
    become_subquery(rte, reinterpret_cast<Query *>(contain(query, &inside)), barrier);
}

/// The row of a view is printed as a cast of the subquery's row to the view's type, which makes a row of NULLs of the
/// NULL that it is where an outer join has found no match.
Expr *row_or_null(const Var *row, const RangeTblEntry *rte) {
    RowExpr *columns = makeNode(RowExpr);
    columns->row_typeid = row->vartype;
    columns->row_format = COERCE_EXPLICIT_CAST;
    columns->location = -1;
    ListCell *lc;
    foreach (lc, rte->subquery->targetList) {
        const auto *entry = lfirst_node(TargetEntry, lc);
        auto *value = reinterpret_cast<Node *>(entry->expr);
        if (!entry->resjunk)
            columns->args = lappend(columns->args, makeVar(row->varno, entry->resno, exprType(value), exprTypmod(value),
                                                           exprCollation(value), 0));
    }
    NullTest *present = makeNode(NullTest);
    present->arg = static_cast<Expr *>(copyObjectImpl(row));
    present->nulltesttype = IS_NOT_NULL;
    present->location = -1;
    return only_where(reinterpret_cast<Expr *>(present), reinterpret_cast<Expr *>(columns));
}

void contain_rows(Query *q, int index) {
    ListCell *lc;
    foreach (lc, q->targetList) {
        auto *entry = lfirst_node(TargetEntry, lc);
        const Var *var = IsA(entry->expr, Var) ? reinterpret_cast<Var *>(entry->expr) : nullptr;
        if (var != nullptr && var->varno == index && var->varattno == 0 && var->varlevelsup == 0 &&
            entry->ressortgroupref == 0)
            entry->expr = row_or_null(var, rt_fetch(index, q->rtable));
    }
}

void contain_cte(RangeTblEntry *rte, Containing *c) {
    const int up = static_cast<int>(rte->ctelevelsup);
    if (rte->self_reference || up >= list_length(c->ctes))
        return;
    auto *scope = static_cast<List *>(list_nth(c->ctes, up));
    ListCell *lc;
    foreach (lc, scope) {
        auto *cte = lfirst_node(CommonTableExpr, lc);
        if (strcmp(cte->ctename, rte->ctename) != 0)
            continue;
        if (cte->cterecursive && up < c->inside)
            return; // its list stays where it is
        // Where it comes to stand, the queries around it are further out.
        Query *query =
            cte->cterecursive ? recursive_query(rte, scope) : static_cast<Query *>(copyObjectImpl(cte->ctequery));
        IncrementVarSublevelsUp(reinterpret_cast<Node *>(query), cte->cterecursive ? up + 1 : up, 1);
        Containing there = *c;
        become_subquery(rte, reinterpret_cast<Query *>(contain(reinterpret_cast<Node *>(query), &there)),
                        is_materialized(cte));
        return;
    }
}

Node *contain(Node *node, void *context) {
    if (node == nullptr)
        return nullptr;
    if (!IsA(node, Query))
        return pg::mutate_tree(node, contain, context);
    check_stack_depth();
    auto *c = static_cast<Containing *>(context);
    Containing own{lcons(castNode(Query, node)->cteList, list_copy(c->ctes)), c->inside + 1, c->view};
    Query *q = pg::mutate_query(castNode(Query, node), contain, &own, 0);
    ListCell *lc;
    foreach (lc, q->rtable) {
        auto *rte = lfirst_node(RangeTblEntry, lc);
        if (rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_VIEW &&
            rte->inFromCl) { // not OLD and NEW of a view
            contain_view(rte, c);
            contain_rows(q, foreach_current_index(lc) + 1);
        } else if (rte->rtekind == RTE_CTE)
            contain_cte(rte, &own);
    }
    List *kept = NIL;
    foreach (lc, q->cteList)
        if (lfirst_node(CommonTableExpr, lc)->cterecursive)
            kept = lappend(kept, lfirst(lc));
    q->cteList = kept;
    q->hasRecursive = kept != NIL;
    return reinterpret_cast<Node *>(q);
}

} // namespace

Node *self_contained(Node *tree, List *ctes, ViewQuery *view) {
    Containing context{ctes, 0, view};
    return contain(tree, &context);
}

} // namespace upkeep::analysis
