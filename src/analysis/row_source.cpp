#include "analysis/row_source.hpp"

#include "analysis/flatten.hpp"

namespace upkeep::analysis {

Node *row_expressions(const RangeTblEntry *rte) {
    if (rte == nullptr || rte->rtekind == RTE_RELATION)
        return nullptr;
    return reinterpret_cast<Node *>(list_make4(rte->functions, rte->values_lists, rte->tablefunc, rte->subquery));
}

RangeTblEntry *select_list_entry(List *expressions) {
    RangeTblEntry *rte = makeNode(RangeTblEntry);
    rte->rtekind = RTE_SUBQUERY;
    rte->values_lists = list_make1(expressions);
    List *names = NIL;
    for (int i = 1; i <= list_length(expressions); i++)
        names = lappend(names, makeString(psprintf("c%d", i)));
    rte->eref = makeAlias("sets", names);
    rte->lateral = true;
    rte->inFromCl = true;
    return rte;
}

Query *select_list_query(const RangeTblEntry *rte) {
    Query *q = makeNode(Query);
    q->commandType = CMD_SELECT;
    q->canSetTag = true;
    q->hasTargetSRFs = true;
    q->jointree = makeFromExpr(NIL, nullptr);
    auto *expressions = static_cast<List *>(copyObjectImpl(linitial(rte->values_lists)));
    IncrementVarSublevelsUp(reinterpret_cast<Node *>(expressions), 1, 0);
    AttrNumber n = 0;
    ListCell *lc;
    foreach (lc, expressions) {
        n++;
        q->targetList =
            lappend(q->targetList, makeTargetEntry(static_cast<Expr *>(lfirst(lc)), n, psprintf("c%d", n), false));
    }
    return q;
}

/// Outputs with set-returning functions become columns of a row source behind the other inputs, where the server runs
/// them as it does in a select list: in lockstep, nested ones first. Outputs beyond the first `visible` only make rows.
void Analyser::expand_sets(Arm *arm, int visible) {
    List *sets = NIL;
    ListCell *lc;
    foreach (lc, arm->outputs)
        if (expression_returns_set(static_cast<Node *>(lfirst(lc))))
            sets = lappend(sets, lfirst(lc));
    if (sets != NIL) {
        const int input = static_cast<int>(arm->inputs.size());
        arm->inputs.push_back({algebra::InputKind::function, -1});
        arm->rtes.push_back(select_list_entry(sets));
        AttrNumber column = 0;
        foreach (lc, arm->outputs) {
            auto *e = static_cast<Node *>(lfirst(lc));
            if (expression_returns_set(e))
                lfirst(lc) = makeVar(kInputBase + input, ++column, exprType(e), exprTypmod(e), exprCollation(e), 0);
        }
    }
    arm->outputs = list_truncate(arm->outputs, visible);
}

namespace {

bool is_referenced(const Query *q, const TargetEntry *entry) {
    if (!q->hasDistinctOn && q->limitCount == nullptr && q->limitOffset == nullptr)
        return false;
    for (const List *clauses : {q->sortClause, q->distinctClause}) {
        ListCell *lc;
        foreach (lc, clauses)
            if (lfirst_node(SortGroupClause, lc)->tleSortGroupRef == entry->ressortgroupref)
                return true;
    }
    return false;
}

} // namespace

/// The expressions that the rows are made of. Kept are the visible ones and, behind them, those by which DISTINCT ON or
/// LIMIT choose rows (the fields of a row constructor, which is no value that could be stored); then follow hidden ones
/// (ORDER BY) that make rows.
List *Analyser::targets_of(const Query *q, int *kept) {
    List *targets = visible_targets(q->targetList), *makers = NIL;
    ListCell *lc;
    foreach (lc, q->targetList) {
        auto *entry = lfirst_node(TargetEntry, lc);
        auto *e = reinterpret_cast<Node *>(entry->expr);
        if (!entry->resjunk)
            continue;
        if (is_referenced(q, entry))
            targets = list_concat_unique(targets, IsA(e, RowExpr) ? castNode(RowExpr, e)->args : list_make1(e));
        else if (expression_returns_set(e))
            makers = lappend(makers, e);
    }
    *kept = list_length(targets);
    return list_concat(targets, makers);
}

} // namespace upkeep::analysis
