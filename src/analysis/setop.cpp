// UNION ALL, UNION, INTERSECT and EXCEPT.
#include "analysis/flatten.hpp"

extern "C" {
#include "catalog/pg_aggregate.h"
#include "parser/parse_coerce.h"
}

namespace upkeep::analysis {

namespace {

/// The output of an arm in the column types of the set operation.
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

} // namespace

/// A ∩ B and A − B: a node counts the rows of each side; a row is there while the left side's count is above zero and
/// the right side's is above zero (INTERSECT) or zero (EXCEPT).
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
    auto compare = [&](Oid opno, int i) {
        Expr *zero = reinterpret_cast<Expr *>(
            makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(0), false, FLOAT8PASSBYVAL));
        Expr *test = make_opclause(opno, BOOLOID, false, column(i), zero, InvalidOid, InvalidOid);
        set_opfuncid(reinterpret_cast<OpExpr *>(test));
        return test;
    };
    for (int i = 0; i < ncolumns; i++)
        above.outputs = lappend(above.outputs, column(i));
    const Oid greater =
        OpernameGetOprid(list_make2(makeString(pstrdup("pg_catalog")), makeString(pstrdup(">"))), INT8OID, INT8OID);
    const Oid equals =
        OpernameGetOprid(list_make2(makeString(pstrdup("pg_catalog")), makeString(pstrdup("="))), INT8OID, INT8OID);
    above.quals =
        list_make2(compare(greater, ncolumns), compare(op->op == SETOP_INTERSECT ? greater : equals, ncolumns + 1));
    arms->clear();
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
            IncrementVarSublevelsUp(reinterpret_cast<Node *>(arm.outputs), -1, 1);
            IncrementVarSublevelsUp(reinterpret_cast<Node *>(arm.quals), -1, 1);
        }
        *out = below;
        return true;
    }
    auto *op = castNode(SetOperationStmt, tree);
    if (op->op != SETOP_UNION && op->all)
        return not_yet(op->op == SETOP_INTERSECT ? "INTERSECT ALL" : "EXCEPT ALL");
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
