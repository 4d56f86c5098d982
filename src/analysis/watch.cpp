// Which rows a change of a relation touches that a subquery reads, wherever in the subquery it stands.
//
// A condition counts if a row of the relation for which it does not hold can take no part in the subquery's result: it
// reads the relation and the block's inputs alone, and stands in WHERE, in ON of an inner join, or in ON of the outer
// join whose nullable side the relation is in. An outer join counts as what the conditions above leave of it. Leaving a
// condition out only touches more rows.
#include "analysis/flatten.hpp"
#include "analysis/levels.hpp"

extern "C" {
#include "optimizer/clauses.h"
#include "optimizer/prep.h"
}

namespace upkeep::analysis {

using algebra::InputKind;
using algebra::Role;

InputsRead inputs_read(Node *tree) {
    InputsRead read;
    for_each_var(tree, [&](const Var *var, int depth) {
        const int up = static_cast<int>(var->varlevelsup);
        if (up == depth && var->varno >= kInputBase)
            read.set |= algebra::only(var->varno - kInputBase);
        else if (up > depth || (up == depth && var->varno < kWatched))
            read.unresolved = true;
    });
    return read;
}

namespace {

bool has_link(Node *node, void *) {
    if (node == nullptr)
        return false;
    return IsA(node, SubLink) || pg::walk_tree(node, has_link, nullptr);
}

/// A condition of a query `depth` levels below the block, with the block's inputs at level 0 as well; null if it reads
/// queries in between, or is none of the kind that counts.
Node *condition_at(Node *condition, int depth) {
    if (has_link(condition, nullptr) || contain_aggs_of_level(condition, 0) || contain_windowfuncs(condition))
        return nullptr;
    bool fits = true;
    Node *result = replace_vars(condition, [&](const Var *var, int) {
        auto *copy = static_cast<Var *>(copyObjectImpl(var));
        const int up = static_cast<int>(var->varlevelsup);
        if (up >= depth)
            copy->varlevelsup = static_cast<Index>(up - depth);
        else if (up > 0)
            fits = false;
        return reinterpret_cast<Node *>(copy);
    });
    return fits && is_infallible(result) ? result : nullptr;
}

List *conditions_at(Query *query, Node *quals, int depth) {
    List *result = NIL;
    if (quals == nullptr)
        return NIL;
    ListCell *lc;
    foreach (lc, conjuncts(flatten_join_alias_vars(query, quals)))
        if (Node *condition = condition_at(static_cast<Node *>(lfirst(lc)), depth))
            result = lappend(result, condition);
    return result;
}

bool is_own(const Var *var) {
    return var->varlevelsup == 0 && var->varno < kWatched;
}

/// Those that read no other entry of the range table than this one.
List *conditions_of(List *conditions, int index) {
    List *result = NIL;
    ListCell *lc;
    foreach (lc, conditions) {
        bool only_this = true;
        for_each_var(static_cast<Node *>(lfirst(lc)), [&](const Var *var, int) {
            only_this &= !is_own(var) || (var->varno == index && var->varattno > 0);
        });
        if (only_this)
            result = lappend(result, lfirst(lc));
    }
    return result;
}

/// Whether it ties rows of the entry and rows of the block by an equality; or by nothing but that two values differ.
bool is_equality(const Node *condition, int index, bool differs) {
    if (!IsA(condition, OpExpr) || list_length(castNode(OpExpr, condition)->args) != 2)
        return false;
    const OpExpr *op = castNode(OpExpr, condition);
    const Oid equality = differs ? get_negator(op->opno) : op->opno;
    if (!OidIsValid(equality) || !op_mergejoinable(equality, exprType(static_cast<Node *>(linitial(op->args)))))
        return false;
    bool own = false, others = false;
    for_each_var(reinterpret_cast<Node *>(const_cast<OpExpr *>(op)),
                 [&](const Var *var, int) { (is_own(var) && var->varno == index ? own : others) = true; });
    return own && others;
}

/// Without conditions that say of nearly all rows that they are tied. Where an equality ties them already, all that these
/// do is to make more keys of the change, each of which is asked for the same rows.
List *without_differences(List *conditions, int index) {
    List *rest = NIL;
    bool tied = false;
    ListCell *lc;
    foreach (lc, conditions) {
        auto *condition = static_cast<Node *>(lfirst(lc));
        tied |= is_equality(condition, index, false);
        if (!is_equality(condition, index, true))
            rest = lappend(rest, condition);
    }
    return tied ? rest : conditions;
}

/// Whether leaving out the rows with another value of an output column leaves the rows with this value as they are.
bool can_push(const Query *sub, const TargetEntry *tle) {
    if (sub->limitCount != nullptr || sub->limitOffset != nullptr || sub->hasTargetSRFs || sub->groupingSets != NIL)
        return false;
    auto *e = reinterpret_cast<Node *>(tle->expr);
    if (has_link(e, nullptr) || contain_aggs_of_level(e, 0) || contain_windowfuncs(e))
        return false;
    const Index ref = tle->ressortgroupref;
    auto listed = [&](List *clauses) {
        ListCell *lc;
        foreach (lc, clauses)
            if (ref != 0 && lfirst_node(SortGroupClause, lc)->tleSortGroupRef == ref)
                return true;
        return false;
    };
    if ((sub->hasAggs || sub->groupClause != NIL || sub->havingQual != nullptr) && !listed(sub->groupClause))
        return false;
    if (sub->hasDistinctOn && !listed(sub->distinctClause))
        return false;
    ListCell *lc;
    foreach (lc, sub->windowClause)
        if (!listed(lfirst_node(WindowClause, lc)->partitionClause))
            return false;
    return true;
}

/// The conditions over the columns of a subquery, as conditions inside it. Those that cannot be are left out.
List *push_conditions(List *conditions, int index, const Query *sub) {
    List *result = NIL;
    ListCell *lc;
    foreach (lc, conditions) {
        bool fits = true;
        Node *inside = replace_vars(static_cast<Node *>(lfirst(lc)), [&](const Var *var, int) {
            if (!is_own(var) || var->varno != index)
                return static_cast<Node *>(copyObjectImpl(var));
            TargetEntry *tle = get_tle_by_resno(sub->targetList, var->varattno);
            if (tle == nullptr || !can_push(sub, tle) ||
                exprType(reinterpret_cast<Node *>(tle->expr)) != var->vartype ||
                exprCollation(reinterpret_cast<Node *>(tle->expr)) != var->varcollid) {
                fits = false;
                return static_cast<Node *>(copyObjectImpl(var));
            }
            return static_cast<Node *>(copyObjectImpl(tle->expr));
        });
        bool levels = true;
        for_each_var(inside, [&](const Var *var, int) { levels &= var->varlevelsup == 0; });
        if (fits && levels && is_infallible(inside))
            result = lappend(result, inside);
    }
    return result;
}

/// What kind of join is left of it where these conditions hold for the rows that it gives: one that no row of NULLs
/// fulfils keeps the rows without a match away.
JoinType type_under(const JoinExpr *join, const List *conditions) {
    Relids filled = nullptr; // whose columns are not all NULL
    const ListCell *lc;
    foreach (lc, conditions)
        filled = bms_add_members(filled, find_nonnullable_rels(static_cast<Node *>(lfirst(lc))));
    const bool keeps_left = (join->jointype == JOIN_LEFT || join->jointype == JOIN_FULL) &&
                            !bms_overlap(filled, get_relids_in_jointree(join->rarg, false));
    const bool keeps_right = (join->jointype == JOIN_RIGHT || join->jointype == JOIN_FULL) &&
                             !bms_overlap(filled, get_relids_in_jointree(join->larg, false));
    return keeps_left ? (keeps_right ? JOIN_FULL : JOIN_LEFT) : keeps_right ? JOIN_RIGHT : JOIN_INNER;
}

struct Links {
    List *found = NIL;
};

bool find_links(Node *node, void *context) {
    if (node == nullptr || IsA(node, Query))
        return false;
    if (IsA(node, SubLink))
        static_cast<Links *>(context)->found = lappend(static_cast<Links *>(context)->found, node);
    return pg::walk_tree(node, find_links, context);
}

/// A query and those around it, inside the subquery.
struct Frame {
    const Query *query;
    const Frame *around;
};

struct Noting {
    ViewQuery *view;
    const Frame *frame;
};

bool note_tables(Node *node, void *context);

void note_var(const Noting &noting, const Var *var) {
    const Frame *frame = noting.frame;
    for (Index up = var->varlevelsup; frame != nullptr && up > 0; up--)
        frame = frame->around;
    if (frame == nullptr || var->varno >= kWatched)
        return;
    const RangeTblEntry *rte = rt_fetch(var->varno, frame->query->rtable);
    if (rte->rtekind == RTE_JOIN && var->varattno > 0) {
        Noting there{noting.view, frame};
        note_tables(static_cast<Node *>(list_nth(rte->joinaliasvars, var->varattno - 1)), &there);
    }
    if (rte->rtekind != RTE_RELATION)
        return;
    for (TableSource &table : noting.view->tables)
        if (table.relid == rte->relid)
            note_column(noting.view, &table, var->varattno);
}

bool note_tables(Node *node, void *context) {
    if (node == nullptr)
        return false;
    auto *noting = static_cast<Noting *>(context);
    if (IsA(node, Var)) {
        note_var(*noting, castNode(Var, node));
        return false;
    }
    if (!IsA(node, Query))
        return pg::walk_tree(node, note_tables, context);
    const Frame frame{castNode(Query, node), noting->frame};
    Noting inside{noting->view, &frame};
    return pg::walk_query(castNode(Query, node), note_tables, &inside, QTW_IGNORE_JOINALIASES);
}

} // namespace

bool Analyser::watch(Arm &arm, int input, Query *subquery) {
    if (!watch_query(arm, input, subquery, 1, NIL))
        return false;
    Noting noting{view_, nullptr};
    note_tables(reinterpret_cast<Node *>(subquery), &noting);
    return true;
}

/// `conditions`: over the query's own range table and the block's inputs, both at level 0.
bool Analyser::watch_query(Arm &arm, int input, Query *query, int depth, List *conditions) {
    check_stack_depth();
    if (query->setOperations != nullptr) {
        ListCell *lc;
        int index = 0;
        foreach (lc, query->rtable) {
            index++;
            auto *rte = lfirst_node(RangeTblEntry, lc);
            // The targets of a set operation are named after its first arm.
            List *own = NIL;
            ListCell *c;
            foreach (c, conditions)
                own = lappend(own, replace_vars(static_cast<Node *>(lfirst(c)), [&](const Var *var, int) {
                                  auto *copy = static_cast<Var *>(copyObjectImpl(var));
                                  if (is_own(var))
                                      copy->varno = index;
                                  return reinterpret_cast<Node *>(copy);
                              }));
            if (rte->rtekind == RTE_SUBQUERY &&
                !watch_query(arm, input, rte->subquery, depth + 1, push_conditions(own, index, rte->subquery)))
                return false;
        }
    } else if (!watch_item(arm, input, query, reinterpret_cast<Node *>(query->jointree), depth, conditions)) {
        return false;
    }
    ListCell *lc;
    foreach (lc, query->cteList)
        if (!watch_query(arm, input, castNode(Query, lfirst_node(CommonTableExpr, lc)->ctequery), depth + 1, NIL))
            return false;
    Links links;
    pg::walk_query(query, find_links, &links, QTW_IGNORE_RC_SUBQUERIES | QTW_IGNORE_JOINALIASES);
    foreach (lc, links.found)
        if (!watch_query(arm, input, castNode(Query, lfirst_node(SubLink, lc)->subselect), depth + 1, NIL))
            return false;
    return true;
}

bool Analyser::watch_item(Arm &arm, int input, Query *query, Node *item, int depth, List *conditions) {
    check_stack_depth();
    if (IsA(item, FromExpr)) {
        auto *from = castNode(FromExpr, item);
        List *all = list_concat(list_copy(conditions), conditions_at(query, from->quals, depth));
        ListCell *lc;
        foreach (lc, from->fromlist)
            if (!watch_item(arm, input, query, static_cast<Node *>(lfirst(lc)), depth, all))
                return false;
        return true;
    }
    if (IsA(item, JoinExpr)) {
        auto *join = castNode(JoinExpr, item);
        List *on = conditions_at(query, join->quals, depth);
        List *both = list_concat(list_copy(conditions), on);
        const JoinType type = type_under(join, conditions);
        List *left = type == JOIN_INNER   ? both
                     : type == JOIN_LEFT  ? conditions
                     : type == JOIN_RIGHT ? on
                                          : NIL;
        List *right = type == JOIN_INNER   ? both
                      : type == JOIN_LEFT  ? on
                      : type == JOIN_RIGHT ? conditions
                                           : NIL;
        return watch_item(arm, input, query, join->larg, depth, left) &&
               watch_item(arm, input, query, join->rarg, depth, right);
    }
    const int index = castNode(RangeTblRef, item)->rtindex;
    RangeTblEntry *rte = rt_fetch(index, query->rtable);
    List *own = conditions_of(conditions, index);
    if (rte->rtekind == RTE_RELATION)
        return watch_table(arm, input, rte, index, own);
    if (rte->rtekind == RTE_SUBQUERY)
        return watch_query(arm, input, rte->subquery, depth + 1, push_conditions(own, index, rte->subquery));
    return true;
}

bool Analyser::watch_table(Arm &arm, int input, const RangeTblEntry *rte, int index, List *conditions) {
    const int source = add_source(rte);
    if (source < 0)
        return false;
    Node *quals = replace_vars(reinterpret_cast<Node *>(without_differences(conditions, index)),
                               [&](const Var *var, int) {
        auto *copy = static_cast<Var *>(copyObjectImpl(var));
        if (is_own(var) && var->varno == index)
            copy->varno = kWatched;
        return reinterpret_cast<Node *>(copy);
    });
    arm.watches.push_back({input,
                           {InputKind::table, source, Role::watched},
                           const_cast<RangeTblEntry *>(rte),
                           reinterpret_cast<List *>(quals)});
    return true;
}

} // namespace upkeep::analysis
