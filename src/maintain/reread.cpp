// Reading groups again from the base tables, once their rows are locked.
#include "maintain/run.hpp"

extern "C" {
#include "utils/queryenvironment.h"
}

namespace upkeep::maintain {

namespace {

pg::Vector<int> wanted_calls(const NodeProgram &node, std::uint64_t wanted) {
    pg::Vector<int> calls;
    for (int a = 0; a < node.naggs; a++)
        if ((wanted >> a) & 1)
            calls.push_back(a);
    return calls;
}

SPIPlanPtr prepare(const char *sql, int nargs, Oid *types) {
    SPIPlanPtr plan = SPI_prepare(sql, nargs, types);
    if (plan == nullptr)
        elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
    return plan;
}

/// Executes under the snapshot, or (nullptr) one newer than the locks. The result is in SPI_tuptable.
void execute(const Run &run, SPIPlanPtr plan, Datum *values, const char *nulls, Snapshot snapshot) {
    AcceptInvalidationMessages(); // of whom a row lock was waited for, who may have attached a partition
    if (snapshot != nullptr)
        PushActiveSnapshot(snapshot);
    else
        push_snapshot(run);
    const int outcome = SPI_execute_plan(plan, values, nulls, true, 0);
    PopActiveSnapshot();
    if (outcome != SPI_OK_SELECT)
        elog(ERROR, "could not read a group again: %s", SPI_result_code_string(outcome));
}

SPIPlanPtr group_plan(NodeProgram &node, const algebra::KeySet &null_keys, std::uint64_t wanted, Oid *types) {
    for (const GroupPlan &p : node.plans)
        if (p.null_keys == null_keys && p.wanted == wanted)
            return p.plan;
    const pg::Vector<int> calls = wanted_calls(node, wanted);
    const char *sql = wanted == kWantKeys ? lower::representative_sql(*node.node, null_keys)
                                          : lower::group_sql(*node.node, null_keys, {calls.data(), calls.size()});
    SPIPlanPtr plan = prepare(sql, node.node->nkeys(), types);
    SPI_keepplan(plan);
    node.plans.push_back({null_keys, wanted, plan});
    return plan;
}

/// Copies columns of a result row into the current context.
void take_value(HeapTuple row, TupleDesc desc, int column, Datum *value, bool *isnull) {
    Form_pg_attribute a = TupleDescAttr(desc, column);
    const Datum datum = SPI_getbinval(row, desc, column + 1, isnull);
    *value = *isnull ? Datum{0} : datumCopy(datum, a->attbyval, a->attlen);
}

/// Leaves the rows of the last statement (keys, then `calls`) in their groups.
void distribute(const NodeProgram &node, GroupTable &groups, const pg::Vector<int> &calls) {
    const int nkeys = node.node->nkeys();
    const auto n = static_cast<size_t>(nkeys + node.naggs);
    auto *keys = pg::create_array<Datum>(n);
    auto *key_nulls = pg::create_array<bool>(n);
    for (uint64 i = 0; i < SPI_processed; i++) {
        CHECK_FOR_INTERRUPTS();
        HeapTuple row = SPI_tuptable->vals[i];
        TupleDesc desc = SPI_tuptable->tupdesc;
        for (int k = 0; k < nkeys; k++)
            take_value(row, desc, k, &keys[k], &key_nulls[k]);
        Group *group = groups.find(keys, key_nulls);
        if (group == nullptr)
            continue;
        group->read_values = pg::create_array<Datum>(n);
        group->read_nulls = pg::create_array<bool>(n);
        std::fill(group->read_nulls, group->read_nulls + n, true);
        for (size_t c = 0; c < calls.size(); c++)
            take_value(row, desc, nkeys + static_cast<int>(c), &group->read_values[nkeys + calls[c]],
                       &group->read_nulls[nkeys + calls[c]]);
    }
}

} // namespace

Tuplestorestate *register_keys(const NodeProgram &node, std::span<Group *> listed) {
    const int nkeys = node.node->nkeys();
    TupleDesc desc = CreateTemplateTupleDesc(nkeys);
    for (int k = 0; k < nkeys; k++) {
        const analysis::ColumnType &t = node.node->columns[static_cast<size_t>(k)];
        TupleDescInitEntry(desc, static_cast<AttrNumber>(k + 1), psprintf("k%d", k + 1), t.type, t.typmod, 0);
        TupleDescInitEntryCollation(desc, static_cast<AttrNumber>(k + 1), t.collation);
    }
    Tuplestorestate *rows = tuplestore_begin_heap(false, false, work_mem);
    for (const Group *group : listed)
        tuplestore_putvalues(rows, desc, group->keys, group->nulls);
    auto *enr = pg::create<EphemeralNamedRelationData>();
    enr->md.name = pstrdup(lower::kKeysName);
    enr->md.tupdesc = desc;
    enr->md.enrtype = ENR_NAMED_TUPLESTORE;
    enr->md.enrtuples = static_cast<double>(listed.size());
    enr->reldata = rows;
    if (SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
        elog(ERROR, "could not register the keys to read again");
    return rows;
}

bool has_null_key(const NodeProgram &node, const Group *group) {
    return std::find(group->nulls, group->nulls + node.node->nkeys(), true) != group->nulls + node.node->nkeys();
}

void forget_keys(Tuplestorestate *keys) {
    SPI_unregister_relation(lower::kKeysName);
    tuplestore_end(keys);
}

bool read_group(Run &run, NodeProgram &node, const Datum *keys, const bool *key_nulls, std::uint64_t wanted,
                Datum *values, bool *nulls, Snapshot snapshot) {
    const int nkeys = node.node->nkeys();
    const MemoryContext context = CurrentMemoryContext;
    const algebra::KeySet null_keys = algebra::null_keys_of(key_nulls, nkeys);
    auto *types = pg::create_array<Oid>(static_cast<size_t>(nkeys));
    auto *null_flags = pg::create_array<char>(static_cast<size_t>(nkeys) + 1);
    for (int k = 0; k < nkeys; k++) {
        types[k] = node.node->columns[static_cast<size_t>(k)].type;
        null_flags[k] = key_nulls[k] ? 'n' : ' ';
    }
    connect_spi(run);
    bool found = false;
    // The representative of the keys is one row's, the aggregates are of all rows: two statements.
    for (const std::uint64_t part : {wanted & ~kWantKeys, wanted & kWantKeys}) {
        if (part == 0)
            continue;
        execute(run, group_plan(node, null_keys, part, types), const_cast<Datum *>(keys), null_flags, snapshot);
        if (SPI_processed == 0)
            return false;
        found = true;
        pg::InContext in(context);
        const pg::Vector<int> calls = wanted_calls(node, part & ~kWantKeys);
        for (int k = 0; part == kWantKeys && k < nkeys; k++)
            take_value(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, k, &values[k], &nulls[k]);
        for (size_t c = 0; c < calls.size(); c++)
            take_value(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, static_cast<int>(c), &values[nkeys + calls[c]],
                       &nulls[nkeys + calls[c]]);
        SPI_freetuptable(SPI_tuptable);
    }
    MemoryContextSwitchTo(context);
    return found;
}

void read_groups(Run &run, NodeProgram &node, GroupTable &groups, std::span<Group *> listed, std::uint64_t wanted,
                 Snapshot snapshot) {
    pg::InContext in(run.memory);
    connect_spi(run);
    const pg::Vector<int> calls = wanted_calls(node, wanted);
    const auto n = static_cast<size_t>(node.node->nkeys() + node.naggs);
    pg::Vector<Group *> with_keys;
    for (Group *group : listed) {
        if (!has_null_key(node, group)) {
            with_keys.push_back(group);
            continue;
        }
        group->read_values = pg::create_array<Datum>(n);
        group->read_nulls = pg::create_array<bool>(n);
        read_group(run, node, group->keys, group->nulls, wanted, group->read_values, group->read_nulls, snapshot);
    }
    if (!listed.empty() && with_keys.empty())
        return;
    const MemoryContext context = CurrentMemoryContext;
    Tuplestorestate *keys = listed.empty() ? nullptr : register_keys(node, {with_keys.data(), with_keys.size()});
    const char *sql = lower::groups_sql(*node.node, listed.empty() ? lower::Groups::all : lower::Groups::listed,
                                        {calls.data(), calls.size()});
    SPIPlanPtr plan = prepare(sql, 0, nullptr);
    execute(run, plan, nullptr, nullptr, snapshot);
    MemoryContextSwitchTo(context);
    distribute(node, groups, calls);
    SPI_freetuptable(SPI_tuptable);
    SPI_freeplan(plan);
    if (keys != nullptr)
        forget_keys(keys);
}

} // namespace upkeep::maintain
