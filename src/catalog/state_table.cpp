// State tables: members of the extension in schema upkeep_data, made and dropped as its script would.
#include "catalog/registration.hpp"
#include "catalog/tables.hpp"
#include "pg/extension_scope.hpp"
#include "pg/names.hpp"
#include "pg/run_as.hpp"

extern "C" {
#include "access/reloptions.h"
#include "catalog/pg_extension.h"
#include "catalog/toasting.h"
#include "commands/tablecmds.h"
#include "parser/parse_utilcmd.h"
#include "tcop/tcopprot.h"
}

namespace upkeep::catalog {

namespace {

Oid require_extension() {
    const Oid extension = find_extension();
    if (!OidIsValid(extension)) {
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("extension \"upkeep\" does not exist")));
    }
    return extension;
}

// What ProcessUtility does for CREATE TABLE, without its event triggers: the table is no business of the user's.
Oid define_table(CreateStmt *statement, const char *sql) {
    static const char *namespaces[] = HEAP_RELOPT_NAMESPACES;
    const ObjectAddress address = DefineRelation(statement, RELKIND_RELATION, InvalidOid, nullptr, sql);
    CommandCounterIncrement();
    const Datum options =
        transformRelOptions(Datum(0), statement->options, "toast", const_cast<char **>(namespaces), true, false);
    heap_reloptions(RELKIND_TOASTVALUE, options, true);
    NewRelationCreateToastTable(address.objectId, options);
    CommandCounterIncrement();
    return address.objectId;
}

Oid create_table(const char *name, const char *columns_sql, const char *options) {
    const char *sql =
        psprintf("CREATE TABLE upkeep_data.%s (%s) USING heap WITH (%s)", quote_identifier(name), columns_sql, options);
    set_config_option("default_tablespace", "", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    RawStmt *parsed = linitial_node(RawStmt, pg_parse_query(sql));
    List *statements = transformCreateStmt(castNode(CreateStmt, parsed->stmt), sql);
    if (list_length(statements) != 1) {
        elog(ERROR, "unexpected constraint in a state table");
    }
    return define_table(linitial_node(CreateStmt, statements), sql);
}

} // namespace

Oid extension_owner() {
    const Oid extension = require_extension();
    const Relation relation = table_open(ExtensionRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
    SysScanDesc scan = systable_beginscan(relation, ExtensionOidIndexId, true, nullptr, 1, &key);
    HeapTuple tuple = systable_getnext(scan);
    if (!HeapTupleIsValid(tuple)) {
        elog(ERROR, "could not find tuple for extension %u", extension);
    }
    const Oid owner = reinterpret_cast<Form_pg_extension>(GETSTRUCT(tuple))->extowner;
    systable_endscan(scan);
    table_close(relation, AccessShareLock);
    return owner;
}

Oid create_member_table(const char *name, const char *columns_sql, const char *options) {
    const OwnDdl own;
    const pg::RunAs as(extension_owner(), pg::RunAs::Path::fixed, SECURITY_LOCAL_USERID_CHANGE);
    Oid relid = InvalidOid;
    pg::in_extension_scope(require_extension(), [&] { relid = create_table(name, columns_sql, options); });
    return relid;
}

// Rows are updated in place (HOT) by every change of their group; vacuum follows soon.
Oid create_state_table(Oid view, int node, const char *columns_sql) {
    return create_member_table(
        psprintf("view_%u_%d", view, node), columns_sql,
        "fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0");
}

void drop_member_table(Oid relid) {
    const OwnDdl own;
    LockRelationOid(relid, AccessExclusiveLock);
    if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid))) {
        UnlockRelationOid(relid, AccessExclusiveLock);
        return;
    }
    ObjectAddress address;
    ObjectAddressSet(address, RelationRelationId, relid);
    pg::in_extension_scope(require_extension(),
                           [&] { performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL); });
}

void truncate_member_table(Oid relid) {
    const OwnDdl own;
    const pg::RunAs as(extension_owner(), pg::RunAs::Path::fixed, SECURITY_LOCAL_USERID_CHANGE);
    const char *sql = psprintf("TRUNCATE %s", pg::qualified_name(relid));
    if (SPI_connect() != SPI_OK_CONNECT || SPI_execute(sql, false, 0) != SPI_OK_UTILITY) {
        elog(ERROR, "could not execute \"%s\"", sql);
    }
    SPI_finish();
}

void grant_state_table(Oid relid, Oid role) {
    const OwnDdl own;
    const pg::RunAs as(extension_owner(), pg::RunAs::Path::fixed, SECURITY_LOCAL_USERID_CHANGE);
    const char *sql = psprintf("GRANT SELECT ON %s TO %s", pg::qualified_name(relid),
                               quote_identifier(GetUserNameFromId(role, false)));
    if (SPI_connect() != SPI_OK_CONNECT) {
        elog(ERROR, "SPI_connect failed");
    }
    pg::in_extension_scope(require_extension(), [&] {
        if (SPI_execute(sql, false, 0) != SPI_OK_UTILITY) {
            elog(ERROR, "could not execute \"%s\"", sql);
        }
    });
    SPI_finish();
}

void drop_state_tables(Oid view) {
    const pg::Vector<Row> rows = read_rows(Table::state_table, kView, view);
    remove_rows(Table::state_table, view);
    for (const Row &row : rows) {
        drop_member_table(row.oid(StateTableColumn::relation));
    }
}

} // namespace upkeep::catalog
