#include "catalog/tables.hpp"

extern "C" {
#include "access/heaptoast.h"
#include "access/skey.h"
}

namespace upkeep::catalog {

namespace {

const char *table_name(Table table) {
    switch (table) {
    case Table::registration:
        return "registration";
    case Table::registration_by_name:
        return "registration_by_name";
    case Table::activity:
        return "activity";
    case Table::source:
        return "source";
    case Table::state_table:
        return "state_table";
    case Table::fact:
        return "fact";
    case Table::setting:
        return "setting";
    case Table::log:
        return "log";
    case Table::frontier:
        return "frontier";
    }
    return nullptr;
}

constexpr int kTables = int(Table::frontier) + 1;
Oid table_oids[kTables];
uint64 class_changes = 1;    // of pg_class, as far as this backend has heard
uint64 table_oids_as_of = 0; // the count when table_oids was filled

void on_class_change(Datum, int, uint32) {
    class_changes++;
}

// A schema and a table of these names may be anybody's where the extension does not exist.
Oid find_member(Oid extension, const char *name) {
    const Oid schema = get_namespace_oid("upkeep", true);
    const Oid relid = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
    return OidIsValid(relid) && getExtensionOfObject(RelationRelationId, relid) == extension ? relid : InvalidOid;
}

// Looked up again after any change of pg_class: CREATE and DROP EXTENSION are such changes.
void find_tables() {
    static bool registered = false;
    if (!registered) {
        CacheRegisterSyscacheCallback(RELOID, on_class_change, Datum(0));
        registered = true;
    }
    AcceptInvalidationMessages();
    if (table_oids_as_of == class_changes) {
        return;
    }
    const uint64 as_of = class_changes;
    const Oid extension = find_extension();
    for (int i = 0; i < kTables; i++) {
        table_oids[i] = OidIsValid(extension) ? find_member(extension, table_name(Table(i))) : InvalidOid;
    }
    table_oids_as_of = as_of;
}

// nullptr where the extension does not exist.
Relation find_table_relation(Table table, LOCKMODE lock) {
    find_tables();
    const Oid relid = table_oids[int(table)];
    return OidIsValid(relid) ? try_relation_open(relid, lock) : nullptr;
}

Relation require_table_relation(Table table) {
    const Relation relation = find_table_relation(table, RowExclusiveLock);
    if (!relation) {
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("extension \"upkeep\" does not exist")));
    }
    return relation;
}

// An index that begins with the column, or InvalidOid.
Oid find_index_on(Relation relation, AttrNumber column) {
    Oid found = InvalidOid;
    List *indexes = RelationGetIndexList(relation);
    ListCell *cell;
    foreach (cell, indexes) {
        const Relation index = index_open(lfirst_oid(cell), AccessShareLock);
        if (index->rd_index->indkey.values[0] == column) {
            found = RelationGetRelid(index);
        }
        index_close(index, AccessShareLock);
        if (OidIsValid(found)) {
            break;
        }
    }
    list_free(indexes);
    return found;
}

Row copy_row(HeapTuple tuple, TupleDesc desc) {
    Row row;
    HeapTuple copy = HeapTupleHasExternal(tuple) ? toast_flatten_tuple(tuple, desc) : heap_copytuple(tuple);
    row.tid = tuple->t_self;
    heap_deform_tuple(copy, desc, row.values, row.nulls);
    return row;
}

// heap_form_tuple does not write to its arguments.
HeapTuple form_tuple(Relation relation, const Row &row) {
    return heap_form_tuple(RelationGetDescr(relation), const_cast<Datum *>(row.values), const_cast<bool *>(row.nulls));
}

// Locks the newest version of a row against other writers, and says where it is, and what.
bool lock_newest(Relation relation, ItemPointer tid, LockWaitPolicy wait = LockWaitBlock,
                 std::optional<Row> *found = nullptr) {
    const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    TupleTableSlot *slot = table_slot_create(relation, nullptr);
    TM_FailureData failure;
    const TM_Result result =
        table_tuple_lock(relation, tid, snapshot, slot, GetCurrentCommandId(true), LockTupleExclusive, wait,
                         TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
    if (result == TM_Ok) {
        *tid = slot->tts_tid;
        if (found != nullptr) {
            *found = copy_row(ExecFetchSlotHeapTuple(slot, true, nullptr), RelationGetDescr(relation));
        }
    }
    ExecDropSingleTupleTableSlot(slot);
    UnregisterSnapshot(snapshot);
    return result == TM_Ok;
}

} // namespace

Oid find_extension() {
    return get_extension_oid("upkeep", true);
}

pg::Vector<Row> read_rows(Table table, AttrNumber column, Oid key) {
    pg::Vector<Row> rows;
    const Relation relation = find_table_relation(table, AccessShareLock);
    if (!relation) {
        return rows;
    }
    ScanKeyData scan_key;
    Oid index = InvalidOid;
    if (column != 0) {
        ScanKeyInit(&scan_key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(key));
        index = find_index_on(relation, column);
    }
    const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    SysScanDesc scan = systable_beginscan(relation, index, OidIsValid(index), snapshot, column != 0 ? 1 : 0, &scan_key);
    for (HeapTuple tuple; HeapTupleIsValid(tuple = systable_getnext(scan));) {
        rows.push_back(copy_row(tuple, RelationGetDescr(relation)));
    }
    systable_endscan(scan);
    UnregisterSnapshot(snapshot);
    relation_close(relation, AccessShareLock);
    return rows;
}

void add_row(Table table, const Row &row) {
    const Relation relation = require_table_relation(table);
    HeapTuple tuple = form_tuple(relation, row);
    CatalogTupleInsert(relation, tuple);
    heap_freetuple(tuple);
    relation_close(relation, NoLock);
    CommandCounterIncrement();
}

std::optional<Row> lock_row(Table table, const Row &row, LockWaitPolicy wait) {
    const Relation relation = require_table_relation(table);
    ItemPointerData tid = row.tid;
    std::optional<Row> found;
    lock_newest(relation, &tid, wait, &found);
    relation_close(relation, NoLock);
    return found;
}

bool change_row(Table table, const Row &row) {
    const Relation relation = require_table_relation(table);
    ItemPointerData tid = row.tid;
    const bool found = lock_newest(relation, &tid);
    if (found) {
        HeapTuple tuple = form_tuple(relation, row);
        CatalogTupleUpdate(relation, &tid, tuple);
        heap_freetuple(tuple);
    }
    relation_close(relation, NoLock);
    CommandCounterIncrement();
    return found;
}

bool remove_row(Table table, const Row &row) {
    const Relation relation = require_table_relation(table);
    ItemPointerData tid = row.tid;
    const bool found = lock_newest(relation, &tid);
    if (found) {
        CatalogTupleDelete(relation, &tid);
    }
    relation_close(relation, NoLock);
    CommandCounterIncrement();
    return found;
}

void remove_rows(Table table, Oid view) {
    for (const Row &row : read_rows(table, kView, view)) {
        remove_row(table, row);
    }
}

} // namespace upkeep::catalog
