// UNION ALL, UNION, INTERSECT and EXCEPT.
#include "analysis/flatten.hpp"
#include "analysis/row_source.hpp"

extern "C" {
#include "catalog/pg_aggregate.h"
#include "parser/parse_coerce.h"
}

namespace upkeep::analysis {

List *coerce_columns(List *outputs, const SetOperationStmt *op) {
    List *result = NIL;
    for (int i = 0; i < list_length(outputs); i++) {
        auto *e = static_cast<Node *>(list_nth(outputs, i));
        const Oid type = list_nth_oid(op->colTypes, i);
        const int32 typmod = list_nth_int(op->colTypmods, i);
        const Oid collation = list_nth_oid(op->colCollations, i);
        if (exprType(e) != type)
            e = coerce_to_common_type(nullptr, e, type, "UNION");
        if (exprTypmod(e) != typmod || exprCollation(e) != collation)
            e = applyRelabelType(e, type, typmod, collation, COERCE_IMPLICIT_CAST, -1, false);
        result = lappend(result, e);
    }
    return result;
}

namespace {

Expr *bigint(int64 value) {
    return reinterpret_cast<Expr *>(
        makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(value), false, FLOAT8PASSBYVAL));
}

Expr *bigint_call(const char *name, Oid result, Expr *left, Expr *right) {
    const Oid opno =
        OpernameGetOprid(list_make2(makeString(pstrdup("pg_catalog")), makeString(pstrdup(name))), INT8OID, INT8OID);
    Expr *call = make_opclause(opno, result, false, left, right, InvalidOid, InvalidOid);
    set_opfuncid(reinterpret_cast<OpExpr *>(call));
    return call;
}

Expr *least(Expr *left, Expr *right) {
    MinMaxExpr *e = makeNode(MinMaxExpr);
    e->minmaxtype = INT8OID;
    e->op = IS_LEAST;
    e->args = list_make2(left, right);
    e->location = -1;
    return reinterpret_cast<Expr *>(e);
}

/// generate_series(1, how_often) as an input behind the node's: each of its rows so many times, none where it is not
/// above zero.
void repeat(Arm *arm, Expr *how_often) {
    RangeTblFunction *function = makeNode(RangeTblFunction);
    FuncExpr *call = makeFuncExpr(F_GENERATE_SERIES_INT8_INT8, INT8OID, list_make2(bigint(1), how_often), InvalidOid,
                                  InvalidOid, COERCE_EXPLICIT_CALL);
    call->funcretset = true;
    function->funcexpr = reinterpret_cast<Node *>(call);
    function->funccolcount = 1;
    RangeTblEntry *rte = makeNode(RangeTblEntry);
    rte->rtekind = RTE_FUNCTION;
    rte->functions = list_make1(function);
    rte->eref = makeAlias("copies", list_make1(makeString(pstrdup("copies"))));
    rte->lateral = true;
    rte->inFromCl = true;
    arm->inputs.push_back({algebra::InputKind::function, -1});
    arm->rtes.push_back(rte);
}

} // namespace

/// A ∩ B and A − B: a node counts the rows of each side, l and r. A row is there while l > 0 and r > 0 (INTERSECT) or
/// r = 0 (EXCEPT); with ALL it is there min(l, r) or l − r times.
bool Analyser::count_sides(const SetOperationStmt *op, Arms *arms) {
    auto *node = new (palloc(sizeof(GroupNode))) GroupNode();
    const int ncolumns = list_length(op->colTypes);
    for (int i = 0; i < ncolumns; i++)
        node->keys.push_back(
            {static_cast<SortGroupClause *>(list_nth(op->groupClauses, i))->eqop, list_nth_oid(op->colCollations, i)});
    for (int side = 0; side < 2; side++) {
        Aggref *count = makeNode(Aggref);
        count->aggfnoid = F_COUNT_;
        count->aggtype = INT8OID;
        count->aggstar = true;
        count->aggkind = AGGKIND_NORMAL;
        count->aggno = count->aggtransno = -1;
        count->location = -1;
        node->aggs.push_back({count, {}, ncolumns + side, true, false, -1});
    }
    if (!add_node(node, *arms))
        return false;
    Arm above = arm_over_node(static_cast<int>(view_->nodes.size()) - 1);
    auto column = [&](int i) {
        const ColumnType &t = node->columns[static_cast<size_t>(i)];
        return reinterpret_cast<Expr *>(
            makeVar(kInputBase, static_cast<AttrNumber>(i + 1), t.type, t.typmod, t.collation, 0));
    };
    for (int i = 0; i < ncolumns; i++)
        above.outputs = lappend(above.outputs, column(i));
    arms->clear();
    Expr *l = column(ncolumns), *r = column(ncolumns + 1);
    const bool both = op->op == SETOP_INTERSECT;
    // Also with ALL, so that nothing is evaluated for rows that are there no times.
    if (op->all && !both)
        above.quals = list_make1(bigint_call(">", BOOLOID, l, r));
    else
        above.quals =
            list_make2(bigint_call(">", BOOLOID, l, bigint(0)), bigint_call(both ? ">" : "=", BOOLOID, r, bigint(0)));
    if (op->all)
        repeat(&above, both ? least(l, r) : bigint_call("-", INT8OID, l, r));
    arms->push_back(above);
    return true;
}

bool Analyser::set_operation(Query *q, Node *tree, List *ctes, Arms *out) {
    check_stack_depth();
    if (IsA(tree, RangeTblRef)) {
        RangeTblEntry *rte = rt_fetch(castNode(RangeTblRef, tree)->rtindex, q->rtable);
        Arms below;
        if (!query(static_cast<Query *>(copyObjectImpl(rte->subquery)), ctes, &below))
            return false;
        for (Arm &arm : below) {
            // The subquery stands one level below the set operation.
            arm.outputs = reinterpret_cast<List *>(lower_outer(reinterpret_cast<Node *>(arm.outputs)));
            arm.quals = reinterpret_cast<List *>(lower_outer(reinterpret_cast<Node *>(arm.quals)));
            for (RangeTblEntry *&rte : arm.rtes)
                rte = map_row_expressions(rte, lower_outer);
            for (Watch &watch : arm.watches)
                watch.quals = reinterpret_cast<List *>(lower_outer(reinterpret_cast<Node *>(watch.quals)));
        }
        *out = below;
        return true;
    }
    auto *op = castNode(SetOperationStmt, tree);
    Arms left, right;
    if (!set_operation(q, op->larg, ctes, &left) || !set_operation(q, op->rarg, ctes, &right))
        return false;
    out->clear();
    for (Arms *side : {&left, &right})
        for (Arm &arm : *side) {
            arm.outputs = coerce_columns(arm.outputs, op);
            if (!check_tree(reinterpret_cast<Node *>(arm.outputs)))
                return false;
            if (op->op != SETOP_UNION)
                arm.outputs = lappend(lappend(arm.outputs, makeBoolConst(side == &left, false)),
                                      makeBoolConst(side == &right, false));
            out->push_back(arm);
        }
    if (op->op != SETOP_UNION)
        return count_sides(op, out);
    if (op->all)
        return true;

    List *targets = NIL;
    List *clauses = NIL;
    for (int i = 0; i < list_length(op->colTypes); i++) {
        auto *e = static_cast<Expr *>(list_nth((*out)[0].outputs, i));
        auto *clause = static_cast<SortGroupClause *>(copyObjectImpl(list_nth(op->groupClauses, i)));
        TargetEntry *tle = makeTargetEntry(e, i + 1, nullptr, false);
        tle->ressortgroupref = clause->tleSortGroupRef = i + 1;
        targets = lappend(targets, tle);
        clauses = lappend(clauses, clause);
    }
    return distinct(targets, clauses, out);
}

} // namespace upkeep::analysis
