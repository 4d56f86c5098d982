// The order that rows come in from a sorted subquery. SQL does not promise it, and PostgreSQL does not lose it without
// need; LIMIT, windows and aggregates above such a subquery are written in this belief.
#include "analysis/image_order.hpp"
#include "analysis/settle_internal.hpp"

extern "C" {
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_clause.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
}

namespace upkeep::analysis {
namespace {

// A level that passes its rows on as they come.
bool is_plain(const Query *q) {
    return q->setOperations == nullptr && q->groupClause == NIL && q->groupingSets == NIL && !q->hasAggs &&
           q->havingQual == nullptr && q->distinctClause == NIL && !q->hasWindowFuncs && !q->hasTargetSRFs;
}

// Rewriting puts a view's query in place of the view; its range table tells them apart.
bool is_rewritten_view(const Query *q) {
    const auto *first = q->rtable == NIL ? nullptr : linitial_node(RangeTblEntry, q->rtable);
    return first != nullptr && first->rtekind == RTE_RELATION && first->relkind == RELKIND_VIEW && !first->inFromCl;
}

Query *find_cte(const Query *q, const RangeTblEntry *rte) {
    if (rte->ctelevelsup != 0 || rte->self_reference)
        return nullptr;
    ListCell *cell;
    foreach (cell, q->cteList) {
        const auto *cte = lfirst_node(CommonTableExpr, cell);
        if (strcmp(cte->ctename, rte->ctename) == 0 && !cte->cterecursive)
            return castNode(Query, cte->ctequery);
    }
    return nullptr;
}

Query *view_query_of(Oid relid) {
    Relation rel = table_open(relid, AccessShareLock);
    Query *q = settle(get_view_query(rel), Choices::rows);
    table_close(rel, NoLock);
    return q;
}

bool has_whole_row(Query *q, int index) {
    ListCell *cell;
    foreach (cell, pull_vars_of_level(reinterpret_cast<Node *>(q), 0)) {
        const auto *var = lfirst_node(Var, cell);
        if (var->varno == index && var->varattno == 0)
            return true;
    }
    return false;
}

/// What a level selects from, if that is one subquery.
struct Source {
    Query *query = nullptr;
    RangeTblEntry *entry = nullptr;
    int index = 0;
    bool extensible = false; // hidden columns may become columns
};

Source find_source(Query *q) {
    Source source;
    if (list_length(q->jointree->fromlist) != 1 || !IsA(linitial(q->jointree->fromlist), RangeTblRef))
        return source;
    source.index = linitial_node(RangeTblRef, q->jointree->fromlist)->rtindex;
    source.entry = rt_fetch(source.index, q->rtable);
    switch (source.entry->rtekind) {
    case RTE_SUBQUERY:
        source.query = source.entry->subquery;
        source.extensible = source.query->setOperations == nullptr && !is_rewritten_view(source.query) &&
                            !has_whole_row(q, source.index);
        break;
    case RTE_CTE:
        source.query = find_cte(q, source.entry);
        break;
    case RTE_RELATION:
        if (source.entry->relkind == RELKIND_VIEW)
            source.query = view_query_of(source.entry->relid);
        break;
    default:
        break;
    }
    return source;
}

// Puts a hidden column behind the visible ones.
void show(const Source &source, TargetEntry *hidden) {
    Query *q = source.query;
    const int place = list_length(visible_entries(q));
    q->targetList = list_insert_nth(list_delete_ptr(q->targetList, hidden), place, hidden);
    hidden->resjunk = false;
    hidden->resname = psprintf("sorted_by_%d", place + 1);
    for (int i = 0; i < list_length(q->targetList); i++)
        list_nth_node(TargetEntry, q->targetList, i)->resno = static_cast<AttrNumber>(i + 1);
    source.entry->eref->colnames = lappend(source.entry->eref->colnames, makeString(pstrdup(hidden->resname)));
}

/// An expression of a level, and how rows are sorted by it.
struct SortItem {
    Expr *expression;
    const SortGroupClause *clause;
};

pg::Vector<SortItem> find_order(Query *q);

pg::Vector<SortItem> order_within(Query *q) {
    pg::Vector<SortItem> items;
    ListCell *cell;
    foreach (cell, q->sortClause) {
        auto *clause = lfirst_node(SortGroupClause, cell);
        items.push_back({get_sortgroupclause_tle(clause, q->targetList)->expr, clause});
    }
    return q->sortClause == NIL && is_plain(q) ? find_order(q) : items;
}

TargetEntry *find_column(const Source &source, Expr *expression) {
    ListCell *cell;
    foreach (cell, source.query->targetList) {
        auto *entry = lfirst_node(TargetEntry, cell);
        if (equal(entry->expr, expression) && (!entry->resjunk || source.extensible))
            return entry;
    }
    return source.extensible ? find_or_add_target(&source.query->targetList, expression) : nullptr;
}

pg::Vector<SortItem> find_order(Query *q) {
    pg::Vector<SortItem> result;
    const Source source = find_source(q);
    if (source.query == nullptr)
        return result;
    for (const SortItem &item : order_within(source.query)) {
        TargetEntry *column = IsA(item.expression, RowExpr) ? nullptr : find_column(source, item.expression);
        if (column == nullptr)
            break;
        if (column->resjunk)
            show(source, column);
        result.push_back({reinterpret_cast<Expr *>(makeVarFromTargetEntry(source.index, column)), item.clause});
    }
    return result;
}

} // namespace

void order_as_source(Query *q, List **clauses, List **targets) {
    for (const SortItem &item : find_order(q)) {
        TargetEntry *entry = find_or_add_target(targets, item.expression);
        auto *clause = static_cast<SortGroupClause *>(copyObjectImpl(item.clause));
        clause->tleSortGroupRef = assignSortGroupRef(entry, *targets);
        *clauses = lappend(*clauses, clause);
    }
}

} // namespace upkeep::analysis
