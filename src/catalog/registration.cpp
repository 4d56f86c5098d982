#include "catalog/registration.hpp"

#include "catalog/tables.hpp"

extern "C" {
#include "utils/timestamp.h"
}

namespace upkeep::catalog {

namespace {

struct Name {
    const char *text;
    uint8 value;
};
constexpr Name kModes[] = {{"immediate", uint8(Mode::immediate)},
                           {"commit", uint8(Mode::commit)},
                           {"deferred", uint8(Mode::deferred)},
                           {"manual", uint8(Mode::manual)}};
constexpr Name kStates[] = {{"active", uint8(State::active)},
                            {"building", uint8(State::building)},
                            {"stale", uint8(State::stale)},
                            {"failed", uint8(State::failed)}};

const char *name_of(std::span<const Name> names, uint8 value) {
    for (const Name &name : names) {
        if (name.value == value) {
            return name.text;
        }
    }
    elog(ERROR, "value %d has no name", int(value));
    return nullptr;
}

uint8 value_of(std::span<const Name> names, const char *text) {
    for (const Name &name : names) {
        if (strcmp(name.text, text) == 0) {
            return name.value;
        }
    }
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("unexpected value \"%s\" in a table of upkeep", text)));
    return 0;
}

std::optional<Row> find_row(Table table, Oid view) {
    const pg::Vector<Row> rows = read_rows(table, kView, view);
    return rows.empty() ? std::nullopt : std::optional<Row>(rows[0]);
}

// The run-time state of a view, as nobody else changes it until we commit.
std::optional<Row> lock_activity(Oid view) {
    const std::optional<Row> row = find_row(Table::activity, view);
    return row ? lock_row(Table::activity, *row) : std::nullopt;
}

void invalidate_relation(Oid relid) {
    if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid))) {
        CacheInvalidateRelcacheByRelid(relid);
    }
}

bool changed = false; // by this transaction

// Makes every backend reload what it keeps about the view and its base tables, when we commit.
void invalidate(Oid view) {
    changed = true;
    invalidate_relation(view);
    for (const Row &row : read_rows(Table::source, kView, view)) {
        invalidate_relation(row.oid(SourceColumn::relation));
    }
}

// REINDEX CONCURRENTLY puts an index with another OID in the place of an index, and tells nobody. The definition
// without the names finds it again.
char *index_definition(Oid index) {
    if (!OidIsValid(index) || get_rel_relkind(index) != RELKIND_INDEX) {
        return nullptr;
    }
    char *definition = pg_get_indexdef_string(index);
    const char *method = strstr(definition, " USING ");
    const bool unique = strncmp(definition, "CREATE UNIQUE", 13) == 0;
    return psprintf("%s%s", unique ? "unique" : "plain", method ? method : definition);
}

Oid find_index_by_definition(Oid view, const char *definition) {
    const Relation relation = try_relation_open(view, AccessShareLock);
    Oid found = InvalidOid;
    if (!relation) {
        return found;
    }
    List *indexes = RelationGetIndexList(relation);
    ListCell *cell;
    foreach (cell, indexes) {
        const char *candidate = index_definition(lfirst_oid(cell));
        if (candidate && strcmp(candidate, definition) == 0 && get_index_isvalid(lfirst_oid(cell))) {
            found = lfirst_oid(cell);
            break;
        }
    }
    relation_close(relation, AccessShareLock);
    return found;
}

Oid present_identity_index(Oid view, const Row &activity) {
    const Oid stored = activity.oid(ActivityColumn::identity_index);
    if (!OidIsValid(stored) || get_rel_relkind(stored) == RELKIND_INDEX) {
        return stored;
    }
    const char *definition = activity.get_text(ActivityColumn::identity_definition);
    return definition ? find_index_by_definition(view, definition) : InvalidOid;
}

// As it is stored and dumped; nullptr for a relation that does not exist.
char *qualified_name(Oid relid) {
    const char *name = get_rel_name(relid);
    return name ? quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name) : nullptr;
}

std::optional<Row> find_by_name(const char *name) {
    for (const Row &row : read_rows(Table::registration_by_name, 0, InvalidOid)) {
        if (name && strcmp(row.get_text(ByNameColumn::name), name) == 0) {
            return row;
        }
    }
    return std::nullopt;
}

// A registration that was restored from a dump, as it will be stored once the view is activated.
Row adopt(Oid view, const Row &by_name) {
    Row row = {};
    row.set(RegistrationColumn::view, ObjectIdGetDatum(view));
    row.copy(RegistrationColumn::name, by_name, ByNameColumn::name);
    row.copy(RegistrationColumn::mode, by_name, ByNameColumn::mode);
    row.copy(RegistrationColumn::max_staleness, by_name, ByNameColumn::max_staleness);
    row.copy(RegistrationColumn::every, by_name, ByNameColumn::every);
    return row;
}

std::optional<Row> find_registration_row(Oid view) {
    if (const std::optional<Row> row = find_row(Table::registration, view)) {
        return row;
    }
    const std::optional<Row> by_name = find_by_name(qualified_name(view));
    return by_name ? std::optional<Row>(adopt(view, *by_name)) : std::nullopt;
}

// Stores a registration under its present name, in both tables.
void store_registration(Row row) {
    const Oid view = row.oid(RegistrationColumn::view);
    const std::optional<Row> old = find_row(Table::registration, view);
    const char *name = qualified_name(view);
    row.set_text(RegistrationColumn::name, name);
    Row by_name = {};
    by_name.copy(ByNameColumn::name, row, RegistrationColumn::name);
    by_name.copy(ByNameColumn::mode, row, RegistrationColumn::mode);
    by_name.copy(ByNameColumn::max_staleness, row, RegistrationColumn::max_staleness);
    by_name.copy(ByNameColumn::every, row, RegistrationColumn::every);
    const char *stored_name = old ? old->get_text(RegistrationColumn::name) : name;
    if (strcmp(stored_name, name) != 0) {
        forget_restored(name); // of a view that had this name and is gone
    }
    if (const std::optional<Row> other = find_by_name(stored_name)) {
        by_name.tid = other->tid;
        change_row(Table::registration_by_name, by_name);
    } else {
        add_row(Table::registration_by_name, by_name);
    }
    if (old) {
        row.tid = old->tid;
        change_row(Table::registration, row);
    } else {
        add_row(Table::registration, row);
    }
}

Registration to_registration(const Row &row) {
    Registration r = {};
    r.view = row.oid(RegistrationColumn::view);
    r.mode = Mode(value_of(kModes, row.get_text(RegistrationColumn::mode)));
    r.state = State::stale;
    r.strategy = r.layout = "";
    const std::optional<Row> activity = find_row(Table::activity, r.view);
    r.active = activity.has_value();
    if (activity) {
        r.state = State(value_of(kStates, activity->get_text(ActivityColumn::state)));
        r.strategy = activity->get_text(ActivityColumn::strategy);
        r.layout = activity->get_text(ActivityColumn::layout);
        r.identity_index = present_identity_index(r.view, *activity);
        r.identity_lost = OidIsValid(activity->oid(ActivityColumn::identity_index)) && !OidIsValid(r.identity_index);
        r.why = activity->get_text(ActivityColumn::why);
    }
    return r;
}

void store_activity(const Registration &r) {
    const std::optional<Row> old = find_row(Table::activity, r.view);
    if (!r.active) {
        if (old) {
            remove_row(Table::activity, *old);
        }
        return;
    }
    Row row = {};
    row.set(ActivityColumn::view, ObjectIdGetDatum(r.view));
    row.set_text(ActivityColumn::state, name_of(kStates, uint8(r.state)));
    row.set_text(ActivityColumn::why, r.state == State::active ? nullptr : r.why);
    row.set_text(ActivityColumn::strategy, r.strategy ? r.strategy : "");
    row.set_text(ActivityColumn::layout, r.layout ? r.layout : "");
    row.set(ActivityColumn::identity_index, ObjectIdGetDatum(r.identity_index));
    row.set_text(ActivityColumn::identity_definition, index_definition(r.identity_index));
    row.set_null(ActivityColumn::last_rebuild);
    if (old) {
        row.tid = old->tid;
        row.values[ActivityColumn::last_rebuild - 1] = old->values[ActivityColumn::last_rebuild - 1];
        row.nulls[ActivityColumn::last_rebuild - 1] = old->is_null(ActivityColumn::last_rebuild);
        change_row(Table::activity, row);
    } else {
        add_row(Table::activity, row);
    }
}

void set_interval(Row *row, AttrNumber column, const char *value) {
    value ? row->set(column, DirectFunctionCall3(interval_in, CStringGetDatum(value), ObjectIdGetDatum(InvalidOid),
                                                 Int32GetDatum(-1)))
          : row->set_null(column);
}

const char *get_interval(const Row &row, AttrNumber column) {
    return row.is_null(column) ? nullptr
                               : DatumGetCString(DirectFunctionCall1(interval_out, row.values[column - 1]));
}

Datum used_array(const Bitmapset *used) {
    pg::Vector<Datum> numbers;
    for (int bit = -1; (bit = bms_next_member(used, bit)) >= 0;) {
        numbers.push_back(Int16GetDatum(bit + FirstLowInvalidHeapAttributeNumber));
    }
    return PointerGetDatum(
        construct_array(numbers.data(), int(numbers.size()), INT2OID, sizeof(int16), true, TYPALIGN_SHORT));
}

} // namespace

void insert_registration(const Registration &r, const char *max_staleness, const char *every) {
    Row row = {};
    row.set(RegistrationColumn::view, ObjectIdGetDatum(r.view));
    row.set_text(RegistrationColumn::mode, name_of(kModes, uint8(r.mode)));
    set_interval(&row, RegistrationColumn::max_staleness, max_staleness);
    set_interval(&row, RegistrationColumn::every, every);
    store_registration(row);
    if (r.active) {
        store_activity(r);
    }
    invalidate(r.view);
}

Intervals intervals(Oid view) {
    const std::optional<Row> row = find_registration_row(view);
    return row ? Intervals{get_interval(*row, RegistrationColumn::max_staleness),
                           get_interval(*row, RegistrationColumn::every)}
               : Intervals{};
}

void update_registration(const Registration &r) {
    std::optional<Row> row = find_registration_row(r.view);
    if (!row) {
        elog(ERROR, "relation %u is not registered", r.view);
    }
    row->set_text(RegistrationColumn::mode, name_of(kModes, uint8(r.mode)));
    store_registration(*row);
    store_activity(r);
    invalidate(r.view);
}

void note_rebuild(Oid view) {
    if (std::optional<Row> row = lock_activity(view)) {
        row->set(ActivityColumn::last_rebuild, TimestampTzGetDatum(GetCurrentTimestamp()));
        change_row(Table::activity, *row);
    }
}

void store_present_names() {
    for (const Row &row : read_rows(Table::registration, 0, InvalidOid)) {
        const char *name = qualified_name(row.oid(RegistrationColumn::view));
        if (name && strcmp(name, row.get_text(RegistrationColumn::name)) != 0) {
            store_registration(row);
        }
    }
}

void forget_restored(const char *name) {
    if (const std::optional<Row> row = find_by_name(name)) {
        remove_row(Table::registration_by_name, *row);
    }
}

void delete_registration(Oid view) {
    invalidate(view);
    if (const std::optional<Row> row = find_registration_row(view)) {
        forget_restored(row->get_text(RegistrationColumn::name));
    }
    for (const Table table :
         {Table::source, Table::fact, Table::setting, Table::frontier, Table::activity, Table::registration}) {
        remove_rows(table, view);
    }
}

void set_sources(Oid view, const Oid *relids, Bitmapset *const *used, int n) {
    invalidate(view);
    remove_rows(Table::source, view);
    for (int i = 0; i < n; i++) {
        Row row = {};
        row.set(SourceColumn::view, ObjectIdGetDatum(view));
        row.set(SourceColumn::relation, ObjectIdGetDatum(relids[i]));
        row.set(SourceColumn::used, used_array(used[i]));
        add_row(Table::source, row);
    }
    invalidate(view);
}

void set_state_tables(Oid view, const StateTable *tables, int n) {
    remove_rows(Table::state_table, view);
    for (int i = 0; i < n; i++) {
        Row row = {};
        row.set(StateTableColumn::view, ObjectIdGetDatum(view));
        row.set(StateTableColumn::node, Int32GetDatum(tables[i].node));
        row.set(StateTableColumn::relation, ObjectIdGetDatum(tables[i].relid));
        row.set(StateTableColumn::index, ObjectIdGetDatum(tables[i].index));
        add_row(Table::state_table, row);
    }
    invalidate(view);
}

void set_facts(Oid view, const Fact *facts, int n) {
    remove_rows(Table::fact, view);
    for (int i = 0; i < n; i++) {
        Row row = {};
        row.set(FactColumn::view, ObjectIdGetDatum(view));
        row.set(FactColumn::classid, ObjectIdGetDatum(facts[i].classid));
        row.set(FactColumn::objid, ObjectIdGetDatum(facts[i].objid));
        row.set(FactColumn::subid, Int32GetDatum(facts[i].subid));
        row.set_text(FactColumn::kind, facts[i].kind);
        row.set_text(FactColumn::fingerprint, facts[i].fingerprint);
        add_row(Table::fact, row);
    }
    invalidate(view);
}

void renew_facts(Oid view, const char *kind) {
    pg::Vector<Fact> all = facts(view);
    for (Fact &fact : all) {
        if (strcmp(fact.kind, kind) == 0) {
            fact.fingerprint = fact_fingerprint(kind, fact.classid, fact.objid, fact.subid);
        }
    }
    set_facts(view, all.data(), int(all.size()));
}

void set_settings(Oid view, const Setting *settings, int n) {
    remove_rows(Table::setting, view);
    for (int i = 0; i < n; i++) {
        Row row = {};
        row.set(SettingColumn::view, ObjectIdGetDatum(view));
        row.set_text(SettingColumn::name, settings[i].name);
        row.set_text(SettingColumn::value, settings[i].value);
        add_row(Table::setting, row);
    }
    invalidate(view);
}

static bool is_stale(const Row &activity) {
    return value_of(kStates, activity.get_text(ActivityColumn::state)) == uint8(State::stale);
}

static bool change_state(Oid view, const char *state, const char *why) {
    std::optional<Row> row = lock_activity(view);
    if (!row || is_stale(*row)) {
        return false;
    }
    row->set_text(ActivityColumn::state, state);
    row->set_text(ActivityColumn::why, why);
    change_row(Table::activity, *row);
    invalidate(view);
    return true;
}

bool mark_stale(Oid view, const char *why) {
    const std::optional<Row> row = find_row(Table::activity, view);
    return row && !is_stale(*row) && change_state(view, "stale", why);
}

bool mark_built(Oid view) {
    return change_state(view, "active", nullptr);
}

void mark_failed(Oid view, const char *why) {
    std::optional<Row> row = find_row(Table::activity, view);
    if (!row) {
        return;
    }
    if (value_of(kStates, row->get_text(ActivityColumn::state)) == uint8(State::stale)) {
        remove_rows(Table::frontier, view);
    }
    row->set_text(ActivityColumn::state, "failed");
    row->set_text(ActivityColumn::why, why);
    change_row(Table::activity, *row);
    invalidate(view);
}

[[gnu::hot]] bool take_changed() {
    return std::exchange(changed, false);
}

bool find_registration(Oid view, Registration *out) {
    const std::optional<Row> row = find_registration_row(view);
    if (row) {
        *out = to_registration(*row);
    }
    return row.has_value();
}

static std::optional<int64> microseconds(const Row &row, AttrNumber column) {
    if (row.is_null(column)) {
        return std::nullopt;
    }
    const Interval *interval = DatumGetIntervalP(row.values[column - 1]);
    if (INTERVAL_NOT_FINITE(interval)) {
        return PG_INT64_MAX;
    }
    const int64 days = interval->month * int64{DAYS_PER_MONTH} + interval->day;
    return days * USECS_PER_DAY + interval->time;
}

Timing timing(Oid view) {
    const std::optional<Row> row = find_registration_row(view);
    return row ? Timing{microseconds(*row, RegistrationColumn::max_staleness),
                        microseconds(*row, RegistrationColumn::every)}
               : Timing{};
}

pg::Vector<Registration> all_registrations() {
    pg::Vector<Registration> all;
    for (const Row &row : read_rows(Table::registration, 0, InvalidOid)) {
        all.push_back(to_registration(row));
    }
    std::sort(all.begin(), all.end(), [](const Registration &a, const Registration &b) { return a.view < b.view; });
    return all;
}

pg::Vector<StateTable> state_tables(Oid view) {
    pg::Vector<StateTable> tables;
    for (const Row &row : read_rows(Table::state_table, kView, view)) {
        StateTable table = {row.integer(StateTableColumn::node), row.oid(StateTableColumn::relation),
                            row.oid(StateTableColumn::index)};
        if (OidIsValid(table.index) && get_rel_relkind(table.index) != RELKIND_INDEX) {
            // Replaced by REINDEX CONCURRENTLY: a state table has one index.
            const Relation relation = relation_open(table.relid, AccessShareLock);
            List *indexes = RelationGetIndexList(relation);
            table.index = indexes == NIL ? InvalidOid : linitial_oid(indexes);
            relation_close(relation, AccessShareLock);
        }
        tables.push_back(table);
    }
    return tables;
}

pg::Vector<Setting> settings(Oid view) {
    pg::Vector<Setting> all;
    for (const Row &row : read_rows(Table::setting, kView, view)) {
        all.push_back(Setting{row.get_text(SettingColumn::name), row.get_text(SettingColumn::value)});
    }
    return all;
}

pg::Vector<Fact> facts(Oid view) {
    pg::Vector<Fact> all;
    for (const Row &row : read_rows(Table::fact, kView, view)) {
        all.push_back(Fact{row.oid(FactColumn::classid), row.oid(FactColumn::objid), row.integer(FactColumn::subid),
                           row.get_text(FactColumn::kind), row.get_text(FactColumn::fingerprint)});
    }
    return all;
}

pg::Vector<Oid> sources(Oid view) {
    pg::Vector<Oid> all;
    for (const Row &row : read_rows(Table::source, kView, view)) {
        all.push_back(row.oid(SourceColumn::relation));
    }
    return all;
}

pg::Vector<Oid> views_of(Oid relid) {
    pg::Vector<Oid> all;
    for (const Row &row : read_rows(Table::source, SourceColumn::relation, relid)) {
        all.push_back(row.oid(SourceColumn::view));
    }
    return all;
}

} // namespace upkeep::catalog
