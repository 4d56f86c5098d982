// Window functions: partition nodes over the rows of the query level, one above the other.
//
// Windows whose PARTITION BY lists have expressions in common share a node, keyed by these; it adds the results to the
// rows of the node below. Windows without PARTITION BY come last, in a node without keys.
#include "analysis/flatten.hpp"
#include "analysis/guards.hpp"
#include "analysis/partition.hpp"

extern "C" {
#include "catalog/pg_constraint.h"
#include "optimizer/optimizer.h"
}

namespace upkeep::analysis {

namespace {

/// What a query level offers to its windows: columns, or where it is grouped, its grouping expressions and aggregates;
/// and subqueries, with the expressions that guard them.
struct Leaves {
    List *grouping = NIL;
    List *found = NIL;
    bool guarded = false; // a subquery that only some values of a window function let be evaluated: above the windows
    bool inside = false;  // what decides whether it is
};

bool is_record(Node *node, void *) {
    return node != nullptr && (IsA(node, Var) || IsA(node, RowExpr)) && exprType(node) == RECORDOID;
}

/// Rows of no named type are no columns of a node, but what is made of them may be.
bool is_made_of_record(Node *node) {
    return (IsA(node, FuncExpr) || IsA(node, OpExpr) || IsA(node, CoerceViaIO) || IsA(node, NullTest)) &&
           pg::walk_tree(node, is_record, nullptr) && !contain_windowfuncs(node);
}

bool collect_leaves(Node *node, void *context) {
    if (node == nullptr)
        return false;
    auto *leaves = static_cast<Leaves *>(context);
    if (leaves->inside && IsA(node, SubLink)) {
        leaves->found = list_concat_unique(leaves->found, columns_read(node, leaves->grouping));
        return false;
    }
    if (IsA(node, Var) || IsA(node, Aggref) || IsA(node, GroupingFunc) || IsA(node, SubLink) ||
        (guards_subquery(node) && !leaves->inside && !contain_windowfuncs(node)) || is_made_of_record(node) ||
        (!IsA(node, Const) && list_member(leaves->grouping, node))) {
        leaves->found = list_append_unique(leaves->found, node);
        return false;
    }
    const bool inside = leaves->inside;
    leaves->inside = !IsA(node, WindowFunc) && (inside || guards_subquery(node)); // arguments are read below
    leaves->guarded |= leaves->inside;
    const bool stop = pg::walk_tree(node, collect_leaves, context);
    leaves->inside = inside;
    return stop;
}

/// A FILTER guards the arguments: where it does not hold they are NULL instead, and not looked at.
Node *guard_arguments(Node *node, void *context) {
    if (node == nullptr)
        return nullptr;
    if (!IsA(node, WindowFunc) || !guards_subquery(node))
        return pg::mutate_tree(node, guard_arguments, context);
    auto *call = static_cast<WindowFunc *>(copyObjectImpl(node));
    ListCell *lc;
    foreach (lc, call->args)
        lfirst(lc) = only_where(call->aggfilter, static_cast<Expr *>(lfirst(lc)));
    return reinterpret_cast<Node *>(call);
}

bool collect_calls(Node *node, void *context) {
    if (node == nullptr)
        return false;
    if (IsA(node, WindowFunc)) {
        auto **calls = static_cast<List **>(context);
        *calls = list_append_unique(*calls, node);
        return false;
    }
    return pg::walk_tree(node, collect_calls, context);
}

/// The windows of one node.
struct WindowGroup {
    List *keys = NIL; // expressions
    pg::Vector<KeyColumn> columns;
    List *calls = NIL; // WindowFunc
};

WindowClause *window_of(const Query *q, const WindowFunc *call) {
    ListCell *lc;
    foreach (lc, q->windowClause)
        if (lfirst_node(WindowClause, lc)->winref == call->winref)
            return lfirst_node(WindowClause, lc);
    elog(ERROR, "window %u is not there", call->winref);
}

/// The expressions of PARTITION BY that divide rows.
WindowGroup partition_of(const Query *q, const WindowClause *window) {
    WindowGroup group;
    ListCell *lc;
    foreach (lc, window->partitionClause) {
        auto *clause = lfirst_node(SortGroupClause, lc);
        Node *key = get_sortgroupclause_expr(clause, q->targetList);
        if (IsA(key, Const) || list_member(group.keys, key))
            continue;
        group.keys = lappend(group.keys, key);
        group.columns.push_back({clause->eqop, exprCollation(key)});
    }
    return group;
}

/// Leaves the keys that the other group has too.
WindowGroup common_keys(const WindowGroup &a, const WindowGroup &b) {
    WindowGroup result;
    for (int k = 0; k < list_length(a.keys); k++)
        if (list_member(b.keys, list_nth(a.keys, k))) {
            result.keys = lappend(result.keys, list_nth(a.keys, k));
            result.columns.push_back(a.columns[static_cast<size_t>(k)]);
        }
    return result;
}

pg::Vector<WindowGroup> group_windows(const Query *q, const List *calls) {
    pg::Vector<WindowGroup> groups;
    WindowGroup whole;
    ListCell *lc;
    foreach (lc, calls) {
        auto *call = lfirst_node(WindowFunc, lc);
        const WindowGroup wanted = partition_of(q, window_of(q, call));
        bool placed = wanted.keys == NIL;
        if (placed)
            whole.calls = lappend(whole.calls, call);
        for (WindowGroup &group : groups) {
            WindowGroup common = common_keys(group, wanted);
            if (placed || common.keys == NIL)
                continue;
            common.calls = lappend(group.calls, call);
            group = common;
            placed = true;
        }
        if (!placed) {
            groups.push_back(wanted);
            groups.back().calls = list_make1(call);
        }
    }
    if (whole.calls != NIL)
        groups.push_back(whole);
    return groups;
}

/// SELECT the flow's columns, the window functions FROM the flow.
Query *window_query(const Query *level, const List *flow, const List *calls) {
    FlowQuery function(flow);
    Query *q = function.query();
    pg::Vector<const WindowClause *> made;
    ListCell *lc;
    foreach (lc, calls) {
        auto *call = castNode(WindowFunc, function.over_flow(static_cast<Node *>(lfirst(lc))));
        const WindowClause *window = window_of(level, call);
        size_t place = static_cast<size_t>(std::find(made.begin(), made.end(), window) - made.begin());
        if (place == made.size()) {
            made.push_back(window);
            auto *copy = static_cast<WindowClause *>(copyObjectImpl(window));
            copy->name = copy->refname = nullptr;
            copy->partitionClause = function.clauses(window->partitionClause, level->targetList);
            copy->orderClause = function.clauses(window->orderClause, level->targetList);
            copy->winref = static_cast<Index>(place + 1);
            q->windowClause = lappend(q->windowClause, copy);
        }
        call->winref = static_cast<Index>(place + 1);
        function.add_column(reinterpret_cast<Expr *>(call));
    }
    q->hasWindowFuncs = true;
    return function.finish();
}

} // namespace

bool Analyser::check_windows(const Query *q, const List *calls) {
    ListCell *lc;
    foreach (lc, calls) {
        auto *call = lfirst_node(WindowFunc, lc);
        if ((refusal = check_function(call->winfnoid, view_)) != nullptr)
            return false;
        const WindowClause *window = window_of(q, call);
        if (!check_tree(window->startOffset) || !check_tree(window->endOffset))
            return false;
        if (contain_vars_of_level(window->startOffset, 1) || contain_vars_of_level(window->endOffset, 1))
            return no_rule("a window frame that depends on an outer query");
    }
    return true;
}

void guard_window_arguments(Query *q) {
    q->targetList = castNode(List, guard_arguments(reinterpret_cast<Node *>(q->targetList), nullptr));
}

/// settle() looks for keys that tell the rows of windows apart.
void Analyser::note_keys(const Query *q) {
    ListCell *lc;
    foreach (lc, q->rtable) {
        const auto *rte = lfirst_node(RangeTblEntry, lc);
        Oid constraint;
        if (rte->rtekind == RTE_RELATION && get_primary_key_attnos(rte->relid, false, &constraint) != nullptr)
            view_->facts.push_back({ConstraintRelationId, constraint, 0, "key"});
    }
}

/// The targets (expressions of the query level) over the level's rows; those beyond the first `kept` only make rows.
bool Analyser::windows(Query *q, List *targets, int kept, List *ctes, Arms *arms) {
    List *calls = NIL;
    collect_calls(reinterpret_cast<Node *>(targets), &calls);
    if (!check_windows(q, calls))
        return false;
    const pg::Vector<WindowGroup> groups = group_windows(q, calls);
    note_keys(q);

    Leaves leaves;
    ListCell *lc;
    foreach (lc, q->groupClause)
        leaves.grouping =
            lappend(leaves.grouping, get_sortgroupclause_expr(lfirst_node(SortGroupClause, lc), q->targetList));
    collect_leaves(reinterpret_cast<Node *>(targets), &leaves);
    foreach (lc, calls) {
        const WindowClause *window = window_of(q, lfirst_node(WindowFunc, lc));
        for (const List *clauses : {window->partitionClause, window->orderClause}) {
            ListCell *c;
            foreach (c, clauses)
                collect_leaves(get_sortgroupclause_expr(lfirst_node(SortGroupClause, c), q->targetList), &leaves);
        }
    }
    if (!project(q, leaves.found, list_length(leaves.found), ctes, arms))
        return false;

    List *columns = leaves.found;
    for (const WindowGroup &group : groups) {
        List *flow = flow_of(list_copy(group.keys), columns);
        auto *node = new (palloc(sizeof(GroupNode))) GroupNode();
        node->keys = group.columns;
        node->function = window_query(q, flow, group.calls);
        if (!add_partition(node, "window", columns, flow, group.calls, arms))
            return false;
        columns = list_concat_copy(flow, group.calls);
    }
    for (Arm &arm : *arms) {
        auto *expressions = reinterpret_cast<Node *>(targets);
        arm.outputs = castNode(List, leaves.guarded ? lift_links(read_from_node(expressions, columns), arm)
                                                    : substitute(expressions, columns, arm.outputs));
        if (refusal != nullptr || !check_tree(reinterpret_cast<Node *>(arm.outputs)))
            return false;
        expand_sets(&arm, kept);
    }
    return true;
}

} // namespace upkeep::analysis
