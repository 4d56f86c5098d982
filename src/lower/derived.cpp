// The rows of a derived node, which has no state: the query inside.
#include "lower/query.hpp"

namespace upkeep::lower {

using analysis::Block;

namespace {

RangeTblEntry *subquery(Query *query, const char *name) {
    return subquery_entry(query, makeAlias(name, NIL), numbered_names(list_length(query->targetList)));
}

/// The columns of relation `index`, whose query this is.
List *columns_of(const Query *query, int index) {
    List *vars = NIL;
    ListCell *lc;
    foreach (lc, query->targetList) {
        auto *e = reinterpret_cast<Node *>(lfirst_node(TargetEntry, lc)->expr);
        vars = lappend(vars, makeVar(index, static_cast<AttrNumber>(foreach_current_index(lc) + 1), exprType(e),
                                     exprTypmod(e), exprCollation(e), 0));
    }
    return vars;
}

Query *union_of(const pg::Vector<Block *> &blocks) {
    if (blocks.size() == 1)
        return contents_query(*blocks[0]);
    Query *q = select_nothing();
    Node *tree = nullptr;
    for (const Block *block : blocks) {
        Query *part = contents_query(*block);
        q->rtable = lappend(q->rtable, subquery(part, psprintf("u%d", list_length(q->rtable) + 1)));
        auto *ref = reinterpret_cast<Node *>(reference(list_length(q->rtable)));
        if (tree == nullptr) {
            ListCell *lc;
            foreach (lc, columns_of(part, 1))
                add_target(q, static_cast<Expr *>(lfirst(lc)));
            tree = ref;
            continue;
        }
        SetOperationStmt *op = makeNode(SetOperationStmt);
        op->op = SETOP_UNION;
        op->all = true;
        op->larg = tree;
        op->rarg = ref;
        ListCell *lc;
        foreach (lc, q->targetList) {
            auto *e = reinterpret_cast<Node *>(lfirst_node(TargetEntry, lc)->expr);
            op->colTypes = lappend_oid(op->colTypes, exprType(e));
            op->colTypmods = lappend_int(op->colTypmods, exprTypmod(e));
            op->colCollations = lappend_oid(op->colCollations, exprCollation(e));
        }
        tree = reinterpret_cast<Node *>(op);
    }
    q->setOperations = tree;
    return q;
}

Query *join_of(const analysis::OuterJoin &outer_join) {
    Query *left = contents_query(*outer_join.left), *right = union_of(outer_join.right);
    RangeTblEntry *rte = makeNode(RangeTblEntry);
    rte->rtekind = RTE_JOIN;
    rte->jointype = JOIN_LEFT;
    rte->inFromCl = true;
    rte->joinaliasvars = list_concat(columns_of(left, 1), columns_of(right, 2));
    rte->eref = makeAlias("unnamed_join", numbered_names(list_length(rte->joinaliasvars)));
    for (int i = 1; i <= list_length(left->targetList); i++)
        rte->joinleftcols = lappend_int(rte->joinleftcols, i);
    for (int i = 1; i <= list_length(right->targetList); i++)
        rte->joinrightcols = lappend_int(rte->joinrightcols, i);
    JoinExpr *join = makeNode(JoinExpr);
    join->jointype = JOIN_LEFT;
    join->larg = reinterpret_cast<Node *>(reference(1));
    join->rarg = reinterpret_cast<Node *>(reference(2));
    join->quals = outer_join.on == NIL ? makeBoolConst(true, false)
                                       : reinterpret_cast<Node *>(make_ands_explicit(
                                             static_cast<List *>(copyObjectImpl(outer_join.on))));
    join->rtindex = 3;
    Query *q = select_nothing();
    q->rtable = list_make3(subquery(left, "l"), subquery(right, "r"), rte);
    q->jointree->fromlist = list_make1(join);
    ListCell *lc;
    foreach (lc, outer_join.outputs)
        add_target(q, static_cast<Expr *>(copyObjectImpl(lfirst(lc))));
    return q;
}

} // namespace

Query *derived_query(const analysis::GroupNode &node) {
    return node.as_join != nullptr ? join_of(*node.as_join) : union_of(node.input.blocks);
}

} // namespace upkeep::lower
