#include "lower/flow.hpp"

#include "lower/beside.hpp"

extern "C" {
#include "rewrite/rewriteManip.h"
}

namespace upkeep::lower {

using analysis::Block;
using analysis::GroupNode;

namespace {

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

Node *new_column(int entry, int column, const Node *like) {
    Var *var =
        makeVar(entry, static_cast<AttrNumber>(column), exprType(like), exprTypmod(like), exprCollation(like), 0);
    var->varnosyn = 0;
    return reinterpret_cast<Node *>(var);
}

RangeTblEntry *keys_entry(const GroupNode &node) {
    List *names = NIL;
    for (int k = 0; k < node.nkeys(); k++)
        names = lappend(names, makeString(psprintf("k%d", k + 1)));
    return tuplestore_entry(kKeysName, makeAlias("k", NIL), names);
}

void add_condition(Query *q, Node *condition) {
    q->jointree->quals = make_and_qual(q->jointree->quals, condition);
}

using algebra::KeySet;

/// What is wanted of a node's flow.
struct Wanted {
    const GroupNode &node;
    Rows rows;
    KeySet null_keys;

    bool asks_for(int k) const { return rows != Rows::all && OidIsValid(node.keys[k].equality); }
    bool is_null(int k) const { return null_keys.test(static_cast<size_t>(k)); }

    /// Adds the conditions on these keys, which are the first of the given expressions. `listed`: the entry of the
    /// query that has the keys wanted, if they are listed.
    void ask(Query *q, const List *keys, const KeySet &set, int listed) const {
        for (int k = 0; k < node.nkeys(); k++) {
            if (!asks_for(k) || !set.test(static_cast<size_t>(k)))
                continue;
            auto *key = static_cast<Node *>(list_nth(keys, k));
            add_condition(q, is_null(k) ? key_is_null(key)
                                        : key_equals(key, node.keys[k],
                                                     rows == Rows::of_group ? key_parameter(key, k + 1)
                                                                            : new_column(listed, k + 1, key)));
        }
    }

    /// The same, where listed keys are not joined yet.
    void ask_all(Query *q, const List *keys, const KeySet &set) const {
        if (rows == Rows::of_listed) {
            q->rtable = lappend(q->rtable, keys_entry(node));
            q->jointree->fromlist = lcons(reference(list_length(q->rtable)), q->jointree->fromlist);
        }
        ask(q, keys, set, list_length(q->rtable));
    }

    /// The same without joining: listed keys are asked for by EXISTS, NULLs directly.
    void ask_roughly(Query *q, List *keys, const KeySet &set) const {
        if (rows != Rows::of_listed)
            return ask(q, keys, set, 0);
        ask(q, keys, set & null_keys, 0);
        auto *raised = static_cast<List *>(copyObjectImpl(keys));
        IncrementVarSublevelsUp(reinterpret_cast<Node *>(raised), 1, 0);
        Query *some = select_from(keys_entry(node));
        ask(some, raised, set & ~null_keys, 1);
        if (some->jointree->quals == nullptr)
            return;
        add_condition(q, exists(some));
    }

    /// The keys whose conditions may not stand beside those of the block.
    KeySet outside(const Block &block) const {
        KeySet set;
        for (int k = 0; k < node.nkeys(); k++)
            if (asks_for(k) && !may_stand_beside(block, static_cast<Node *>(list_nth(block.outputs, k))))
                set.set(static_cast<size_t>(k));
        return set;
    }
};

const KeySet kAllKeys = ~KeySet{};

/// Of a tally: the column that says which rows count, behind its keys.
Node *filter_of(const GroupNode &node, const List *columns) {
    if (node.kind != analysis::NodeKind::tally || node.filter < 0)
        return nullptr;
    return static_cast<Node *>(copyObjectImpl(list_nth(columns, node.nkeys())));
}

void add_targets(Query *q, const List *columns) {
    ListCell *lc;
    foreach (lc, columns)
        add_target(q, static_cast<Expr *>(copyObjectImpl(lfirst(lc))));
}

/// SELECT f.* FROM (the block OFFSET 0) f, without its columns yet: these are put out.
Query *behind_fence(Query *block_query, const List *columns, List **above) {
    fence(block_query);
    *above = NIL;
    ListCell *lc;
    foreach (lc, columns)
        *above = lappend(*above, new_column(1, foreach_current_index(lc) + 1, static_cast<Node *>(lfirst(lc))));
    return select_from(
        subquery_entry(block_query, makeAlias("f", NIL), numbered_names(list_length(block_query->targetList))));
}

/// The wanted rows of one block.
Query *block_rows(const Block &block, const Wanted &wanted) {
    Query *q = block_query(block, 0);
    add_quals(q, block, {0, 0});
    const KeySet outside = wanted.outside(block);
    Node *filter = filter_of(wanted.node, block.outputs);
    const bool filter_outside = filter != nullptr && !may_stand_beside(block, filter);
    if (filter != nullptr && !filter_outside)
        add_condition(q, filter);
    if (outside.none() && !filter_outside) {
        wanted.ask_all(q, block.outputs, kAllKeys);
        add_targets(q, block.outputs);
        return q;
    }
    wanted.ask_roughly(q, block.outputs, ~outside);
    add_targets(q, block.outputs);
    List *columns;
    Query *above = behind_fence(q, block.outputs, &columns);
    if (filter_outside)
        add_condition(above, filter_of(wanted.node, columns));
    wanted.ask_all(above, columns, wanted.rows == Rows::of_listed ? kAllKeys : outside);
    add_targets(above, columns);
    return above;
}

} // namespace

Node *key_parameter(const Node *key, int number) {
    Param *param = makeNode(Param);
    param->paramkind = PARAM_EXTERN;
    param->paramid = number;
    param->paramtype = exprType(key);
    param->paramtypmod = exprTypmod(key);
    param->paramcollid = exprCollation(key);
    param->location = -1;
    return reinterpret_cast<Node *>(param);
}

void append_flow(StringInfo sql, const GroupNode &node, Rows rows, const KeySet &null_keys) {
    appendStringInfo(sql, "WITH %s(", kFlowName);
    for (size_t i = 0; i < node.input.columns.size(); i++)
        appendStringInfo(sql, "%sc%zu", i > 0 ? ", " : "", i + 1);
    appendStringInfoString(sql, ") AS NOT MATERIALIZED (");
    const char *separator = "";
    for (const Block *block : node.input.blocks) {
        appendStringInfo(sql, "%s%s", separator, deparse(block_rows(*block, {node, rows, null_keys})));
        separator = " UNION ALL ";
    }
    appendStringInfoString(sql, ") ");
}

} // namespace upkeep::lower
