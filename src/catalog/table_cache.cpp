// What the statement triggers need to know of a base table, kept per backend.
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
};

HTAB *entries = nullptr;
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

CacheEntry *require_entry(Oid relid) {
    if (!entries) {
        create_cache();
    }
    bool found;
    auto *entry = static_cast<CacheEntry *>(hash_search(entries, &relid, HASH_ENTER, &found));
    if (!found) {
        entry->valid = false;
        entry->changes = 0;
        entry->context = nullptr;
        entry->table = TableEntry{relid, 0, nullptr, nullptr};
    }
    return entry;
}

bool is_maintained_immediately(Oid view) {
    Registration registration;
    return find_registration(view, &registration) && registration.active && registration.state == State::active &&
           registration.mode == Mode::immediate;
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

// Reads in the current context, and keeps the result in the entry's own.
void load(CacheEntry *entry) {
    const uint32 changes = entry->changes;
    pg::Vector<Oid> views;
    Bitmapset *used = nullptr;
    for (const Row &row : read_rows(Table::source, SourceColumn::relation, entry->relid)) {
        const Oid view = row.oid(SourceColumn::view);
        require_entry(view); // so that its invalidations count
        if (is_maintained_immediately(view)) {
            views.push_back(view);
            used = add_used(used, row.values[SourceColumn::used - 1]);
        }
    }
    std::sort(views.begin(), views.end());

    if (entry->context) {
        MemoryContextReset(entry->context);
    } else if (!views.empty()) {
        entry->context = AllocSetContextCreate(CacheMemoryContext, "upkeep table", ALLOCSET_SMALL_SIZES);
    }
    entry->table = TableEntry{entry->relid, 0, nullptr, nullptr};
    if (!views.empty()) {
        const pg::InContext in(entry->context);
        Oid *copy = pg::create_array<Oid>(views.size());
        std::copy(views.begin(), views.end(), copy);
        entry->table = TableEntry{entry->relid, int(views.size()), copy, bms_copy(used)};
    }
    entry->valid = changes == entry->changes;
}

} // namespace

const TableEntry *find_table(Oid relid) {
    CacheEntry *entry = require_entry(relid);
    if (!entry->valid) {
        const MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "upkeep read", ALLOCSET_SMALL_SIZES);
        {
            const pg::InContext in(scratch);
            load(entry);
        }
        MemoryContextDelete(scratch);
    }
    return entry->table.nviews > 0 ? &entry->table : nullptr;
}

uint64 registration_generation() {
    if (!entries) {
        create_cache();
    }
    return generation;
}

} // namespace upkeep::catalog
