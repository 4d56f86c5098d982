#include "maintain/identity.hpp"

#include "pg/memory.hpp"

extern "C" {
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_index.h"
#include "commands/defrem.h"
#include "parser/parse_func.h"
}

namespace upkeep::maintain {

namespace {

constexpr const char *kSchema = "upkeep";

const char *hash_function_name(IdentityKind kind) {
    return kind == IdentityKind::image_hash ? "image_hash" : "key_hash";
}

Oid find_hash_function(IdentityKind kind) {
    List *name = list_make2(makeString(pstrdup(kSchema)), makeString(pstrdup(hash_function_name(kind))));
    Oid argument = ANYOID;
    return LookupFuncName(name, 1, &argument, true);
}

bool is_hash_kind(IdentityKind kind) {
    return kind == IdentityKind::key_hash || kind == IdentityKind::image_hash;
}

// The identity without its index. Columns: those given, or all.
Identity make_identity(TupleDesc desc, IdentityKind kind, std::span<const AttrNumber> columns, const Oid *equality,
                       const Oid *collations) {
    Identity identity{};
    identity.kind = kind;
    int capacity = std::max<int>(columns.size(), desc->natts) + 1;
    identity.attnos = static_cast<AttrNumber *>(palloc0(capacity * sizeof(AttrNumber)));
    identity.equality = static_cast<Oid *>(palloc0(capacity * sizeof(Oid)));
    identity.collations = static_cast<Oid *>(palloc0(capacity * sizeof(Oid)));
    identity.columns = static_cast<pg::ColumnOps *>(palloc0(capacity * sizeof(pg::ColumnOps)));
    for (AttrNumber attno : columns) {
        identity.attnos[identity.nkeys++] = attno;
    }
    for (int i = 0; kind == IdentityKind::image_hash && columns.empty() && i < desc->natts; i++) {
        if (!TupleDescAttr(desc, i)->attisdropped) {
            identity.attnos[identity.nkeys++] = i + 1;
        }
    }
    const bool given = !columns.empty(); // an emptied list's data() still points somewhere
    for (int i = 0; i < identity.nkeys; i++) {
        Form_pg_attribute attribute = TupleDescAttr(desc, identity.attnos[i] - 1);
        identity.collations[i] = given && collations != nullptr ? collations[i] : attribute->attcollation;
        identity.equality[i] = given && equality != nullptr
                                   ? equality[i]
                                   : lookup_type_cache(attribute->atttypid, TYPECACHE_EQ_OPR)->eq_opr;
        identity.columns[i] = pg::prepare_column_ops(attribute->atttypid, identity.collations[i], identity.equality[i]);
    }
    return identity;
}

// Valid, complete, of the whole table, and a btree. (indcheckxmin, which keeps older snapshots from an index, does not
// matter: lookups go by the latest snapshot, and the versions of a row have one key.)
bool is_usable(Relation index) {
    Form_pg_index form = index->rd_index;
    return index->rd_rel->relam == BTREE_AM_OID && form->indislive && form->indisready && form->indisvalid &&
           RelationGetIndexPredicate(index) == NIL;
}

bool is_immediate_unique(Relation index) {
    return index->rd_index->indisunique && index->rd_index->indimmediate;
}

Oid index_equality(Relation index, int column) {
    Oid type = index->rd_opcintype[column];
    return get_opfamily_member(index->rd_opfamily[column], type, type, BTEqualStrategyNumber);
}

bool is_index_on_columns(Relation index, const Identity &identity, KeyNulls nulls) {
    Form_pg_index form = index->rd_index;
    if (!is_immediate_unique(index) || form->indnkeyatts != identity.nkeys ||
        (nulls == KeyNulls::possible && !form->indnullsnotdistinct)) {
        return false;
    }
    Bitmapset *seen = nullptr;
    for (int i = 0; i < identity.nkeys; i++) {
        AttrNumber *end = identity.attnos + identity.nkeys;
        int key = std::find(identity.attnos, end, form->indkey.values[i]) - identity.attnos;
        if (form->indkey.values[i] <= 0 || key == identity.nkeys ||
            index->rd_indcollation[i] != identity.collations[key] ||
            index_equality(index, i) != identity.equality[key]) {
            return false;
        }
        seen = bms_add_member(seen, key);
    }
    return bms_num_members(seen) == identity.nkeys;
}

// The column that an argument of a hash function is, whatever collation was put on it.
const Var *find_column(Node *argument) {
    for (;;) {
        if (IsA(argument, RelabelType)) {
            argument = reinterpret_cast<Node *>(castNode(RelabelType, argument)->arg);
        } else if (IsA(argument, CollateExpr)) {
            argument = reinterpret_cast<Node *>(castNode(CollateExpr, argument)->arg);
        } else {
            return IsA(argument, Var) ? castNode(Var, argument) : nullptr;
        }
    }
}

struct HashedColumn {
    AttrNumber attno;
    Oid collation;
};

bool is_call(Node *expression, Oid function) {
    return IsA(expression, FuncExpr) && castNode(FuncExpr, expression)->funcid == function;
}

// The columns of a chain of calls of one hash function, in order; false if the expression is anything else. Within a
// chain every call but the outermost has as many arguments as a call takes.
bool collect_hashed_columns(Node *expression, Oid function, pg::Vector<HashedColumn> *columns) {
    check_stack_depth();
    if (!is_call(expression, function)) {
        return false;
    }
    List *arguments = castNode(FuncExpr, expression)->args;
    for (int i = 0; i < list_length(arguments); i++) {
        auto *argument = static_cast<Node *>(list_nth(arguments, i));
        if (const Var *column = find_column(argument)) {
            columns->push_back(HashedColumn{column->varattno, exprCollation(argument)});
        } else if (i > 0 || !is_call(argument, function) ||
                   list_length(castNode(FuncExpr, argument)->args) != pg::kMaxHashArguments ||
                   !collect_hashed_columns(argument, function, columns)) {
            return false;
        }
    }
    return true;
}

Node *find_single_expression(Relation index) {
    if (index->rd_index->indnkeyatts != 1 || index->rd_index->indnatts != 1 || index->rd_index->indkey.values[0] != 0) {
        return nullptr;
    }
    return static_cast<Node *>(linitial(RelationGetIndexExpressions(index)));
}

bool is_index_on_hash(Relation index, const Identity &identity) {
    Node *expression = find_single_expression(index);
    Oid function = find_hash_function(identity.kind);
    pg::Vector<HashedColumn> columns;
    if (expression == nullptr || index->rd_index->indisunique || !OidIsValid(function) ||
        !collect_hashed_columns(expression, function, &columns) ||
        columns.size() != static_cast<std::size_t>(identity.nkeys)) {
        return false;
    }
    for (int i = 0; i < identity.nkeys; i++) {
        if (columns[i].attno != identity.attnos[i] ||
            (identity.kind == IdentityKind::key_hash && columns[i].collation != identity.collations[i])) {
            return false;
        }
    }
    return true;
}

bool is_index_on_constant(Relation index) {
    Node *expression = find_single_expression(index);
    return expression != nullptr && is_immediate_unique(index) && IsA(expression, Const) &&
           !castNode(Const, expression)->constisnull;
}

bool fits(Relation index, const Identity &identity, KeyNulls nulls) {
    if (!is_usable(index)) {
        return false;
    }
    switch (identity.kind) {
    case IdentityKind::unique_columns:
        return is_index_on_columns(index, identity, nulls);
    case IdentityKind::key_hash:
    case IdentityKind::image_hash:
        return is_index_on_hash(index, identity);
    case IdentityKind::single_row:
        return is_index_on_constant(index);
    case IdentityKind::none:
        return false;
    }
    return false;
}

Oid find_fitting_index(Relation relation, const Identity &identity, KeyNulls nulls) {
    Oid found = InvalidOid;
    List *indexes = RelationGetIndexList(relation);
    for (int i = 0; i < list_length(indexes) && !OidIsValid(found); i++) {
        Relation index = index_open(list_nth_oid(indexes, i), AccessShareLock);
        if (fits(index, identity, nulls)) {
            found = RelationGetRelid(index);
        }
        index_close(index, NoLock);
    }
    list_free(indexes);
    return found;
}

// What find_fitting_index would accept, read the other way.
std::optional<Identity> read_identity(TupleDesc desc, Relation index) {
    std::optional<Identity> result;
    if (is_index_on_constant(index)) {
        result = make_identity(desc, IdentityKind::single_row, {}, nullptr, nullptr);
    } else if (is_immediate_unique(index) && RelationGetIndexExpressions(index) == NIL) {
        int n = index->rd_index->indnkeyatts;
        Oid equality[INDEX_MAX_KEYS];
        for (int i = 0; i < n; i++) {
            equality[i] = index_equality(index, i);
        }
        std::span<const AttrNumber> columns(index->rd_index->indkey.values, n);
        result = make_identity(desc, IdentityKind::unique_columns, columns, equality, index->rd_indcollation);
    } else if (Node *expression = find_single_expression(index)) {
        for (IdentityKind kind : {IdentityKind::key_hash, IdentityKind::image_hash}) {
            pg::Vector<HashedColumn> hashed;
            Oid function = find_hash_function(kind);
            if (result || !OidIsValid(function) || !collect_hashed_columns(expression, function, &hashed)) {
                continue;
            }
            pg::Vector<AttrNumber> columns;
            pg::Vector<Oid> collations;
            for (const HashedColumn &column : hashed) {
                columns.push_back(column.attno);
                collations.push_back(column.collation);
            }
            result = make_identity(desc, kind, {columns.data(), columns.size()}, nullptr, collations.data());
        }
    }
    if (result) {
        result->index = RelationGetRelid(index);
    }
    return result;
}

// A column with the collation and operator class that the identity asks for, where they are not the column's own.
void append_column(StringInfo sql, TupleDesc desc, const Identity &identity, int key) {
    Form_pg_attribute attribute = TupleDescAttr(desc, identity.attnos[key] - 1);
    appendStringInfoString(sql, quote_identifier(NameStr(attribute->attname)));
    if (identity.kind != IdentityKind::image_hash && identity.collations[key] != attribute->attcollation) {
        HeapTuple tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(identity.collations[key]));
        if (!HeapTupleIsValid(tuple)) {
            elog(ERROR, "cache lookup failed for collation %u", identity.collations[key]);
        }
        auto *form = reinterpret_cast<Form_pg_collation>(GETSTRUCT(tuple));
        appendStringInfo(sql, " COLLATE %s",
                         quote_qualified_identifier(get_namespace_name(form->collnamespace), NameStr(form->collname)));
        ReleaseSysCache(tuple);
    }
}

// The columns as arguments of one call, or of a chain of calls where they are more than a call takes.
void append_hash(StringInfo sql, TupleDesc desc, const Identity &identity) {
    int calls = 1;
    for (int room = pg::kMaxHashArguments; room < identity.nkeys; room += pg::kMaxHashArguments - 1) {
        calls++;
    }
    for (int i = 0; i < calls; i++) {
        appendStringInfo(sql, "%s.%s(", kSchema, hash_function_name(identity.kind));
    }
    int arguments = 0;
    for (int i = 0; i < identity.nkeys; i++) {
        if (arguments == pg::kMaxHashArguments) {
            appendStringInfoChar(sql, ')');
            arguments = 1;
        }
        appendStringInfoString(sql, arguments > 0 ? ", " : "");
        append_column(sql, desc, identity, i);
        arguments++;
    }
    appendStringInfoChar(sql, ')');
}

const char *index_sql(Relation relation, const Identity &identity, const char *name) {
    TupleDesc desc = RelationGetDescr(relation);
    const char *target = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
                                                    RelationGetRelationName(relation));
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfo(&sql, "CREATE %sINDEX %s ON %s USING btree (", is_hash_kind(identity.kind) ? "" : "UNIQUE ",
                     quote_identifier(name), target);
    if (identity.kind == IdentityKind::single_row) {
        appendStringInfoString(&sql, "(true)");
    } else if (is_hash_kind(identity.kind)) {
        append_hash(&sql, desc, identity);
    } else {
        for (int i = 0; i < identity.nkeys; i++) {
            appendStringInfoString(&sql, i > 0 ? ", " : "");
            append_column(&sql, desc, identity, i);
        }
    }
    appendStringInfo(&sql, ")%s", is_hash_kind(identity.kind) ? "" : " NULLS NOT DISTINCT");
    return sql.data;
}

const char *choose_name(Oid schema, const char *wanted) {
    const char *name = std::strlen(wanted) < NAMEDATALEN ? wanted : makeObjectName(wanted, nullptr, "key");
    for (int i = 1; OidIsValid(get_relname_relid(name, schema)); i++) {
        name = makeObjectName(wanted, nullptr, psprintf("%d", i));
    }
    return name;
}

void run_utility(const char *sql) {
    int nest_level = NewGUCNestLevel();
    set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                      false);
    if (SPI_connect() != SPI_OK_CONNECT) {
        elog(ERROR, "SPI_connect failed");
    }
    int result = SPI_execute(sql, false, 0);
    if (result != SPI_OK_UTILITY) {
        elog(ERROR, "SPI_execute returned %d for: %s", result, sql);
    }
    SPI_finish();
    AtEOXact_GUC(true, nest_level);
}

void check_can_be_created(TupleDesc desc, const Identity &identity) {
    if (identity.kind != IdentityKind::single_row && identity.nkeys == 0) {
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("a row without columns cannot be identified")));
    }
    for (int i = 0; identity.kind != IdentityKind::image_hash && i < identity.nkeys; i++) {
        Oid type = TupleDescAttr(desc, identity.attnos[i] - 1)->atttypid;
        if (identity.equality[i] != lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr) {
            ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                            errmsg("operator %u cannot identify rows: it is not the default equality of type %s",
                                   identity.equality[i], format_type_be(type))));
        }
    }
}

} // namespace

bool uses_own_function(const Identity &identity) {
    return is_hash_kind(identity.kind);
}

bool is_fixed_length_key(TupleDesc desc, std::span<const AttrNumber> columns) {
    return columns.size() <= INDEX_MAX_KEYS && std::all_of(columns.begin(), columns.end(), [&](AttrNumber attno) {
               Form_pg_attribute attribute = TupleDescAttr(desc, attno - 1);
               TypeCacheEntry *entry =
                   lookup_type_cache(attribute->atttypid, TYPECACHE_BTREE_OPFAMILY | TYPECACHE_EQ_OPR);
               return attribute->attlen > 0 && OidIsValid(entry->btree_opf) && OidIsValid(entry->eq_opr);
           });
}

std::optional<Identity> find_identity(Oid relid, IdentityKind kind, std::span<const AttrNumber> columns,
                                      const Oid *equality, const Oid *collations, KeyNulls nulls) {
    Relation relation = table_open(relid, AccessShareLock);
    Identity identity = make_identity(RelationGetDescr(relation), kind, columns, equality, collations);
    identity.index = find_fitting_index(relation, identity, nulls);
    table_close(relation, NoLock);
    if (!OidIsValid(identity.index)) {
        return std::nullopt;
    }
    return identity;
}

Identity create_identity(Oid relid, IdentityKind kind, std::span<const AttrNumber> columns, const Oid *equality,
                         const Oid *collations, const char *index_name, KeyNulls nulls, bool *created) {
    Relation relation = table_open(relid, AccessShareLock);
    Identity identity = make_identity(RelationGetDescr(relation), kind, columns, equality, collations);
    identity.index = find_fitting_index(relation, identity, nulls);
    const bool missing = !OidIsValid(identity.index);
    const Oid schema = RelationGetNamespace(relation);
    const char *name = nullptr;
    const char *sql = nullptr;
    if (missing) {
        check_can_be_created(RelationGetDescr(relation), identity);
        name = choose_name(schema, index_name);
        sql = index_sql(relation, identity, name);
    }
    table_close(relation, NoLock);
    if (missing) {
        run_utility(sql);
        identity.index = get_relname_relid(name, schema);
    }
    if (created != nullptr) {
        *created = missing;
    }
    return identity;
}

std::optional<Identity> load_identity(Oid index_oid) {
    Oid relid = IndexGetRelation(index_oid, true);
    Relation relation = OidIsValid(relid) ? try_relation_open(relid, AccessShareLock) : nullptr;
    if (relation == nullptr) {
        return std::nullopt;
    }
    std::optional<Identity> result;
    Relation index = try_relation_open(index_oid, AccessShareLock);
    if (index != nullptr && is_usable(index)) {
        result = read_identity(RelationGetDescr(relation), index);
    }
    if (index != nullptr) {
        relation_close(index, NoLock);
    }
    relation_close(relation, NoLock);
    return result;
}

} // namespace upkeep::maintain
