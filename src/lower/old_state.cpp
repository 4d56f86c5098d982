// Statements that read relations as they were before a change, where no snapshot shows that.
//
//   R° = { rows of R whose image has not changed } ⊎ { the old rows of the images that have }
//
// The second part is a named tuplestore; the first is R with a filter, so that the planner can use R's indexes: both are
// arms of a UNION ALL, through which it passes conditions and join keys down. What R° stands for is a bag of real rows:
// it may stand in any place, under aggregates, NOT EXISTS and LIMIT too.
#include "lower/query.hpp"
#include "pg/names.hpp"

#include "lower/sql.hpp"

extern "C" {
#include "catalog/pg_inherits.h"
#include "utils/typcache.h"
}

namespace upkeep::lower {

using analysis::Block;

namespace {

/// The query that the relations stand in is changed in place.
struct Replacement {
    std::span<const OldRelation> relations;
    std::uint64_t found = 0;   // sources that the query reads
    std::uint64_t replace = 0; // those to be read as they were
    bool rows = false;         // whole rows or system columns are read
};

const char *was_name(int source) {
    return psprintf("upkeep_was_%d", source + 1);
}

/// (SELECT c1 AS a, … FROM upkeep_was_n) in place of the relation.
void replace_relation(RangeTblEntry *rte, int source) {
    Query *q = makeNode(Query);
    q->commandType = CMD_SELECT;
    q->canSetTag = true;
    List *places = NIL, *names = NIL;
    Relation rel = table_open(rte->relid, AccessShareLock);
    for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++) {
        Form_pg_attribute a = TupleDescAttr(RelationGetDescr(rel), i);
        const bool gone = a->attisdropped;
        const char *name = gone ? psprintf("dropped%d", i + 1) : strVal(list_nth(rte->eref->colnames, i));
        Var *var = makeVar(1, static_cast<AttrNumber>(i + 1), gone ? INT4OID : a->atttypid, gone ? -1 : a->atttypmod,
                           gone ? InvalidOid : a->attcollation, 0);
        places = lappend(places, makeString(psprintf("c%d", i + 1)));
        names = lappend(names, makeString(pstrdup(name)));
        q->targetList = lappend(q->targetList, makeTargetEntry(reinterpret_cast<Expr *>(var),
                                                               static_cast<AttrNumber>(i + 1), pstrdup(name), false));
    }
    table_close(rel, NoLock);
    q->rtable = list_make1(tuplestore_entry(was_name(source), makeAlias("w", NIL), places));
    RangeTblRef *ref = makeNode(RangeTblRef);
    ref->rtindex = 1;
    q->jointree = makeFromExpr(list_make1(ref), nullptr);
    RangeTblEntry *was = makeNode(RangeTblEntry);
    was->rtekind = RTE_SUBQUERY;
    was->subquery = q;
    was->alias = makeAlias(rte->eref->aliasname, NIL);
    was->eref = makeAlias(rte->eref->aliasname, names);
    was->inFromCl = rte->inFromCl;
    *rte = *was;
}

bool is_relation(const OldRelation &relation, const RangeTblEntry *rte) {
    return rte->relid == relation.relid && (relation.is_node || relation.only == (!rte->inh && has_subclass(rte->relid)));
}

bool replace_relations(Node *node, void *context) {
    if (node == nullptr)
        return false;
    auto *r = static_cast<Replacement *>(context);
    if (IsA(node, Query))
        return pg::walk_query(castNode(Query, node), replace_relations, context, QTW_EXAMINE_RTES_BEFORE);
    if (IsA(node, Var) && castNode(Var, node)->varattno <= 0)
        r->rows = true;
    if (!IsA(node, RangeTblEntry))
        return pg::walk_tree(node, replace_relations, context);
    auto *rte = castNode(RangeTblEntry, node);
    if (rte->rtekind != RTE_RELATION)
        return false;
    for (const OldRelation &relation : r->relations)
        if (is_relation(relation, rte)) {
            const std::uint64_t source = std::uint64_t{1} << relation.source;
            r->found |= source;
            if ((r->replace & source) != 0) {
                replace_relation(rte, relation.source);
                break;
            }
        }
    return false;
}

/// Whether a row of the relation has an image that has changed; where no column is read, all have the same.
const char *has_changed(const OldRelation &relation, const char *columns) {
    return relation.columns.empty() ? "true"
                                    : psprintf("upkeep.has_changed($1, %d, %s)", relation.source, columns);
}

/// upkeep_was_n(c1, …) AS NOT MATERIALIZED (…): columns that are not read are NULL.
void append_was(StringInfo sql, const OldRelation &relation) {
    StringInfoData names, kept, old, out, compared;
    for (StringInfo part : {&names, &kept, &old, &out, &compared})
        initStringInfo(part);
    Relation rel = table_open(relation.relid, AccessShareLock);
    for (int i = 1; i <= RelationGetNumberOfAttributes(rel); i++) {
        const bool read =
            std::find(relation.columns.begin(), relation.columns.end(), i) != relation.columns.end();
        const char *column = quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(rel), i - 1)->attname));
        appendStringInfo(&names, "%sc%d", i == 1 ? "" : ", ", i);
        appendStringInfo(&out, "%sx.c%d", i == 1 ? "" : ", ", i);
        appendStringInfo(&kept, ", %s AS c%d", read ? psprintf("s.%s", column) : "NULL::integer", i);
        appendStringInfo(&old, ", %s", read ? psprintf("z.c%d", i) : "NULL::integer");
    }
    table_close(rel, NoLock);
    for (AttrNumber column : relation.columns)
        appendStringInfo(&compared, "%sx.c%d", compared.len == 0 ? "" : ", ", column);
    appendStringInfo(sql,
                     "%s(%s) AS NOT MATERIALIZED (SELECT %s FROM (SELECT false AS f%s FROM %s%s s UNION ALL SELECT "
                     "true%s FROM (SELECT * FROM %s OFFSET 0) z) x WHERE x.f OR NOT %s)",
                     was_name(relation.source), names.data, out.data, kept.data, relation.only ? "ONLY " : "",
                     pg::qualified_name(relation.relid), old.data, old_rows_name(relation.source),
                     has_changed(relation, compared.data));
}

/// A function takes so many arguments, two of which are not columns.
bool fits(const OldRelation &relation) {
    return relation.columns.size() <= FUNC_MAX_ARGS - 2;
}

} // namespace

const char *old_rows_name(int source) {
    return psprintf("upkeep_old_rows_%d", source + 1);
}

bool reads_relations(const Block &block, const delta::ScopeTerm &term, std::span<const OldRelation> relations,
                     std::uint64_t *found) {
    Replacement r{relations};
    replace_relations(reinterpret_cast<Node *>(scope_query(block, term)), &r);
    *found |= r.found;
    for (const OldRelation &relation : relations)
        if ((r.found >> relation.source & 1) != 0 && !fits(relation))
            return false;
    return !r.rows;
}

const char *old_scope_sql(const Block &block, const delta::ScopeTerm &term, const pg::Vector<WideColumn> &wide,
                          std::span<const OldRelation> relations, std::uint64_t was) {
    Query *q = scope_query(block, term);
    add_wide(q, wide);
    Replacement r{relations, 0, was};
    replace_relations(reinterpret_cast<Node *>(q), &r);
    StringInfoData sql;
    initStringInfo(&sql);
    for (const OldRelation &relation : relations)
        if ((was >> relation.source & 1) != 0) {
            appendStringInfoString(&sql, sql.len == 0 ? "WITH " : ", ");
            append_was(&sql, relation);
        }
    appendStringInfo(&sql, " %s", deparse(q));
    return sql.data;
}

const char *changed_rows_sql(const OldRelation &relation) {
    StringInfoData columns, keys, ties;
    for (StringInfo part : {&columns, &keys, &ties})
        initStringInfo(part);
    Relation rel = table_open(relation.relid, AccessShareLock);
    for (AttrNumber column : relation.columns) {
        Form_pg_attribute a = TupleDescAttr(RelationGetDescr(rel), column - 1);
        const char *name = psprintf("s.%s", quote_identifier(NameStr(a->attname)));
        appendStringInfo(&columns, "%s%s", columns.len == 0 ? "" : ", ", name);
        // An equality that is of the server's own, and says no less than the image: rows are found by an index on it.
        const Oid equality = lookup_type_cache(a->atttypid, TYPECACHE_EQ_OPR | TYPECACHE_BTREE_OPFAMILY)->eq_opr;
        if (!relation.constrained || !a->attnotnull || !OidIsValid(equality) || equality >= FirstNormalObjectId ||
            !op_mergejoinable(equality, a->atttypid))
            continue;
        appendStringInfo(&keys, "%sd.c%d", keys.len == 0 ? "" : ", ", column);
        appendStringInfo(&ties, "%s%s OPERATOR(pg_catalog.%s) d.c%d", ties.len == 0 ? "" : " AND ", name,
                         get_opname(equality), column);
    }
    table_close(rel, NoLock);
    const char *from = psprintf("%s%s s", relation.only ? "ONLY " : "", pg::qualified_name(relation.relid));
    if (ties.len > 0)
        from = psprintf("(SELECT DISTINCT %s FROM %s d) d JOIN %s ON %s", keys.data, delta_name(relation.source), from,
                        ties.data);
    return psprintf("SELECT %s FROM %s WHERE %s", columns.data, from, has_changed(relation, columns.data));
}

} // namespace upkeep::lower
