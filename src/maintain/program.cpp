// The per-backend cache of programs.
#include "maintain/program.hpp"

#include "catalog/registration.hpp"
#include "maintain/identity.hpp"
#include "maintain/sources.hpp"
#include "pg/entry.hpp"
#include "pg/names.hpp"
#include "pg/run_as.hpp"

namespace upkeep::maintain {

namespace {

struct CacheEntry {
    Oid view; // hash key
    bool valid;
    uint64 generation;
    Program *program;
};

HTAB *cache = nullptr;

void invalidate_all() {
    if (cache == nullptr)
        return;
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, cache);
    while (auto *entry = static_cast<CacheEntry *>(hash_seq_search(&scan)))
        entry->valid = false;
}

bool reads_relation(const Program &program, Oid relid) {
    if (program.view == relid)
        return true;
    for (const analysis::TableSource &table : program.query->tables)
        if (table.relid == relid ||
            std::find(table.ancestors.begin(), table.ancestors.end(), relid) != table.ancestors.end())
            return true;
    for (const analysis::Reliance &fact : program.query->facts)
        if (fact.objid == relid)
            return true;
    for (const NodeProgram &node : program.nodes)
        if (node.relid == relid)
            return true;
    return false;
}

/// Callbacks run in the midst of anything: they only mark.
void relation_changed(Datum, Oid relid) {
    if (cache == nullptr)
        return;
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, cache);
    while (auto *entry = static_cast<CacheEntry *>(hash_seq_search(&scan)))
        if (!OidIsValid(relid) || entry->program == nullptr || reads_relation(*entry->program, relid))
            entry->valid = false;
}

void drop_program(CacheEntry *entry) {
    Program *program = entry->program;
    entry->program = nullptr;
    entry->valid = false;
    if (program == nullptr)
        return;
    auto free_plans = [](pg::Vector<BlockProgram> &blocks) {
        for (BlockProgram &b : blocks)
            for (TermPlan &plan : b.plans)
                SPI_freeplan(plan.plan);
    };
    for (NodeProgram &node : program->nodes) {
        free_plans(node.blocks);
        for (GroupPlan &plan : node.plans)
            SPI_freeplan(plan.plan);
    }
    free_plans(program->output.blocks);
    for (TableProgram &table : program->tables)
        for (SPIPlanPtr plan : table.changed_rows)
            if (plan != nullptr)
                SPI_freeplan(plan);
    MemoryContextDelete(program->context);
}

CacheEntry *find_entry(Oid view, HASHACTION action) {
    if (cache == nullptr) {
        HASHCTL control{};
        control.keysize = sizeof(Oid);
        control.entrysize = sizeof(CacheEntry);
        control.hcxt = CacheMemoryContext;
        cache = hash_create("upkeep programs", 32, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    }
    bool found;
    auto *entry = static_cast<CacheEntry *>(hash_search(cache, &view, action, &found));
    if (entry != nullptr && !found) {
        entry->valid = false;
        entry->program = nullptr;
    }
    return entry;
}

Program *compile(const catalog::Registration &registration, const char **why) {
    // In the order of a run: whoever drops a state table has the view locked, and a lock on one must not be held then.
    lock_sources(catalog::sources(registration.view));
    Relation rel = try_table_open(registration.view, RowExclusiveLock);
    if (rel == nullptr) {
        *why = "it is gone";
        return nullptr;
    }
    const Query *query = view_query(rel);
    const Oid owner = rel->rd_rel->relowner;
    pg::RunAs as(owner, pg::RunAs::Path::fixed);
    const pg::Refusal *refusal = nullptr;
    Design *design =
        query == nullptr ? nullptr : design_view(registration.view, registration.mode, query, owner, &refusal);
    table_close(rel, NoLock);
    if (design == nullptr) {
        // The reason is a sentence; here it ends one.
        *why = refusal == nullptr ? "its query is gone"
                                  : psprintf("it can no longer be maintained: %.*s",
                                             static_cast<int>(strlen(refusal->why)) - 1, refusal->why);
        return nullptr;
    }
    if (strcmp(design->program->layout, registration.layout) != 0) {
        *why = "a fact that its maintenance relied on has changed";
        return nullptr;
    }
    if (!bind_design(design, why))
        return nullptr;
    for (const catalog::Setting &setting : catalog::settings(registration.view))
        design->program->settings.push_back({setting.name, setting.value});
    return design->program;
}

/// Frees every program that is not valid any more, those of dropped views among them. No program is in use while one is
/// looked up.
void drop_outdated(uint64 generation) {
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, cache);
    while (auto *entry = static_cast<CacheEntry *>(hash_seq_search(&scan)))
        if (!entry->valid || entry->generation != generation) {
            drop_program(entry);
            hash_search(cache, &entry->view, HASH_REMOVE, nullptr);
        }
}

} // namespace

/// By whichever index it has now: REINDEX CONCURRENTLY puts another in the place of the one that was made.
static std::optional<Identity> state_identity(const catalog::StateTable &table) {
    Relation rel = try_table_open(table.relid, AccessShareLock);
    if (rel == nullptr)
        return std::nullopt;
    std::optional<Identity> found = load_identity(table.index);
    List *indexes = RelationGetIndexList(rel);
    ListCell *cell;
    foreach (cell, indexes)
        if (!found)
            found = load_identity(lfirst_oid(cell));
    list_free(indexes);
    table_close(rel, NoLock);
    return found;
}

namespace {

/// Tells the analysed node where SQL finds its rows.
void note_stored(Program *program, const NodeProgram &node) {
    analysis::GroupNode *stored = program->query->nodes[static_cast<size_t>(node.number)];
    stored->stored = node.relid;
    stored->stored_columns.clear();
    for (int c = 1; c <= static_cast<int>(stored->columns.size()); c++)
        stored->stored_columns.push_back(stored_column(node, c));
}

} // namespace

AttrNumber stored_column(const NodeProgram &node, int column) {
    if (stores_rows(*node.node))
        return static_cast<AttrNumber>(column);
    const int nkeys = node.node->nkeys();
    return column <= nkeys ? node.key_column[column - 1] : node.result_column[column - nkeys - 1];
}

bool bind_design(Design *design, const char **why) {
    Program *p = design->program;
    std::optional<Identity> identity =
        find_identity(p->view, design->view_kind, {design->view_key.data(), design->view_key.size()},
                      design->key_equality(), design->key_collation());
    if (!identity) {
        *why = "the index by which its rows are found is gone";
        return false;
    }
    p->output.identity = *identity;
    const auto tables = catalog::state_tables(p->view);
    for (NodeProgram &node : p->nodes) {
        if (node.derived)
            continue;
        if (node.in_view) {
            node.relid = p->view;
            node.identity = *identity;
            continue;
        }
        node.relid = InvalidOid;
        for (const catalog::StateTable &table : tables)
            if (table.node == node.number) {
                std::optional<Identity> found =
                    has_identity(*node.node) ? state_identity(table) : std::optional<Identity>(kNoIdentity);
                if (!found)
                    break;
                node.relid = table.relid;
                node.identity = *found;
            }
        if (!OidIsValid(node.relid)) {
            *why = "a state table is gone";
            return false;
        }
        if (node.result_column != nullptr)
            note_stored(p, node);
    }
    return true;
}

Program *find_program(Oid view, const char **why) {
    CacheEntry *entry = find_entry(view, HASH_ENTER);
    const uint64 generation = catalog::registration_generation();
    // Valid without a program: compiling it ended in an error, perhaps of a lock that it waited for.
    if (entry->valid && entry->program != nullptr && entry->generation == generation)
        return entry->program;
    drop_outdated(generation);
    catalog::Registration registration;
    if (!catalog::find_registration(view, &registration) || !registration.active) {
        *why = "it is not registered";
        return nullptr;
    }
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "upkeep program", ALLOCSET_DEFAULT_SIZES);
    // Invalidations that arrive while compiling must not be lost: the entry is valid from here on, until one does.
    entry = find_entry(view, HASH_ENTER);
    entry->valid = true;
    entry->generation = generation;
    Program *program;
    {
        pg::InContext in(context);
        program = compile(registration, why);
    }
    entry = find_entry(view, HASH_ENTER);
    if (program == nullptr) {
        entry->valid = false;
        return nullptr; // `why` lives as long as the current context
    }
    MemoryContextSetParent(context, CacheMemoryContext);
    static uint64 compiled = 0;
    program->serial = ++compiled;
    entry->program = program;
    return program;
}

void forget_program(Oid view) {
    if (cache == nullptr)
        return;
    if (CacheEntry *entry = find_entry(view, HASH_FIND))
        entry->valid = false;
}

void install_program_cache() {
    CacheRegisterRelcacheCallback([](Datum arg, Oid relid) { relation_changed(arg, relid); }, Datum{0});
    for (int cache_id : {PROCOID, TYPEOID, OPEROID, CONSTROID, AUTHMEMROLEMEM, AUTHOID})
        CacheRegisterSyscacheCallback(
            cache_id, [](Datum, int, uint32) { invalidate_all(); }, Datum{0});
}

} // namespace upkeep::maintain
