#include "lower/query.hpp"

#include "analysis/row_source.hpp"
#include "lower/beside.hpp"
#include "pg/names.hpp"
#include "pg/row_hash.hpp"

#include "lower/sql.hpp"

extern "C" {
#include "catalog/pg_aggregate.h"
#include "catalog/pg_operator_d.h"
#include "parser/parse_oper.h"
#include "rewrite/rewriteManip.h"
}

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

RangeTblEntry *entry(const Block &block, int i, bool from_delta) {
    const int source = block.inputs[i].source;
    if (block.nodes[i] != nullptr)
        return from_delta ? node_delta_entry(*block.nodes[i], source, i) : node_entry(*block.nodes[i], source, i);
    return from_delta ? delta_entry(block.rtes[i], source, i) : new_entry(block.rtes[i], i);
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
    Query *inner = select_from(entry(block, input, in_delta));
    inner->jointree->quals = further;
    Inward inward{input};
    for (int i = 0; i < list_length(block.quals); i++)
        if (algebra::has(block.qual_shapes[i].inputs, input))
            inner->jointree->quals = make_and_qual(inner->jointree->quals,
                                                   move_inward(static_cast<Node *>(list_nth(block.quals, i)), &inward));
    add_target(inner, reinterpret_cast<Expr *>(
                          makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(1), false, true)));
    SubLink *link = makeNode(SubLink);
    link->subLinkType = EXISTS_SUBLINK;
    link->subselect = reinterpret_cast<Node *>(inner);
    link->location = -1;
    return reinterpret_cast<Node *>(link);
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
                                                                    : entry(block, i, algebra::has(changed, i)));
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

namespace {

/// Rows of a numbered delta that are alike in the columns which the conditions read touch the same rows: one of them is
/// enough, and its number is the least, so that a key with many changes is looked at once. (SELECT c1, …, min(r) FROM
/// the numbered delta GROUP BY …); the delta as it is where alike cannot be told, or no column is read.
Query *one_of_alike(Query *numbered, const pg::Vector<Var *> &columns, List *names) {
    Query *q = select_nothing();
    q->rtable = list_make1(subquery_entry(numbered, makeAlias("n", NIL), names));
    add_item(q, 1);
    for (size_t c = 0; c < columns.size(); c++) {
        if (columns[c] == nullptr) {
            add_target(q, static_cast<Expr *>(copyObjectImpl(
                              list_nth_node(TargetEntry, numbered->targetList, static_cast<int>(c))->expr)));
            continue;
        }
        auto *var = static_cast<Var *>(copyObjectImpl(columns[c]));
        if (!pg::prepare_column_ops(var->vartype, var->varcollid, InvalidOid).image_equality)
            return numbered;
        var->varno = 1;
        var->varattno = static_cast<AttrNumber>(c + 1);
        var->varlevelsup = 0;
        add_target(q, reinterpret_cast<Expr *>(var));
        SortGroupClause *clause = makeNode(SortGroupClause);
        clause->tleSortGroupRef = static_cast<Index>(c + 1);
        get_sort_group_operators(var->vartype, true, true, false, &clause->sortop, &clause->eqop, nullptr,
                                 &clause->hashable);
        llast_node(TargetEntry, q->targetList)->ressortgroupref = clause->tleSortGroupRef;
        q->groupClause = lappend(q->groupClause, clause);
    }
    if (q->groupClause == NIL)
        return numbered;
    Expr *number =
        reinterpret_cast<Expr *>(makeVar(1, static_cast<AttrNumber>(columns.size() + 1), INT8OID, -1, InvalidOid, 0));
    Aggref *least = makeNode(Aggref);
    least->aggfnoid = F_MIN_INT8;
    least->aggtype = INT8OID;
    least->aggargtypes = list_make1_oid(INT8OID);
    least->args = list_make1(makeTargetEntry(number, 1, nullptr, false));
    least->aggkind = AGGKIND_NORMAL;
    least->aggsplit = AGGSPLIT_SIMPLE;
    least->aggno = least->aggtransno = -1;
    least->location = -1;
    q->hasAggs = true;
    add_target(q, reinterpret_cast<Expr *>(least));
    return q;
}

/// The delta of a watched input with a number for each row, r, so that the first of several that touch a row can be
/// told: (SELECT d.*, row_number() OVER () AS r FROM the delta d WHERE what the conditions say of its rows alone).
RangeTblEntry *numbered_delta(const Block &block, int input) {
    RangeTblEntry *delta = entry(block, input, true);
    delta->alias = makeAlias("d", NIL);
    delta->eref->aliasname = pstrdup("d");
    Query *q = select_nothing();
    q->rtable = list_make1(delta);
    add_item(q, 1);
    // Only what the conditions read; the others keep the numbers right.
    pg::Vector<Var *> columns;
    columns.resize(static_cast<size_t>(list_length(delta->eref->colnames)), nullptr);
    struct Find {
        Index varno;
        pg::Vector<Var *> *columns;
        static bool walk(Node *node, void *context) {
            if (node == nullptr)
                return false;
            auto *c = static_cast<Find *>(context);
            if (IsA(node, Var) && static_cast<Index>(castNode(Var, node)->varno) == c->varno)
                (*c->columns)[static_cast<size_t>(castNode(Var, node)->varattno - 1)] = castNode(Var, node);
            return pg::walk_tree(node, walk, context);
        }
    } find{static_cast<Index>(input + 1), &columns};
    List *filters = NIL;
    for (int i = 0; i < list_length(block.quals); i++) {
        auto *qual = static_cast<Node *>(list_nth(block.quals, i));
        if (block.qual_shapes[i].watched != input)
            continue;
        if (!is_filter(block, i)) {
            Find::walk(qual, &find);
            continue;
        }
        auto *filter = static_cast<Node *>(copyObjectImpl(qual));
        ChangeVarNodes(filter, input + 1, 1, 0);
        filters = lappend(filters, filter);
    }
    q->jointree->quals = filters == NIL ? nullptr : reinterpret_cast<Node *>(make_ands_explicit(filters));
    for (size_t c = 0; c < columns.size(); c++) {
        Expr *e =
            reinterpret_cast<Expr *>(makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(0), false, true));
        if (columns[c] != nullptr) {
            auto *var = static_cast<Var *>(copyObjectImpl(columns[c]));
            var->varno = 1;
            e = reinterpret_cast<Expr *>(var);
        }
        add_target(q, e);
    }
    WindowFunc *number = makeNode(WindowFunc);
    number->winfnoid = F_ROW_NUMBER;
    number->wintype = INT8OID;
    number->winref = 1;
    number->location = -1;
    WindowClause *window = makeNode(WindowClause);
    window->winref = 1;
    window->frameOptions = FRAMEOPTION_DEFAULTS;
    q->windowClause = list_make1(window);
    q->hasWindowFuncs = true;
    add_target(q, reinterpret_cast<Expr *>(number));
    List *names = NIL;
    for (size_t c = 0; c <= columns.size(); c++)
        names = lappend(names, makeString(psprintf("c%zu", c + 1)));
    return subquery_entry(one_of_alike(q, columns, names), occurrence_alias(input, NIL), names);
}

/// The conditions that tie a watched input to others; it is entry `index` of the query at `depth` below the block's
/// query.
List *ties_of(const Block &block, int input, int index, int depth) {
    List *result = NIL;
    struct Placing {
        int input, index, depth;
        static Node *place(Node *node, void *context) {
            if (node == nullptr)
                return nullptr;
            if (!IsA(node, Var))
                return pg::mutate_tree(node, place, context);
            auto *p = static_cast<Placing *>(context);
            auto *var = static_cast<Var *>(copyObjectImpl(node));
            if (var->varno == p->input + 1)
                var->varno = p->index;
            else
                var->varlevelsup = static_cast<Index>(p->depth);
            return reinterpret_cast<Node *>(var);
        }
    } placing{input, index, depth};
    for (int i = 0; i < list_length(block.quals); i++)
        if (block.qual_shapes[i].watched == input && !is_filter(block, i))
            result = lappend(result, Placing::place(static_cast<Node *>(list_nth(block.quals, i)), &placing));
    return result;
}

Expr *row_number_of(const Block &block, int input, int index, int depth) {
    const auto column = static_cast<AttrNumber>(weight_column(block, input) + 1);
    return reinterpret_cast<Expr *>(makeVar(index, column, INT8OID, -1, InvalidOid, static_cast<Index>(depth)));
}

/// NOT EXISTS (SELECT 1 FROM the delta WHERE its ties [AND its number is below that of the row at hand])
Node *not_touched(const Block &block, int input, bool before_this) {
    Query *inner = select_nothing();
    RangeTblEntry *delta = numbered_delta(block, input);
    delta->alias = makeAlias("t", NIL);
    delta->eref->aliasname = pstrdup("t");
    inner->rtable = list_make1(delta);
    add_item(inner, 1);
    List *ties = ties_of(block, input, 1, 1);
    if (before_this) {
        Expr *below = make_opclause(Int8LessOperator, BOOLOID, false, row_number_of(block, input, 1, 0),
                                    row_number_of(block, input, input + 1, 1), InvalidOid, InvalidOid);
        ties = lappend(ties, below);
    }
    inner->jointree->quals = ties == NIL ? nullptr : reinterpret_cast<Node *>(make_ands_explicit(ties));
    add_target(inner, reinterpret_cast<Expr *>(
                          makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(1), false, true)));
    SubLink *link = makeNode(SubLink);
    link->subLinkType = EXISTS_SUBLINK;
    link->subselect = reinterpret_cast<Node *>(inner);
    link->location = -1;
    return reinterpret_cast<Node *>(make_notclause(reinterpret_cast<Expr *>(link)));
}

/// Whether what ties a watched input reads a column of a derived one that may fail for rows that are left out there.
/// Ties are conditions of the subquery, which is asked of the rows that are left.
bool is_tied_by_fallible(const Block &block, int input) {
    if (block.nodes[input] == nullptr || block.nodes[input]->kind != analysis::NodeKind::derived)
        return false;
    for (int i = 0; i < list_length(block.quals); i++)
        if (block.qual_shapes[i].watched >= 0 && algebra::has(block.qual_shapes[i].inputs, input) &&
            !is_harmless(block, static_cast<Node *>(list_nth(block.quals, i))))
            return true;
    return false;
}

} // namespace

Query *scope_query(const Block &block, const delta::ScopeTerm &term) {
    const algebra::InputSet watched = algebra::watched_inputs(block.shape());
    Query *q = select_nothing();
    List *quals = NIL;
    for (int i = 0; i < static_cast<int>(block.inputs.size()); i++) {
        const bool touching = i == term.touching;
        const bool from_delta = term.touching < 0 && block.inputs[i].source >= 0 && !algebra::has(watched, i);
        RangeTblEntry *rte = touching ? numbered_delta(block, i) : entry(block, i, from_delta);
        if (!touching && !from_delta && is_tied_by_fallible(block, i))
            fence(rte->subquery);
        q->rtable = lappend(q->rtable, rte);
        if (touching || !algebra::has(watched, i))
            add_item(q, i + 1);
        if (touching) {
            quals = list_concat(quals, ties_of(block, i, i + 1, 0));
            if (touching_key(block, i) == nullptr)
                quals = lappend(quals, not_touched(block, i, true));
        }
        if (algebra::has(term.untouched, i))
            quals = lappend(quals, not_touched(block, i, false));
    }
    for (int i = 0; i < list_length(block.quals); i++)
        if (block.qual_shapes[i].watched < 0)
            quals = lappend(quals, copyObjectImpl(list_nth(block.quals, i)));
    if (quals != NIL)
        q->jointree->quals = reinterpret_cast<Node *>(make_ands_explicit(quals));
    return q;
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
