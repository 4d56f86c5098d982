#include "lower/entries.hpp"

namespace upkeep::lower {

RangeTblEntry *tuplestore_entry(const char *name, Alias *alias, List *columns) {
    RangeTblEntry *rte = makeNode(RangeTblEntry);
    rte->rtekind = RTE_CTE;
    rte->ctename = pstrdup(name);
    rte->alias = alias;
    rte->eref = makeAlias(alias->aliasname, columns);
    rte->inFromCl = true;
    return rte;
}

RangeTblEntry *subquery_entry(Query *query, Alias *alias, List *columns) {
    RangeTblEntry *rte = makeNode(RangeTblEntry);
    rte->rtekind = RTE_SUBQUERY;
    rte->subquery = query;
    rte->alias = alias;
    rte->eref = makeAlias(alias->aliasname, columns);
    rte->inFromCl = true;
    return rte;
}

RangeTblRef *reference(int index) {
    RangeTblRef *ref = makeNode(RangeTblRef);
    ref->rtindex = index;
    return ref;
}

Query *select_nothing() {
    Query *q = makeNode(Query);
    q->commandType = CMD_SELECT;
    q->canSetTag = true;
    q->jointree = makeFromExpr(NIL, nullptr);
    return q;
}

Query *select_from(RangeTblEntry *rte) {
    Query *q = select_nothing();
    q->rtable = list_make1(rte);
    add_item(q, 1);
    return q;
}

void add_item(Query *q, int index) {
    q->jointree->fromlist = lappend(q->jointree->fromlist, reference(index));
}

void add_target(Query *q, Expr *e) {
    const int n = list_length(q->targetList) + 1;
    q->targetList = lappend(q->targetList, makeTargetEntry(e, static_cast<AttrNumber>(n), psprintf("c%d", n), false));
}

Node *exists(Query *inner) {
    add_target(inner, reinterpret_cast<Expr *>(
                          makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(1), false, true)));
    SubLink *link = makeNode(SubLink);
    link->subLinkType = EXISTS_SUBLINK;
    link->subselect = reinterpret_cast<Node *>(inner);
    link->location = -1;
    return reinterpret_cast<Node *>(link);
}

void fence(Query *q) {
    q->limitOffset = reinterpret_cast<Node *>(
        makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(0), false, FLOAT8PASSBYVAL));
}

List *numbered_names(int n) {
    List *names = NIL;
    for (int i = 1; i <= n; i++)
        names = lappend(names, makeString(psprintf("c%d", i)));
    return names;
}

} // namespace upkeep::lower
