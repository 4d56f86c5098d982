#include "capture/pending.hpp"
#include "capture/change_log.hpp"
#include "catalog/registration.hpp"

namespace upkeep::capture {

namespace {

constexpr int kScopes = 2;
Pending *pending[kScopes] = {};
Pending *dropped = nullptr; // a list through next_dropped

Tuplestorestate *begin_store(MemoryContext context) {
    pg::InContext in(context);
    ResourceOwner owner = CurrentResourceOwner;
    CurrentResourceOwner = TopTransactionResourceOwner;
    Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);
    CurrentResourceOwner = owner;
    return store;
}

void end_store(PendingRows &rows) {
    if (rows.store != nullptr) {
        Tuplestorestate *store = rows.store;
        rows.store = nullptr;
        tuplestore_end(store);
    }
}

template <typename Action> void for_each_rows(Pending &p, Action action) {
    for (PendingTable *table : p.tables) {
        action(table->old_rows);
        action(table->new_rows);
    }
}

bool has_live(const PendingRows &rows) {
    return rows.broken || std::any_of(rows.runs.begin(), rows.runs.end(), [](const Run &run) { return !run.dead; });
}

// The runs of a subtransaction and of what it has absorbed are the last ones, so nothing before them is looked at.
template <typename Action> void for_last_runs(PendingRows &rows, SubTransactionId subid, Action action) {
    for (auto run = rows.runs.rbegin(); run != rows.runs.rend() && (run->dead || run->subid == subid); ++run) {
        if (!run->dead) {
            action(*run);
        }
    }
}

// Joins adjacent runs at the end that have become alike.
void join_last_runs(PendingRows &rows) {
    auto &runs = rows.runs;
    while (runs.size() >= 2) {
        const Run &last = runs[runs.size() - 1];
        const Run &before = runs[runs.size() - 2];
        if (last.dead != before.dead || (!last.dead && last.subid != before.subid)) {
            return;
        }
        runs.pop_back();
    }
}

} // namespace

bool Pending::has_unknown(Oid relid) const {
    return std::any_of(unknown.begin(), unknown.end(), [relid](const UnknownTable &u) { return u.relid == relid; });
}

const char *Pending::why_unknown(Oid relid) const {
    for (const UnknownTable &u : unknown) {
        if (u.relid == relid) {
            return u.why;
        }
    }
    for (const PendingTable *table : tables) {
        if (table->relid == relid && (table->old_rows.broken || table->new_rows.broken)) {
            return "its changes could not be stored";
        }
    }
    return nullptr;
}

[[gnu::hot]] Pending *find_pending(Scope scope) {
    return pending[int(scope)];
}

Pending &require_pending(Scope scope) {
    Pending *&p = pending[int(scope)];
    if (p == nullptr) {
        MemoryContext context =
            AllocSetContextCreate(TopTransactionContext, "upkeep pending changes", ALLOCSET_DEFAULT_SIZES);
        p = new (MemoryContextAlloc(context, sizeof(Pending))) Pending(context);
    }
    return *p;
}

Pending *detach_pending(Scope scope) {
    return std::exchange(pending[int(scope)], nullptr);
}

void drop_later(Pending *p) {
    if (p != nullptr) {
        p->next_dropped = dropped;
        dropped = p;
    }
}

[[gnu::hot]] void sweep_dropped() {
    while (dropped != nullptr) {
        Pending *p = dropped;
        dropped = p->next_dropped;
        for_each_rows(*p, end_store);
        MemoryContextDelete(p->context);
    }
}

[[gnu::hot]] bool has_dropped() {
    return dropped != nullptr;
}

void add_unknown(Scope scope, Oid relid, const char *why) {
    require_pending(scope).unknown.push_back({relid, GetCurrentSubTransactionId(), why});
}

void add_unknown(Oid relid, const char *why) {
    const catalog::TableEntry *table = catalog::find_table(relid);
    const bool immediate = table != nullptr && table->immediate.nviews > 0;
    const bool commit = table != nullptr && table->commit.nviews > 0;
    if (immediate) {
        add_unknown(Scope::statement, relid, why);
    }
    if (commit) {
        add_unknown(Scope::transaction, relid, why);
    }
    log_lost(relid);
}

PendingTable *require_table(Scope scope, Relation relation, const Columns &columns) {
    Pending &p = require_pending(scope);
    const Oid relid = RelationGetRelid(relation);
    for (PendingTable *table : p.tables) {
        if (table->relid == relid) {
            if (same_columns(table->columns, columns)) {
                return table;
            }
            add_unknown(scope, relid, "its columns changed while changes were pending");
            return nullptr;
        }
    }
    pg::InContext in(p.context);
    auto *table = new (palloc(sizeof(PendingTable))) PendingTable(); // its vectors allocate in the current context
    table->relid = relid;
    table->columns = copy_columns(columns);
    table->desc = pending_desc(RelationGetDescr(relation), columns);
    p.tables.push_back(table);
    return table;
}

void begin_append(Pending &p, PendingRows &rows) {
    if (rows.store == nullptr) {
        rows.store = begin_store(p.context);
    }
    const SubTransactionId subid = GetCurrentSubTransactionId();
    if (rows.runs.empty() || rows.runs.back().dead || rows.runs.back().subid != subid) {
        rows.runs.push_back({subid, tuplestore_tuple_count(rows.store), false});
    }
    rows.writing = true;
}

void end_append(PendingRows &rows) {
    rows.writing = false;
}

Tuplestorestate *live_rows(Pending &p, PendingRows &rows, TupleDesc desc) {
    if (!has_live(rows)) {
        return nullptr;
    }
    if (std::none_of(rows.runs.begin(), rows.runs.end(), [](const Run &run) { return run.dead; })) {
        return rows.store;
    }
    Tuplestorestate *live = begin_store(p.context);
    BatchReader reader(rows.store, desc);
    int64 number = 0;
    for (std::size_t i = 0; i < rows.runs.size(); i++) {
        const bool last = i + 1 == rows.runs.size();
        while ((last || number < rows.runs[i + 1].first) && reader.next()) {
            CHECK_FOR_INTERRUPTS();
            number++;
            if (!rows.runs[i].dead) {
                tuplestore_puttupleslot(live, reader.slot());
            }
        }
    }
    std::swap(live, rows.store);
    tuplestore_end(live);
    rows.runs.clear();
    return rows.store;
}

static void abort_pending(Pending *&p, SubTransactionId subid) {
    if (p == nullptr) {
        return;
    }
    bool live = false;
    for_each_rows(*p, [&](PendingRows &rows) {
        rows.broken = rows.broken || rows.writing;
        rows.writing = false;
        for_last_runs(rows, subid, [](Run &run) { run.dead = true; });
        join_last_runs(rows);
        live = live || has_live(rows);
    });
    const auto is_mine = [subid](const auto &mark) { return mark.subid == subid; };
    auto &unknown = p->unknown;
    unknown.erase(std::remove_if(unknown.begin(), unknown.end(), is_mine), unknown.end());
    auto &built = p->built;
    built.erase(std::remove_if(built.begin(), built.end(), is_mine), built.end());
    if (!live && unknown.empty() && built.empty()) {
        drop_later(std::exchange(p, nullptr));
    }
}

static void commit_pending(Pending *p, SubTransactionId subid, SubTransactionId parent) {
    if (p == nullptr) {
        return;
    }
    for_each_rows(*p, [&](PendingRows &rows) {
        for_last_runs(rows, subid, [parent](Run &run) { run.subid = parent; });
        join_last_runs(rows);
    });
    for (UnknownTable &u : p->unknown) {
        u.subid = u.subid == subid ? parent : u.subid;
    }
    for (BuiltView &b : p->built) {
        b.subid = b.subid == subid ? parent : b.subid;
    }
}

void abort_pending(SubTransactionId subid) {
    for (Pending *&p : pending) {
        abort_pending(p, subid);
    }
}

void commit_pending(SubTransactionId subid, SubTransactionId parent) {
    for (Pending *p : pending) {
        commit_pending(p, subid, parent);
    }
}

[[gnu::hot]] void forget_pending() {
    std::fill_n(pending, kScopes, nullptr);
    dropped = nullptr;
}

} // namespace upkeep::capture
