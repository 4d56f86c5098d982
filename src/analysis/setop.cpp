// UNION ALL and UNION.
#include "analysis/flatten.hpp"

extern "C" {
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
    if (op->op != SETOP_UNION)
        return not_yet(op->op == SETOP_INTERSECT ? "INTERSECT" : "EXCEPT");
    Arms left, right;
    if (!set_operation(q, op->larg, ctes, &left) || !set_operation(q, op->rarg, ctes, &right))
        return false;
    out->clear();
    for (Arms *side : {&left, &right})
        for (Arm &arm : *side) {
            arm.outputs = coerce_columns(arm.outputs, op);
            if (!check_tree(reinterpret_cast<Node *>(arm.outputs)))
                return false;
            out->push_back(arm);
        }
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
