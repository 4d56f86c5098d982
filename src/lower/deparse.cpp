// Query trees to text.
#include "lower/query.hpp"

extern "C" {
#include "rewrite/rewriteManip.h"
}

namespace upkeep::lower {

namespace {

Query *select_from(RangeTblEntry *rte) {
    Query *q = makeNode(Query);
    q->commandType = CMD_SELECT;
    q->canSetTag = true;
    q->jointree = makeFromExpr(NIL, nullptr);
    if (rte != nullptr) {
        q->rtable = list_make1(rte);
        RangeTblRef *ref = makeNode(RangeTblRef);
        ref->rtindex = 1;
        q->jointree->fromlist = list_make1(ref);
    }
    return q;
}

/// (SELECT z FROM (SELECT fields) z): a row with names, which ROW(…) would lose.
Node *named_record(const RowExpr *row) {
    Query *fields = select_from(nullptr);
    AttrNumber n = 0;
    ListCell *lc;
    foreach (lc, row->args) {
        const char *name = strVal(list_nth(row->colnames, n));
        n++;
        fields->targetList =
            lappend(fields->targetList,
                    makeTargetEntry(static_cast<Expr *>(copyObjectImpl(lfirst(lc))), n, pstrdup(name), false));
    }
    IncrementVarSublevelsUp(reinterpret_cast<Node *>(fields), 2, 0);
    RangeTblEntry *rte = makeNode(RangeTblEntry);
    rte->rtekind = RTE_SUBQUERY;
    rte->subquery = fields;
    rte->alias = makeAlias("z", NIL);
    rte->eref = makeAlias("z", static_cast<List *>(copyObjectImpl(row->colnames)));
    rte->inFromCl = true;
    Query *q = select_from(rte);
    Var *whole = makeVar(1, InvalidAttrNumber, RECORDOID, -1, InvalidOid, 0);
    q->targetList = list_make1(makeTargetEntry(reinterpret_cast<Expr *>(whole), 1, pstrdup("z"), false));
    SubLink *link = makeNode(SubLink);
    link->subLinkType = EXPR_SUBLINK;
    link->subselect = reinterpret_cast<Node *>(q);
    link->location = -1;
    return reinterpret_cast<Node *>(link);
}

/// Whether its fields are called otherwise than those of ROW(…).
bool has_names(const RowExpr *row) {
    int n = 0;
    ListCell *lc;
    foreach (lc, row->colnames)
        if (strcmp(strVal(lfirst(lc)), psprintf("f%d", ++n)) != 0)
            return true;
    return false;
}

Node *name_records(Node *node, void *context) {
    if (node == nullptr)
        return nullptr;
    if (IsA(node, Query))
        return reinterpret_cast<Node *>(pg::mutate_query(castNode(Query, node), name_records, context, 0));
    Node *copy = pg::mutate_tree(node, name_records, context);
    if (IsA(copy, RowExpr) && castNode(RowExpr, copy)->row_typeid == RECORDOID && has_names(castNode(RowExpr, copy)))
        return named_record(castNode(RowExpr, copy));
    return copy;
}

} // namespace

const char *deparse(const Query *q) {
    Query *named = pg::mutate_query(const_cast<Query *>(q), name_records, nullptr, 0);
    return pg_get_querydef(named, false);
}

} // namespace upkeep::lower
