#include "analysis/companion.hpp"

#include "pg/entry.hpp"

extern "C" {
#include "catalog/pg_aggregate.h"
#include "catalog/pg_collation.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_oper.h"
}

namespace upkeep::analysis {
namespace {

Node *as_node(const void *node) {
    return const_cast<Node *>(static_cast<const Node *>(node));
}

// An aggregate call over other arguments, with the FILTER of `like`. Its DISTINCT is not kept: the bounds that are
// computed from it only become wider.
Expr *make_aggregate_like(const Aggref *like, Oid function, Oid result, Expr *argument) {
    Aggref *call = makeNode(Aggref);
    call->aggfnoid = function;
    call->aggtype = result;
    call->inputcollid = like->inputcollid;
    call->aggargtypes = list_make1_oid(exprType(as_node(argument)));
    call->args = list_make1(makeTargetEntry(argument, 1, nullptr, false));
    call->aggfilter = static_cast<Expr *>(copyObjectImpl(like->aggfilter));
    call->aggkind = AGGKIND_NORMAL;
    call->aggsplit = AGGSPLIT_SIMPLE;
    call->aggno = -1;
    call->aggtransno = -1;
    call->location = -1;
    return reinterpret_cast<Expr *>(call);
}

Expr *make_call(Oid function, Oid result, Expr *argument) {
    return reinterpret_cast<Expr *>(
        makeFuncExpr(function, result, list_make1(argument), InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL));
}

Expr *first_argument(const Aggref *aggregate) {
    return static_cast<Expr *>(copyObjectImpl(linitial_node(TargetEntry, aggregate->args)->expr));
}

// As numeric, which neither overflows nor depends on the order. The 15 digits that the cast keeps are plenty here.
Expr *argument_as_numeric(const Aggref *aggregate) {
    Expr *argument = first_argument(aggregate);
    const Oid cast = exprType(as_node(argument)) == FLOAT4OID ? F_NUMERIC_FLOAT4 : F_NUMERIC_FLOAT8;
    return make_call(cast, NUMERICOID, argument);
}

struct Rewriting {
    Companion *companion;
    const Query *original;
    FloatExpression *result;
};

bool is_group_key(const Query *query, Node *node) {
    ListCell *cell;
    foreach (cell, query->groupClause) {
        if (equal(get_sortgroupclause_expr(lfirst_node(SortGroupClause, cell), query->targetList), node)) {
            return true;
        }
    }
    return false;
}

Node *make_column(int number, Node *like) {
    return reinterpret_cast<Node *>(makeVar(1, number + 1, exprType(like), exprTypmod(like), exprCollation(like), 0));
}

Node *read_from_companion(Node *node, Rewriting *rewriting) {
    if (node == nullptr) {
        return nullptr;
    }
    const bool is_aggregate = IsA(node, Aggref);
    if (is_aggregate || IsA(node, Var) || IsA(node, GroupingFunc) || is_group_key(rewriting->original, node)) {
        const int number = rewriting->companion->add(reinterpret_cast<Expr *>(node));
        if (is_aggregate && find_float_kind(castNode(Aggref, node)->aggfnoid)) {
            const FloatLeaf leaf = rewriting->companion->add_float(castNode(Aggref, node), number);
            pg::Vector<FloatLeaf> &leaves = rewriting->result->leaves;
            if (std::none_of(leaves.begin(), leaves.end(), [&](const FloatLeaf &l) { return l.value == number; })) {
                leaves.push_back(leaf);
            }
        }
        return make_column(number, node);
    }
    return pg::mutate_tree(
        node,
        [](Node *child, void *context) {
            return pg::guard([&] { return read_from_companion(child, static_cast<Rewriting *>(context)); });
        },
        rewriting);
}

} // namespace

std::optional<FloatKind> find_float_kind(Oid aggregate) {
    switch (aggregate) {
    case F_SUM_FLOAT4:
        return FloatKind::sum_float4;
    case F_SUM_FLOAT8:
        return FloatKind::sum_float8;
    case F_AVG_FLOAT4:
    case F_AVG_FLOAT8:
        return FloatKind::average;
    case F_VAR_POP_FLOAT4:
    case F_VAR_POP_FLOAT8:
        return FloatKind::var_pop;
    case F_VAR_SAMP_FLOAT4:
    case F_VAR_SAMP_FLOAT8:
    case F_VARIANCE_FLOAT4:
    case F_VARIANCE_FLOAT8:
        return FloatKind::var_samp;
    case F_STDDEV_POP_FLOAT4:
    case F_STDDEV_POP_FLOAT8:
        return FloatKind::stddev_pop;
    case F_STDDEV_SAMP_FLOAT4:
    case F_STDDEV_SAMP_FLOAT8:
    case F_STDDEV_FLOAT4:
    case F_STDDEV_FLOAT8:
        return FloatKind::stddev_samp;
    default:
        return std::nullopt;
    }
}

Expr *make_count_of_values(const Aggref *aggregate) {
    auto *call = static_cast<Aggref *>(copyObjectImpl(aggregate));
    call->aggfnoid = F_COUNT_ANY;
    call->aggtype = INT8OID;
    return reinterpret_cast<Expr *>(call);
}

Expr *make_count_of_images(const Aggref *aggregate) {
    auto *call = reinterpret_cast<Aggref *>(make_count_of_values(aggregate));
    call->aggargtypes = list_make1_oid(TEXTOID);
    call->inputcollid = C_COLLATION_OID;
    CoerceViaIO *text = makeNode(CoerceViaIO);
    text->arg = first_argument(aggregate);
    text->resulttype = TEXTOID;
    text->resultcollid = C_COLLATION_OID;
    text->coerceformat = COERCE_EXPLICIT_CAST;
    text->location = -1;
    linitial_node(TargetEntry, call->args)->expr = reinterpret_cast<Expr *>(text);
    auto *clause = linitial_node(SortGroupClause, call->aggdistinct);
    get_sort_group_operators(TEXTOID, true, true, false, &clause->sortop, &clause->eqop, nullptr, &clause->hashable);
    call->aggorder = NIL;
    return reinterpret_cast<Expr *>(call);
}

Expr *make_array_of(const Aggref *aggregate) {
    Expr *argument = first_argument(aggregate);
    const Oid array = get_array_type(exprType(as_node(argument)));
    return make_aggregate_like(aggregate, F_ARRAY_AGG_ANYNONARRAY, array, argument);
}

Expr *make_filtered_argument(const Aggref *aggregate) {
    Expr *argument = first_argument(aggregate);
    if (aggregate->aggfilter == nullptr) {
        return argument;
    }
    CaseWhen *when = makeNode(CaseWhen);
    when->expr = static_cast<Expr *>(copyObjectImpl(aggregate->aggfilter));
    when->result = argument;
    when->location = -1;
    CaseExpr *choice = makeNode(CaseExpr);
    choice->casetype = exprType(as_node(argument));
    choice->casecollid = exprCollation(as_node(argument));
    choice->args = list_make1(when);
    choice->defresult =
        reinterpret_cast<Expr *>(makeNullConst(choice->casetype, exprTypmod(as_node(argument)), choice->casecollid));
    choice->location = -1;
    return reinterpret_cast<Expr *>(choice);
}

Companion::Companion(const Query *original)
    : original_(original), copy_(static_cast<Query *>(copyObjectImpl(original))) {
    // The query's own columns first, then those that it only sorts or groups by: further columns go between.
    List *own = NIL;
    List *hidden = NIL;
    ListCell *cell;
    foreach (cell, copy_->targetList) {
        auto *entry = lfirst_node(TargetEntry, cell);
        (entry->resjunk ? hidden : own) = lappend(entry->resjunk ? hidden : own, entry);
    }
    copy_->targetList = list_concat(own, hidden);
}

int Companion::add(const Expr *expression) {
    int number = 0;
    ListCell *cell;
    foreach (cell, copy_->targetList) {
        const auto *entry = lfirst_node(TargetEntry, cell);
        if (entry->resjunk) {
            break;
        }
        if (equal(entry->expr, expression)) {
            return number;
        }
        number++;
    }
    return insert(expression, number);
}

int Companion::append(const Expr *expression) {
    return insert(expression, ExecCleanTargetListLength(copy_->targetList));
}

int Companion::insert(const Expr *expression, int number) {
    auto *copy = static_cast<Expr *>(copyObjectImpl(expression));
    auto *entry = makeTargetEntry(copy, number + 1, pstrdup("further"), false);
    copy_->targetList = list_insert_nth(copy_->targetList, number, entry);
    AttrNumber resno = 1;
    ListCell *cell;
    foreach (cell, copy_->targetList) {
        lfirst_node(TargetEntry, cell)->resno = resno++;
    }
    return number;
}

FloatLeaf Companion::add_float(const Aggref *aggregate, int value) {
    FloatLeaf leaf;
    leaf.distinct = aggregate->aggdistinct != NIL;
    leaf.kind = *find_float_kind(aggregate->aggfnoid);
    leaf.value = value >= 0 ? value : add(reinterpret_cast<const Expr *>(aggregate));
    leaf.count = add(make_aggregate_like(aggregate, F_COUNT_ANY, INT8OID, first_argument(aggregate)));
    Expr *numeric = argument_as_numeric(aggregate);
    leaf.sum = add(make_aggregate_like(aggregate, F_SUM_NUMERIC, NUMERICOID, numeric));
    Expr *absolute = make_call(F_ABS_NUMERIC, NUMERICOID, argument_as_numeric(aggregate));
    leaf.magnitude = add(make_aggregate_like(aggregate, F_SUM_NUMERIC, NUMERICOID, absolute));
    return leaf;
}

FloatExpression Companion::add_expression(Node *expression) {
    FloatExpression result{nullptr, {}};
    Rewriting rewriting{this, original_, &result};
    result.expression = reinterpret_cast<Expr *>(read_from_companion(expression, &rewriting));
    return result;
}

} // namespace upkeep::analysis
