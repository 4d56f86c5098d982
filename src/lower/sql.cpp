#include "lower/sql.hpp"

extern "C" {
#include "nodes/makefuncs.h"
#include "parser/parsetree.h"
}

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

Alias *occurrence_alias(int input, List *column_names) {
    return makeAlias(psprintf("o%d", input + 1), column_names);
}

/// The table's delta in place of the table. A reference to a CTE is printed as its bare name, which is how a named
/// tuplestore is written.
RangeTblEntry *delta_entry(const RangeTblEntry *table, int source, int input) {
    RangeTblEntry *rte = makeNode(RangeTblEntry);
    List *names = NIL;
    Relation rel = table_open(table->relid, AccessShareLock);
    for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
        names = lappend(names, makeString(psprintf("c%d", i + 1)));
    table_close(rel, NoLock);
    names = lappend(names, makeString(pstrdup("w")));
    rte->rtekind = RTE_CTE;
    rte->ctename = pstrdup(delta_name(source));
    rte->alias = occurrence_alias(input, NIL);
    rte->eref = makeAlias(rte->alias->aliasname, names);
    rte->inFromCl = true;
    return rte;
}

RangeTblEntry *new_entry(const RangeTblEntry *original, int input) {
    auto *rte = static_cast<RangeTblEntry *>(copyObjectImpl(original));
    List *names = rte->rtekind == RTE_RELATION || rte->alias == nullptr ? NIL : rte->alias->colnames;
    rte->alias = occurrence_alias(input, names);
    rte->eref->aliasname = rte->alias->aliasname;
    rte->inFromCl = true;
    return rte;
}

AttrNumber weight_column(const RangeTblEntry *table) {
    Relation rel = table_open(table->relid, AccessShareLock);
    const AttrNumber n = static_cast<AttrNumber>(RelationGetNumberOfAttributes(rel) + 1);
    table_close(rel, NoLock);
    return n;
}

void add_target(Query *q, Expr *e) {
    const int n = list_length(q->targetList) + 1;
    q->targetList = lappend(q->targetList, makeTargetEntry(e, static_cast<AttrNumber>(n), psprintf("c%d", n), false));
}

/// SELECT over the block's inputs, the changed ones read from their deltas; no targets yet.
Query *block_query(const Block &block, algebra::InputSet changed) {
    Query *q = makeNode(Query);
    q->commandType = CMD_SELECT;
    q->canSetTag = true;
    q->jointree = makeFromExpr(NIL, nullptr);
    for (int i = 0; i < static_cast<int>(block.inputs.size()); i++) {
        RangeTblEntry *rte = algebra::has(changed, i) ? delta_entry(block.rtes[i], block.inputs[i].source, i)
                                                     : new_entry(block.rtes[i], i);
        q->rtable = lappend(q->rtable, rte);
        RangeTblRef *ref = makeNode(RangeTblRef);
        ref->rtindex = i + 1;
        q->jointree->fromlist = lappend(q->jointree->fromlist, ref);
    }
    return q;
}

void add_quals(Query *q, const Block &block, algebra::InputSet changed) {
    List *quals = NIL;
    for (int i = 0; i < list_length(block.quals); i++)
        if (delta::evaluates_in_term(block.qual_shapes[i], changed))
            quals = lappend(quals, copyObjectImpl(list_nth(block.quals, i)));
    if (quals != NIL)
        q->jointree->quals = reinterpret_cast<Node *>(make_ands_explicit(quals));
}

/// key = $n with the key's own equality, or key IS NULL.
Node *key_predicate(Node *key, const analysis::KeyColumn &column, int number, bool is_null) {
    if (is_null) {
        NullTest *test = makeNode(NullTest);
        test->arg = static_cast<Expr *>(copyObjectImpl(key));
        test->nulltesttype = IS_NULL;
        test->location = -1;
        return reinterpret_cast<Node *>(test);
    }
    Param *param = makeNode(Param);
    param->paramkind = PARAM_EXTERN;
    param->paramid = number;
    param->paramtype = exprType(key);
    param->paramtypmod = exprTypmod(key);
    param->paramcollid = exprCollation(key);
    param->location = -1;
    Oid left, right;
    op_input_types(column.equality, &left, &right);
    auto relabel = [&](Node *e, Oid type) {
        return exprType(e) == type || IsPolymorphicType(type)
                   ? reinterpret_cast<Expr *>(e)
                   : reinterpret_cast<Expr *>(makeRelabelType(reinterpret_cast<Expr *>(e), type, -1, exprCollation(e), COERCE_IMPLICIT_CAST));
    };
    return reinterpret_cast<Node *>(make_opclause(column.equality, BOOLOID, false, relabel(static_cast<Node *>(copyObjectImpl(key)), left),
                                                  relabel(reinterpret_cast<Node *>(param), right), InvalidOid, column.collation));
}

void append_call(StringInfo sql, const analysis::AggCall &call) {
    const Oid fn = call.aggref->aggfnoid;
    appendStringInfo(sql, "%s(", quote_qualified_identifier(get_namespace_name(get_func_namespace(fn)), get_func_name(fn)));
    if (call.aggref->aggstar)
        appendStringInfoChar(sql, '*');
    for (size_t i = 0; i < call.args.size(); i++)
        appendStringInfo(sql, "%sx.c%d", i > 0 ? ", " : "", call.args[i] + 1);
    appendStringInfoChar(sql, ')');
    if (call.filter >= 0)
        appendStringInfo(sql, " FILTER (WHERE x.c%d)", call.filter + 1);
}

} // namespace

pg::Vector<WideColumn> wide_columns(const Block &block) {
    Wide wide;
    note_wide(reinterpret_cast<Node *>(block.quals), &wide);
    note_wide(reinterpret_cast<Node *>(block.outputs), &wide);
    return wide.columns;
}

const char *delta_name(int table) { return psprintf("upkeep_delta_%d", table + 1); }

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

const char *term_sql(const Block &block, algebra::InputSet changed, const pg::Vector<WideColumn> &wide) {
    Query *q = block_query(block, changed);
    add_quals(q, block, changed);
    for (int i = 0; i < static_cast<int>(block.inputs.size()); i++)
        if (algebra::has(changed, i))
            add_target(q, reinterpret_cast<Expr *>(makeVar(i + 1, weight_column(block.rtes[i]), INT8OID, -1, InvalidOid, 0)));
    for (const WideColumn &c : wide) {
        Var *var = makeVar(c.input + 1, c.attno, c.type.type, c.type.typmod, c.type.collation, 0);
        var->varnosyn = 0;
        add_target(q, reinterpret_cast<Expr *>(var));
    }
    return pg_get_querydef(q, false);
}

namespace {

bool reads_input(Node *node, void *context) {
    if (node == nullptr)
        return false;
    if (IsA(node, Var))
        return castNode(Var, node)->varno == *static_cast<int *>(context) + 1;
    return pg::walk_tree(node, reads_input, context);
}

/// Inputs that remain when `without` is left out: those that do not read it.
algebra::InputSet inputs_without(const Block &block, int without) {
    algebra::InputSet left_out = algebra::only(without);
    for (int i = 0; i < static_cast<int>(block.inputs.size()); i++)
        for (int other = 0; other < static_cast<int>(block.inputs.size()); other++) {
            const RangeTblEntry *rte = block.rtes[i];
            if (!algebra::has(left_out, other) || rte == nullptr || rte->rtekind == RTE_RELATION)
                continue;
            if (reads_input(reinterpret_cast<Node *>(rte->functions), &other) || reads_input(reinterpret_cast<Node *>(rte->values_lists), &other))
                left_out |= algebra::only(i);
        }
    return ~left_out;
}

} // namespace

const char *probe_sql(const Block &block, int input, int without) {
    const algebra::InputSet kept = inputs_without(block, without);
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
    add_target(q, reinterpret_cast<Expr *>(makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(1), false, true)));
    return pg_get_querydef(q, false);
}

const char *group_sql(const GroupNode &node, std::uint64_t null_keys, std::span<const int> wanted, bool with_keys) {
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfoString(&sql, "SELECT ");
    const char *separator = "";
    for (int k = 0; with_keys && k < node.nkeys(); k++, separator = ", ")
        appendStringInfo(&sql, "%sx.c%d", separator, k + 1);
    for (int a : wanted) {
        appendStringInfoString(&sql, separator);
        append_call(&sql, node.aggs[a]);
        separator = ", ";
    }
    if (*separator == '\0')
        appendStringInfoString(&sql, "1");
    appendStringInfoString(&sql, " FROM (");
    separator = "";
    for (const Block *block : node.input.blocks) {
        Query *q = block_query(*block, 0);
        add_quals(q, *block, 0);
        for (int k = 0; k < node.nkeys(); k++) {
            Node *test = key_predicate(static_cast<Node *>(list_nth(block->outputs, k)), node.keys[k], k + 1, (null_keys >> k) & 1);
            q->jointree->quals = make_and_qual(q->jointree->quals, test);
        }
        ListCell *lc;
        foreach (lc, block->outputs)
            add_target(q, static_cast<Expr *>(copyObjectImpl(lfirst(lc))));
        appendStringInfo(&sql, "%s%s", separator, pg_get_querydef(q, false));
        separator = " UNION ALL ";
    }
    appendStringInfoString(&sql, ") x(");
    for (size_t i = 0; i < node.input.columns.size(); i++)
        appendStringInfo(&sql, "%sc%zu", i > 0 ? ", " : "", i + 1);
    appendStringInfoChar(&sql, ')');
    if (with_keys)
        appendStringInfoString(&sql, " LIMIT 1");
    return sql.data;
}

} // namespace upkeep::lower
