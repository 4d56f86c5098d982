// WITH RECURSIVE: a node over the flow of both terms, in which the recursive reference is the node itself.
//
// The recursive term is linear in the reference where each of its blocks joins it once. Where it is not (grouping,
// DISTINCT, a window or LIMIT over the reference, a nested CTE that is read twice), and where a clause has no rule, the
// node has no blocks: its query is run whole and the difference taken.
#include "analysis/flatten.hpp"
#include "pg/entry.hpp"

extern "C" {
#include "rewrite/rewriteHandler.h"
}

namespace upkeep::analysis {

namespace {

bool is_open(const algebra::Input &input) {
    return input.kind == algebra::InputKind::node && input.source >= kOpenNode;
}

/// How often an arm reads the recursive reference numbered `open`; other open ones count as many.
int references(const Arm &arm, int open) {
    int n = 0;
    for (const algebra::Input &input : arm.inputs)
        if (is_open(input))
            n += input.source == open && input.role == algebra::Role::inner ? 1 : 2;
    return n;
}

/// Some node is joined with the arm and kept out of it as well: a round reads one part of its change at a time.
bool reads_both_ways(const Arm &arm) {
    for (const algebra::Input &a : arm.inputs)
        for (const algebra::Input &b : arm.inputs)
            if (a.kind == algebra::InputKind::node && b.kind == a.kind && a.source == b.source && a.role != b.role)
                return true;
    return false;
}

/// Something would have to be evaluated in a node of its own, which the rounds do not go through.
bool has_enclosed(const Arm &arm) {
    for (size_t i = 0; i < arm.inputs.size(); i++)
        if (is_enclosed(arm, static_cast<int>(i)))
            return true;
    return false;
}

/// DISTINCT in a term of UNION changes nothing: the rows of all terms are made distinct.
void drop_distinct(Query *q, Node *tree) {
    if (IsA(tree, SetOperationStmt)) {
        auto *op = castNode(SetOperationStmt, tree);
        if (op->op != SETOP_UNION)
            return;
        op->all = true;
        drop_distinct(q, op->larg);
        drop_distinct(q, op->rarg);
        return;
    }
    Query *term = rt_fetch(castNode(RangeTblRef, tree)->rtindex, q->rtable)->subquery;
    if (term->setOperations != nullptr && term->limitCount == nullptr && term->limitOffset == nullptr)
        drop_distinct(term, term->setOperations);
    if (term->distinctClause == NIL || term->hasDistinctOn || term->limitCount != nullptr ||
        term->limitOffset != nullptr)
        return;
    term->distinctClause = NIL;
    term->sortClause = NIL;
}

struct OuterReference {
    int depth = 0;
};

/// A column of a query around the CTE.
bool reads_outside(Node *node, void *context) {
    if (node == nullptr)
        return false;
    auto *outer = static_cast<OuterReference *>(context);
    if (IsA(node, Var))
        return static_cast<int>(castNode(Var, node)->varlevelsup) > outer->depth;
    if (IsA(node, Query)) {
        outer->depth++;
        const bool found = pg::walk_query(castNode(Query, node), reads_outside, context, 0);
        outer->depth--;
        return found;
    }
    return pg::walk_tree(node, reads_outside, context);
}

bool is_correlated(const CommonTableExpr *cte) {
    OuterReference outer{-1};
    return reads_outside(cte->ctequery, &outer);
}

/// SELECT all columns FROM the CTE, with every CTE in sight around it.
Query *select_all(const CommonTableExpr *cte, const CommonTableExpr *original, List *scopes) {
    RangeTblEntry *rte = makeNode(RangeTblEntry);
    rte->rtekind = RTE_CTE;
    rte->ctename = pstrdup(cte->ctename);
    rte->coltypes = list_copy(cte->ctecoltypes);
    rte->coltypmods = list_copy(cte->ctecoltypmods);
    rte->colcollations = list_copy(cte->ctecolcollations);
    rte->eref = makeAlias(cte->ctename, static_cast<List *>(copyObjectImpl(cte->ctecolnames)));
    rte->inFromCl = true;
    Query *result = nullptr;
    ListCell *lc;
    foreach (lc, scopes) {
        Query *q = makeNode(Query);
        q->commandType = CMD_SELECT;
        q->canSetTag = true;
        q->hasRecursive = true;
        ListCell *c;
        foreach (c, static_cast<List *>(lfirst(lc))) {
            const void *listed = lfirst(c) == original ? cte : lfirst(c);
            q->cteList = lappend(q->cteList, copyObjectImpl(listed));
        }
        RangeTblEntry *source = rte;
        if (result != nullptr) {
            source = makeNode(RangeTblEntry);
            source->rtekind = RTE_SUBQUERY;
            source->subquery = result;
            source->alias = makeAlias("s", NIL);
            source->eref = makeAlias("s", static_cast<List *>(copyObjectImpl(cte->ctecolnames)));
            source->inFromCl = true;
        }
        q->rtable = list_make1(source);
        RangeTblRef *ref = makeNode(RangeTblRef);
        ref->rtindex = 1;
        q->jointree = makeFromExpr(list_make1(ref), nullptr);
        for (int i = 0; i < list_length(cte->ctecolnames); i++) {
            Var *var = makeVar(1, static_cast<AttrNumber>(i + 1), list_nth_oid(cte->ctecoltypes, i),
                               list_nth_int(cte->ctecoltypmods, i), list_nth_oid(cte->ctecolcollations, i), 0);
            q->targetList =
                lappend(q->targetList, makeTargetEntry(reinterpret_cast<Expr *>(var), static_cast<AttrNumber>(i + 1),
                                                       strVal(list_nth(cte->ctecolnames, i)), false));
        }
        result = q;
    }
    return result;
}

/// What a query reads, at any depth.
struct Sources {
    List *tables = NIL; // RangeTblEntry
    List *views = NIL;  // Oid
};

bool collect_sources(Node *node, void *context) {
    if (node == nullptr)
        return false;
    auto *sources = static_cast<Sources *>(context);
    if (IsA(node, RangeTblEntry)) {
        auto *rte = castNode(RangeTblEntry, node);
        if (!rte->inFromCl) // OLD and NEW of a view
            return false;
        if (rte->rtekind == RTE_RELATION && rte->relkind != RELKIND_VIEW)
            sources->tables = lappend(sources->tables, rte);
        if (rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_VIEW &&
            !list_member_oid(sources->views, rte->relid)) {
            sources->views = lappend_oid(sources->views, rte->relid);
            Relation rel = table_open(rte->relid, AccessShareLock);
            auto *query = static_cast<Node *>(copyObjectImpl(get_view_query(rel)));
            table_close(rel, NoLock);
            return collect_sources(query, context);
        }
        return false;
    }
    check_stack_depth();
    if (IsA(node, Query))
        return pg::walk_query(castNode(Query, node), collect_sources, context, QTW_EXAMINE_RTES_BEFORE);
    return pg::walk_tree(node, collect_sources, context);
}

} // namespace

bool Analyser::recursive_flow(CommonTableExpr *cte, List *scopes, GroupNode *node) {
    auto *q = castNode(Query, static_cast<Node *>(copyObjectImpl(cte->ctequery)));
    auto *op = castNode(SetOperationStmt, q->setOperations);
    List *ctes = lcons(q->cteList, list_copy(scopes));
    for (Node *term : {op->larg, op->rarg})
        if (!op->all)
            drop_distinct(q, term);
    Arms arms, recursive;
    if (!set_operation(q, op->larg, ctes, &arms) || !set_operation(q, op->rarg, ctes, &recursive))
        return false;
    const int open = kOpenNode + static_cast<int>(open_.size()) - 1;
    for (const Arm &arm : arms)
        if (references(arm, open) != 0)
            return no_rule("a recursive query of this form");
    for (const Arm &arm : recursive) {
        if (references(arm, open) > 1 || reads_both_ways(arm))
            return no_rule("a recursive term that reads something twice");
        if (references(arm, open) == 1 && has_enclosed(arm))
            return no_rule("a subquery beside a recursive reference");
        arms.push_back(arm);
    }
    for (Arm &arm : arms) {
        arm.outputs = coerce_columns(arm.outputs, op);
        if (!check_tree(reinterpret_cast<Node *>(arm.outputs)))
            return false;
    }
    for (int i = 0; !op->all && i < list_length(op->colTypes); i++)
        node->keys.push_back(
            {static_cast<SortGroupClause *>(list_nth(op->groupClauses, i))->eqop, list_nth_oid(op->colCollations, i)});
    for (Arm &arm : arms)
        if (references(arm, open) == 0 && !enclose(&arm))
            return false;
    // The nodes that the terms read are there by now: this one comes behind them.
    const int number = static_cast<int>(view_->nodes.size());
    for (Arm &arm : arms)
        for (algebra::Input &input : arm.inputs)
            if (is_open(input))
                input.source = number;
    view_->nodes.push_back(node);
    return finish(arms, &node->input);
}

/// A node without blocks, over the tables that the query reads.
bool Analyser::whole_query(const Query *query, GroupNode *node) {
    node->keys.clear();
    node->input.blocks.clear();
    return note_whole_tables(static_cast<Query *>(copyObjectImpl(query)), node);
}

bool Analyser::run_whole(Query *q, Arms *out) {
    auto *node = new (palloc(sizeof(GroupNode))) GroupNode();
    node->kind = NodeKind::fixpoint;
    node->function_name = "query";
    node->query = q;
    if (!whole_query(q, node))
        return false;
    Arm above = arm_over_node(static_cast<int>(view_->nodes.size()));
    ListCell *lc;
    foreach (lc, visible_targets(q->targetList)) {
        auto *e = static_cast<Node *>(lfirst(lc));
        node->columns.push_back({exprType(e), exprTypmod(e), exprCollation(e)});
        above.outputs =
            lappend(above.outputs, makeVar(kInputBase, static_cast<AttrNumber>(node->columns.size()), exprType(e),
                                           exprTypmod(e), exprCollation(e), 0));
    }
    node->input.columns = node->columns;
    view_->nodes.push_back(node);
    out->clear();
    out->push_back(above);
    return true;
}

bool Analyser::note_whole_tables(Query *query, GroupNode *node) {
    Sources sources;
    collect_sources(reinterpret_cast<Node *>(query), &sources);
    if ((refusal = check_subquery(query, view_)) != nullptr)
        return false;
    ListCell *lc;
    foreach (lc, sources.views) {
        view_->facts.push_back({RelationRelationId, lfirst_oid(lc), 0, "view"});
        Relation rel = table_open(lfirst_oid(lc), AccessShareLock);
        refusal = check_subquery(static_cast<Query *>(copyObjectImpl(get_view_query(rel))), view_);
        table_close(rel, NoLock);
        if (refusal != nullptr)
            return false;
    }
    foreach (lc, sources.tables) {
        auto *rte = lfirst_node(RangeTblEntry, lc);
        const int source = add_source(rte);
        if (source < 0)
            return false;
        node->tables = bms_add_member(node->tables, source);
    }
    return true;
}

bool Analyser::recursive_cte(CommonTableExpr *cte, List *scopes, int *number) {
    if ((refusal = check_paths(cte)) != nullptr)
        return false;
    for (const Recursion &done : done_)
        if (done.cte == cte && static_cast<size_t>(done.number) < view_->nodes.size() &&
            view_->nodes[static_cast<size_t>(done.number)] == done.node) {
            *number = done.number;
            return true;
        }
    if (is_correlated(cte))
        return no_rule("a recursive query with outer references");
    CommonTableExpr *expanded = expand_search_and_cycle(cte);
    if (expanded == nullptr)
        return no_rule("SEARCH or CYCLE over columns whose equal values can look different");
    const Mark before = mark();
    auto *node = new (palloc(sizeof(GroupNode))) GroupNode();
    node->kind = NodeKind::fixpoint;
    node->function_name = "recursion";
    for (int i = 0; i < list_length(expanded->ctecoltypes); i++)
        node->columns.push_back({list_nth_oid(expanded->ctecoltypes, i), list_nth_int(expanded->ctecoltypmods, i),
                                 list_nth_oid(expanded->ctecolcollations, i)});
    open_.push_back({cte, nullptr, -1});
    bool fine = recursive_flow(expanded, scopes, node);
    open_.pop_back();
    node->query = select_all(expanded, cte, scopes);
    if (!fine && open_.empty() && is_want_of_rule(*refusal)) {
        retreat(before);
        fine = whole_query(node->query, node);
        view_->nodes.push_back(node);
    }
    if (!fine)
        return false;
    node->input.columns = node->columns;
    node->unique_keys = !node->keys.empty();
    *number = static_cast<int>(view_->nodes.size()) - 1;
    done_.push_back({cte, node, *number});
    return true;
}

bool Analyser::add_recursive_cte(RangeTblEntry *rte, int index, CommonTableExpr *cte, List *scopes, Arms *arms) {
    int number = -1;
    if (rte->self_reference) {
        for (size_t i = 0; i < open_.size(); i++)
            if (open_[i].cte == cte)
                number = kOpenNode + static_cast<int>(i);
        if (number < 0)
            return no_rule("a recursive reference that is not in sight");
    } else if (!recursive_cte(cte, scopes, &number)) {
        return false;
    }
    for (Arm &arm : *arms) {
        const int input = static_cast<int>(arm.inputs.size());
        arm.bindings[index - 1].input = input;
        arm.inputs.push_back({algebra::InputKind::node, number});
        arm.rtes.push_back(nullptr);
        if (rte->self_reference)
            continue;
        const GroupNode &node = *view_->nodes[static_cast<size_t>(number)];
        for (size_t i = 0; i < node.columns.size(); i++) {
            const ColumnType &t = node.columns[i];
            auto *column = reinterpret_cast<Node *>(
                makeVar(kInputBase + input, static_cast<AttrNumber>(i + 1), t.type, t.typmod, t.collation, 0));
            const Oid shown = list_nth_oid(rte->coltypes, static_cast<int>(i));
            if (shown != t.type) // of SEARCH and CYCLE: see use_stored_paths
                column = reinterpret_cast<Node *>(
                    makeRelabelType(reinterpret_cast<Expr *>(column), shown, -1, InvalidOid, COERCE_IMPLICIT_CAST));
            arm.bindings[index - 1].columns = lappend(arm.bindings[index - 1].columns, column);
        }
    }
    return true;
}

} // namespace upkeep::analysis
