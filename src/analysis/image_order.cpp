#include "analysis/image_order.hpp"

#include "pg/row_hash.hpp"

extern "C" {
#include "catalog/pg_operator_d.h"
#include "optimizer/optimizer.h"
#include "parser/parse_clause.h"
#include "parser/parse_oper.h"
#include "parser/parsetree.h"
}

namespace upkeep::analysis {
namespace {

// The operators of record_image_ops, which have no names in the server's headers.
constexpr Oid kImageEqual = 3188; // pg_catalog.*=(record, record)
constexpr Oid kImageLess = 3190;  // pg_catalog.*<(record, record)

// So many columns are compared one by one, and may come from an index; more are compared as one record.
constexpr int kMaxSingleColumns = 3;

Node *as_node(const Expr *expression) {
    return const_cast<Node *>(reinterpret_cast<const Node *>(expression));
}

/// The default order of a type by which equal values have the same image.
struct ValueOrder {
    Oid less = InvalidOid;
    Oid equal = InvalidOid;
};

bool find_value_order(const Expr *expression, ValueOrder *order) {
    if (has_several_images(expression))
        return false;
    bool hashable;
    get_sort_group_operators(exprType(as_node(expression)), false, false, false, &order->less, &order->equal, nullptr,
                             &hashable);
    return OidIsValid(order->less) && OidIsValid(order->equal);
}

bool has_fixed_scale(const Node *expression) {
    return exprType(expression) == NUMERICOID && exprTypmod(expression) >= VARHDRSZ;
}

// An expression that is sorted by already, by an equality that tells its images apart.
bool is_covered(const List *clauses, List *targets, const Expr *expression) {
    Node *node = as_node(expression);
    ListCell *cell;
    foreach (cell, clauses) {
        const auto *clause = lfirst_node(SortGroupClause, cell);
        if (!equal(get_sortgroupclause_expr(const_cast<SortGroupClause *>(clause), targets), node))
            continue;
        if (has_fixed_scale(node) ||
            pg::prepare_column_ops(exprType(node), exprCollation(node), clause->eqop).image_equality)
            return true;
    }
    return false;
}

void append_clause(List **clauses, List **targets, Expr *expression, Oid less, Oid equal) {
    TargetEntry *entry = find_or_add_target(targets, expression);
    SortGroupClause *clause = makeNode(SortGroupClause);
    clause->tleSortGroupRef = assignSortGroupRef(entry, *targets);
    clause->eqop = equal;
    clause->sortop = less;
    clause->nulls_first = false;
    clause->hashable = false;
    *clauses = lappend(*clauses, clause);
}

void append_record(List **clauses, List **targets, List *expressions) {
    RowExpr *row = makeNode(RowExpr);
    row->args = static_cast<List *>(copyObjectImpl(expressions));
    row->row_typeid = RECORDOID;
    row->row_format = COERCE_EXPLICIT_CALL;
    for (int i = 0; i < list_length(expressions); i++)
        row->colnames = lappend(row->colnames, makeString(psprintf("f%d", i + 1)));
    row->location = -1;
    append_clause(clauses, targets, reinterpret_cast<Expr *>(row), kImageLess, kImageEqual);
}

} // namespace

TargetEntry *find_or_add_target(List **targets, Expr *expression) {
    ListCell *cell;
    foreach (cell, *targets) {
        auto *entry = lfirst_node(TargetEntry, cell);
        if (equal(entry->expr, expression))
            return entry;
    }
    auto *entry = makeTargetEntry(static_cast<Expr *>(copyObjectImpl(expression)),
                                  static_cast<AttrNumber>(list_length(*targets) + 1), nullptr, true);
    *targets = lappend(*targets, entry);
    return entry;
}

bool has_several_images(const Expr *expression) {
    const Node *node = as_node(expression);
    const Oid type = exprType(node);
    const Oid collation = exprCollation(node);
    if (has_fixed_scale(node))
        return false;
    if (OidIsValid(get_typcollation(type)) && !OidIsValid(collation))
        return true; // two collations met: the values can be shown, and not compared
    return !pg::prepare_column_ops(type, collation, InvalidOid).image_equality;
}

bool has_expression(const List *expressions, const Node *expression) {
    ListCell *cell;
    foreach (cell, expressions)
        if (equal(lfirst(cell), expression))
            return true;
    return false;
}

List *distinct_expressions(List *expressions) {
    List *result = NIL;
    ListCell *cell;
    foreach (cell, expressions) {
        auto *expression = static_cast<Node *>(lfirst(cell));
        if (!IsA(expression, Const) && !has_expression(result, expression))
            result = lappend(result, expression);
    }
    return result;
}

namespace {

List *missing_expressions(const List *clauses, List *targets, List *expressions) {
    List *missing = NIL;
    ListCell *cell;
    foreach (cell, distinct_expressions(expressions))
        if (!is_covered(clauses, targets, static_cast<Expr *>(lfirst(cell))))
            missing = lappend(missing, lfirst(cell));
    return missing;
}

} // namespace

bool is_ordered_by_image(const List *clauses, List *targets, List *expressions) {
    return missing_expressions(clauses, targets, expressions) == NIL;
}

void order_by_image(List **clauses, List **targets, List *expressions) {
    List *missing = missing_expressions(*clauses, *targets, expressions);
    if (list_length(missing) > kMaxSingleColumns) {
        append_record(clauses, targets, missing);
        return;
    }
    ListCell *cell;
    foreach (cell, missing) {
        auto *expression = static_cast<Expr *>(lfirst(cell));
        ValueOrder order;
        if (find_value_order(expression, &order))
            append_clause(clauses, targets, expression, order.less, order.equal);
        else
            append_record(clauses, targets, list_make1(expression));
    }
}

} // namespace upkeep::analysis
