// Merging the groups of a node into its state, from the locked row.
#include "delta/group.hpp"
#include "maintain/locks.hpp"
#include "maintain/run.hpp"

extern "C" {
#include "utils/numeric.h"
}

namespace upkeep::maintain {

using delta::GroupFate;

namespace {

/// Up to so many groups of one change are read again one by one, more of them in one statement.
constexpr size_t kReadOneByOne = 16;

/// What this stage holds of the set of keys that no unique index guards.
enum class KeyLocks : uint8 { none, fine, coarse };

/// Working storage of one node's stage.
struct Stage {
    Run &run;
    NodeProgram &node;
    Target *target;
    TupleTableSlot *found;
    TupleTableSlot *fresh;
    TupleTableSlot *row_slot; // the node's row, for the projection into the view
    MemoryContext scratch;
    Datum *old_state, *new_state, *old_row, *new_row;
    bool *old_state_nulls, *new_state_nulls, *old_row_nulls, *new_row_nulls;
    ZSet *reported;               // the node's own delta; nullptr when nothing is above
    pg::Vector<Group *> *put_off; // groups to be read again together; nullptr: each by itself
    std::uint64_t put_off_wanted;
    KeyLocks key_locks = KeyLocks::none;
    ZSet *moved = nullptr; // rows taken out, to be inserted when all have left; nullptr: rows are updated in place
    pg::Vector<Group *> *late = nullptr; // with `moved`: new groups, inserted after them
};

Datum numeric_zero() {
    return NumericGetDatum(int64_to_numeric(0));
}

/// The state of a group whose aggregates are kept as their shown values. Returns the aggregates (bits) whose state does
/// not follow from what is shown.
std::uint64_t state_from_view(const NodeProgram &node, TupleTableSlot *slot, Datum *state, bool *nulls) {
    std::uint64_t unknown = 0;
    state[0] = slot_getattr(slot, node.state_place[0].column, &nulls[0]);
    // Counters first: sums follow from them.
    for (int pass = 0; pass < 2; pass++)
        for (int a = 0; a < node.naggs; a++) {
            const bool is_count =
                node.specs[a].kind == AggKind::count_star || node.specs[a].kind == AggKind::count_value;
            if (is_count != (pass == 0))
                continue;
            const int first = node.first_state[a];
            bool isnull;
            const Datum shown = slot_getattr(slot, node.state_place[first].column, &isnull);
            if (is_count || is_read_again_kind(node.specs[a].kind)) {
                state[first] = shown;
                nulls[first] = isnull;
                continue;
            }
            const bool is_numeric = node.specs[a].resulttype == NUMERICOID;
            for (int s = 0; s < node.states_of[a]; s++) { // n, sum, and a count of NaN that must be zero
                state[first + s] = Int64GetDatum(0);
                nulls[first + s] = false;
            }
            state[first] = state[node.visible_count[a]];
            state[first + 1] = !isnull ? shown : is_numeric ? numeric_zero() : Int64GetDatum(0);
            if (is_numeric && !isnull && numeric_is_nan(DatumGetNumeric(shown)))
                unknown |= std::uint64_t{1} << a;
        }
    return unknown;
}

std::uint64_t load_state(Stage &s, Datum *state, bool *nulls) {
    if (s.node.in_view)
        return state_from_view(s.node, s.found, state, nulls);
    for (int i = 0; i < s.node.nstates; i++)
        state[i] = slot_getattr(s.found, s.node.state_place[i].column, &nulls[i]);
    return 0;
}

/// Fills `fresh` with the row to store: in a state table keys and states, in the view what it shows.
void fill_target_row(Stage &s, const Datum *keys, const bool *key_nulls) {
    ExecClearTuple(s.fresh);
    if (s.node.in_view) {
        const size_t n = s.node.node->columns.size();
        ExecClearTuple(s.row_slot);
        std::copy(s.new_row, s.new_row + n, s.row_slot->tts_values);
        std::copy(s.new_row_nulls, s.new_row_nulls + n, s.row_slot->tts_isnull);
        ExecStoreVirtualTuple(s.row_slot);
        const Datum *values;
        const bool *nulls;
        s.run.program->output.blocks[0].input_evaluator->outputs(s.row_slot, &values, &nulls);
        const int natts = s.fresh->tts_tupleDescriptor->natts;
        std::copy(values, values + natts, s.fresh->tts_values);
        std::copy(nulls, nulls + natts, s.fresh->tts_isnull);
    } else {
        for (int k = 0; k < s.node.node->nkeys(); k++) {
            s.fresh->tts_values[s.node.key_column[k] - 1] = keys[k];
            s.fresh->tts_isnull[s.node.key_column[k] - 1] = key_nulls[k];
        }
        for (int i = 0; i < s.node.nstates; i++) {
            s.fresh->tts_values[s.node.state_place[i].column - 1] = s.new_state[i];
            s.fresh->tts_isnull[s.node.state_place[i].column - 1] = s.new_state_nulls[i];
        }
        for (int a = 0; s.node.result_column != nullptr && a < s.node.naggs; a++) {
            s.fresh->tts_values[s.node.result_column[a] - 1] = s.new_row[s.node.node->nkeys() + a];
            s.fresh->tts_isnull[s.node.result_column[a] - 1] = s.new_row_nulls[s.node.node->nkeys() + a];
        }
    }
    ExecStoreVirtualTuple(s.fresh);
}

bool same_row(TupleTableSlot *a, TupleTableSlot *b) {
    TupleDesc desc = a->tts_tupleDescriptor;
    slot_getallattrs(a);
    slot_getallattrs(b);
    for (int i = 0; i < desc->natts; i++) {
        Form_pg_attribute att = TupleDescAttr(desc, i);
        if (a->tts_isnull[i] != b->tts_isnull[i])
            return false;
        if (!a->tts_isnull[i] && !datum_image_eq(a->tts_values[i], b->tts_values[i], att->attbyval, att->attlen))
            return false;
    }
    return true;
}

bool broken(Stage &s, const char *why) {
    s.run.broken = true;
    s.run.broken_why = why;
    return false;
}

/// The keys to show: the stored ones as long as a row with that image is left, else those of a row that is there.
std::uint64_t choose_keys(Stage &s, Group *group, bool stored, Datum *keys, bool *nulls) {
    const int nkeys = s.node.node->nkeys();
    for (int k = 0; k < nkeys; k++) {
        keys[k] = stored ? slot_getattr(s.found, s.node.key_column[k], &nulls[k]) : group->keys[k];
        nulls[k] = stored ? nulls[k] : group->nulls[k];
    }
    if (group->images == nullptr)
        return 0;
    if (stored) {
        const ZSet::Row *same = group->images->find(keys, nulls);
        return same != nullptr && same->weight < 0 ? kWantKeys : 0;
    }
    for (const ZSet::Row *row : group->images->rows())
        if (row->weight > 0) {
            std::copy(row->values, row->values + nkeys, keys);
            std::copy(row->nulls, row->nulls + nkeys, nulls);
            break;
        }
    return 0;
}

/// Reads the group again, by itself or (many at once) after all others. False: broken, or put off until then. Only
/// groups whose rows are locked are put off: the others are inserted, and waited for, in their turn.
bool reread(Stage &s, Group *group, bool stored, std::uint64_t wanted, const Datum *keys, const bool *key_nulls,
            Datum *values, bool *nulls) {
    const int n = s.node.node->nkeys() + s.node.naggs;
    if (group->read_values != nullptr && (wanted & kWantKeys) == 0) {
        std::copy(group->read_values, group->read_values + n, values);
        std::copy(group->read_nulls, group->read_nulls + n, nulls);
        return true;
    }
    if (s.put_off != nullptr && stored && (wanted & kWantKeys) == 0) {
        s.put_off->push_back(group);
        s.put_off_wanted |= wanted;
        return false;
    }
    return read_group(s.run, s.node, keys, key_nulls, wanted, values, nulls) ||
           broken(s, "a group that should have rows has none");
}

/// New state and new row of a group that stays or appears. False: broken.
bool compute_group(Stage &s, Group *group, bool stored, std::uint64_t wanted, Datum *keys, bool *key_nulls) {
    NodeProgram &node = s.node;
    const int nkeys = node.node->nkeys();
    const int64 rows = (stored ? DatumGetInt64(s.old_state[0]) : 0) + group->rows;
    s.new_state[0] = Int64GetDatum(rows);
    s.new_state_nulls[0] = false;
    for (int a = 0; a < node.naggs; a++) {
        const int first = node.first_state[a];
        if ((wanted >> a) & 1) {
            std::copy(s.old_state + first, s.old_state + first + node.states_of[a], s.new_state + first);
            std::copy(s.old_state_nulls + first, s.old_state_nulls + first + node.states_of[a],
                      s.new_state_nulls + first);
            continue;
        }
        const Merge merged =
            merge(node.specs[a], stored ? s.old_state + first : nullptr, stored ? s.old_state_nulls + first : nullptr,
                  group->delta(node, a), s.new_state + first, s.new_state_nulls + first);
        if (merged == Merge::inconsistent)
            return broken(s, "more rows leave a group than it has");
        if (merged == Merge::read_again)
            wanted |= std::uint64_t{1} << a;
    }
    wanted |= choose_keys(s, group, stored, keys, key_nulls);
    auto *values = pg::create_array<Datum>(static_cast<size_t>(nkeys + node.naggs));
    auto *nulls = pg::create_array<bool>(static_cast<size_t>(nkeys + node.naggs));
    // A group without rows (an aggregate without GROUP BY) has nothing to read, and NULL for its extremes.
    std::fill(nulls, nulls + nkeys + node.naggs, true);
    if (wanted != 0 && (rows > 0 || nkeys == 0) && !reread(s, group, stored, wanted, keys, key_nulls, values, nulls))
        return false;
    for (int a = 0; a < node.naggs; a++)
        if (((wanted >> a) & 1) && is_read_again_kind(node.specs[a].kind))
            state_from_value(node.specs[a], values[nkeys + a], nulls[nkeys + a], s.new_state + node.first_state[a],
                             s.new_state_nulls + node.first_state[a]);
    if (wanted & kWantKeys) {
        std::copy(values, values + nkeys, keys);
        std::copy(nulls, nulls + nkeys, key_nulls);
    }
    node_row(node, keys, key_nulls, s.new_state, s.new_state_nulls, s.new_row, s.new_row_nulls);
    for (int a = 0; a < node.naggs; a++)
        if ((wanted >> a) & 1) {
            s.new_row[nkeys + a] = values[nkeys + a];
            s.new_row_nulls[nkeys + a] = nulls[nkeys + a];
        }
    return true;
}

void report(Stage &s, bool had, bool has) {
    if (s.reported == nullptr)
        return;
    if (had)
        s.reported->add(s.old_row, s.old_row_nulls, -1);
    if (has)
        s.reported->add(s.new_row, s.new_row_nulls, 1);
}

std::uint32_t key_operator(const Stage &s) {
    return static_cast<std::uint32_t>(s.node.number) + 1;
}

/// Whether keys that are not there are locked before they are inserted: where no unique index guards them, and where
/// the group's tallies are written before its row. Those are guarded by the group itself.
bool locks_new_keys(const NodeProgram &node) {
    if (node.node->kind == analysis::NodeKind::tally)
        return false;
    return node.identity.kind == IdentityKind::key_hash ||
           (node.identity.kind == IdentityKind::unique_columns && !node.node->tallies.empty());
}

/// How many keys are new decides how they are locked, and the lock on the set of keys comes before any row's.
void lock_new_keys(Stage &s, std::span<Group *> groups) {
    if (!locks_new_keys(s.node) || groups.size() == 1) // a single one: before its own row
        return;
    size_t missing = 0;
    for (const Group *group : groups)
        if (group->rows > 0 && !must_be_coarse(missing) && !is_there(s.target, group->keys, group->nulls, s.found))
            missing++;
    if (missing == 0)
        return;
    s.key_locks = must_be_coarse(missing) ? KeyLocks::coarse : KeyLocks::fine;
    s.run.waited |= lock_key_set(s.run.program->view, key_operator(s), s.key_locks == KeyLocks::coarse);
}

/// The row of a group, locked. A key that is not there is locked, where that has to be, and looked for again.
bool find_group(Stage &s, const Group *group) {
    if (find_and_lock(s.target, group->keys, group->nulls, s.found))
        return true;
    if (!locks_new_keys(s.node) || group->rows <= 0 || s.key_locks == KeyLocks::coarse)
        return false;
    const Oid view = s.run.program->view;
    if (s.key_locks == KeyLocks::none) { // it was there a moment ago
        s.run.waited |= lock_key_set(view, key_operator(s), false);
        s.key_locks = KeyLocks::fine;
    }
    s.run.waited |= lock_key(view, key_operator(s), identity_hash(s.target, group->keys, group->nulls));
    return find_and_lock(s.target, group->keys, group->nulls, s.found);
}

void replace_row(Stage &s) {
    if (s.moved == nullptr) {
        update_row(s.target, s.found, s.fresh);
        return;
    }
    delete_row(s.target, s.found);
    s.moved->add(s.fresh->tts_values, s.fresh->tts_isnull, 1);
}

/// A user's unique index must survive values that change places: the rows come back when all have left.
bool insert_moved(Stage &s) {
    if (s.moved == nullptr)
        return true;
    CommandCounterIncrement(); // what has left must not be found again
    for (const ZSet::Row *row : s.moved->rows()) {
        ExecClearTuple(s.fresh);
        const int n = s.fresh->tts_tupleDescriptor->natts;
        std::copy(row->values, row->values + n, s.fresh->tts_values);
        std::copy(row->nulls, row->nulls + n, s.fresh->tts_isnull);
        ExecStoreVirtualTuple(s.fresh);
        if (!insert_absent(s.target, s.fresh))
            return broken(s, "a row to insert is there already");
    }
    s.moved = nullptr;
    return true;
}

/// Whether rows came and went without leaving anything to write.
bool is_unchanged(const NodeProgram &node, const Group *group) {
    return node.naggs == 0 && !node.node->scalar && group->rows == 0 &&
           (group->images == nullptr || group->images->is_empty());
}

/// Finds, locks, recomputes from the locked row, writes. False: broken.
bool apply_group(Stage &s, Group *group) {
    if (is_unchanged(s.node, group))
        return true;
    pg::InContext in(s.scratch);
    NodeProgram &node = s.node;
    const size_t nkeys = static_cast<size_t>(node.node->nkeys());
    while (true) {
        MemoryContextReset(s.scratch);
        const bool stored = find_group(s, group);
        if (stored && s.put_off != nullptr)
            group->read_values = nullptr; // read before its row was there
        const std::uint64_t unknown = stored ? load_state(s, s.old_state, s.old_state_nulls) : 0;
        const GroupFate fate =
            delta::group_fate(stored, stored ? DatumGetInt64(s.old_state[0]) : 0, group->rows, node.node->scalar);
        if (fate == GroupFate::none)
            return true;
        if (fate == GroupFate::broken)
            return broken(s, "more rows leave a group than it has");
        if (!stored && s.moved != nullptr) {
            s.late->push_back(group);
            return true;
        }
        auto *keys = pg::create_array<Datum>(nkeys);
        auto *key_nulls = pg::create_array<bool>(nkeys);
        if (stored && s.reported != nullptr) {
            for (size_t k = 0; k < nkeys; k++)
                keys[k] = slot_getattr(s.found, node.key_column[k], &key_nulls[k]);
            node_row(node, keys, key_nulls, s.old_state, s.old_state_nulls, s.old_row, s.old_row_nulls);
        }
        if (fate == GroupFate::vanishes) {
            delete_row(s.target, s.found);
            report(s, true, false);
            return true;
        }
        if (!compute_group(s, group, stored, unknown, keys, key_nulls))
            return !s.run.broken;
        fill_target_row(s, keys, key_nulls);
        if (!stored && !insert_absent(s.target, s.fresh)) {
            group->read_values = nullptr; // what was read before the other's insertion is out of date
            continue;
        }
        if (stored && !same_row(s.found, s.fresh))
            replace_row(s);
        report(s, stored, true);
        return true;
    }
}

/// Many new groups are read in one statement before any lock. Under the snapshot that does not show their rows they
/// consist of this transaction's own changes, as they do when the row is inserted, unless it is there by then.
void read_new_groups(Stage &s, GroupTable &groups, std::span<Group *> ordered) {
    std::uint64_t wanted = 0;
    for (int a = 0; a < s.node.naggs; a++)
        wanted |= is_read_again_kind(s.node.specs[a].kind) ? std::uint64_t{1} << a : 0;
    pg::Vector<Group *> missing;
    for (Group *group : ordered)
        if (group->rows > 0 && !is_there(s.target, group->keys, group->nulls, s.found))
            missing.push_back(group);
    if (!missing.empty())
        read_groups(s.run, s.node, groups, {missing.data(), missing.size()}, wanted, lookup_snapshot(s.target));
}

bool apply_all(Stage &s, std::span<Group *> groups) {
    for (Group *group : groups) {
        CHECK_FOR_INTERRUPTS();
        if (!apply_group(s, group))
            return false;
    }
    return true;
}

void allocate(Stage &s) {
    const auto states = static_cast<size_t>(s.node.nstates);
    const size_t columns = s.node.node->columns.size();
    s.old_state = pg::create_array<Datum>(states);
    s.new_state = pg::create_array<Datum>(states);
    s.old_row = pg::create_array<Datum>(columns);
    s.new_row = pg::create_array<Datum>(columns);
    s.old_state_nulls = pg::create_array<bool>(states);
    s.new_state_nulls = pg::create_array<bool>(states);
    s.old_row_nulls = pg::create_array<bool>(columns);
    s.new_row_nulls = pg::create_array<bool>(columns);
}

} // namespace

void node_row(const NodeProgram &node, const Datum *keys, const bool *key_nulls, const Datum *state,
              const bool *state_nulls, Datum *row, bool *row_nulls) {
    const int nkeys = node.node->nkeys();
    std::copy(keys, keys + nkeys, row);
    std::copy(key_nulls, key_nulls + nkeys, row_nulls);
    for (int a = 0; a < node.naggs; a++) {
        row_nulls[nkeys + a] = false;
        row[nkeys + a] = result(node.specs[a], state + node.first_state[a], state_nulls + node.first_state[a],
                                &row_nulls[nkeys + a]);
    }
}

void lock_groups(Run &run, NodeProgram &node, GroupTable &groups) {
    pg::InContext in(run.memory);
    Stage s{run, node};
    s.target = open_target(node.relid, node.identity);
    s.found = make_target_slot(s.target);
    s.scratch = AllocSetContextCreate(run.memory, "upkeep group", ALLOCSET_DEFAULT_SIZES);
    std::span<Group *> ordered = groups.in_lock_order();
    lock_new_keys(s, ordered);
    for (Group *group : ordered) {
        CHECK_FOR_INTERRUPTS();
        pg::InContext in_scratch(s.scratch);
        find_group(s, group);
        MemoryContextReset(s.scratch);
    }
    close_target(s.target);
}

bool apply_groups(Run &run, NodeProgram &node, GroupTable &groups) {
    if (groups.is_empty())
        return true;
    pg::InContext in(run.memory);
    Stage s{run, node};
    s.target = open_target(node.relid, node.identity);
    s.found = make_target_slot(s.target);
    s.fresh = make_target_slot(s.target);
    s.row_slot = MakeSingleTupleTableSlot(node.row_desc, &TTSOpsVirtual);
    s.scratch = AllocSetContextCreate(run.memory, "upkeep group", ALLOCSET_DEFAULT_SIZES);
    if (node.in_view) {
        record_writes(s.target, run.written);
    } else {
        s.reported = new (palloc(sizeof(ZSet))) ZSet(node.row_ops, run.memory);
        run.node_deltas[node.number] = s.reported;
    }
    if (node.in_view && has_other_unique_indexes(s.target))
        s.moved = new (palloc(sizeof(ZSet))) ZSet(run.program->output.ops, run.memory);
    pg::Vector<Group *> late;
    s.late = &late;
    allocate(s);
    std::span<Group *> ordered = groups.in_lock_order();
    lock_new_keys(s, ordered);
    pg::Vector<Group *> put_off;
    if (node.consolidates && ordered.size() > kReadOneByOne)
        s.put_off = &put_off;
    if (node.reads_again && s.put_off != nullptr)
        read_new_groups(s, groups, ordered);
    bool fine = apply_all(s, ordered);
    if (fine && !put_off.empty()) {
        // Their rows are locked by now: what is read here is what they hold.
        s.put_off = nullptr;
        read_groups(run, node, groups, {put_off.data(), put_off.size()}, s.put_off_wanted);
        fine = apply_all(s, {put_off.data(), put_off.size()});
    }
    s.put_off = nullptr;
    fine = fine && insert_moved(s) && apply_all(s, {late.data(), late.size()});
    run.rows_changed += rows_written(s.target);
    ExecDropSingleTupleTableSlot(s.row_slot);
    close_target(s.target);
    return fine;
}

} // namespace upkeep::maintain
