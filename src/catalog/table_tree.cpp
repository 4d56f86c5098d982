#include "catalog/table_tree.hpp"

extern "C" {
#include "catalog/partition.h"
#include "catalog/pg_inherits.h"
#include "partitioning/partbounds.h"
}

namespace upkeep::catalog {

namespace {

pg::Vector<Oid> parents(Oid relid) {
    pg::Vector<Oid> found;
    const Relation inherits = table_open(InheritsRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
    SysScanDesc scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true, nullptr, 1, &key);
    for (HeapTuple tuple; HeapTupleIsValid(tuple = systable_getnext(scan));) {
        found.push_back(reinterpret_cast<Form_pg_inherits>(GETSTRUCT(tuple))->inhparent);
    }
    systable_endscan(scan);
    table_close(inherits, AccessShareLock);
    return found;
}

} // namespace

pg::Vector<Oid> table_and_heirs(Oid relid, LOCKMODE lock) {
    pg::Vector<Oid> found;
    ListCell *cell;
    foreach (cell, find_all_inheritors(relid, lock, nullptr)) {
        found.push_back(lfirst_oid(cell));
    }
    return found;
}

pg::Vector<Oid> ancestors(Oid relid) {
    pg::Vector<Oid> found = parents(relid);
    for (std::size_t i = 0; i < found.size(); i++) {
        for (const Oid parent : parents(found[i])) {
            if (std::find(found.begin(), found.end(), parent) == found.end()) {
                found.push_back(parent);
            }
        }
    }
    std::reverse(found.begin(), found.end());
    return found;
}

List *partition_condition(Oid relid) {
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
    if (!HeapTupleIsValid(tuple)) {
        return NIL;
    }
    bool isnull;
    const Datum bound = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relpartbound, &isnull);
    auto *spec = isnull ? nullptr : static_cast<PartitionBoundSpec *>(stringToNode(TextDatumGetCString(bound)));
    ReleaseSysCache(tuple);
    if (spec == nullptr) {
        return NIL;
    }
    const Oid above = get_partition_parent(relid, true);
    List *condition = partition_condition(above);
    const Relation parent = table_open(above, AccessShareLock);
    const Relation relation = table_open(relid, AccessShareLock);
    condition =
        map_partition_varattnos(list_concat(condition, get_qual_from_partbound(parent, spec)), 1, relation, parent);
    table_close(relation, NoLock);
    table_close(parent, NoLock);
    return condition;
}

bool has_inheritance_children(Oid relid) {
    return get_rel_relkind(relid) == RELKIND_RELATION && has_subclass(relid) &&
           find_inheritance_children(relid, NoLock) != NIL;
}

namespace {

bool has_stored_generated(Relation relation) {
    const TupleConstr *constraints = RelationGetDescr(relation)->constr;
    return constraints != nullptr && constraints->has_generated_stored;
}

} // namespace

bool loses_generated(Relation relation) {
    return has_stored_generated(relation) && has_inheritance_children(RelationGetRelid(relation));
}

bool is_captured_by_row(Relation relation) {
    if (relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE || relation->rd_rel->relispartition) {
        return has_stored_generated(relation);
    }
    const Oid relid = RelationGetRelid(relation);
    return relation->rd_rel->relkind == RELKIND_RELATION && (has_superclass(relid) || has_inheritance_children(relid));
}

bool has_foreign_partition(Oid relid) {
    if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE && !get_rel_relispartition(relid)) {
        return false;
    }
    const pg::Vector<Oid> above = ancestors(relid);
    for (const Oid member : table_and_heirs(above.empty() ? relid : above[0], NoLock)) {
        if (get_rel_relkind(member) == RELKIND_FOREIGN_TABLE) {
            return true;
        }
    }
    return false;
}

} // namespace upkeep::catalog
