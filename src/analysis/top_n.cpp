// DISTINCT ON, and ORDER BY with LIMIT, OFFSET or FETCH FIRST: partition nodes that keep the first rows.
#include "analysis/flatten.hpp"
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

Node *constant(Node *expression) {
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

bool Analyser::limit(const Query *q, const List *targets, Arms *arms) {
    Node *count = constant(q->limitCount);
    Node *offset = constant(q->limitOffset);
    if (count == nullptr && offset == nullptr)
        return true;
    if ((count != nullptr && !IsA(count, Const)) || (offset != nullptr && !IsA(offset, Const)))
        return not_yet("a LIMIT or OFFSET that is not constant");
    auto *node = new (palloc(sizeof(GroupNode))) GroupNode();
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
