#include "lower/query.hpp"

#include "lower/sql.hpp"

namespace upkeep::lower {

using analysis::Block;

namespace {

Alias *occurrence_alias(int input, List *column_names) {
    return makeAlias(psprintf("o%d", input + 1), column_names);
}

} // namespace

RangeTblEntry *tuplestore_entry(const char *name, Alias *alias, List *columns) {
    RangeTblEntry *rte = makeNode(RangeTblEntry);
    rte->rtekind = RTE_CTE;
    rte->ctename = pstrdup(name);
    rte->alias = alias;
    rte->eref = makeAlias(alias->aliasname, columns);
    rte->inFromCl = true;
    return rte;
}

namespace {

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

RangeTblEntry *new_entry(const RangeTblEntry *original, int input) {
    auto *rte = static_cast<RangeTblEntry *>(copyObjectImpl(original));
    List *names = rte->rtekind == RTE_RELATION || rte->alias == nullptr ? NIL : rte->alias->colnames;
    rte->alias = occurrence_alias(input, names);
    rte->eref->aliasname = rte->alias->aliasname;
    rte->inFromCl = true;
    return rte;
}

} // namespace

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

void add_quals(Query *q, const Block &block, algebra::InputSet all_changed) {
    List *quals = NIL;
    for (int i = 0; i < list_length(block.quals); i++)
        if (delta::evaluates_in_term(block.qual_shapes[i], all_changed))
            quals = lappend(quals, copyObjectImpl(list_nth(block.quals, i)));
    if (quals != NIL)
        q->jointree->quals = reinterpret_cast<Node *>(make_ands_explicit(quals));
}

} // namespace upkeep::lower
