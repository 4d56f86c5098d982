// Fingerprints of what a plan relies on besides PostgreSQL's own dependencies. Each is a text that changes when the
// fact does, and not when its object is renamed or moved to another schema. Facts are not dumped: OIDs may be part of
// them.
#include "catalog/registration.hpp"
#include "catalog/subscriptions.hpp"
#include "catalog/table_tree.hpp"

extern "C" {
#include "catalog/partition.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_rewrite.h"
#include "common/hashfn.h"
}

namespace upkeep::catalog {

namespace {

constexpr const char *kGone = "gone";

// 128 bits of a text that may be long.
const char *digest(const StringInfoData &written) {
    const auto *bytes = reinterpret_cast<const unsigned char *>(written.data);
    return psprintf("%016" INT64_MODIFIER "x%016" INT64_MODIFIER "x", hash_bytes_extended(bytes, written.len, 1),
                    hash_bytes_extended(bytes, written.len, 2));
}

// Appends an attribute of a catalog row, as text; the separator cannot be confused with contents of equal length.
void append_attribute(StringInfo out, int cache, HeapTuple tuple, AttrNumber column, Oid type) {
    bool isnull;
    const Datum value = SysCacheGetAttr(cache, tuple, column, &isnull);
    if (isnull) {
        appendStringInfoString(out, "|-");
        return;
    }
    Oid output;
    bool varlena;
    getTypeOutputInfo(type, &output, &varlena);
    const char *text = OidOutputFunctionCall(output, value);
    appendStringInfo(out, "|%d:%s", int(strlen(text)), text);
}

template <typename Body> void scan_catalog(Oid relid, Oid index, AttrNumber column, Oid key_value, Body &&body) {
    ScanKeyData key;
    ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(key_value));
    const Relation relation = table_open(relid, AccessShareLock);
    SysScanDesc scan = systable_beginscan(relation, index, true, nullptr, 1, &key);
    for (HeapTuple tuple; HeapTupleIsValid(tuple = systable_getnext(scan));) {
        body(tuple, RelationGetDescr(relation));
    }
    systable_endscan(scan);
    table_close(relation, AccessShareLock);
}

const char *not_null(Oid relid, int32 column) {
    HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(int16(column)));
    if (!HeapTupleIsValid(tuple)) {
        return kGone;
    }
    const auto *attribute = reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple));
    const char *found = attribute->attisdropped ? kGone : attribute->attnotnull ? "not null" : "nullable";
    ReleaseSysCache(tuple);
    return found;
}

const char *unique_index(Oid index) {
    HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
    if (!HeapTupleIsValid(tuple)) {
        return kGone;
    }
    const auto *form = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
    StringInfoData description;
    initStringInfo(&description);
    appendStringInfo(&description, "index %u %d%d%d%d%d %d", form->indrelid, form->indisunique, form->indimmediate,
                     form->indisvalid, form->indisready, form->indnullsnotdistinct, form->indnkeyatts);
    append_attribute(&description, INDEXRELID, tuple, Anum_pg_index_indkey, INT2VECTOROID);
    append_attribute(&description, INDEXRELID, tuple, Anum_pg_index_indclass, OIDVECTOROID);
    append_attribute(&description, INDEXRELID, tuple, Anum_pg_index_indcollation, OIDVECTOROID);
    append_attribute(&description, INDEXRELID, tuple, Anum_pg_index_indexprs, PG_NODE_TREEOID);
    append_attribute(&description, INDEXRELID, tuple, Anum_pg_index_indpred, PG_NODE_TREEOID);
    ReleaseSysCache(tuple);
    return description.data;
}

// The modes of the triggers that enforce a foreign key.
void append_trigger_modes(StringInfo out, Oid relid, Oid constraint) {
    scan_catalog(TriggerRelationId, TriggerRelidNameIndexId, Anum_pg_trigger_tgrelid, relid,
                 [&](HeapTuple tuple, TupleDesc) {
                     const auto *trigger = reinterpret_cast<Form_pg_trigger>(GETSTRUCT(tuple));
                     if (trigger->tgconstraint == constraint) {
                         appendStringInfo(out, "|%c", trigger->tgenabled);
                     }
                 });
}

const char *constraint_fact(Oid oid) {
    HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(oid));
    if (!HeapTupleIsValid(tuple)) {
        return kGone;
    }
    const auto *form = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple));
    StringInfoData description;
    initStringInfo(&description);
    appendStringInfo(&description, "constraint %c %u %u %d%d%d %c%c%c", form->contype, form->conrelid, form->confrelid,
                     form->convalidated, form->condeferrable, form->condeferred, form->confupdtype, form->confdeltype,
                     form->confmatchtype);
    append_attribute(&description, CONSTROID, tuple, Anum_pg_constraint_conkey, INT2ARRAYOID);
    append_attribute(&description, CONSTROID, tuple, Anum_pg_constraint_confkey, INT2ARRAYOID);
    if (form->contype == CONSTRAINT_FOREIGN) {
        append_trigger_modes(&description, form->conrelid, oid);
        append_trigger_modes(&description, form->confrelid, oid);
    } else if (OidIsValid(form->conindid)) {
        appendStringInfo(&description, " %s", unique_index(form->conindid));
    }
    ReleaseSysCache(tuple);
    return description.data;
}

const char *function(Oid oid);

// CREATE OR REPLACE AGGREGATE changes nothing in pg_proc.
void append_aggregate(StringInfo out, Oid oid) {
    HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(oid));
    if (!HeapTupleIsValid(tuple)) {
        return;
    }
    const auto *form = reinterpret_cast<Form_pg_aggregate>(GETSTRUCT(tuple));
    appendStringInfo(out, "|%c %d %u %u", form->aggkind, form->aggnumdirectargs, form->aggtranstype, form->aggsortop);
    appendStringInfo(out, "|%s", function(form->aggtransfn));
    if (OidIsValid(form->aggfinalfn)) {
        appendStringInfo(out, "|%s", function(form->aggfinalfn));
    }
    append_attribute(out, AGGFNOID, tuple, Anum_pg_aggregate_agginitval, TEXTOID);
    ReleaseSysCache(tuple);
}

const char *function(Oid oid) {
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(oid));
    if (!HeapTupleIsValid(tuple)) {
        return kGone;
    }
    const auto *form = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
    StringInfoData description;
    initStringInfo(&description);
    appendStringInfo(&description, "%u %c %c %d%d%d %u", form->prolang, form->prokind, form->provolatile,
                     form->proisstrict, form->prosecdef, form->proretset, form->prorettype);
    append_attribute(&description, PROCOID, tuple, Anum_pg_proc_prosrc, TEXTOID);
    append_attribute(&description, PROCOID, tuple, Anum_pg_proc_probin, TEXTOID);
    append_attribute(&description, PROCOID, tuple, Anum_pg_proc_prosqlbody, PG_NODE_TREEOID);
    append_attribute(&description, PROCOID, tuple, Anum_pg_proc_proconfig, TEXTARRAYOID);
    append_attribute(&description, PROCOID, tuple, Anum_pg_proc_proargdefaults, PG_NODE_TREEOID);
    if (form->prokind == PROKIND_AGGREGATE) {
        append_aggregate(&description, oid);
    }
    const char *found = psprintf("%c %s", form->provolatile, digest(description));
    ReleaseSysCache(tuple);
    return found;
}

// The labels in their order.
const char *enum_labels(Oid type) {
    if (!SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(type))) {
        return kGone;
    }
    StringInfoData description;
    initStringInfo(&description);
    scan_catalog(EnumRelationId, EnumTypIdSortOrderIndexId, Anum_pg_enum_enumtypid, type,
                 [&](HeapTuple tuple, TupleDesc) {
                     const char *label = NameStr(reinterpret_cast<Form_pg_enum>(GETSTRUCT(tuple))->enumlabel);
                     appendStringInfo(&description, "%d:%s|", int(strlen(label)), label);
                 });
    return digest(description);
}

// The stored rule, not its text: renaming something below the view changes the text alone.
const char *view_definition(Oid view) {
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(view));
    if (!HeapTupleIsValid(tuple)) {
        return kGone;
    }
    StringInfoData description;
    initStringInfo(&description);
    const auto *form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
    appendStringInfo(&description, "%c %u", form->relkind, form->relowner);
    append_attribute(&description, RELOID, tuple, Anum_pg_class_reloptions, TEXTARRAYOID);
    ReleaseSysCache(tuple);
    scan_catalog(RewriteRelationId, RewriteRelRulenameIndexId, Anum_pg_rewrite_ev_class, view,
                 [&](HeapTuple rule, TupleDesc desc) {
                     bool isnull;
                     if (reinterpret_cast<Form_pg_rewrite>(GETSTRUCT(rule))->ev_type != '0' + CMD_SELECT) {
                         return;
                     }
                     const Datum action = heap_getattr(rule, Anum_pg_rewrite_ev_action, desc, &isnull);
                     appendStringInfoString(&description, isnull ? "" : TextDatumGetCString(action));
                 });
    return digest(description);
}

void append_policies(StringInfo out, Oid relid) {
    scan_catalog(PolicyRelationId, PolicyPolrelidPolnameIndexId, Anum_pg_policy_polrelid, relid,
                 [&](HeapTuple tuple, TupleDesc desc) {
                     const auto *policy = reinterpret_cast<Form_pg_policy>(GETSTRUCT(tuple));
                     bool isnull;
                     appendStringInfo(out, "|%c%d", policy->polcmd, policy->polpermissive);
                     const Datum qual = heap_getattr(tuple, Anum_pg_policy_polqual, desc, &isnull);
                     appendStringInfoString(out, isnull ? "-" : TextDatumGetCString(qual));
                     const Datum roles = heap_getattr(tuple, Anum_pg_policy_polroles, desc, &isnull);
                     Datum *oids;
                     int n;
                     deconstruct_array(DatumGetArrayTypeP(roles), OIDOID, sizeof(Oid), true, TYPALIGN_INT, &oids,
                                       nullptr, &n);
                     for (int i = 0; i < n; i++) {
                         appendStringInfo(out, " %u", DatumGetObjectId(oids[i]));
                     }
                 });
}

// Expressions of generated columns: since PostgreSQL 17 they can change, and the contents with them, without any DML.
void append_generated_columns(StringInfo out, Oid relid) {
    scan_catalog(AttrDefaultRelationId, AttrDefaultIndexId, Anum_pg_attrdef_adrelid, relid,
                 [&](HeapTuple tuple, TupleDesc desc) {
                     const auto *form = reinterpret_cast<Form_pg_attrdef>(GETSTRUCT(tuple));
                     if (get_attgenerated(relid, form->adnum) == '\0') {
                         return;
                     }
                     bool isnull;
                     const Datum expression = heap_getattr(tuple, Anum_pg_attrdef_adbin, desc, &isnull);
                     appendStringInfo(out, "|%d %s", form->adnum, isnull ? "" : TextDatumGetCString(expression));
                 });
}

// What decides whether DML on the table is captured and which of its rows its readers see.
const char *table(Oid relid) {
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
    if (!HeapTupleIsValid(tuple)) {
        return kGone;
    }
    const auto *form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
    StringInfoData description;
    initStringInfo(&description);
    append_generated_columns(&description, relid);
    if (form->relrowsecurity) {
        append_policies(&description, relid);
    }
    const char *found = psprintf("%c%c%c%c %s", form->relkind, form->relpersistence, form->relrowsecurity ? 'r' : '-',
                                 form->relforcerowsecurity ? 'f' : '-', description.len > 0 ? digest(description) : "");
    ReleaseSysCache(tuple);
    return found;
}

// The tables whose rows are read through it, each with what decides whether its changes are captured; then those whose
// statements reach it. See members_in.
const char *members(Oid relid) {
    if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid))) {
        return kGone;
    }
    StringInfoData description;
    initStringInfo(&description);
    for (const Oid member : table_and_heirs(relid, NoLock)) {
        appendStringInfo(&description, "%u%c%c", member, get_rel_relkind(member), get_rel_persistence(member));
        if (member != relid) {
            StringInfoData generated;
            initStringInfo(&generated);
            append_generated_columns(&generated, member);
            appendStringInfoString(&description, generated.len > 0 ? digest(generated) : "");
        }
        appendStringInfoChar(&description, ' ');
    }
    Relation relation = relation_open(relid, AccessShareLock);
    appendStringInfoChar(&description, is_captured_by_row(relation) ? 'r' : '-');
    relation_close(relation, AccessShareLock);
    appendStringInfoChar(&description, has_foreign_partition(relid) ? 'f' : '-');
    for (const Oid ancestor : ancestors(relid)) {
        appendStringInfo(&description, " %u", ancestor);
    }
    return description.data;
}

} // namespace

pg::Vector<Oid> members_in(const char *fingerprint) {
    pg::Vector<Oid> found;
    for (const char *at = fingerprint; *at >= '0' && *at <= '9'; at = strchr(at, ' ') + 1) {
        found.push_back(static_cast<Oid>(strtoul(at, nullptr, 10)));
    }
    return found;
}

/// The columns of a table or type, where whole rows of it are read.
static const char *row_type(Oid relid) {
    StringInfoData description;
    initStringInfo(&description);
    const Relation relation = try_relation_open(relid, AccessShareLock);
    if (relation == nullptr) {
        return kGone;
    }
    const TupleDesc desc = RelationGetDescr(relation);
    for (int i = 0; i < desc->natts; i++) {
        const Form_pg_attribute a = TupleDescAttr(desc, i);
        if (a->attisdropped) {
            appendStringInfoString(&description, "|-");
        } else {
            appendStringInfo(&description, "|%d:%s %u %d", int(strlen(NameStr(a->attname))), NameStr(a->attname),
                             a->atttypid, a->atttypmod);
        }
    }
    relation_close(relation, AccessShareLock);
    return digest(description);
}

/// Which of the tables whose rows are read through it, or that a statement can name to change these rows, are fed by
/// subscriptions.
static const char *feed(Oid relid) {
    if (!has_subscriptions() || !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid))) {
        return "";
    }
    StringInfoData fed;
    initStringInfo(&fed);
    pg::Vector<Oid> tables = table_and_heirs(relid, NoLock);
    for (const Oid ancestor : ancestors(relid)) {
        tables.push_back(ancestor);
    }
    for (const Oid table : tables) {
        if (is_subscribed(table)) {
            appendStringInfo(&fed, "%u ", table);
        }
    }
    return fed.data;
}

/// Which rows a partition has that is a default one, or below one: those that no other has, so that it changes with
/// them.
static const char *bounds(Oid relid) {
    bool has_rest = false;
    for (Oid part = relid; !has_rest && get_rel_relispartition(part);) {
        const Oid parent = get_partition_parent(part, true);
        has_rest = get_default_partition_oid(parent) == part;
        part = parent;
    }
    if (!has_rest) {
        return "";
    }
    StringInfoData written;
    initStringInfo(&written);
    appendStringInfoString(&written, nodeToString(partition_condition(relid)));
    return digest(written);
}

static const char *owner(Oid relid) {
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
    if (!HeapTupleIsValid(tuple)) {
        return "gone";
    }
    const char *found = psprintf("%u", reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner);
    ReleaseSysCache(tuple);
    return found;
}

const char *fact_fingerprint(const char *kind, Oid classid, Oid objid, int32 subid) {
    const std::string_view name = kind;
    if (name == "not-null") {
        return not_null(objid, subid);
    }
    if (name == "key" || name == "foreign-key") {
        return classid == ConstraintRelationId ? constraint_fact(objid) : unique_index(objid);
    }
    if (name == "function") {
        return function(objid);
    }
    if (name == "enum") {
        return enum_labels(objid);
    }
    if (name == "view") {
        return view_definition(objid);
    }
    if (name == "table") {
        return table(objid);
    }
    if (name == "members") {
        return members(objid);
    }
    if (name == "feed") {
        return feed(objid);
    }
    if (name == "bounds") {
        return bounds(objid);
    }
    if (name == "row") {
        return row_type(objid);
    }
    if (name == "owner") {
        return owner(objid);
    }
    elog(ERROR, "unknown kind of fact \"%s\"", kind);
    return nullptr;
}

} // namespace upkeep::catalog
