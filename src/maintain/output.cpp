// Applying view rows: a bag by image, keyed rows by key, and a whole result by difference.
#include "maintain/run.hpp"
#include "observe/progress.hpp"

extern "C" {
#include "access/tableam.h"
}

namespace upkeep::maintain {

namespace {

/// One changed row of a keyed view.
struct Change {
    uint64 hash; // of the key
    size_t place; // among all changes: the two rows of a key come close to each other, as a rule
    const ZSet::Row *row;
};

struct Output {
    Run &run;
    Target *target;
    TupleTableSlot *found;
    TupleTableSlot *fresh;
    const Identity &identity;
    Datum *key;
    bool *key_nulls;
};

bool broken(Run &run, const char *why) {
    run.broken = true;
    run.broken_why = why;
    return false;
}

void fill(TupleTableSlot *slot, const ZSet::Row *row) {
    const int n = slot->tts_tupleDescriptor->natts;
    ExecClearTuple(slot);
    std::copy(row->values, row->values + n, slot->tts_values);
    std::copy(row->nulls, row->nulls + n, slot->tts_isnull);
    ExecStoreVirtualTuple(slot);
}

void load_key(Output &o, const ZSet::Row *row) {
    for (int k = 0; k < o.identity.nkeys; k++) {
        o.key[k] = row->values[o.identity.attnos[k] - 1];
        o.key_nulls[k] = row->nulls[o.identity.attnos[k] - 1];
    }
}

bool same_key(const Output &o, const ZSet::Row *a, const ZSet::Row *b) {
    for (int k = 0; k < o.identity.nkeys; k++) {
        const int at = o.identity.attnos[k] - 1;
        if (!pg::key_equal(o.identity.columns[k], a->values[at], a->nulls[at], b->values[at], b->nulls[at]))
            return false;
    }
    return true;
}

bool apply_bag(Output &o, std::span<Change> changes) {
    for (const Change &c : changes)
        if (c.row->weight < 0 && remove_copies(o.target, c.row->values, c.row->nulls, -c.row->weight) != -c.row->weight)
            return broken(o.run, "a row to delete is missing");
    for (const Change &c : changes)
        for (int64 i = 0; i < c.row->weight; i++) {
            fill(o.fresh, c.row);
            insert_row(o.target, o.fresh);
        }
    return true;
}

/// Whether a row to insert has to be looked for: where no unique index would tell, and where finding nothing is not
/// enough (40001 for a row that only the transaction's own snapshot shows).
bool must_look(const Output &o) {
    return o.identity.kind == IdentityKind::key_hash || IsolationUsesXactSnapshot();
}

bool insert_keyed(Output &o, const ZSet::Row *row) {
    load_key(o, row);
    if (must_look(o) && find_and_lock(o.target, o.key, o.key_nulls, o.found))
        return broken(o.run, "a row to insert is there already");
    fill(o.fresh, row);
    if (!insert_absent(o.target, o.fresh))
        return broken(o.run, "a row to insert is there already");
    return true;
}

/// The rows of one key, which follow each other: at most one leaves and one comes.
bool apply_key(Output &o, const ZSet::Row *leaves, const ZSet::Row *comes, bool deletes_first) {
    if (leaves == nullptr)
        return deletes_first || insert_keyed(o, comes);
    load_key(o, leaves);
    if (!find_and_lock(o.target, o.key, o.key_nulls, o.found))
        return broken(o.run, "a row to delete is missing");
    if (comes == nullptr || deletes_first) {
        delete_row(o.target, o.found);
        return true;
    }
    fill(o.fresh, comes);
    update_row(o.target, o.found, o.fresh);
    return true;
}

/// Brings the other row of the first change's key next to it. Different keys can have one hash.
void bring_together(const Output &o, std::span<Change> changes) {
    for (size_t i = 1; i < changes.size() && changes[i].hash == changes[0].hash; i++)
        if (same_key(o, changes[0].row, changes[i].row)) {
            std::swap(changes[1], changes[i]);
            return;
        }
}

bool apply_keyed(Output &o, std::span<Change> changes) {
    // A user's unique index must survive swapped values: then all deletes go before all inserts.
    const bool deletes_first = has_other_unique_indexes(o.target);
    for (size_t i = 0; i < changes.size();) {
        const ZSet::Row *leaves = nullptr, *comes = nullptr;
        size_t next = i;
        bring_together(o, changes.subspan(i));
        for (; next < changes.size() && changes[next].hash == changes[i].hash &&
               same_key(o, changes[i].row, changes[next].row);
             next++) {
            const ZSet::Row *row = changes[next].row;
            const ZSet::Row *&side = row->weight < 0 ? leaves : comes;
            if (side != nullptr || row->weight > 1 || row->weight < -1)
                return broken(o.run, "a key is there twice");
            side = row;
        }
        i = next;
        if (!apply_key(o, leaves, comes, deletes_first))
            return false;
    }
    if (!deletes_first)
        return true;
    CommandCounterIncrement(); // a key that leaves and comes must not be found again
    for (const Change &c : changes)
        if (c.row->weight > 0 && !insert_keyed(o, c.row))
            return false;
    return true;
}

} // namespace

bool apply_to_view(Run &run, ZSet &delta) {
    OutputProgram &program = run.program->output;
    pg::Vector<Change> changes;
    for (ZSet::Row *row : delta.rows())
        if (row->weight != 0)
            changes.push_back({row->hash, changes.size(), row});
    if (changes.empty())
        return true;
    Output o{run,    open_target(run.program->view, program.identity), nullptr, nullptr, program.identity, nullptr,
             nullptr};
    record_writes(o.target, run.written);
    o.found = make_target_slot(o.target);
    o.fresh = make_target_slot(o.target);
    o.key = pg::create_array<Datum>(static_cast<size_t>(program.identity.nkeys));
    o.key_nulls = pg::create_array<bool>(static_cast<size_t>(program.identity.nkeys));
    if (program.keyed)
        for (Change &c : changes) {
            load_key(o, c.row);
            c.hash = identity_hash(o.target, o.key, o.key_nulls);
        }
    // In the order of the hashes, the same for every writer.
    std::sort(changes.begin(), changes.end(),
              [](const Change &a, const Change &b) { return a.hash != b.hash ? a.hash < b.hash : a.place < b.place; });
    // No key locks, even where no unique index guards the keys: a key of this view is made of primary keys, guarded by
    // their indexes and by the tags of the join, or the key of a group, whose row of the state is locked by now.
    const bool fine = program.keyed ? apply_keyed(o, {changes.data(), changes.size()})
                                    : apply_bag(o, {changes.data(), changes.size()});
    run.rows_changed += rows_written(o.target);
    close_target(o.target);
    return fine;
}

namespace {

/// Visits every row of the target; deletes it where `leaves(values, nulls)` says so.
template <typename Leaves> void delete_where(Target *target, Leaves leaves) {
    TupleTableSlot *slot = make_target_slot(target);
    TableScanDesc scan = table_beginscan(target_relation(target), GetActiveSnapshot(), 0, nullptr);
    while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
        CHECK_FOR_INTERRUPTS();
        slot_getallattrs(slot);
        if (leaves(slot->tts_values, slot->tts_isnull))
            delete_row(target, slot);
    }
    table_endscan(scan);
}

void insert_all(Target *target, ZSet &rows) {
    TupleTableSlot *fresh = make_target_slot(target);
    for (const ZSet::Row *row : rows.rows())
        for (int64 i = 0; i < row->weight; i++) {
            CHECK_FOR_INTERRUPTS();
            fill(fresh, row);
            insert_row(target, fresh);
            observe::count_row();
        }
}

} // namespace

void apply_difference(Run &run, Target *target, ZSet &wanted) {
    delete_where(target, [&](const Datum *values, const bool *nulls) {
        observe::count_row();
        ZSet::Row *row = wanted.find(values, nulls);
        if (row == nullptr || row->weight <= 0)
            return true;
        row->weight--;
        return false;
    });
    insert_all(target, wanted);
    run.rows_changed += rows_written(target);
}

void apply_scanning(Run &run, Target *target, ZSet &change) {
    delete_where(target, [&](const Datum *values, const bool *nulls) {
        observe::count_row();
        ZSet::Row *row = change.find(values, nulls);
        if (row == nullptr || row->weight >= 0)
            return false;
        row->weight++;
        return true;
    });
    insert_all(target, change);
    run.rows_changed += rows_written(target);
}

} // namespace upkeep::maintain
