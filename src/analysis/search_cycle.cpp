// SEARCH and CYCLE clauses, expanded as PostgreSQL expands them, with columns that a table can hold: rows of a path are
// kept as their text, and the depth of a search by breadth, which stands in a row with columns that are shown anyway,
// as a number.
#include "analysis/flatten.hpp"
#include "pg/row_hash.hpp"

extern "C" {
#include "catalog/pg_collation_d.h"
#include "catalog/pg_operator_d.h"
#include "rewrite/rewriteSearchCycle.h"
}

namespace upkeep::analysis {

namespace {

/// The type in which a column of rows is kept.
Oid stored_type(Oid type) {
    return type == RECORDARRAYOID ? TEXTARRAYOID : type == RECORDOID ? INT8OID : type;
}

Oid stored_collation(Oid type, Oid collation) {
    return type == RECORDARRAYOID ? Oid{DEFAULT_COLLATION_OID} : collation;
}

Expr *row_text(RowExpr *row) {
    CoerceViaIO *text = makeNode(CoerceViaIO);
    text->arg = reinterpret_cast<Expr *>(row);
    text->resulttype = TEXTOID;
    text->resultcollid = DEFAULT_COLLATION_OID;
    text->coerceformat = COERCE_EXPLICIT_CAST;
    text->location = -1;
    return reinterpret_cast<Expr *>(text);
}

/// The expressions that the expansion adds, over texts in place of rows.
Node *with_stored_types(Node *node, void *context) {
    if (node == nullptr)
        return nullptr;
    if (IsA(node, RowExpr)) {
        auto *row = castNode(RowExpr, node);
        const bool breadth = row->colnames != NIL && strcmp(strVal(linitial(row->colnames)), "*DEPTH*") == 0;
        if (breadth)
            return with_stored_types(static_cast<Node *>(linitial(row->args)), context);
        return reinterpret_cast<Node *>(row_text(static_cast<RowExpr *>(copyObjectImpl(row))));
    }
    if (IsA(node, FieldSelect)) // the depth so far
        return with_stored_types(reinterpret_cast<Node *>(castNode(FieldSelect, node)->arg), context);
    Node *copy = pg::mutate_tree(node, with_stored_types, context);
    if (IsA(copy, Var)) {
        auto *var = castNode(Var, copy);
        var->varcollid = stored_collation(var->vartype, var->varcollid);
        var->vartype = stored_type(var->vartype);
    } else if (IsA(copy, ArrayExpr) && castNode(ArrayExpr, copy)->array_typeid == RECORDARRAYOID) {
        auto *array = castNode(ArrayExpr, copy);
        array->array_typeid = TEXTARRAYOID;
        array->element_typeid = TEXTOID;
        array->array_collid = DEFAULT_COLLATION_OID;
    } else if (IsA(copy, FuncExpr) && castNode(FuncExpr, copy)->funcresulttype == RECORDARRAYOID) {
        auto *call = castNode(FuncExpr, copy);
        call->funcresulttype = TEXTARRAYOID;
        call->funccollid = call->inputcollid = DEFAULT_COLLATION_OID;
    } else if (IsA(copy, ScalarArrayOpExpr) && castNode(ScalarArrayOpExpr, copy)->opno == RECORD_EQ_OP) {
        auto *any = castNode(ScalarArrayOpExpr, copy);
        any->opno = TextEqualOperator;
        any->opfuncid = F_TEXTEQ;
        any->inputcollid = DEFAULT_COLLATION_OID;
    }
    return copy;
}

void store_types(List *types, List *collations) {
    for (int i = 0; i < list_length(types); i++) {
        lfirst_oid(list_nth_cell(collations, i)) =
            stored_collation(list_nth_oid(types, i), list_nth_oid(collations, i));
        lfirst_oid(list_nth_cell(types, i)) = stored_type(list_nth_oid(types, i));
    }
}

void store_targets(List *targets) {
    ListCell *lc;
    foreach (lc, targets) {
        auto *tle = lfirst_node(TargetEntry, lc);
        tle->expr = reinterpret_cast<Expr *>(with_stored_types(reinterpret_cast<Node *>(tle->expr), nullptr));
    }
}

/// One term after the expansion: SELECT … FROM (the user's term, the recursive one with the columns of the reference).
void store_term(Query *q, Node *ref, int own_columns) {
    Query *term = rt_fetch(castNode(RangeTblRef, ref)->rtindex, q->rtable)->subquery;
    store_targets(term->targetList);
    Query *inner = rt_fetch(1, term->rtable)->subquery;
    List *added = list_copy_tail(inner->targetList, own_columns);
    store_targets(added);
    ListCell *lc;
    foreach (lc, inner->rtable) {
        auto *rte = lfirst_node(RangeTblEntry, lc);
        if (rte->rtekind == RTE_CTE && rte->self_reference)
            store_types(rte->coltypes, rte->colcollations);
    }
}

/// Rows of these columns are equal where their texts are.
bool have_texts(const CommonTableExpr *cte, const List *columns) {
    const ListCell *lc;
    foreach (lc, columns)
        for (int i = 0; i < list_length(cte->ctecolnames); i++)
            if (strcmp(strVal(lfirst(lc)), strVal(list_nth(cte->ctecolnames, i))) == 0 &&
                !pg::prepare_column_ops(list_nth_oid(cte->ctecoltypes, i), list_nth_oid(cte->ctecolcollations, i),
                                        InvalidOid)
                     .image_equality)
                return false;
    return true;
}

} // namespace

const pg::Refusal *check_paths(const CommonTableExpr *cte) {
    if (cte->search_clause == nullptr && cte->cycle_clause == nullptr)
        return nullptr;
    const auto *q = castNode(Query, cte->ctequery);
    const Node *recursive = castNode(SetOperationStmt, q->setOperations)->rarg;
    const Query *term = rt_fetch(castNode(RangeTblRef, recursive)->rtindex, q->rtable)->subquery;
    if (term->distinctClause == NIL && !term->hasWindowFuncs && term->limitCount == nullptr &&
        term->limitOffset == nullptr)
        return nullptr;
    return make_refusal("open-path", "DISTINCT, LIMIT or a window function in the recursive term of SEARCH or CYCLE",
                        "It does not look at the path, so that PostgreSQL itself keeps any one of several.",
                        "Put it into a query around the recursion.");
}

CommonTableExpr *expand_search_and_cycle(const CommonTableExpr *cte) {
    auto *copy = castNode(CommonTableExpr, static_cast<Node *>(copyObjectImpl(cte)));
    if (cte->search_clause == nullptr && cte->cycle_clause == nullptr)
        return copy;
    if ((cte->cycle_clause != nullptr && !have_texts(cte, cte->cycle_clause->cycle_col_list)) ||
        (cte->search_clause != nullptr && !have_texts(cte, cte->search_clause->search_col_list)))
        return nullptr;
    const int own_columns = list_length(cte->ctecolnames);
    copy = rewriteSearchAndCycle(copy);
    copy->search_clause = nullptr;
    copy->cycle_clause = nullptr;
    auto *q = castNode(Query, copy->ctequery);
    auto *op = castNode(SetOperationStmt, q->setOperations);
    store_term(q, op->larg, own_columns);
    store_term(q, op->rarg, own_columns);
    store_targets(q->targetList);
    store_types(op->colTypes, op->colCollations);
    store_types(copy->ctecoltypes, copy->ctecolcollations);
    for (int i = own_columns; i < list_length(op->groupClauses); i++)
        static_cast<SortGroupClause *>(list_nth(op->groupClauses, i))->eqop =
            lookup_type_cache(list_nth_oid(op->colTypes, i), TYPECACHE_EQ_OPR)->eq_opr;
    return copy;
}

namespace {

bool is_path(Node *node) {
    return IsA(node, RelabelType) && (castNode(RelabelType, node)->resulttype == RECORDARRAYOID ||
                                      castNode(RelabelType, node)->resulttype == RECORDOID);
}

/// The stored form of a path serves where its text or its length is asked for.
Node *unwrap_paths(Node *node, void *context) {
    if (node == nullptr)
        return nullptr;
    if (IsA(node, Query))
        return reinterpret_cast<Node *>(pg::mutate_query(castNode(Query, node), unwrap_paths, context, 0));
    auto unwrap = [](List *args) {
        ListCell *lc;
        foreach (lc, args)
            if (is_path(static_cast<Node *>(lfirst(lc))) &&
                castNode(RelabelType, lfirst(lc))->resulttype == RECORDARRAYOID)
                lfirst(lc) = castNode(RelabelType, lfirst(lc))->arg;
    };
    Node *copy = pg::mutate_tree(node, unwrap_paths, context);
    if (IsA(copy, CoerceViaIO)) {
        auto *cast = castNode(CoerceViaIO, copy);
        auto *arg = reinterpret_cast<Node *>(cast->arg);
        if (is_path(arg) && castNode(RelabelType, arg)->resulttype == RECORDARRAYOID)
            cast->arg = castNode(RelabelType, arg)->arg;
    } else if (IsA(copy, FuncExpr)) {
        auto *call = castNode(FuncExpr, copy);
        if (call->funcid == F_ARRAY_LENGTH || call->funcid == F_CARDINALITY || call->funcid == F_ARRAY_UPPER)
            unwrap(call->args);
    }
    return copy;
}

bool holds_path(Node *node, void *context) {
    if (node == nullptr)
        return false;
    if (IsA(node, Query))
        return pg::walk_query(castNode(Query, node), holds_path, context, 0);
    return is_path(node) || pg::walk_tree(node, holds_path, context);
}

} // namespace

Node *Analyser::use_stored_paths(Node *expression) {
    Node *used = unwrap_paths(expression, nullptr);
    if (holds_path(used, nullptr))
        (void)no_rule("the column of a SEARCH or CYCLE clause that holds rows, shown otherwise than as text");
    return used;
}

} // namespace upkeep::analysis
