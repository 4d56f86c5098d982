#include "analysis/simple_form.hpp"

#include "analysis/flatten.hpp"
#include "analysis/image_order.hpp"
#include "pg/entry.hpp"

extern "C" {
#include "optimizer/optimizer.h"
#include "parser/parse_agg.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
}

namespace upkeep::analysis {
namespace {

bool is_plain_selection(const Query *query) {
    return query->commandType == CMD_SELECT && query->setOperations == nullptr && !query->hasAggs &&
           query->groupClause == NIL && query->groupingSets == NIL && query->havingQual == nullptr &&
           !query->hasWindowFuncs && !query->hasTargetSRFs && !query->hasSubLinks && query->distinctClause == NIL &&
           query->limitCount == nullptr && query->limitOffset == nullptr && query->rowMarks == NIL &&
           list_length(query->jointree->fromlist) == 1 && IsA(linitial(query->jointree->fromlist), RangeTblRef);
}

bool is_plain_grouping(const Query *query) {
    return query->commandType == CMD_SELECT && query->setOperations == nullptr &&
           (query->hasAggs || query->groupClause != NIL) && !query->hasWindowFuncs && !query->hasTargetSRFs &&
           query->distinctClause == NIL && query->limitCount == nullptr && query->limitOffset == nullptr &&
           query->rowMarks == NIL;
}

// What a selection selects from: a subquery (an ordinary view has become one), or a CTE that nothing else uses.
Query *find_source(const Query *query, const RangeTblEntry *entry) {
    if (entry->securityQuals != NIL || entry->lateral) {
        return nullptr;
    }
    if (entry->rtekind == RTE_SUBQUERY && query->cteList == NIL) {
        return entry->subquery;
    }
    if (entry->rtekind != RTE_CTE || entry->ctelevelsup != 0 || list_length(query->cteList) != 1) {
        return nullptr;
    }
    const auto *cte = linitial_node(CommonTableExpr, query->cteList);
    return cte->cterecursive || cte->cterefcount != 1 ? nullptr : castNode(Query, cte->ctequery);
}

// The columns of the selection over those of the grouping; group keys that it does not show are hidden columns.
List *merge_columns(List *selected, List *grouped) {
    List *merged = NIL;
    ListCell *cell;
    foreach (cell, selected) {
        auto *entry = lfirst_node(TargetEntry, cell);
        if (!entry->resjunk) {
            entry->ressortgroupref = 0;
            merged = lappend(merged, entry);
        }
    }
    foreach (cell, grouped) {
        auto *key = lfirst_node(TargetEntry, cell);
        if (key->ressortgroupref == 0) {
            continue;
        }
        ListCell *other;
        bool shown = false;
        foreach (other, merged) {
            auto *entry = lfirst_node(TargetEntry, other);
            if (!shown && entry->ressortgroupref == 0 && equal(entry->expr, key->expr)) {
                entry->ressortgroupref = key->ressortgroupref;
                shown = true;
            }
        }
        if (!shown) {
            key->resjunk = true;
            merged = lappend(merged, key);
        }
    }
    AttrNumber number = 1;
    foreach (cell, merged) {
        lfirst_node(TargetEntry, cell)->resno = number++;
    }
    return merged;
}

// SELECT f(x) FROM (SELECT ... GROUP BY ... HAVING h) WHERE c  =  SELECT f(x) ... GROUP BY ... HAVING h AND c
Query *merge_selection(Query *query) {
    if (!is_plain_selection(query)) {
        return query;
    }
    const int index = linitial_node(RangeTblRef, query->jointree->fromlist)->rtindex;
    RangeTblEntry *entry = rt_fetch(index, query->rtable);
    const Query *source = find_source(query, entry);
    if (source == nullptr) {
        return query;
    }
    Query *inner = merge_selection(static_cast<Query *>(copyObjectImpl(source)));
    if (!is_plain_grouping(inner)) {
        return query;
    }
    bool has_sublinks = false;
    const auto substitute = [&](void *node) {
        return ReplaceVarsFromTargetList(static_cast<Node *>(node), index, 0, entry, inner->targetList,
                                         REPLACEVARS_REPORT_ERROR, 0, &has_sublinks);
    };
    auto *selected = reinterpret_cast<List *>(substitute(query->targetList));
    Node *having = query->jointree->quals == nullptr ? nullptr : substitute(query->jointree->quals);
    inner->targetList = merge_columns(selected, inner->targetList);
    inner->havingQual = inner->havingQual == nullptr || having == nullptr
                            ? (having != nullptr ? having : inner->havingQual)
                            : make_and_qual(inner->havingQual, having);
    inner->sortClause = NIL;
    inner->hasSubLinks |= has_sublinks;
    inner->hasRowSecurity |= query->hasRowSecurity;
    return inner;
}

/// More arms than this are not told apart.
constexpr int kMaxSets = 64;

/// One of several grouping sets.
struct GroupingSet {
    const List *refs;    // of the clauses that are in it
    List *present = NIL; // group keys
    List *absent = NIL;
};

/// What an expression over groups is in one set.
Node *in_set(Node *node, GroupingSet *set) {
    if (node == nullptr || IsA(node, Aggref) || has_expression(set->present, node))
        return node;
    if (IsA(node, GroupingFunc))
        return grouping_value(castNode(GroupingFunc, node), set->refs);
    if (has_expression(set->absent, node))
        return reinterpret_cast<Node *>(makeNullConst(exprType(node), exprTypmod(node), exprCollation(node)));
    return pg::mutate_tree(
        node,
        [](Node *child, void *context) {
            return pg::guard([&] { return in_set(child, static_cast<GroupingSet *>(context)); });
        },
        set);
}

/// The query for one of its grouping sets. Without any key it has a HAVING, so that it is one group.
Query *query_of_set(const Query *query, const List *refs) {
    auto *arm = static_cast<Query *>(copyObjectImpl(query));
    GroupingSet set{refs};
    List *clauses = NIL;
    ListCell *cell;
    foreach (cell, arm->groupClause) {
        auto *clause = lfirst_node(SortGroupClause, cell);
        Node *key = get_sortgroupclause_expr(clause, arm->targetList);
        const bool present = list_member_int(refs, static_cast<int>(clause->tleSortGroupRef));
        clauses = present ? lappend(clauses, clause) : clauses;
        (present ? set.present : set.absent) = lappend(present ? set.present : set.absent, key);
    }
    arm->groupClause = clauses;
    arm->groupingSets = arm->sortClause = NIL;
    foreach (cell, arm->targetList) {
        auto *entry = lfirst_node(TargetEntry, cell);
        entry->expr = reinterpret_cast<Expr *>(in_set(reinterpret_cast<Node *>(entry->expr), &set));
        if (!list_member_int(refs, static_cast<int>(entry->ressortgroupref)))
            entry->ressortgroupref = 0;
    }
    arm->havingQual = in_set(arm->havingQual, &set);
    if (clauses == NIL && arm->havingQual == nullptr)
        arm->havingQual = makeBoolConst(true, false);
    return arm;
}

/// Group keys that make rows, and the columns that stand for them.
struct SetKeys {
    List *keys = NIL;
    int index; // of the range table
};

Node *replace_set_keys(Node *node, void *context) {
    if (node == nullptr)
        return nullptr;
    const auto *sets = static_cast<SetKeys *>(context);
    int number = 0;
    ListCell *cell;
    foreach (cell, sets->keys) {
        number++;
        if (equal(node, lfirst(cell)))
            return reinterpret_cast<Node *>(makeVar(sets->index, static_cast<AttrNumber>(number), exprType(node),
                                                    exprTypmod(node), exprCollation(node), 0));
    }
    return pg::mutate_tree(node, replace_set_keys, context);
}

// GROUP BY generate_series(1, x)  =  … , LATERAL (SELECT generate_series(1, x) AS c1) GROUP BY c1
void take_sets_below(Query *query) {
    SetKeys sets{NIL, list_length(query->rtable) + 1};
    Query *below = makeNode(Query);
    below->commandType = CMD_SELECT;
    below->canSetTag = true;
    below->hasTargetSRFs = true;
    below->hasSubLinks = query->hasSubLinks;
    below->jointree = makeFromExpr(NIL, nullptr);
    List *names = NIL;
    ListCell *cell;
    foreach (cell, query->groupClause) {
        Node *key = get_sortgroupclause_expr(lfirst_node(SortGroupClause, cell), query->targetList);
        if (!expression_returns_set(key) || has_expression(sets.keys, key))
            continue;
        sets.keys = lappend(sets.keys, key);
        auto *inside = static_cast<Node *>(copyObjectImpl(key));
        IncrementVarSublevelsUp(inside, 1, 0);
        char *name = psprintf("c%d", list_length(sets.keys));
        below->targetList =
            lappend(below->targetList, makeTargetEntry(reinterpret_cast<Expr *>(inside),
                                                       static_cast<AttrNumber>(list_length(sets.keys)), name, false));
        names = lappend(names, makeString(name));
    }
    if (sets.keys == NIL)
        return;
    RangeTblEntry *entry = makeNode(RangeTblEntry);
    entry->rtekind = RTE_SUBQUERY;
    entry->subquery = below;
    entry->lateral = true;
    entry->inFromCl = true;
    entry->alias = entry->eref = makeAlias("sets", names);
    query->rtable = lappend(query->rtable, entry);
    RangeTblRef *reference = makeNode(RangeTblRef);
    reference->rtindex = sets.index;
    query->jointree->fromlist = lappend(query->jointree->fromlist, reference);
    query->targetList = castNode(List, replace_set_keys(reinterpret_cast<Node *>(query->targetList), &sets));
    query->havingQual = replace_set_keys(query->havingQual, &sets);
    query->hasTargetSRFs = expression_returns_set(reinterpret_cast<Node *>(query->targetList));
}

/// GROUP BY of several sets is the UNION ALL of a GROUP BY for each.
void add_sets(Query *query, pg::Vector<Query *> *arms) {
    if (query->hasTargetSRFs)
        take_sets_below(query);
    List *sets = NIL;
    if (query->groupingSets != NIL && is_plain_grouping(query) && !checkExprHasSubLink(query->havingQual) &&
        !checkExprHasSubLink(reinterpret_cast<Node *>(query->targetList)))
        sets = expand_grouping_sets(query->groupingSets, query->groupDistinct, kMaxSets + 1);
    if (sets == NIL || list_length(sets) > kMaxSets) {
        arms->push_back(query);
        return;
    }
    query->targetList = castNode(List, flatten_join_alias_vars(query, reinterpret_cast<Node *>(query->targetList)));
    query->havingQual = flatten_join_alias_vars(query, query->havingQual);
    ListCell *cell;
    foreach (cell, sets)
        arms->push_back(query_of_set(query, static_cast<List *>(lfirst(cell))));
}

bool has_types_of(const Query *arm, const SetOperationStmt *operation) {
    int number = 0;
    ListCell *cell;
    foreach (cell, arm->targetList) {
        const auto *entry = lfirst_node(TargetEntry, cell);
        if (!entry->resjunk &&
            (number >= list_length(operation->colTypes) ||
             exprType(reinterpret_cast<Node *>(entry->expr)) != list_nth_oid(operation->colTypes, number++))) {
            return false;
        }
    }
    return number == list_length(operation->colTypes);
}

bool split(const Query *query, Node *node, pg::Vector<Query *> *arms) {
    if (IsA(node, SetOperationStmt)) {
        const auto *operation = castNode(SetOperationStmt, node);
        return operation->op == SETOP_UNION && operation->all && split(query, operation->larg, arms) &&
               split(query, operation->rarg, arms);
    }
    const RangeTblEntry *entry = rt_fetch(castNode(RangeTblRef, node)->rtindex, query->rtable);
    if (!has_types_of(entry->subquery, castNode(SetOperationStmt, query->setOperations))) {
        return false;
    }
    add_sets(merge_selection(static_cast<Query *>(copyObjectImpl(entry->subquery))), arms);
    return true;
}

} // namespace

pg::Vector<Query *> simple_form(const Query *query) {
    pg::Vector<Query *> arms;
    if (query->setOperations != nullptr && query->cteList == NIL && query->limitCount == nullptr &&
        query->limitOffset == nullptr && split(query, query->setOperations, &arms)) {
        return arms;
    }
    arms.clear();
    add_sets(merge_selection(static_cast<Query *>(copyObjectImpl(query))), &arms);
    return arms;
}

} // namespace upkeep::analysis
