// Whether rows of a query level can be copies of each other, and numbers for those that are.
#include "analysis/image_order.hpp"
#include "analysis/settle_internal.hpp"

extern "C" {
#include "catalog/pg_constraint.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parse_clause.h"
#include "parser/parse_oper.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
}

namespace upkeep::analysis {
namespace {

/// Reading partitions by more columns makes them no smaller, as a rule.
constexpr int kMaxNumberKeys = 8;

/// Whether an expression follows from columns that are among the others.
bool is_computed(Node *expression, const List *columns) {
    if (IsA(expression, Var) || contain_agg_clause(expression) || checkExprHasSubLink(expression))
        return false;
    ListCell *cell;
    foreach (cell, pull_vars_of_level(expression, 0))
        if (!has_expression(columns, static_cast<Node *>(lfirst(cell))))
            return false;
    return true;
}

/// Clauses for what rows can be divided by.
List *divide_by(const List *expressions, List **targets) {
    List *clauses = NIL;
    ListCell *cell;
    foreach (cell, expressions) {
        auto *expression = static_cast<Node *>(lfirst(cell));
        const Oid type = exprType(expression);
        if (list_length(clauses) == kMaxNumberKeys || type_is_rowtype(type) ||
            (OidIsValid(get_typcollation(type)) && !OidIsValid(exprCollation(expression))))
            continue;
        SortGroupClause *clause = makeNode(SortGroupClause);
        get_sort_group_operators(type, false, false, false, &clause->sortop, &clause->eqop, nullptr, &clause->hashable);
        if (!OidIsValid(clause->sortop) || !OidIsValid(clause->eqop))
            continue;
        clause->tleSortGroupRef =
            assignSortGroupRef(find_or_add_target(targets, reinterpret_cast<Expr *>(expression)), *targets);
        clauses = lappend(clauses, clause);
    }
    return clauses;
}

} // namespace

bool tells_rows_apart(Query *q, List *expressions) {
    List *parts = castNode(List, flatten_join_alias_vars(q, reinterpret_cast<Node *>(expressions)));
    if (q->groupingSets != NIL)
        return false;
    if (q->groupClause != NIL || q->hasAggs) {
        List *keys = get_sortgrouplist_exprs(q->groupClause, q->targetList);
        return list_difference(castNode(List, flatten_join_alias_vars(q, reinterpret_cast<Node *>(keys))), parts) ==
               NIL;
    }
    for (int i = 1; i <= list_length(q->rtable); i++) {
        const RangeTblEntry *entry = rt_fetch(i, q->rtable);
        if (entry->rtekind == RTE_JOIN)
            continue;
        Oid constraint;
        Bitmapset *key =
            entry->rtekind == RTE_RELATION ? get_primary_key_attnos(entry->relid, false, &constraint) : nullptr;
        if (key == nullptr)
            return false;
        for (int x = -1; (x = bms_next_member(key, x)) >= 0;) {
            bool shown = false;
            ListCell *cell;
            foreach (cell, parts) {
                const auto *var = static_cast<const Var *>(lfirst(cell));
                shown |= IsA(var, Var) && var->varno == i && var->varlevelsup == 0 &&
                         var->varattno == x + FirstLowInvalidHeapAttributeNumber;
            }
            if (!shown)
                return false;
        }
    }
    return true;
}

TargetEntry *add_copy_number(Query *q) {
    List *columns = distinct_expressions(visible_entries(q)), *parts = NIL;
    ListCell *cell;
    foreach (cell, columns)
        if (!is_computed(static_cast<Node *>(lfirst(cell)), columns))
            parts = lappend(parts, lfirst(cell));
    WindowFunc *number = makeNode(WindowFunc);
    number->winfnoid = F_ROW_NUMBER;
    number->wintype = INT8OID;
    number->winref = 1;
    number->location = -1;
    auto *entry = makeTargetEntry(reinterpret_cast<Expr *>(number),
                                  static_cast<AttrNumber>(list_length(q->targetList) + 1), nullptr, false);
    q->targetList = lappend(q->targetList, entry);

    WindowClause *window = makeNode(WindowClause);
    window->frameOptions = FRAMEOPTION_DEFAULTS;
    window->winref = 1;
    window->partitionClause = divide_by(parts, &q->targetList);
    List *order = list_copy(window->partitionClause);
    order_by_image(&order, &q->targetList, parts);
    window->orderClause = list_copy_tail(order, list_length(window->partitionClause));
    q->windowClause = list_make1(window);
    q->hasWindowFuncs = true;
    return entry;
}

} // namespace upkeep::analysis
