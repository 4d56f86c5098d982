// Aggregates whose result depends on the order of their input rows, and the keys of groups.
#include "analysis/image_order.hpp"
#include "analysis/settle_internal.hpp"
#include "pg/entry.hpp"

extern "C" {
#include "catalog/pg_aggregate.h"
#include "optimizer/optimizer.h"
#include "parser/parse_clause.h"
#include "parser/parse_oper.h"
#include "parser/parsetree.h"
}

namespace upkeep::analysis {
namespace {

// Built-in aggregates that make the same of their input in any order, except of floats.
constexpr std::string_view kExact[] = {"avg",   "bit_and", "bit_or",     "bit_xor", "bool_and",   "bool_or",
                                       "count", "every",   "regr_count", "stddev",  "stddev_pop", "stddev_samp",
                                       "sum",   "var_pop", "var_samp",   "variance"};
// … except of types of which equal values can have several images.
constexpr std::string_view kRepresentative[] = {"max", "min", "range_agg", "range_intersect_agg"};
// Statistics of floats.
constexpr std::string_view kStatistics[] = {"corr",      "covar_pop",      "covar_samp", "regr_avgx",
                                            "regr_avgy", "regr_intercept", "regr_r2",    "regr_slope",
                                            "regr_sxx",  "regr_sxy",       "regr_syy"};

template <std::size_t n> bool is_among(const std::string_view (&names)[n], std::string_view name) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

bool has_floats(List *arguments) {
    ListCell *cell;
    foreach (cell, arguments) {
        const Oid type = exprType(static_cast<Node *>(lfirst(cell)));
        if (type == FLOAT4OID || type == FLOAT8OID)
            return true;
    }
    return false;
}

bool has_ambiguous(List *arguments) {
    ListCell *cell;
    foreach (cell, arguments)
        if (has_several_images(static_cast<Expr *>(lfirst(cell))))
            return true;
    return false;
}

List *visible_arguments(const Aggref *call) {
    List *result = NIL;
    ListCell *cell;
    foreach (cell, call->args)
        if (!lfirst_node(TargetEntry, cell)->resjunk)
            result = lappend(result, lfirst_node(TargetEntry, cell)->expr);
    return result;
}

// How sums of floats round, and which of equal values is shown.
bool is_value_choice(Oid aggregate) {
    const char *name = aggregate < FirstNormalObjectId ? get_func_name(aggregate) : nullptr;
    return name != nullptr && (is_among(kExact, name) || is_among(kRepresentative, name));
}

// The transition of floats is commutative, so values that are equal need no order among themselves.
bool is_float_sum(Oid aggregate, List *arguments) {
    const char *name = aggregate < FirstNormalObjectId ? get_func_name(aggregate) : nullptr;
    return name != nullptr && has_floats(arguments) && (is_among(kExact, name) || is_among(kStatistics, name));
}

void order_by_value(Aggref *call, TargetEntry *argument) {
    SortGroupClause *clause = makeNode(SortGroupClause);
    get_sort_group_operators(exprType(reinterpret_cast<Node *>(argument->expr)), true, true, false, &clause->sortop,
                             &clause->eqop, nullptr, nullptr);
    clause->tleSortGroupRef = assignSortGroupRef(argument, call->args);
    call->aggorder = lappend(call->aggorder, clause);
}

// The first value of a key in the order of the rows' images.
Expr *first_of(Expr *key, List *keys) {
    Aggref *call = makeNode(Aggref);
    const Oid type = exprType(reinterpret_cast<Node *>(key));
    const Oid array = get_array_type(type);
    call->aggfnoid = F_ARRAY_AGG_ANYNONARRAY;
    call->aggtype = array;
    call->inputcollid = exprCollation(reinterpret_cast<Node *>(key));
    call->aggcollid = call->inputcollid;
    call->aggargtypes = list_make1_oid(type);
    call->args = list_make1(makeTargetEntry(static_cast<Expr *>(copyObjectImpl(key)), 1, nullptr, false));
    call->aggkind = AGGKIND_NORMAL;
    call->aggsplit = AGGSPLIT_SIMPLE;
    call->aggno = -1;
    call->aggtransno = -1;
    call->location = -1;
    order_by_image(&call->aggorder, &call->args, keys);

    SubscriptingRef *element = makeNode(SubscriptingRef);
    element->refcontainertype = array;
    element->refelemtype = type;
    element->refrestype = type;
    element->reftypmod = exprTypmod(reinterpret_cast<Node *>(key));
    element->refcollid = call->aggcollid;
    element->refupperindexpr = list_make1(makeConst(INT4OID, -1, InvalidOid, 4, Int32GetDatum(1), false, true));
    element->refexpr = reinterpret_cast<Expr *>(call);
    return reinterpret_cast<Expr *>(element);
}

struct GroupKeys {
    List *all = NIL;
    List *ambiguous = NIL; // of which equal values have several images
};

Node *show_first(Node *node, GroupKeys *keys) {
    if (node == nullptr || IsA(node, Aggref))
        return node;
    if (has_expression(keys->ambiguous, node))
        return reinterpret_cast<Node *>(first_of(reinterpret_cast<Expr *>(node), keys->ambiguous));
    if (has_expression(keys->all, node))
        return node;
    return pg::mutate_tree(
        node,
        [](Node *child, void *context) {
            return pg::guard([&] { return show_first(child, static_cast<GroupKeys *>(context)); });
        },
        keys);
}

// Values of array types cannot be collected into arrays: such keys are left as they are.
GroupKeys find_keys(Query *q) {
    GroupKeys keys;
    ListCell *cell;
    foreach (cell, q->groupClause) {
        auto *key = get_sortgroupclause_expr(lfirst_node(SortGroupClause, cell), q->targetList);
        keys.all = lappend(keys.all, key);
        if (has_several_images(reinterpret_cast<Expr *>(key)) && OidIsValid(get_array_type(exprType(key))) &&
            !OidIsValid(get_base_element_type(exprType(key))))
            keys.ambiguous = lappend(keys.ambiguous, key);
    }
    keys.ambiguous = distinct_expressions(keys.ambiguous);
    return keys;
}

} // namespace

bool is_order_sensitive(Oid aggregate, List *arguments) {
    if (aggregate >= FirstNormalObjectId)
        return true;
    const char *name = get_func_name(aggregate);
    if (name == nullptr || is_among(kStatistics, name))
        return true;
    if (is_among(kExact, name))
        return has_floats(arguments) && std::string_view(name) != "count" && std::string_view(name) != "regr_count";
    return !is_among(kRepresentative, name) || has_ambiguous(arguments);
}

void settle_call(Aggref *call, Choices choices, Query *level) {
    List *arguments = visible_arguments(call);
    if (call->aggkind != AGGKIND_NORMAL || call->aggdistinct != NIL || arguments == NIL ||
        (choices != Choices::all && is_value_choice(call->aggfnoid)) || !is_order_sensitive(call->aggfnoid, arguments))
        return;
    const bool by_value = is_float_sum(call->aggfnoid, arguments);
    if (level != nullptr && !by_value && !is_ordered_by_image(call->aggorder, call->args, arguments))
        order_as_source(level, &call->aggorder, &call->args);
    ListCell *cell;
    foreach (cell, list_copy(call->args)) {
        auto *argument = lfirst_node(TargetEntry, cell);
        if (argument->resjunk || IsA(argument->expr, Const))
            continue;
        if (by_value)
            order_by_value(call, argument);
        else
            order_by_image(&call->aggorder, &call->args, list_make1(argument->expr));
    }
}

namespace {

struct Calls {
    Query *level;
    Choices choices;
};

bool settle_calls_in(Node *node, void *context) {
    if (node == nullptr)
        return false;
    if (IsA(node, Aggref)) {
        auto *calls = static_cast<Calls *>(context);
        if (castNode(Aggref, node)->agglevelsup == 0)
            settle_call(castNode(Aggref, node), calls->choices, calls->level);
        return false;
    }
    return pg::walk_tree(
        node, [](Node *child, void *c) { return pg::guard([&] { return settle_calls_in(child, c); }); }, context);
}

} // namespace

void settle_calls(Query *q, Choices choices) {
    Calls calls{q, choices};
    settle_calls_in(reinterpret_cast<Node *>(q->targetList), &calls);
    settle_calls_in(q->havingQual, &calls);
}

void settle_keys(Query *q) {
    if (q->groupClause == NIL || q->groupingSets != NIL || q->distinctClause != NIL)
        return;
    GroupKeys keys = find_keys(q);
    if (keys.ambiguous == NIL)
        return;
    keys.all = static_cast<List *>(copyObjectImpl(keys.all));
    keys.ambiguous = static_cast<List *>(copyObjectImpl(keys.ambiguous));
    List *hidden = NIL;
    ListCell *cell;
    foreach (cell, q->targetList) {
        auto *entry = lfirst_node(TargetEntry, cell);
        const bool is_key = has_expression(keys.ambiguous, reinterpret_cast<Node *>(entry->expr));
        if (is_key && entry->resjunk)
            continue;
        if (is_key && entry->ressortgroupref != 0) {
            hidden = lappend(hidden, copyObjectImpl(entry));
            entry->ressortgroupref = 0;
        }
        entry->expr = reinterpret_cast<Expr *>(show_first(reinterpret_cast<Node *>(entry->expr), &keys));
    }
    foreach (cell, hidden) {
        auto *key = lfirst_node(TargetEntry, cell);
        key->resjunk = true;
        key->resno = static_cast<AttrNumber>(list_length(q->targetList) + 1);
        q->targetList = lappend(q->targetList, key);
    }
    q->havingQual = show_first(q->havingQual, &keys);
    q->hasAggs = true;
}

} // namespace upkeep::analysis
