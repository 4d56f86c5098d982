// What the statement triggers need to know of a base table, kept per backend.
#include "catalog/log.hpp"
#include "catalog/registration.hpp"
#include "catalog/tables.hpp"

namespace upkeep::catalog {

namespace {

struct CacheEntry {
    Oid relid; // hash key; a base table, or a view that somebody has asked for
    bool valid;
    uint32 changes; // counts invalidations, so that one that arrives while the entry is read is not lost
    MemoryContext context;
    TableEntry table;
    int depth;
    uint64 depth_as_of; // the generation at which it was computed
};

HTAB *entries = nullptr;
CacheEntry *last_entry = nullptr; // most look-ups are for the table of the one before; entries stay where they are
uint64 generation = 1;

void forget(CacheEntry *entry) {
    entry->valid = false;
    entry->changes++;
}

// Called at any moment that accepts invalidations: sets flags, frees nothing.
void on_relcache_invalidation(Datum, Oid relid) {
    if (OidIsValid(relid)) {
        auto *entry = static_cast<CacheEntry *>(hash_search(entries, &relid, HASH_FIND, nullptr));
        if (entry) {
            forget(entry);
            generation++;
        }
        return;
    }
    HASH_SEQ_STATUS status;
    hash_seq_init(&status, entries);
    while (auto *entry = static_cast<CacheEntry *>(hash_seq_search(&status))) {
        forget(entry);
    }
    generation++;
}

void create_cache() {
    HASHCTL control = {};
    control.keysize = sizeof(Oid);
    control.entrysize = sizeof(CacheEntry);
    control.hcxt = AllocSetContextCreate(CacheMemoryContext, "upkeep tables", ALLOCSET_SMALL_SIZES);
    entries = hash_create("upkeep tables", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    CacheRegisterRelcacheCallback(on_relcache_invalidation, Datum(0));
}

[[gnu::hot]] CacheEntry *require_entry(Oid relid) {
    if (last_entry != nullptr && last_entry->relid == relid) {
        return last_entry;
    }
    if (!entries) {
        create_cache();
    }
    bool found;
    auto *entry = static_cast<CacheEntry *>(hash_search(entries, &relid, HASH_ENTER, &found));
    if (!found) {
        entry->valid = false;
        entry->changes = 0;
        entry->context = nullptr;
        entry->table = TableEntry{relid};
        entry->depth_as_of = 0;
    }
    last_entry = entry;
    return entry;
}

bool wants_changes(Oid view, Mode mode) {
    Registration registration;
    return find_registration(view, &registration) && registration.active && registration.mode == mode &&
           (registration.state == State::active || (mode == Mode::deferred && registration.state != State::stale));
}

Bitmapset *add_used(Bitmapset *used, Datum array) {
    Datum *numbers;
    int n;
    deconstruct_array(DatumGetArrayTypeP(array), INT2OID, sizeof(int16), true, TYPALIGN_SHORT, &numbers, nullptr, &n);
    for (int i = 0; i < n; i++) {
        used = bms_add_member(used, DatumGetInt16(numbers[i]) - FirstLowInvalidHeapAttributeNumber);
    }
    return used;
}

// The views of a mode among the stored rows, copied into `keep`.
Readers readers_of(const pg::Vector<Row> &rows, Mode mode, MemoryContext keep) {
    pg::Vector<Oid> views;
    Bitmapset *used = nullptr;
    for (const Row &row : rows) {
        const Oid view = row.oid(SourceColumn::view);
        if (wants_changes(view, mode)) {
            views.push_back(view);
            used = add_used(used, row.values[SourceColumn::used - 1]);
        }
    }
    if (views.empty()) {
        return {};
    }
    std::sort(views.begin(), views.end());
    const pg::InContext in(keep);
    Oid *copy = pg::create_array<Oid>(views.size());
    std::copy(views.begin(), views.end(), copy);
    return {int(views.size()), copy, bms_copy(used)};
}

LogTarget log_target(Oid relid, MemoryContext keep) {
    Log log;
    if (!find_log(relid, &log)) {
        return {}; // it is made by this transaction, before anybody writes
    }
    const pg::InContext in(keep);
    auto *columns = pg::create_array<AttrNumber>(log.columns.size());
    std::copy(log.columns.begin(), log.columns.end(), columns);
    return {log.segments[log.current], int(log.columns.size()), columns};
}

// Reads in the current context, and keeps the result in the entry's own.
void load(CacheEntry *entry) {
    const uint32 changes = entry->changes;
    const pg::Vector<Row> rows = read_rows(Table::source, SourceColumn::relation, entry->relid);
    for (const Row &row : rows) {
        require_entry(row.oid(SourceColumn::view)); // so that its invalidations count
    }
    entry->table = TableEntry{entry->relid};
    if (entry->context) {
        MemoryContextReset(entry->context);
    } else if (!rows.empty()) {
        entry->context = AllocSetContextCreate(CacheMemoryContext, "upkeep table", ALLOCSET_SMALL_SIZES);
    }
    const Readers immediate = readers_of(rows, Mode::immediate, entry->context);
    const Readers commit = readers_of(rows, Mode::commit, entry->context);
    const Readers deferred = readers_of(rows, Mode::deferred, entry->context);
    const LogTarget log = deferred.nviews > 0 ? log_target(entry->relid, entry->context) : LogTarget{};
    entry->table = TableEntry{entry->relid, immediate, commit, deferred, log, entry->context};
    entry->valid = changes == entry->changes;
}

} // namespace

[[gnu::hot]] const TableEntry *find_table(Oid relid) {
    CacheEntry *entry = require_entry(relid);
    if (!entry->valid) {
        const MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "upkeep read", ALLOCSET_SMALL_SIZES);
        {
            const pg::InContext in(scratch);
            load(entry);
        }
        MemoryContextDelete(scratch);
    }
    return entry->table.has_readers() ? &entry->table : nullptr;
}

int depth(Oid relid) {
    check_stack_depth();
    CacheEntry *entry = require_entry(relid); // so that its invalidations count
    const uint64 as_of = generation;
    if (entry->depth_as_of != as_of) {
        int deepest = -1;
        for (const Oid source : sources(relid)) {
            deepest = std::max(deepest, get_rel_relkind(source) == RELKIND_MATVIEW ? depth(source) : 0);
        }
        entry->depth = deepest + 1;
        entry->depth_as_of = as_of;
    }
    return entry->depth;
}

uint64 registration_generation() {
    if (!entries) {
        create_cache();
    }
    return generation;
}

Bitmapset *used_columns(Oid view, Oid relid) {
    Bitmapset *used = nullptr;
    for (const Row &row : read_rows(Table::source, SourceColumn::relation, relid)) {
        if (row.oid(SourceColumn::view) == view) {
            used = add_used(used, row.values[SourceColumn::used - 1]);
        }
    }
    return used;
}

} // namespace upkeep::catalog
