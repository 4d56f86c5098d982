// Statements that read relations as they were before a change, where no snapshot shows that.
//
//   R° = { rows of R whose image has not changed } ⊎ { the old rows of the images that have }
//
// The second part is a named tuplestore; the first is R with a filter, so that the planner can use R's indexes: both are
// arms of a UNION ALL, through which it passes conditions and join keys down. What R° stands for is a bag of real rows:
// it may stand in any place, under aggregates, NOT EXISTS and LIMIT too.
//
// A tuplestore has no index. Where the statement asks R° for rows by keys (old_keys.hpp), the second part is what
// upkeep.old_rows finds by them.
#include "lower/old_keys.hpp"
#include "lower/sql.hpp"
#include "pg/names.hpp"
#include "pg/statistics.hpp"

extern "C" {
#include "catalog/pg_inherits.h"
#include "parser/parse_func.h"
#include "rewrite/rewriteManip.h"
#include "utils/array.h"
#include "utils/typcache.h"
}

namespace upkeep::lower {

using analysis::Block;

namespace {

/// The query that the relations stand in is changed in place.
struct Replacement {
    std::span<const OldRelation> relations;
    OldKeys keys;
    std::uint64_t found = 0;   // sources that the query reads
    std::uint64_t scanned = 0; // and those that it does not ask by keys in some place
    std::uint64_t replace = 0; // those to be read as they were
    std::uint64_t whole = 0;   // replaced without keys
    std::uint64_t keyed = 0;   // and by keys
    bool rows = false;         // whole rows or system columns are read
};

const char *was_name(int source) {
    return psprintf("upkeep_was_%d", source + 1);
}

const char *kept_name(int source) {
    return psprintf("upkeep_kept_%d", source + 1);
}

/// The columns of a relation as statements see them, and the names that a query knows them by.
struct Columns {
    List *places = NIL; // c1, c2, …
    List *names = NIL;
    List *types = NIL, *typmods = NIL, *collations = NIL;
};

/// Columns that are not among `read` are NULL, of whatever type.
Columns columns_of(const RangeTblEntry *rte, const pg::Vector<AttrNumber> *read) {
    Columns columns;
    Relation rel = table_open(rte->relid, AccessShareLock);
    for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++) {
        Form_pg_attribute a = TupleDescAttr(RelationGetDescr(rel), i);
        const bool gone = a->attisdropped || (read != nullptr && std::find(read->begin(), read->end(), i + 1) == read->end());
        columns.places = lappend(columns.places, makeString(psprintf("c%d", i + 1)));
        columns.names = lappend(columns.names, makeString(a->attisdropped ? psprintf("dropped%d", i + 1)
                                                                         : strVal(list_nth(rte->eref->colnames, i))));
        columns.types = lappend_oid(columns.types, gone ? INT4OID : a->atttypid);
        columns.typmods = lappend_int(columns.typmods, gone ? -1 : a->atttypmod);
        columns.collations = lappend_oid(columns.collations, gone ? InvalidOid : a->attcollation);
    }
    table_close(rel, NoLock);
    return columns;
}

/// Selects all columns of entry 1, under these names.
void select_columns(Query *q, const Columns &columns, List *names) {
    for (int i = 0; i < list_length(columns.places); i++) {
        Var *var = makeVar(1, static_cast<AttrNumber>(i + 1), list_nth_oid(columns.types, i),
                           list_nth_int(columns.typmods, i), list_nth_oid(columns.collations, i), 0);
        q->targetList =
            lappend(q->targetList, makeTargetEntry(reinterpret_cast<Expr *>(var), static_cast<AttrNumber>(i + 1),
                                                   pstrdup(strVal(list_nth(names, i))), false));
    }
}

void put_in_place(RangeTblEntry *rte, Query *query, List *names) {
    RangeTblEntry *was = subquery_entry(query, makeAlias(rte->eref->aliasname, NIL), names);
    was->inFromCl = rte->inFromCl;
    *rte = *was;
}

/// (SELECT c1 AS a, … FROM upkeep_was_n) in place of the relation.
void replace_relation(RangeTblEntry *rte, int source) {
    const Columns columns = columns_of(rte, nullptr);
    Query *q = select_from(tuplestore_entry(was_name(source), makeAlias("w", NIL), columns.places));
    select_columns(q, columns, columns.names);
    put_in_place(rte, q, columns.names);
}

Const *array_constant(Oid type, Oid element, std::span<const Datum> values, int16 length, char align) {
    ArrayType *array = construct_array(const_cast<Datum *>(values.data()), static_cast<int>(values.size()), element,
                                       length, true, align);
    return makeConst(type, -1, InvalidOid, -1, PointerGetDatum(array), false, false);
}

/// It stands in an arm of a query in FROM.
Node *value_in_arm(const OldKey &key) {
    auto *value = static_cast<Node *>(copyObjectImpl(key.value));
    IncrementVarSublevelsUp(value, 2, 0);
    return value;
}

/// The planner takes conditions into arms by itself, but not what an entry that depends on others has outside.
void ask_for(Query *arm, const Columns &columns, const pg::Vector<OldKey> &keys) {
    List *conditions = NIL;
    for (const OldKey &key : keys) {
        const int i = key.column - 1;
        Oid left, right;
        op_input_types(key.equality, &left, &right);
        Node *column = reinterpret_cast<Node *>(makeVar(1, key.column, list_nth_oid(columns.types, i),
                                                        list_nth_int(columns.typmods, i),
                                                        list_nth_oid(columns.collations, i), 0));
        if (exprType(column) != left && !IsPolymorphicType(left))
            column = reinterpret_cast<Node *>(makeRelabelType(reinterpret_cast<Expr *>(column), left, -1, key.collation,
                                                              COERCE_EXPLICIT_CAST));
        conditions = lappend(conditions, make_opclause(key.equality, BOOLOID, false, reinterpret_cast<Expr *>(column),
                                                       reinterpret_cast<Expr *>(value_in_arm(key)), InvalidOid,
                                                       key.collation));
    }
    arm->jointree->quals = reinterpret_cast<Node *>(make_ands_explicit(conditions));
}

/// upkeep.old_rows($1, source, columns, equalities, collations, values…) AS w(c1 …)
RangeTblEntry *looked_up_entry(const Columns &columns, int source, const pg::Vector<OldKey> &keys) {
    pg::Vector<Datum> numbers, equalities, collations;
    List *values = NIL;
    for (const OldKey &key : keys) {
        numbers.push_back(Int16GetDatum(key.column));
        equalities.push_back(ObjectIdGetDatum(key.equality));
        collations.push_back(ObjectIdGetDatum(key.collation));
        values = lappend(values, value_in_arm(key));
    }
    Param *run = makeNode(Param);
    run->paramkind = PARAM_EXTERN;
    run->paramid = 1;
    run->paramtype = INT8OID;
    run->paramtypmod = -1;
    const Oid types[] = {INT8OID, INT4OID, INT2ARRAYOID, OIDARRAYOID, OIDARRAYOID, ANYOID};
    const Oid function =
        LookupFuncName(list_make2(makeString(pstrdup("upkeep")), makeString(pstrdup("old_rows"))), 6, types, false);
    List *args = list_make5(
        run, makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(source), false, true),
        array_constant(INT2ARRAYOID, INT2OID, {numbers.data(), numbers.size()}, sizeof(int16), TYPALIGN_SHORT),
        array_constant(OIDARRAYOID, OIDOID, {equalities.data(), equalities.size()}, sizeof(Oid), TYPALIGN_INT),
        array_constant(OIDARRAYOID, OIDOID, {collations.data(), collations.size()}, sizeof(Oid), TYPALIGN_INT));
    FuncExpr *call = makeFuncExpr(function, RECORDOID, list_concat(args, values), InvalidOid, InvalidOid,
                                  COERCE_EXPLICIT_CALL);
    call->funcretset = true;
    RangeTblFunction *item = makeNode(RangeTblFunction);
    item->funcexpr = reinterpret_cast<Node *>(call);
    item->funccolcount = list_length(columns.places);
    item->funccolnames = columns.places;
    item->funccoltypes = columns.types;
    item->funccoltypmods = columns.typmods;
    item->funccolcollations = columns.collations;
    RangeTblEntry *rte = makeNode(RangeTblEntry);
    rte->rtekind = RTE_FUNCTION;
    rte->functions = list_make1(item);
    rte->alias = makeAlias("w", NIL);
    rte->eref = makeAlias("w", columns.places);
    rte->inFromCl = true;
    return rte;
}

/// (SELECT … FROM upkeep_kept_n UNION ALL SELECT … FROM upkeep.old_rows(…)) in place of the relation.
void look_up_relation(RangeTblEntry *rte, const OldRelation &relation, const pg::Vector<OldKey> &keys) {
    const Columns columns = columns_of(rte, &relation.columns);
    Query *kept = select_from(tuplestore_entry(kept_name(relation.source), makeAlias("w", NIL), columns.places));
    ask_for(kept, columns, keys);
    Query *old = select_from(looked_up_entry(columns, relation.source, keys));
    Query *both = select_nothing();
    for (Query *arm : {kept, old}) {
        select_columns(arm, columns, columns.names);
        both->rtable = lappend(both->rtable, subquery_entry(arm, makeAlias("a", NIL), columns.names));
    }
    SetOperationStmt *op = makeNode(SetOperationStmt);
    op->op = SETOP_UNION;
    op->all = true;
    op->larg = reinterpret_cast<Node *>(reference(1));
    op->rarg = reinterpret_cast<Node *>(reference(2));
    op->colTypes = columns.types;
    op->colTypmods = columns.typmods;
    op->colCollations = columns.collations;
    both->setOperations = reinterpret_cast<Node *>(op);
    select_columns(both, columns, columns.names);
    put_in_place(rte, both, columns.names);
}

bool is_relation(const OldRelation &relation, const RangeTblEntry *rte) {
    return rte->relid == relation.relid && (relation.is_node || relation.only == (!rte->inh && has_subclass(rte->relid)));
}

/// Without one each lookup would read all of the relation: better let the planner join it as a whole.
bool has_index(Oid relid, const pg::Vector<OldKey> &keys) {
    if (keys.empty())
        return false;
    bool found = false;
    Relation rel = table_open(relid, AccessShareLock);
    List *indexes = RelationGetIndexList(rel);
    table_close(rel, NoLock);
    ListCell *cell;
    foreach (cell, indexes) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);
        const Form_pg_index form = index->rd_index;
        for (const OldKey &key : keys)
            found |= form->indisvalid && form->indkey.values[0] == key.column &&
                     heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr);
        index_close(index, AccessShareLock);
    }
    return found;
}

/// Of a watched input only the change may be read.
bool is_read(Node *item, void *index) {
    if (item == nullptr)
        return false;
    if (IsA(item, RangeTblRef))
        return castNode(RangeTblRef, item)->rtindex == *static_cast<int *>(index);
    if (IsA(item, JoinExpr))
        return is_read(castNode(JoinExpr, item)->larg, index) || is_read(castNode(JoinExpr, item)->rarg, index);
    return (IsA(item, FromExpr) || IsA(item, List)) && pg::walk_tree(item, is_read, index);
}

void look_at(Replacement *r, Query *q, int index) {
    auto *rte = list_nth_node(RangeTblEntry, q->rtable, index - 1);
    if (rte->rtekind != RTE_RELATION || !is_read(reinterpret_cast<Node *>(q->jointree), &index))
        return;
    for (const OldRelation &relation : r->relations) {
        if (!is_relation(relation, rte))
            continue;
        pg::Vector<OldKey> keys = r->keys.keys_of(q, index, relation.columns);
        if (!has_index(relation.relid, keys))
            keys.clear();
        const std::uint64_t source = std::uint64_t{1} << relation.source;
        r->found |= source;
        r->scanned |= keys.empty() ? source : 0;
        if ((r->replace & source) == 0)
            continue;
        (keys.empty() ? r->whole : r->keyed) |= source;
        keys.empty() ? replace_relation(rte, relation.source) : look_up_relation(rte, relation, keys);
        return;
    }
}

bool replace_relations(Node *node, void *context) {
    if (node == nullptr)
        return false;
    auto *r = static_cast<Replacement *>(context);
    if (IsA(node, Query)) {
        Query *q = castNode(Query, node);
        r->keys.enter(q);
        for (int i = 1; i <= list_length(q->rtable); i++)
            look_at(r, q, i);
        const bool stopped = pg::walk_query(q, replace_relations, context, 0);
        order_entries(q);
        return stopped;
    }
    if (IsA(node, Var) && castNode(Var, node)->varattno <= 0)
        r->rows = true;
    return pg::walk_tree(node, replace_relations, context);
}

Replacement replacement_in(Query *statement, const delta::ScopeTerm &term, std::span<const OldRelation> relations,
                           std::uint64_t replace) {
    Replacement r{relations, OldKeys(statement, term.touching + 1)};
    r.replace = replace;
    replace_relations(reinterpret_cast<Node *>(statement), &r);
    return r;
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

/// upkeep_kept_n(c1, …) AS NOT MATERIALIZED (…): only the rows whose image has not changed.
void append_kept(StringInfo sql, const OldRelation &relation) {
    StringInfoData names, columns, compared;
    for (StringInfo part : {&names, &columns, &compared})
        initStringInfo(part);
    Relation rel = table_open(relation.relid, AccessShareLock);
    for (int i = 1; i <= RelationGetNumberOfAttributes(rel); i++) {
        const bool read =
            std::find(relation.columns.begin(), relation.columns.end(), i) != relation.columns.end();
        const char *column =
            psprintf("s.%s", quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(rel), i - 1)->attname)));
        appendStringInfo(&names, "%sc%d", i == 1 ? "" : ", ", i);
        appendStringInfo(&columns, "%s%s", i == 1 ? "" : ", ", read ? column : "NULL::integer");
        if (read)
            appendStringInfo(&compared, "%s%s", compared.len == 0 ? "" : ", ", column);
    }
    table_close(rel, NoLock);
    appendStringInfo(sql, "%s(%s) AS NOT MATERIALIZED (SELECT %s FROM %s%s s WHERE NOT %s)", kept_name(relation.source),
                     names.data, columns.data, relation.only ? "ONLY " : "", pg::qualified_name(relation.relid),
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
                     std::uint64_t *found, std::uint64_t *scanned) {
    const Replacement r = replacement_in(scope_query(block, term), term, relations, 0);
    *found |= r.found;
    *scanned |= r.scanned;
    for (const OldRelation &relation : relations)
        if ((r.found >> relation.source & 1) != 0 && !fits(relation))
            return false;
    return !r.rows;
}

const char *old_scope_sql(const Block &block, const delta::ScopeTerm &term, const pg::Vector<WideColumn> &wide,
                          std::span<const OldRelation> relations, std::uint64_t was) {
    Query *q = scope_query(block, term);
    add_wide(q, wide);
    const Replacement r = replacement_in(q, term, relations, was);
    StringInfoData sql;
    initStringInfo(&sql);
    for (const OldRelation &relation : relations)
        for (const bool keyed : {false, true})
            if (((keyed ? r.keyed : r.whole) >> relation.source & 1) != 0) {
                appendStringInfoString(&sql, sql.len == 0 ? "WITH " : ", ");
                keyed ? append_kept(&sql, relation) : append_was(&sql, relation);
            }
    appendStringInfo(&sql, " %s", deparse(q));
    return sql.data;
}

namespace {

/// An equality that is of the server's own, and says no less than the image: rows are found by an index on it.
Oid finding_equality(const OldRelation &relation, Form_pg_attribute column) {
    if (!relation.constrained || !column->attnotnull)
        return InvalidOid;
    const Oid equality =
        lookup_type_cache(column->atttypid, TYPECACHE_EQ_OPR | TYPECACHE_BTREE_OPFAMILY)->eq_opr;
    const bool finds = OidIsValid(equality) && equality < FirstNormalObjectId && op_mergejoinable(equality, column->atttypid);
    return finds ? equality : InvalidOid;
}

/// How many rows there are, as far as is known, for each value of a column.
double rows_per_value(Relation rel, AttrNumber column) {
    const double rows = std::max<double>(rel->rd_rel->reltuples, 1);
    return rows / pg::distinct_values(rel, column).value_or(1);
}

/// The columns of an index that are enough to find a few rows by; those that make the fewest keys. None: no index does.
Bitmapset *finding_columns(Relation rel, const Bitmapset *able) {
    constexpr double kFewRows = 100;
    Bitmapset *best = nullptr;
    double fewest = kFewRows;
    List *indexes = RelationGetIndexList(rel);
    ListCell *cell;
    foreach (cell, indexes) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);
        const Form_pg_index form = index->rd_index;
        Bitmapset *columns = nullptr;
        double rows = fewest;
        for (int i = 0; i < form->indnkeyatts && bms_is_member(form->indkey.values[i], able); i++) {
            columns = bms_add_member(columns, form->indkey.values[i]);
            rows = std::min(rows, rows_per_value(rel, form->indkey.values[i]));
        }
        if (form->indisvalid && heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr) && rows < fewest) {
            best = columns;
            fewest = rows;
        }
        index_close(index, AccessShareLock);
    }
    return best;
}

} // namespace

const char *changed_rows_sql(const OldRelation &relation) {
    StringInfoData columns, keys, ties;
    for (StringInfo part : {&columns, &keys, &ties})
        initStringInfo(part);
    Relation rel = table_open(relation.relid, AccessShareLock);
    Bitmapset *able = nullptr;
    for (AttrNumber column : relation.columns)
        if (OidIsValid(finding_equality(relation, TupleDescAttr(RelationGetDescr(rel), column - 1))))
            able = bms_add_member(able, column);
    // Many changed rows have the same key of an index: their rows are looked up once.
    if (const Bitmapset *few = finding_columns(rel, able); few != nullptr)
        able = bms_copy(few);
    for (AttrNumber column : relation.columns) {
        Form_pg_attribute a = TupleDescAttr(RelationGetDescr(rel), column - 1);
        const char *name = psprintf("s.%s", quote_identifier(NameStr(a->attname)));
        appendStringInfo(&columns, "%s%s", columns.len == 0 ? "" : ", ", name);
        if (!bms_is_member(column, able))
            continue;
        appendStringInfo(&keys, "%sd.c%d", keys.len == 0 ? "" : ", ", column);
        appendStringInfo(&ties, "%s%s OPERATOR(pg_catalog.%s) d.c%d", ties.len == 0 ? "" : " AND ", name,
                         get_opname(finding_equality(relation, a)), column);
    }
    table_close(rel, NoLock);
    const char *from = psprintf("%s%s s", relation.only ? "ONLY " : "", pg::qualified_name(relation.relid));
    if (ties.len > 0)
        from = psprintf("(SELECT DISTINCT %s FROM %s d) d JOIN %s ON %s", keys.data, delta_name(relation.source), from,
                        ties.data);
    return psprintf("SELECT %s FROM %s WHERE %s", columns.data, from, has_changed(relation, columns.data));
}

} // namespace upkeep::lower
