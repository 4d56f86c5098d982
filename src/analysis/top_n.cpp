// DISTINCT ON, and ORDER BY with LIMIT, OFFSET or FETCH FIRST: partition nodes that keep the first rows.
#include "analysis/flatten.hpp"
#include "analysis/levels.hpp"
#include "analysis/partition.hpp"

namespace upkeep::analysis {

namespace {

bool is_listed(const List *clauses, Index reference) {
    ListCell *lc;
    foreach (lc, clauses)
        if (lfirst_node(SortGroupClause, lc)->tleSortGroupRef == reference)
            return true;
    return false;
}

/// The expression, as a constant if it is one; nullptr: it limits nothing.
Node *simplified(Node *expression) {
    if (expression == nullptr)
        return nullptr;
    Node *value = eval_const_expressions(nullptr, static_cast<Node *>(copyObjectImpl(expression)));
    return IsA(value, Const) && castNode(Const, value)->constisnull ? nullptr : value;
}

} // namespace

/// `targets`: what the arms' outputs stand for.
bool Analyser::distinct_on(const Query *q, const List *targets, Arms *arms) {
    auto *node = new (palloc(sizeof(GroupNode))) GroupNode();
    List *keys = NIL;
    List *order = list_copy(q->sortClause);
    ListCell *lc;
    foreach (lc, q->distinctClause) {
        auto *clause = lfirst_node(SortGroupClause, lc);
        Node *key = get_sortgroupclause_expr(clause, q->targetList);
        if (!list_member(keys, key)) {
            keys = lappend(keys, key);
            node->keys.push_back({clause->eqop, exprCollation(key)});
        }
        if (!is_listed(order, clause->tleSortGroupRef))
            order = lappend(order, clause);
    }
    List *flow = flow_of(keys, targets);
    FlowQuery function(flow);
    function.query()->sortClause = function.clauses(order, q->targetList);
    function.query()->distinctClause = function.clauses(q->distinctClause, q->targetList);
    function.query()->hasDistinctOn = true;
    node->function = function.finish();
    node->unique_keys = true;
    if (!add_partition(node, "distinct on", targets, flow, NIL, arms))
        return false;
    Arm &above = (*arms)[0];
    above.outputs =
        castNode(List, substitute(reinterpret_cast<Node *>(const_cast<List *>(targets)), flow, above.outputs));
    return true;
}

/// Limits that the server computes whenever it computes the rows. A change of the tables that they read is one of all
/// rows.
bool Analyser::computed_limits(Node *count, Node *offset, GroupNode *node) {
    Query *q = makeNode(Query);
    q->commandType = CMD_SELECT;
    q->canSetTag = true;
    q->hasSubLinks = true;
    q->jointree = makeFromExpr(NIL, nullptr);
    bool outer = false;
    for (Node *limit : {count, offset}) {
        const auto n = static_cast<AttrNumber>(list_length(q->targetList) + 1);
        auto *value = limit != nullptr ? static_cast<Node *>(copyObjectImpl(limit))
                                       : reinterpret_cast<Node *>(makeNullConst(INT8OID, -1, InvalidOid));
        for_each_var(value,
                     [&](const Var *var, int depth) { outer |= static_cast<int>(var->varlevelsup) >= depth; });
        q->targetList = lappend(q->targetList,
                                makeTargetEntry(reinterpret_cast<Expr *>(value), n, psprintf("c%d", n), false));
    }
    if (outer)
        return no_rule("a LIMIT or OFFSET that depends on an outer query");
    node->limits = q;
    return note_whole_tables(q, node);
}

bool Analyser::limit(const Query *q, const List *targets, Arms *arms) {
    Node *count = simplified(q->limitCount);
    Node *offset = simplified(q->limitOffset);
    if (count == nullptr && offset == nullptr)
        return true;
    auto *node = new (palloc(sizeof(GroupNode))) GroupNode();
    const bool constant = (count == nullptr || IsA(count, Const)) && (offset == nullptr || IsA(offset, Const));
    if (!constant && !computed_limits(count, offset, node))
        return false;
    List *flow = flow_of(NIL, targets);
    FlowQuery function(flow);
    function.query()->sortClause = function.clauses(q->sortClause, q->targetList);
    function.query()->limitCount = count;
    function.query()->limitOffset = offset;
    function.query()->limitOption = count == nullptr ? LIMIT_OPTION_COUNT : q->limitOption;
    node->function = function.finish();
    if (!add_partition(node, "limit", targets, flow, NIL, arms))
        return false;
    Arm &above = (*arms)[0];
    above.outputs =
        castNode(List, substitute(reinterpret_cast<Node *>(const_cast<List *>(targets)), flow, above.outputs));
    return true;
}

} // namespace upkeep::analysis
