// Reading groups again: one by its key, or many in one statement.
#include "lower/query.hpp"
#include "lower/sql.hpp"

extern "C" {
#include "catalog/pg_aggregate.h"
}

namespace upkeep::lower {

using analysis::Block;
using analysis::GroupNode;

namespace {

constexpr const char *kFlowName = "upkeep_flow";

Expr *relabel(Node *e, Oid type) {
    if (exprType(e) == type || IsPolymorphicType(type))
        return reinterpret_cast<Expr *>(e);
    return reinterpret_cast<Expr *>(
        makeRelabelType(reinterpret_cast<Expr *>(e), type, -1, exprCollation(e), COERCE_IMPLICIT_CAST));
}

/// key = other, with the key's own equality.
Node *key_equals(Node *key, const analysis::KeyColumn &column, Node *other) {
    Oid left, right;
    op_input_types(column.equality, &left, &right);
    return reinterpret_cast<Node *>(make_opclause(column.equality, BOOLOID, false,
                                                  relabel(static_cast<Node *>(copyObjectImpl(key)), left),
                                                  relabel(other, right), InvalidOid, column.collation));
}

Node *key_is_null(Node *key) {
    NullTest *test = makeNode(NullTest);
    test->arg = static_cast<Expr *>(copyObjectImpl(key));
    test->nulltesttype = IS_NULL;
    test->location = -1;
    return reinterpret_cast<Node *>(test);
}

Node *parameter(const Node *key, int number) {
    Param *param = makeNode(Param);
    param->paramkind = PARAM_EXTERN;
    param->paramid = number;
    param->paramtype = exprType(key);
    param->paramtypmod = exprTypmod(key);
    param->paramcollid = exprCollation(key);
    param->location = -1;
    return reinterpret_cast<Node *>(param);
}

/// The columns k1 … kn of upkeep_keys behind the inputs of a block.
void join_listed_keys(Query *q, const GroupNode &node, const Block &block, std::uint64_t null_keys = 0) {
    List *names = NIL;
    for (int k = 0; k < node.nkeys(); k++)
        names = lappend(names, makeString(psprintf("k%d", k + 1)));
    q->rtable = lappend(q->rtable, tuplestore_entry(kKeysName, makeAlias("k", NIL), names));
    RangeTblRef *ref = reference(list_length(q->rtable));
    q->jointree->fromlist = lcons(ref, q->jointree->fromlist);
    for (int k = 0; k < node.nkeys(); k++) {
        if (!OidIsValid(node.keys[k].equality))
            continue;
        auto *key = static_cast<Node *>(list_nth(block.outputs, k));
        Var *var = makeVar(ref->rtindex, static_cast<AttrNumber>(k + 1), exprType(key), exprTypmod(key),
                           exprCollation(key), 0);
        var->varnosyn = 0;
        Node *test =
            (null_keys >> k) & 1 ? key_is_null(key) : key_equals(key, node.keys[k], reinterpret_cast<Node *>(var));
        q->jointree->quals = make_and_qual(q->jointree->quals, test);
    }
}

/// WITH upkeep_flow(c1, …) AS NOT MATERIALIZED (the node's input flow, narrowed down by `narrow`).
template <typename Narrow> void append_flow(StringInfo sql, const GroupNode &node, Narrow narrow) {
    appendStringInfo(sql, "WITH %s(", kFlowName);
    for (size_t i = 0; i < node.input.columns.size(); i++)
        appendStringInfo(sql, "%sc%zu", i > 0 ? ", " : "", i + 1);
    appendStringInfoString(sql, ") AS NOT MATERIALIZED (");
    const char *separator = "";
    for (const Block *block : node.input.blocks) {
        Query *q = block_query(*block, 0);
        add_quals(q, *block, 0, 0);
        narrow(q, *block);
        ListCell *lc;
        foreach (lc, block->outputs)
            add_target(q, static_cast<Expr *>(copyObjectImpl(lfirst(lc))));
        appendStringInfo(sql, "%s%s", separator, deparse(q));
        separator = " UNION ALL ";
    }
    appendStringInfoString(sql, ") ");
}

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
    std::uint64_t null_keys;
};

Node *keys_to_parameters(Node *node, void *context) {
    if (node == nullptr)
        return nullptr;
    if (IsA(node, Var)) {
        const int k = castNode(Var, node)->varattno - 1;
        if ((static_cast<Keys *>(context)->null_keys >> k) & 1)
            return reinterpret_cast<Node *>(makeNullConst(exprType(node), exprTypmod(node), exprCollation(node)));
        return parameter(node, k + 1);
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

void append_one_group(StringInfo sql, const GroupNode &node, std::uint64_t null_keys) {
    append_flow(sql, node, [&](Query *q, const Block &block) {
        for (int k = 0; k < node.nkeys(); k++) {
            if (!OidIsValid(node.keys[k].equality))
                continue;
            auto *key = static_cast<Node *>(list_nth(block.outputs, k));
            Node *test = (null_keys >> k) & 1 ? key_is_null(key) : key_equals(key, node.keys[k], parameter(key, k + 1));
            q->jointree->quals = make_and_qual(q->jointree->quals, test);
        }
    });
}

/// The function of a partition node with the flow in place.
const char *function_text(const GroupNode &node, const char *flow = kFlowName) {
    auto *function = static_cast<Query *>(copyObjectImpl(node.function));
    function->rtable = list_make1(flow_entry(node, flow));
    return deparse(function);
}

} // namespace

const char *partition_sql(const GroupNode &node, std::uint64_t null_keys) {
    StringInfoData sql;
    initStringInfo(&sql);
    append_one_group(&sql, node, null_keys);
    appendStringInfoString(&sql, function_text(node));
    return sql.data;
}

const char *partitions_sql(const GroupNode &node, Groups groups) {
    StringInfoData sql;
    initStringInfo(&sql);
    append_flow(&sql, node, [&](Query *q, const Block &block) {
        if (groups == Groups::listed)
            join_listed_keys(q, node, block);
    });
    appendStringInfoString(&sql, function_text(node));
    return sql.data;
}

const char *merge_sql(const GroupNode &node) {
    return function_text(node, kRowsName);
}

const char *group_sql(const GroupNode &node, std::uint64_t null_keys, std::span<const int> wanted) {
    StringInfoData sql;
    initStringInfo(&sql);
    append_one_group(&sql, node, null_keys);
    Query *q = over_flow(node);
    Keys keys{null_keys};
    add_calls(q, node, wanted, &keys);
    appendStringInfoString(&sql, deparse(q));
    return sql.data;
}

const char *representative_sql(const GroupNode &node, std::uint64_t null_keys) {
    StringInfoData sql;
    initStringInfo(&sql);
    append_one_group(&sql, node, null_keys);
    Query *q = over_flow(node);
    for (int k = 0; k < node.nkeys(); k++)
        add_target(q, flow_column(node, k));
    appendStringInfo(&sql, "%s LIMIT 1", deparse(q));
    return sql.data;
}

const char *groups_sql(const GroupNode &node, Groups groups, std::span<const int> wanted, std::uint64_t null_keys) {
    StringInfoData sql;
    initStringInfo(&sql);
    append_flow(&sql, node, [&](Query *q, const Block &block) {
        if (groups == Groups::listed)
            join_listed_keys(q, node, block, null_keys);
    });
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
