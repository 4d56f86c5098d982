#include "catalog/log.hpp"

#include "catalog/registration.hpp"
#include "catalog/tables.hpp"
#include "pg/extension_scope.hpp"
#include "pg/names.hpp"
#include "pg/run_as.hpp"

extern "C" {
#include "access/transam.h"
#include "utils/timestamp.h"
}

namespace upkeep::catalog {

namespace {

constexpr const char *kLogOptions = "autovacuum_enabled = false, toast.autovacuum_enabled = false";

// A domain's constraints are no business of the log's.
const char *column_sql(Oid relid, AttrNumber column) {
    const Oid type = getBaseType(get_atttype(relid, column));
    return psprintf("c%d %s", column,
                    format_type_extended(type, -1, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
}

// The whole row means all columns.
pg::Vector<AttrNumber> columns_of(Oid relid, const Bitmapset *used) {
    const bool whole_row = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used);
    const Relation relation = relation_open(relid, AccessShareLock);
    TupleDesc desc = RelationGetDescr(relation);
    pg::Vector<AttrNumber> columns;
    for (AttrNumber column = 1; column <= desc->natts; column++) {
        if (!TupleDescAttr(desc, column - 1)->attisdropped &&
            (whole_row || bms_is_member(column - FirstLowInvalidHeapAttributeNumber, used))) {
            columns.push_back(column);
        }
    }
    relation_close(relation, AccessShareLock);
    return columns;
}

Datum columns_array(const pg::Vector<AttrNumber> &columns) {
    pg::Vector<Datum> numbers;
    for (const AttrNumber column : columns) {
        numbers.push_back(Int16GetDatum(column));
    }
    return PointerGetDatum(
        construct_array(numbers.data(), int(numbers.size()), INT2OID, sizeof(int16), true, TYPALIGN_SHORT));
}

void store_log(const Log &log, const Row *old) {
    Row row = {};
    row.set(LogColumn::relation, ObjectIdGetDatum(log.relid));
    row.set(LogColumn::current, Int32GetDatum(log.current));
    for (int i = 0; i < kSegments; i++) {
        row.set(AttrNumber(LogColumn::segment1 + i), ObjectIdGetDatum(log.segments[i]));
    }
    row.set(LogColumn::columns, columns_array(log.columns));
    if (old != nullptr) {
        row.tid = old->tid;
        change_row(Table::log, row);
    } else {
        add_row(Table::log, row);
    }
    if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(log.relid))) {
        CacheInvalidateRelcacheByRelid(log.relid);
    }
}

std::optional<Row> find_log_row(Oid relid) {
    const pg::Vector<Row> rows = read_rows(Table::log, LogColumn::relation, relid);
    return rows.empty() ? std::nullopt : std::optional<Row>(rows[0]);
}

Log to_log(const Row &row) {
    Log log{row.oid(LogColumn::relation), row.integer(LogColumn::current), {}, {}};
    for (int i = 0; i < kSegments; i++) {
        log.segments[i] = row.oid(AttrNumber(LogColumn::segment1 + i));
    }
    Datum *numbers;
    int n;
    deconstruct_array(DatumGetArrayTypeP(row.values[LogColumn::columns - 1]), INT2OID, sizeof(int16), true,
                      TYPALIGN_SHORT, &numbers, nullptr, &n);
    for (int i = 0; i < n; i++) {
        log.columns.push_back(DatumGetInt16(numbers[i]));
    }
    return log;
}

void create_segments(Log *log) {
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfoString(&sql, "xid pg_catalog.xid8 NOT NULL, w pg_catalog.int2 NOT NULL");
    for (const AttrNumber column : log->columns) {
        appendStringInfo(&sql, ", %s", column_sql(log->relid, column));
    }
    for (int i = 0; i < kSegments; i++) {
        log->segments[i] = create_member_table(psprintf("log_%u_%d", log->relid, i + 1), sql.data, kLogOptions);
    }
}

void add_columns(const Log &log, const pg::Vector<AttrNumber> &columns) {
    const OwnDdl own;
    const pg::RunAs as(extension_owner(), pg::RunAs::Path::fixed, SECURITY_LOCAL_USERID_CHANGE);
    if (SPI_connect() != SPI_OK_CONNECT) {
        elog(ERROR, "SPI_connect failed");
    }
    for (const Oid segment : log.segments) {
        for (const AttrNumber column : columns) {
            const char *sql =
                psprintf("ALTER TABLE %s ADD COLUMN %s", pg::qualified_name(segment), column_sql(log.relid, column));
            if (SPI_execute(sql, false, 0) != SPI_OK_UTILITY) {
                elog(ERROR, "could not execute \"%s\"", sql);
            }
        }
    }
    SPI_finish();
}

uint64 widen(TransactionId xid, FullTransactionId next) {
    uint32 epoch = EpochFromFullTransactionId(next);
    if (xid > XidFromFullTransactionId(next)) {
        epoch--;
    }
    return U64FromFullTransactionId(FullTransactionIdFromEpochAndXid(epoch, xid));
}

} // namespace

bool find_log(Oid relid, Log *out) {
    const std::optional<Row> row = find_log_row(relid);
    if (row) {
        *out = to_log(*row);
    }
    return row.has_value();
}

void require_log(Oid relid, const Bitmapset *used) {
    const std::optional<Row> row = find_log_row(relid);
    Log log = row ? to_log(*row) : Log{relid, 0, {}, {}};
    pg::Vector<AttrNumber> more;
    for (const AttrNumber column : columns_of(relid, used)) {
        if (std::find(log.columns.begin(), log.columns.end(), column) == log.columns.end()) {
            more.push_back(column);
        }
    }
    if (row && more.empty()) {
        return;
    }
    log.columns.insert(log.columns.end(), more.begin(), more.end());
    if (row) {
        add_columns(log, more);
    } else {
        create_segments(&log);
    }
    store_log(log, row ? &*row : nullptr);
}

void set_current_segment(Oid relid, int segment) {
    const std::optional<Row> row = find_log_row(relid);
    // Somebody may be adding columns, or has just done the same.
    const std::optional<Row> newest = row ? lock_row(Table::log, *row, LockWaitSkip) : std::nullopt;
    if (newest) {
        Log log = to_log(*newest);
        log.current = segment;
        store_log(log, &*newest);
    }
}

void drop_log(Oid relid) {
    const std::optional<Row> row = find_log_row(relid);
    if (!row) {
        return;
    }
    remove_row(Table::log, *row);
    for (const Oid segment : to_log(*row).segments) {
        drop_member_table(segment);
    }
}

bool Frontier::covers(uint64 xid) const {
    return xid < xmin || (xid < xmax && !std::binary_search(xip.begin(), xip.end(), xid));
}

Frontier frontier_of(Snapshot snapshot) {
    const FullTransactionId next = ReadNextFullTransactionId();
    Frontier frontier;
    frontier.xmin = widen(snapshot->xmin, next);
    frontier.xmax = widen(snapshot->xmax, next);
    for (uint32 i = 0; i < snapshot->xcnt; i++) {
        frontier.xip.push_back(widen(snapshot->xip[i], next));
    }
    // A snapshot does not list its own transaction.
    const FullTransactionId own = GetTopFullTransactionIdIfAny();
    if (FullTransactionIdIsValid(own) && U64FromFullTransactionId(own) < frontier.xmax) {
        frontier.xip.push_back(U64FromFullTransactionId(own));
        frontier.xmin = std::min(frontier.xmin, U64FromFullTransactionId(own));
    }
    std::sort(frontier.xip.begin(), frontier.xip.end());
    frontier.xip.erase(std::unique(frontier.xip.begin(), frontier.xip.end()), frontier.xip.end());
    return frontier;
}

std::optional<Frontier> find_frontier(Oid view) {
    const pg::Vector<Row> rows = read_rows(Table::frontier, kView, view);
    if (rows.empty()) {
        return std::nullopt;
    }
    const char *text =
        DatumGetCString(DirectFunctionCall1(pg_snapshot_out, rows[0].values[FrontierColumn::snapshot - 1]));
    Frontier frontier;
    char *end;
    frontier.xmin = strtou64(text, &end, 10);
    frontier.xmax = strtou64(end + 1, &end, 10);
    for (const char *at = end + 1; *at != '\0'; at = *end == ',' ? end + 1 : end) {
        frontier.xip.push_back(strtou64(at, &end, 10));
    }
    return frontier;
}

void set_frontier(Oid view, const Frontier &frontier) {
    StringInfoData text;
    initStringInfo(&text);
    appendStringInfo(&text, UINT64_FORMAT ":" UINT64_FORMAT ":", frontier.xmin, frontier.xmax);
    for (size_t i = 0; i < frontier.xip.size(); i++) {
        appendStringInfo(&text, i == 0 ? UINT64_FORMAT : "," UINT64_FORMAT, frontier.xip[i]);
    }
    Row row = {};
    row.set(FrontierColumn::view, ObjectIdGetDatum(view));
    row.set(FrontierColumn::snapshot, DirectFunctionCall1(pg_snapshot_in, CStringGetDatum(text.data)));
    row.set(FrontierColumn::reached, TimestampTzGetDatum(GetCurrentTimestamp()));
    row.set_null(FrontierColumn::owed);
    const pg::Vector<Row> old = read_rows(Table::frontier, kView, view);
    if (old.empty()) {
        add_row(Table::frontier, row);
    } else {
        row.tid = old[0].tid;
        row.copy(FrontierColumn::owed, old[0], FrontierColumn::owed);
        change_row(Table::frontier, row);
    }
}

void remove_frontier(Oid view) {
    remove_rows(Table::frontier, view);
}

std::optional<double> owed_states(Oid view) {
    const pg::Vector<Row> rows = read_rows(Table::frontier, kView, view);
    if (rows.empty() || rows[0].is_null(FrontierColumn::owed)) {
        return std::nullopt;
    }
    return DatumGetFloat8(rows[0].values[FrontierColumn::owed - 1]);
}

void set_owed_states(Oid view, std::optional<double> owed) {
    const pg::Vector<Row> rows = read_rows(Table::frontier, kView, view);
    if (rows.empty() || (!owed && rows[0].is_null(FrontierColumn::owed))) {
        return;
    }
    Row row = rows[0];
    owed ? row.set(FrontierColumn::owed, Float8GetDatum(*owed)) : row.set_null(FrontierColumn::owed);
    change_row(Table::frontier, row);
}

} // namespace upkeep::catalog
