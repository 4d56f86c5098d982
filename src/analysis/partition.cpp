// Nodes that are computed partition by partition: a query over the rows of one key, or of all.
#include "analysis/partition.hpp"

#include "analysis/flatten.hpp"

namespace upkeep::analysis {

namespace {

struct Substitution {
    const List *from;
    const List *to;
};

Node *substitute_mutator(Node *node, void *context) {
    if (node == nullptr)
        return nullptr;
    auto *substitution = static_cast<Substitution *>(context);
    if (!IsA(node, List))
        for (int i = 0; i < list_length(substitution->from); i++)
            if (equal(node, list_nth(substitution->from, i)))
                return static_cast<Node *>(copyObjectImpl(list_nth(substitution->to, i)));
    return pg::mutate_tree(node, substitute_mutator, context);
}

} // namespace

Node *substitute(Node *expression, const List *from, const List *to) {
    Substitution substitution{from, to};
    return substitute_mutator(expression, &substitution);
}

List *flow_of(List *keys, const List *columns) {
    List *flow = list_concat_unique(keys, columns);
    return flow != NIL ? flow : list_make1(makeBoolConst(true, false));
}

FlowQuery::FlowQuery(const List *columns) : columns_(columns) {
    query_ = makeNode(Query);
    query_->commandType = CMD_SELECT;
    query_->canSetTag = true;
    RangeTblRef *ref = makeNode(RangeTblRef);
    ref->rtindex = 1;
    query_->jointree = makeFromExpr(list_make1(ref), nullptr);
    ListCell *lc;
    foreach (lc, columns) {
        auto *e = static_cast<Node *>(lfirst(lc));
        Var *var = makeVar(1, static_cast<AttrNumber>(foreach_current_index(lc) + 1), exprType(e), exprTypmod(e),
                           exprCollation(e), 0);
        var->varnosyn = 0;
        vars_ = lappend(vars_, var);
        add_column(reinterpret_cast<Expr *>(var));
    }
}

void FlowQuery::add_column(Expr *expression) {
    const int n = list_length(query_->targetList) + 1;
    // Not named as a column of the flow is: a name in ORDER BY would be taken for the output's.
    query_->targetList =
        lappend(query_->targetList, makeTargetEntry(expression, static_cast<AttrNumber>(n), psprintf("o%d", n), false));
}

/// The sort-group reference of an expression: a column's, or that of a hidden entry behind all columns.
Index FlowQuery::reference(Node *expression) {
    for (int i = 0; i < list_length(columns_); i++)
        if (equal(list_nth(columns_, i), expression))
            return list_nth_node(TargetEntry, query_->targetList, i)->ressortgroupref = static_cast<Index>(i + 1);
    Node *moved = over_flow(expression);
    ListCell *lc;
    foreach (lc, hidden_)
        if (equal(lfirst_node(TargetEntry, lc)->expr, moved))
            return lfirst_node(TargetEntry, lc)->ressortgroupref;
    TargetEntry *entry = makeTargetEntry(reinterpret_cast<Expr *>(moved), 0, nullptr, true);
    entry->ressortgroupref = static_cast<Index>(list_length(columns_) + list_length(hidden_) + 1);
    hidden_ = lappend(hidden_, entry);
    return entry->ressortgroupref;
}

List *FlowQuery::clauses(const List *clauses, List *targets) {
    List *result = NIL;
    ListCell *lc;
    foreach (lc, clauses) {
        auto *clause = static_cast<SortGroupClause *>(copyObjectImpl(lfirst(lc)));
        clause->tleSortGroupRef = reference(get_sortgroupclause_expr(clause, targets));
        result = lappend(result, clause);
    }
    return result;
}

Query *FlowQuery::finish() {
    ListCell *lc;
    foreach (lc, hidden_) {
        auto *entry = lfirst_node(TargetEntry, lc);
        entry->resno = static_cast<AttrNumber>(list_length(query_->targetList) + 1);
        query_->targetList = lappend(query_->targetList, entry);
    }
    hidden_ = NIL;
    return query_;
}

/// A node over the arms, whose outputs stand for `columns`, with `flow` as its input's columns, the keys before all
/// others, and `results` behind them. Then what is above reads the node: its columns stand for all these.
bool Analyser::add_partition(GroupNode *node, const char *name, const List *columns, const List *flow,
                             const List *results, Arms *arms) {
    node->kind = NodeKind::partition;
    node->function_name = name;
    if ((refusal = check_subquery(node->function, view_)) != nullptr)
        return false;
    for (Arm &arm : *arms) {
        arm.outputs =
            castNode(List, substitute(reinterpret_cast<Node *>(const_cast<List *>(flow)), columns, arm.outputs));
        if (!check_tree(reinterpret_cast<Node *>(arm.outputs)))
            return false;
    }
    if (!finish(*arms, &node->input))
        return false;
    node->columns = node->input.columns;
    ListCell *lc;
    foreach (lc, results) {
        auto *e = static_cast<Node *>(lfirst(lc));
        node->columns.push_back({exprType(e), exprTypmod(e), exprCollation(e)});
    }
    for (const ColumnType &t : node->columns)
        if (get_typtype(t.type) == TYPTYPE_PSEUDO)
            return no_rule("rows of no named type in a state table");
    Arm above = arm_over_node(static_cast<int>(view_->nodes.size()));
    for (size_t i = 0; i < node->columns.size(); i++) {
        const ColumnType &t = node->columns[i];
        above.outputs = lappend(above.outputs,
                                makeVar(kInputBase, static_cast<AttrNumber>(i + 1), t.type, t.typmod, t.collation, 0));
    }
    view_->nodes.push_back(node);
    arms->clear();
    arms->push_back(above);
    return true;
}

} // namespace upkeep::analysis
