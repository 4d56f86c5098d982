#include "lower/sql.hpp"

#include "lower/query.hpp"

namespace upkeep::lower {

using analysis::Block;
using analysis::GroupNode;

namespace {

struct Wide {
    pg::Vector<WideColumn> columns;
};

bool note_wide(Node *node, void *context) {
    if (node == nullptr)
        return false;
    if (IsA(node, Var)) {
        auto *var = castNode(Var, node);
        auto *wide = static_cast<Wide *>(context);
        for (const WideColumn &c : wide->columns)
            if (c.input == var->varno - 1 && c.attno == var->varattno)
                return false;
        wide->columns.push_back({var->varno - 1, var->varattno, {var->vartype, var->vartypmod, var->varcollid}});
        return false;
    }
    return pg::walk_tree(node, note_wide, context);
}

} // namespace

bool evaluates_late(const algebra::Qual &qual) {
    // Anti and watched inputs are known to SQL alone.
    return !qual.anti && qual.watched < 0 && !delta::evaluates_in_every_term(qual);
}

pg::Vector<WideColumn> wide_columns(const Block &block) {
    Wide wide;
    for (int i = 0; i < list_length(block.quals); i++)
        if (evaluates_late(block.qual_shapes[i]))
            note_wide(static_cast<Node *>(list_nth(block.quals, i)), &wide);
    note_wide(reinterpret_cast<Node *>(block.outputs), &wide);
    return wide.columns;
}

const char *delta_name(int table) {
    return psprintf("upkeep_delta_%d", table + 1);
}

const char *node_delta_name(int node) {
    return psprintf("upkeep_node_delta_%d", node + 1);
}

TupleDesc delta_descriptor(Oid relid) {
    Relation rel = table_open(relid, AccessShareLock);
    TupleDesc table = RelationGetDescr(rel);
    TupleDesc desc = CreateTemplateTupleDesc(table->natts + 1);
    for (int i = 0; i < table->natts; i++) {
        Form_pg_attribute a = TupleDescAttr(table, i);
        const bool gone = a->attisdropped;
        TupleDescInitEntry(desc, static_cast<AttrNumber>(i + 1), psprintf("c%d", i + 1), gone ? INT4OID : a->atttypid,
                           gone ? -1 : a->atttypmod, 0);
        if (!gone)
            TupleDescInitEntryCollation(desc, static_cast<AttrNumber>(i + 1), a->attcollation);
    }
    TupleDescInitEntry(desc, static_cast<AttrNumber>(table->natts + 1), "w", INT8OID, -1, 0);
    table_close(rel, NoLock);
    return desc;
}

void add_wide(Query *q, const pg::Vector<WideColumn> &wide) {
    for (const WideColumn &c : wide) {
        Var *var = makeVar(c.input + 1, c.attno, c.type.type, c.type.typmod, c.type.collation, 0);
        var->varnosyn = 0;
        add_target(q, reinterpret_cast<Expr *>(var));
    }
}

const char *term_sql(const Block &block, const TermInputs &inputs, const pg::Vector<WideColumn> &wide) {
    Query *q = block_query(block, inputs.changed, inputs.old);
    add_quals(q, block, inputs);
    const algebra::InputSet weighted = inputs.changed | (inputs.old & ~algebra::anti_inputs(block.shape()));
    for (int i = 0; i < static_cast<int>(block.inputs.size()); i++)
        if (algebra::has(weighted, i))
            add_target(q,
                       reinterpret_cast<Expr *>(makeVar(i + 1, weight_column(block, i), INT8OID, -1, InvalidOid, 0)));
    add_wide(q, wide);
    return psprintf("%s%s", old_states(block, inputs.old), deparse(q));
}

const char *contents_sql(const Block &block) {
    Query *q = contents_query(block);
    ask_subqueries(q);
    return deparse(q);
}

const char *scope_sql(const Block &block, const delta::ScopeTerm &term, const pg::Vector<WideColumn> &wide) {
    Query *q = scope_query(block, term);
    for (int i = 0; term.touching < 0 && i < static_cast<int>(block.inputs.size()); i++)
        if (block.inputs[i].source >= 0 && block.inputs[i].role == algebra::Role::inner)
            add_target(q,
                       reinterpret_cast<Expr *>(makeVar(i + 1, weight_column(block, i), INT8OID, -1, InvalidOid, 0)));
    add_wide(q, wide);
    return deparse(q);
}

const char *query_sql(const Query *query) {
    return pg_get_querydef(static_cast<Query *>(copyObjectImpl(query)), false);
}

const char *probe_sql(const Block &block, int input, algebra::InputSet kept) {
    Query *q = block_query(block, algebra::only(input));
    List *from = NIL;
    ListCell *lc;
    foreach (lc, q->jointree->fromlist)
        if (algebra::has(kept, lfirst_node(RangeTblRef, lc)->rtindex - 1))
            from = lappend(from, lfirst(lc));
    q->jointree->fromlist = from;
    List *quals = NIL;
    for (int i = 0; i < list_length(block.quals); i++)
        if ((block.qual_shapes[i].inputs & ~kept) == 0 && block.qual_shapes[i].infallible)
            quals = lappend(quals, copyObjectImpl(list_nth(block.quals, i)));
    if (quals != NIL)
        q->jointree->quals = reinterpret_cast<Node *>(make_ands_explicit(quals));
    add_target(
        q, reinterpret_cast<Expr *>(makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(1), false, true)));
    return deparse(q);
}

} // namespace upkeep::lower
