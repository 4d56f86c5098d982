// Reading groups again: one by its key, or many in one statement.
#include "lower/flow.hpp"
#include "lower/query.hpp"

extern "C" {
#include "catalog/pg_aggregate.h"
}

namespace upkeep::lower {

using analysis::GroupNode;

namespace {

Expr *flow_column(const GroupNode &node, int column) {
    const analysis::ColumnType &t = node.input.columns[static_cast<size_t>(column)];
    Var *var = makeVar(1, static_cast<AttrNumber>(column + 1), t.type, t.typmod, t.collation, 0);
    var->varnosyn = 0;
    return reinterpret_cast<Expr *>(var);
}

RangeTblEntry *flow_entry(const GroupNode &node, const char *name = kFlowName) {
    List *names = NIL;
    for (size_t i = 0; i < node.input.columns.size(); i++)
        names = lappend(names, makeString(psprintf("c%zu", i + 1)));
    return tuplestore_entry(name, makeAlias("x", NIL), names);
}

/// SELECT … FROM upkeep_flow x
Query *over_flow(const GroupNode &node) {
    return select_from(flow_entry(node));
}

/// The columns of relation 1 as parameters, NULL where the key is.
struct Keys {
    const algebra::KeySet &null_keys;
};

Node *keys_to_parameters(Node *node, void *context) {
    if (node == nullptr)
        return nullptr;
    if (IsA(node, Var)) {
        const int k = castNode(Var, node)->varattno - 1;
        if (static_cast<Keys *>(context)->null_keys.test(static_cast<size_t>(k)))
            return reinterpret_cast<Node *>(makeNullConst(exprType(node), exprTypmod(node), exprCollation(node)));
        return key_parameter(node, k + 1);
    }
    return pg::mutate_tree(node, keys_to_parameters, context);
}

/// The aggregate call over the flow's columns in place of its arguments. In one group (`keys` given) its direct
/// arguments read the parameters, else the keys that the query groups by.
Expr *call_over_flow(const GroupNode &node, const analysis::AggCall &call, Keys *keys) {
    auto *aggref = static_cast<Aggref *>(copyObjectImpl(call.aggref));
    const auto column_of = [&](const Expr *argument) {
        ListCell *other;
        foreach (other, call.aggref->args)
            if (equal(lfirst_node(TargetEntry, other)->expr, argument))
                return flow_column(node, call.args[foreach_current_index(other)]);
        elog(ERROR, "an aggregate sorts by a record of something else than its arguments");
    };
    ListCell *lc;
    foreach (lc, aggref->args) {
        auto *argument = lfirst_node(TargetEntry, lc);
        const int column = call.args[foreach_current_index(lc)];
        if (column >= 0) {
            argument->expr = flow_column(node, column);
            continue;
        }
        ListCell *part;
        foreach (part, reinterpret_cast<RowExpr *>(argument->expr)->args)
            lfirst(part) = column_of(static_cast<Expr *>(lfirst(part)));
    }
    if (call.filter >= 0)
        aggref->aggfilter = flow_column(node, call.filter);
    auto *direct = reinterpret_cast<Node *>(call.direct);
    aggref->aggdirectargs = reinterpret_cast<List *>(keys != nullptr ? keys_to_parameters(direct, keys)
                                                                     : static_cast<Node *>(copyObjectImpl(direct)));
    return reinterpret_cast<Expr *>(aggref);
}

void add_calls(Query *q, const GroupNode &node, std::span<const int> wanted, Keys *keys) {
    for (int a : wanted)
        add_target(q, call_over_flow(node, node.aggs[static_cast<size_t>(a)], keys));
    q->hasAggs = !wanted.empty();
}

/// (array_agg(column))[1]: what follows from the keys is the same in all rows of a group.
Expr *any_value(const GroupNode &node, int column) {
    const analysis::ColumnType &t = node.input.columns[static_cast<size_t>(column)];
    Aggref *call = makeNode(Aggref);
    call->aggfnoid = F_ARRAY_AGG_ANYNONARRAY;
    call->aggtype = get_array_type(t.type);
    call->aggcollid = call->inputcollid = t.collation;
    call->aggargtypes = list_make1_oid(t.type);
    call->args = list_make1(makeTargetEntry(flow_column(node, column), 1, nullptr, false));
    call->aggkind = AGGKIND_NORMAL;
    call->aggsplit = AGGSPLIT_SIMPLE;
    call->aggno = call->aggtransno = call->location = -1;
    SubscriptingRef *first = makeNode(SubscriptingRef);
    first->refcontainertype = call->aggtype;
    first->refelemtype = first->refrestype = t.type;
    first->reftypmod = t.typmod;
    first->refcollid = t.collation;
    first->refupperindexpr = list_make1(makeConst(INT4OID, -1, InvalidOid, 4, Int32GetDatum(1), false, true));
    first->refexpr = reinterpret_cast<Expr *>(call);
    return reinterpret_cast<Expr *>(first);
}

Rows rows_of(Groups groups) {
    return groups == Groups::listed ? Rows::of_listed : Rows::all;
}

/// The function of a partition node with the flow in place.
const char *function_text(const GroupNode &node, const char *flow = kFlowName) {
    auto *function = static_cast<Query *>(copyObjectImpl(node.function));
    function->rtable = list_make1(flow_entry(node, flow));
    return deparse(function);
}

} // namespace

const char *partition_sql(const GroupNode &node, const algebra::KeySet &null_keys) {
    StringInfoData sql;
    initStringInfo(&sql);
    append_flow(&sql, node, Rows::of_group, null_keys);
    appendStringInfoString(&sql, function_text(node));
    return sql.data;
}

const char *partitions_sql(const GroupNode &node, Groups groups) {
    StringInfoData sql;
    initStringInfo(&sql);
    append_flow(&sql, node, rows_of(groups));
    appendStringInfoString(&sql, function_text(node));
    return sql.data;
}

const char *merge_sql(const GroupNode &node) {
    return function_text(node, kRowsName);
}

const char *group_sql(const GroupNode &node, const algebra::KeySet &null_keys, std::span<const int> wanted) {
    StringInfoData sql;
    initStringInfo(&sql);
    append_flow(&sql, node, Rows::of_group, null_keys);
    Query *q = over_flow(node);
    Keys keys{null_keys};
    add_calls(q, node, wanted, &keys);
    appendStringInfoString(&sql, deparse(q));
    return sql.data;
}

const char *representative_sql(const GroupNode &node, const algebra::KeySet &null_keys) {
    StringInfoData sql;
    initStringInfo(&sql);
    append_flow(&sql, node, Rows::of_group, null_keys);
    Query *q = over_flow(node);
    for (int k = 0; k < node.nkeys(); k++)
        add_target(q, flow_column(node, k));
    appendStringInfo(&sql, "%s LIMIT 1", deparse(q));
    return sql.data;
}

const char *groups_sql(const GroupNode &node, Groups groups, std::span<const int> wanted,
                       const algebra::KeySet &null_keys) {
    StringInfoData sql;
    initStringInfo(&sql);
    append_flow(&sql, node, rows_of(groups), null_keys);
    Query *q = over_flow(node);
    for (int k = 0; k < node.nkeys(); k++) {
        if (!OidIsValid(node.keys[k].equality)) {
            add_target(q, any_value(node, k));
            continue;
        }
        add_target(q, flow_column(node, k));
        SortGroupClause *clause = makeNode(SortGroupClause);
        clause->tleSortGroupRef = static_cast<Index>(k + 1);
        clause->eqop = node.keys[k].equality;
        llast_node(TargetEntry, q->targetList)->ressortgroupref = clause->tleSortGroupRef;
        q->groupClause = lappend(q->groupClause, clause);
    }
    add_calls(q, node, wanted, nullptr);
    q->hasAggs = true;
    appendStringInfoString(&sql, deparse(q));
    return sql.data;
}

} // namespace upkeep::lower
