#include "lower/query.hpp"

#include "analysis/row_source.hpp"
#include "pg/names.hpp"

namespace upkeep::lower {

using analysis::Block;

namespace {

Alias *occurrence_alias(int input, List *column_names) {
    return makeAlias(psprintf("o%d", input + 1), column_names);
}

/// The table's delta in place of the table.
RangeTblEntry *delta_entry(const RangeTblEntry *table, int source, int input) {
    List *names = NIL;
    Relation rel = table_open(table->relid, AccessShareLock);
    for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
        names = lappend(names, makeString(psprintf("c%d", i + 1)));
    table_close(rel, NoLock);
    names = lappend(names, makeString(pstrdup("w")));
    return tuplestore_entry(delta_name(source), occurrence_alias(input, NIL), names);
}

List *node_columns(const analysis::GroupNode &node) {
    List *names = NIL;
    for (size_t i = 0; i < node.columns.size(); i++)
        names = lappend(names, makeString(psprintf("c%zu", i + 1)));
    return names;
}

/// A node's delta: its columns and the weight.
RangeTblEntry *node_delta_entry(const analysis::GroupNode &node, int source, int input) {
    List *names = lappend(node_columns(node), makeString(pstrdup("w")));
    return tuplestore_entry(node_delta_name(source), occurrence_alias(input, NIL), names);
}

/// A node's rows: a subquery over its state table, or over what its flow reads, which the planner pulls up.
RangeTblEntry *node_entry(const analysis::GroupNode &node, int source, int input) {
    Alias *alias = occurrence_alias(input, NIL);
    if (node.kind == analysis::NodeKind::derived)
        return subquery_entry(derived_query(node), alias, node_columns(node));
    if (!OidIsValid(node.stored)) // explained before it is stored
        return tuplestore_entry(psprintf("upkeep_node_%d", source + 1), alias, node_columns(node));
    RangeTblEntry *state = makeNode(RangeTblEntry);
    state->rtekind = RTE_RELATION;
    state->relid = node.stored;
    state->relkind = RELKIND_RELATION;
    state->rellockmode = AccessShareLock;
    state->alias = makeAlias("s", NIL);
    state->eref = makeAlias("s", NIL);
    Relation rel = table_open(node.stored, AccessShareLock);
    for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
        state->eref->colnames = lappend(state->eref->colnames,
                                        makeString(pstrdup(NameStr(TupleDescAttr(RelationGetDescr(rel), i)->attname))));
    table_close(rel, NoLock);
    state->inFromCl = true;
    Query *q = select_from(state);
    for (size_t i = 0; i < node.columns.size(); i++) {
        const analysis::ColumnType &t = node.columns[i];
        Var *var = makeVar(1, node.stored_columns[i], t.type, t.typmod, t.collation, 0);
        var->varnosyn = 0;
        add_target(q, reinterpret_cast<Expr *>(var));
    }
    return subquery_entry(q, alias, node_columns(node));
}

RangeTblEntry *new_entry(const RangeTblEntry *original, int input) {
    auto *rte = static_cast<RangeTblEntry *>(copyObjectImpl(original));
    List *names = rte->rtekind == RTE_RELATION || rte->alias == nullptr ? NIL : rte->alias->colnames;
    rte->alias = occurrence_alias(input, names);
    rte->eref->aliasname = rte->alias->aliasname;
    rte->inFromCl = true;
    if (rte->rtekind == RTE_SUBQUERY && rte->subquery == nullptr) {
        rte->subquery = analysis::select_list_query(original);
        rte->values_lists = NIL;
    }
    return rte;
}

} // namespace

RangeTblEntry *input_entry(const Block &block, int i, bool from_delta) {
    const int source = block.inputs[i].source;
    if (block.nodes[i] != nullptr)
        return from_delta ? node_delta_entry(*block.nodes[i], source, i) : node_entry(*block.nodes[i], source, i);
    return from_delta ? delta_entry(block.rtes[i], source, i) : new_entry(block.rtes[i], i);
}

AttrNumber weight_column(const Block &block, int input) {
    if (block.nodes[input] != nullptr)
        return static_cast<AttrNumber>(block.nodes[input]->columns.size() + 1);
    Relation rel = table_open(block.rtes[input]->relid, AccessShareLock);
    const AttrNumber n = static_cast<AttrNumber>(RelationGetNumberOfAttributes(rel) + 1);
    table_close(rel, NoLock);
    return n;
}

namespace {

const char *old_name(int input) {
    return psprintf("upkeep_old_%d", input + 1);
}

/// The new state and the opposite of the delta, with their weights. OFFSET 0 makes the second a subquery of its own,
/// through which the planner can pass a join key down; it cannot into a named tuplestore.
void append_old_state(StringInfo sql, const Block &block, int input) {
    StringInfoData state, delta, names;
    initStringInfo(&state);
    initStringInfo(&delta);
    initStringInfo(&names);
    auto column = [&](int number, const char *name) {
        appendStringInfo(&names, "c%d, ", number);
        appendStringInfo(&state, "%s, ", name);
        appendStringInfo(&delta, "d.c%d, ", number);
    };
    const analysis::GroupNode *node = block.nodes[input];
    const bool derived = node != nullptr && node->kind == analysis::NodeKind::derived;
    const Oid relid = node != nullptr ? node->stored : block.rtes[input]->relid;
    for (size_t i = 0; node != nullptr && i < node->columns.size(); i++)
        column(static_cast<int>(i) + 1,
               derived ? psprintf("s.c%zu", i + 1)
                       : psprintf("s.%s", quote_identifier(get_attname(relid, node->stored_columns[i], false))));
    const char *from = nullptr;
    if (derived) {
        from = psprintf("(%s)", pg_get_querydef(derived_query(*node), false));
    } else {
        Relation rel = table_open(relid, AccessShareLock);
        for (int i = 0; node == nullptr && i < RelationGetNumberOfAttributes(rel); i++) {
            Form_pg_attribute a = TupleDescAttr(RelationGetDescr(rel), i);
            column(i + 1, a->attisdropped ? "NULL::integer" : psprintf("s.%s", quote_identifier(NameStr(a->attname))));
        }
        table_close(rel, NoLock);
        const char *only = node == nullptr && !block.rtes[input]->inh ? "ONLY " : "";
        from = psprintf("%s%s", only, pg::qualified_name(relid));
    }
    const int source = block.inputs[input].source;
    appendStringInfo(sql,
                     "%s(%sw) AS NOT MATERIALIZED (SELECT %s1::bigint FROM %s s UNION ALL SELECT z.* FROM (SELECT "
                     "%s- d.w FROM %s d OFFSET 0) z)",
                     old_name(input), names.data, state.data, from, delta.data,
                     node != nullptr ? node_delta_name(source) : delta_name(source));
}

/// Names of the columns of an input's delta or old state.
List *weighted_columns(const Block &block, int input) {
    List *names = NIL;
    for (int i = 1; i < weight_column(block, input); i++)
        names = lappend(names, makeString(psprintf("c%d", i)));
    return lappend(names, makeString(pstrdup("w")));
}

RangeTblEntry *old_entry(const Block &block, int input) {
    return tuplestore_entry(old_name(input), occurrence_alias(input, NIL), weighted_columns(block, input));
}

/// Moves the conjuncts of an anti input one query level down.
struct Inward {
    int input;
};

Node *move_inward(Node *node, void *context) {
    if (node == nullptr)
        return nullptr;
    if (IsA(node, Var)) {
        auto *var = static_cast<Var *>(copyObjectImpl(node));
        if (var->varno == static_cast<Inward *>(context)->input + 1)
            var->varno = 1;
        else
            var->varlevelsup = 1;
        return reinterpret_cast<Node *>(var);
    }
    return pg::mutate_tree(node, move_inward, context);
}

/// EXISTS (SELECT 1 FROM the anti input, or its delta, WHERE its ties and `further`)
Node *some_tied_key(const Block &block, int input, bool in_delta, Node *further) {
    Query *inner = select_from(input_entry(block, input, in_delta));
    inner->jointree->quals = further;
    Inward inward{input};
    for (int i = 0; i < list_length(block.quals); i++)
        if (algebra::has(block.qual_shapes[i].inputs, input))
            inner->jointree->quals = make_and_qual(inner->jointree->quals,
                                                   move_inward(static_cast<Node *>(list_nth(block.quals, i)), &inward));
    return exists(inner);
}

Node *negate(Node *condition) {
    return reinterpret_cast<Node *>(make_notclause(reinterpret_cast<Expr *>(condition)));
}

/// The weight of the anti input's delta compared with 0.
Node *weight_test(const Block &block, int input, const char *name) {
    Expr *weight = reinterpret_cast<Expr *>(makeVar(1, weight_column(block, input), INT8OID, -1, InvalidOid, 0));
    Expr *zero = reinterpret_cast<Expr *>(
        makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(0), false, FLOAT8PASSBYVAL));
    const Oid opno =
        OpernameGetOprid(list_make2(makeString(pstrdup("pg_catalog")), makeString(pstrdup(name))), INT8OID, INT8OID);
    return reinterpret_cast<Node *>(make_opclause(opno, BOOLOID, false, weight, zero, InvalidOid, InvalidOid));
}

/// No key was tied before: none has gone, and if one is there it has come.
Node *no_key_was_tied(const Block &block, int input) {
    Node *gone = some_tied_key(block, input, true, weight_test(block, input, "<"));
    Node *come = some_tied_key(block, input, true, weight_test(block, input, ">"));
    Node *is = some_tied_key(block, input, false, nullptr);
    return make_and_qual(negate(gone), reinterpret_cast<Node *>(make_orclause(list_make2(negate(is), come))));
}

bool is_out(const Block &block, int input, algebra::InputSet changed) {
    return block.inputs[input].role != algebra::Role::inner && !algebra::has(changed, input);
}

} // namespace

const char *old_states(const Block &block, algebra::InputSet old) {
    StringInfoData sql;
    initStringInfo(&sql);
    for (int i = 0; i < static_cast<int>(block.inputs.size()); i++)
        if (algebra::has(old, i) && block.inputs[i].role != algebra::Role::anti) {
            appendStringInfoString(&sql, sql.len == 0 ? "WITH " : ", ");
            append_old_state(&sql, block, i);
        }
    appendStringInfoString(&sql, sql.len == 0 ? "" : " ");
    return sql.data;
}

Query *block_query(const Block &block, algebra::InputSet changed, algebra::InputSet old) {
    Query *q = select_nothing();
    for (int i = 0; i < static_cast<int>(block.inputs.size()); i++) {
        // What is not joined stays out of FROM; its entry only keeps the numbers right.
        const bool out = is_out(block, i, changed);
        q->rtable = lappend(q->rtable, algebra::has(old, i) && !out ? old_entry(block, i)
                                                                    : input_entry(block, i, algebra::has(changed, i)));
        if (!out)
            add_item(q, i + 1);
    }
    return q;
}

namespace {

bool was_asked(const algebra::Qual &qual, const TermInputs &inputs) {
    const algebra::InputSet read = qual.inputs & inputs.filtered & inputs.changed;
    return algebra::size(read) == 1 && algebra::filters_rows(qual, std::countr_zero(read));
}

} // namespace

void add_quals(Query *q, const Block &block, const TermInputs &inputs) {
    List *quals = NIL;
    algebra::InputSet out = 0;
    for (int i = 0; i < static_cast<int>(block.inputs.size()); i++)
        if (is_out(block, i, inputs.changed)) {
            out |= algebra::only(i);
            if (block.inputs[i].role == algebra::Role::anti)
                quals = lappend(quals, algebra::has(inputs.old, i) ? no_key_was_tied(block, i)
                                                                   : negate(some_tied_key(block, i, false, nullptr)));
        }
    for (int i = 0; i < list_length(block.quals); i++)
        if ((block.qual_shapes[i].inputs & out) == 0 && block.qual_shapes[i].watched < 0 &&
            !was_asked(block.qual_shapes[i], inputs) &&
            (block.qual_shapes[i].anti || delta::evaluates_in_term(block.qual_shapes[i], inputs.all_changed)))
            quals = lappend(quals, copyObjectImpl(list_nth(block.quals, i)));
    if (quals != NIL)
        q->jointree->quals = reinterpret_cast<Node *>(make_ands_explicit(quals));
}

Query *contents_query(const Block &block) {
    Query *q = block_query(block, 0);
    add_quals(q, block, {0, 0});
    ListCell *lc;
    foreach (lc, block.outputs)
        add_target(q, static_cast<Expr *>(copyObjectImpl(lfirst(lc))));
    return q;
}

} // namespace upkeep::lower
