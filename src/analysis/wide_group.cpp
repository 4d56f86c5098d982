// More aggregates in one SELECT than a node has room for: a node for each so many of them, over the same rows, and a partition
// node that brings the rows of a key together:
//
//   SELECT keys, part, a₁ …, lead(aₙ₊₁, 1) OVER w, … FROM (keys, 0, a₁ …, NULL … ⊎ keys, 1, NULL …, aₙ₊₁ … ⊎ …)
//   WINDOW w AS (PARTITION BY keys ORDER BY part)
//
// of whose rows those with part 0 are the groups.
#include "analysis/flatten.hpp"
#include "analysis/partition.hpp"

extern "C" {
#include "catalog/pg_operator_d.h"
}

namespace upkeep::analysis {

namespace {

/// Stands for the number of a part among the expressions of the query level.
Node *part_marker() {
    Param *param = makeNode(Param);
    param->paramkind = PARAM_EXEC;
    param->paramtype = INT4OID;
    param->paramtypmod = -1;
    param->location = -1;
    return reinterpret_cast<Node *>(param);
}

Expr *int4(int value) {
    return reinterpret_cast<Expr *>(makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(value), false, true));
}

TargetEntry *entry(Node *expression, int reference) {
    TargetEntry *tle =
        makeTargetEntry(reinterpret_cast<Expr *>(expression), static_cast<AttrNumber>(reference), nullptr, false);
    tle->ressortgroupref = static_cast<Index>(reference);
    return tle;
}

SortGroupClause *clause(Oid equality, int reference) {
    SortGroupClause *result = makeNode(SortGroupClause);
    result->tleSortGroupRef = static_cast<Index>(reference);
    result->eqop = equality;
    result->sortop = get_ordering_op_for_equality_op(equality, false);
    return result;
}

Expr *lead(Node *call, int parts) {
    WindowFunc *function = makeNode(WindowFunc);
    function->winfnoid = F_LEAD_ANYELEMENT_INT4;
    function->wintype = exprType(call);
    function->wincollid = function->inputcollid = exprCollation(call);
    function->args = list_make2(call, int4(parts));
    function->winref = 1;
    function->location = -1;
    return reinterpret_cast<Expr *>(function);
}

} // namespace

/// `shown`: the keys and calls that the columns of the nodes stand for, one node after the other; afterwards what the
/// columns of the arm's node do.
bool Analyser::bring_together(const pg::Vector<int> &numbers, int nkeys, List **shown, Arm *above) {
    const List *keys = list_truncate(list_copy(*shown), nkeys), *calls = list_copy_tail(*shown, nkeys);
    auto *node = new (palloc(sizeof(GroupNode))) GroupNode();
    node->keys = view_->nodes[static_cast<size_t>(numbers[0])]->keys;
    for (const KeyColumn &key : node->keys)
        if (!OidIsValid(key.equality) || !OidIsValid(get_ordering_op_for_equality_op(key.equality, false)))
            return no_rule("more than 60 aggregates over keys that have no order");
    Node *marker = part_marker();
    List *flow = list_concat(lappend(list_copy(keys), marker), calls);
    Arms arms;
    int first = 0; // of the calls of the part
    for (size_t part = 0; part < numbers.size(); part++) {
        const GroupNode &source = *view_->nodes[static_cast<size_t>(numbers[part])];
        const int n = static_cast<int>(source.aggs.size());
        Arm arm = arm_over_node(numbers[part]);
        ListCell *lc;
        foreach (lc, flow) {
            const int i = foreach_current_index(lc), column = i < nkeys ? i : nkeys + i - nkeys - 1 - first;
            auto *e = static_cast<Node *>(lfirst(lc));
            if (i == nkeys)
                arm.outputs = lappend(arm.outputs, int4(static_cast<int>(part)));
            else if (i > nkeys && (column < nkeys || column >= nkeys + n))
                arm.outputs = lappend(arm.outputs, makeNullConst(exprType(e), exprTypmod(e), exprCollation(e)));
            else
                arm.outputs = lappend(arm.outputs, makeVar(kInputBase, static_cast<AttrNumber>(column + 1), exprType(e),
                                                           exprTypmod(e), exprCollation(e), 0));
        }
        first += n;
        arms.push_back(arm);
    }

    FlowQuery function(flow);
    WindowClause *window = makeNode(WindowClause);
    window->winref = 1;
    window->frameOptions = FRAMEOPTION_DEFAULTS;
    for (int k = 0; k < nkeys; k++)
        window->partitionClause = list_concat(
            window->partitionClause, function.clauses(list_make1(clause(node->keys[static_cast<size_t>(k)].equality, 1)),
                                                      list_make1(entry(static_cast<Node *>(list_nth(keys, k)), 1))));
    window->orderClause = function.clauses(list_make1(clause(Int4EqualOperator, 1)), list_make1(entry(marker, 1)));
    function.query()->windowClause = list_make1(window);
    function.query()->hasWindowFuncs = true;
    List *results = NIL, *moved = NIL;
    first = 0;
    for (size_t part = 0; part < numbers.size(); part++) {
        const int n = static_cast<int>(view_->nodes[static_cast<size_t>(numbers[part])]->aggs.size());
        for (int c = first; part > 0 && c < first + n; c++) {
            auto *call = static_cast<Node *>(list_nth(calls, c));
            results = lappend(results, lead(call, static_cast<int>(part)));
            moved = lappend(moved, call);
            function.add_column(reinterpret_cast<Expr *>(function.over_flow(static_cast<Node *>(llast(results)))));
        }
        first += n;
    }
    node->function = function.finish();
    if (!add_partition(node, "group", flow, flow, results, &arms))
        return false;
    *above = arms[0];
    auto *part = static_cast<Expr *>(list_nth(above->outputs, nkeys));
    Expr *is_first = make_opclause(Int4EqualOperator, BOOLOID, false, part, int4(0), InvalidOid, InvalidOid);
    set_opfuncid(reinterpret_cast<OpExpr *>(is_first));
    above->quals = list_make1(is_first);
    above->outputs = NIL;
    // The calls of the later parts are not the columns of the flow, which are NULL, but the results.
    ListCell *lc;
    foreach (lc, flow)
        if (list_member(moved, lfirst(lc)))
            lfirst(lc) = marker;
    *shown = list_concat(flow, moved);
    return true;
}

} // namespace upkeep::analysis
