#include "analysis/settle.hpp"

#include "analysis/image_order.hpp"
#include "analysis/settle_internal.hpp"
#include "pg/entry.hpp"

extern "C" {
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
}

namespace upkeep::analysis {
namespace {

bool has_clause(const List *clauses, Index ref) {
    ListCell *cell;
    foreach (cell, clauses)
        if (lfirst_node(SortGroupClause, cell)->tleSortGroupRef == ref)
            return true;
    return false;
}

// Appends what DISTINCT compares and ORDER BY does not. False: some of it cannot be sorted by.
bool order_by_distinct(Query *q) {
    ListCell *cell;
    foreach (cell, q->distinctClause)
        if (!OidIsValid(lfirst_node(SortGroupClause, cell)->sortop))
            return false;
    foreach (cell, q->distinctClause) {
        auto *clause = lfirst_node(SortGroupClause, cell);
        if (!has_clause(q->sortClause, clause->tleSortGroupRef))
            q->sortClause = lappend(q->sortClause, copyObjectImpl(clause));
    }
    return true;
}

// SELECT DISTINCT a, b shows one of the rows that are equal; DISTINCT ON (a, b) shows the first.
void settle_distinct(Query *q) {
    if (q->distinctClause == NIL || q->hasDistinctOn)
        return;
    bool ambiguous = false;
    ListCell *cell;
    foreach (cell, visible_entries(q))
        ambiguous |= has_several_images(static_cast<Expr *>(lfirst(cell)));
    if (ambiguous && order_by_distinct(q))
        q->hasDistinctOn = true;
}

// The level's CTEs go with it: what stays outside must not read them.
bool can_push_down(const Query *q) {
    return q->cteList == NIL || !(checkExprHasSubLink(q->limitCount) || checkExprHasSubLink(q->limitOffset));
}

// Rows that the level shows tie in its ORDER BY only if they have the same image.
void order_rows(Query *q) {
    const bool plain_distinct = q->distinctClause != NIL && !q->hasDistinctOn;
    if (plain_distinct && order_by_distinct(q))
        return;
    if (plain_distinct || q->setOperations != nullptr || q->hasTargetSRFs ||
        contain_volatile_functions(reinterpret_cast<Node *>(q->targetList))) {
        if (!can_push_down(q))
            return;
        Query *inner = push_down(q);
        if (plain_distinct) {
            inner->distinctClause = q->distinctClause;
            q->distinctClause = NIL;
        }
    }
    if (q->hasDistinctOn)
        order_by_distinct(q);
    if (is_ungrouped(q) && !is_ordered_by_image(q->sortClause, q->targetList, visible_entries(q)))
        order_as_source(q, &q->sortClause, &q->targetList);
    order_by_image(&q->sortClause, &q->targetList, visible_entries(q));
}

// FETCH FIRST n ROWS WITH TIES leaves nothing free but what OFFSET and DISTINCT ON pass over: that happens below it.
void settle_ties(Query *q) {
    if ((q->limitOffset == nullptr && !q->hasDistinctOn) || !can_push_down(q))
        return;
    Query *inner = push_down(q);
    inner->distinctClause = q->distinctClause;
    inner->hasDistinctOn = q->hasDistinctOn;
    inner->sortClause = static_cast<List *>(copyObjectImpl(q->sortClause));
    inner->limitOffset = q->limitOffset;
    q->distinctClause = NIL;
    q->hasDistinctOn = false;
    q->limitOffset = nullptr;
    IncrementVarSublevelsUp(inner->limitOffset, 1, 1);
    order_rows(inner);
}

void settle_level(Query *q, Choices choices) {
    if (q->hasAggs)
        settle_calls(q, choices);
    if (q->hasWindowFuncs)
        settle_windows(q);
    if (choices == Choices::all) {
        settle_keys(q);
        settle_distinct(q);
    }
    if (q->limitOption == LIMIT_OPTION_WITH_TIES && q->limitCount != nullptr)
        settle_ties(q);
    else if (q->limitCount != nullptr || q->limitOffset != nullptr || q->hasDistinctOn)
        order_rows(q);
}

// The elements of an array come in the order of the rows.
void settle_array(Query *q) {
    if (q->limitOption == LIMIT_OPTION_WITH_TIES && q->limitCount != nullptr && can_push_down(q)) {
        Query *inner = push_down(q);
        inner->limitCount = q->limitCount;
        inner->limitOption = q->limitOption;
        inner->sortClause = static_cast<List *>(copyObjectImpl(q->sortClause));
        q->limitCount = nullptr;
        q->limitOption = LIMIT_OPTION_COUNT;
        IncrementVarSublevelsUp(inner->limitCount, 1, 1);
    }
    order_rows(q);
}

bool settle_tree(Node *node, Choices *choices);

bool settle_child(Node *node, void *context) {
    return pg::guard([&] { return settle_tree(node, static_cast<Choices *>(context)); });
}

void settle_query(Query *q, Choices *choices) {
    check_stack_depth();
    pg::walk_query(q, settle_child, choices, 0);
    settle_level(q, *choices);
}

void settle_sublink(SubLink *link, Choices choices) {
    settle_child(link->testexpr, &choices);
    Choices within = choices == Choices::subqueries ? Choices::all : choices;
    auto *subselect = castNode(Query, link->subselect);
    if (link->subLinkType == EXISTS_SUBLINK) { // which rows makes no difference
        pg::walk_query(subselect, settle_child, &within, 0);
        return;
    }
    settle_query(subselect, &within);
    if (link->subLinkType == ARRAY_SUBLINK)
        settle_array(subselect);
}

// From the innermost level outwards, in place.
bool settle_tree(Node *node, Choices *choices) {
    if (node == nullptr)
        return false;
    if (IsA(node, Query)) {
        settle_query(castNode(Query, node), choices);
        return false;
    }
    if (IsA(node, SubLink)) {
        settle_sublink(castNode(SubLink, node), *choices);
        return false;
    }
    const bool stop = pg::walk_tree(node, settle_child, choices);
    if (IsA(node, Aggref) && castNode(Aggref, node)->agglevelsup > 0)
        settle_call(castNode(Aggref, node), *choices, nullptr);
    return stop;
}

} // namespace

bool is_ungrouped(const Query *q) {
    return q->groupClause == NIL && q->groupingSets == NIL && !q->hasAggs && q->havingQual == nullptr &&
           q->setOperations == nullptr;
}

List *visible_entries(const Query *q) {
    List *result = NIL;
    ListCell *cell;
    foreach (cell, q->targetList)
        if (!lfirst_node(TargetEntry, cell)->resjunk)
            result = lappend(result, lfirst_node(TargetEntry, cell)->expr);
    return result;
}

Query *push_down(Query *q) {
    Query *inner = makeNode(Query);
    *inner = *q;
    inner->distinctClause = NIL;
    inner->hasDistinctOn = false;
    inner->sortClause = NIL;
    inner->limitOffset = nullptr;
    inner->limitCount = nullptr;
    inner->limitOption = LIMIT_OPTION_COUNT;
    IncrementVarSublevelsUp(reinterpret_cast<Node *>(inner), 1, 1);

    Query *outer = begin_outer(inner);
    outer->distinctClause = q->distinctClause;
    outer->hasDistinctOn = q->hasDistinctOn;
    outer->sortClause = q->sortClause;
    outer->limitOffset = q->limitOffset;
    outer->limitCount = q->limitCount;
    outer->limitOption = q->limitOption;
    outer->hasSubLinks = q->hasSubLinks;
    ListCell *cell;
    foreach (cell, inner->targetList) {
        auto *entry = lfirst_node(TargetEntry, cell);
        const Index ref = entry->ressortgroupref;
        if (!entry->resjunk || (ref != 0 && (has_clause(q->sortClause, ref) || has_clause(q->distinctClause, ref)))) {
            auto *shown = makeTargetEntry(reinterpret_cast<Expr *>(makeVarFromTargetEntry(1, entry)),
                                          static_cast<AttrNumber>(list_length(outer->targetList) + 1), entry->resname,
                                          entry->resjunk);
            shown->ressortgroupref = ref;
            outer->targetList = lappend(outer->targetList, shown);
        }
        entry->resjunk = false;
    }
    finish_outer(outer, inner);
    *q = *outer;
    return inner;
}

Query *begin_outer(Query *inner) {
    Query *outer = makeNode(Query);
    outer->commandType = CMD_SELECT;
    outer->querySource = inner->querySource;
    outer->canSetTag = inner->canSetTag;
    RangeTblEntry *entry = makeNode(RangeTblEntry);
    entry->rtekind = RTE_SUBQUERY;
    entry->subquery = inner;
    entry->inFromCl = true;
    RangeTblRef *ref = makeNode(RangeTblRef);
    ref->rtindex = 1;
    outer->rtable = list_make1(entry);
    outer->jointree = makeFromExpr(list_make1(ref), nullptr);
    return outer;
}

void finish_outer(Query *outer, Query *inner) {
    auto *entry = linitial_node(RangeTblEntry, outer->rtable);
    List *names = NIL;
    for (int i = 0; i < list_length(visible_entries(inner)); i++)
        names = lappend(names, makeString(psprintf("c%d", i + 1)));
    entry->alias = makeAlias("settled", names);
    entry->eref = static_cast<Alias *>(copyObjectImpl(entry->alias));
}

Query *settle(const Query *query, Choices choices) {
    auto *copy = static_cast<Query *>(copyObjectImpl(query));
    settle_query(copy, &choices);
    return copy;
}

} // namespace upkeep::analysis
