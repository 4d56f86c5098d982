// Partition nodes: windows, DISTINCT ON, LIMIT. The partitions that a change touches are computed again and compared
// with their stored rows.
#include "maintain/locks.hpp"
#include "maintain/run.hpp"
#include "maintain/target_internal.hpp"
#include "maintain/top_n.hpp"
#include "pg/entry.hpp"

extern "C" {
#include "access/tableam.h"
#include "tcop/dest.h"
#include "utils/queryenvironment.h"
}

namespace upkeep::maintain {

namespace {

/// Up to so many partitions of one change are read one by one, more of them in one statement.
constexpr size_t kReadOneByOne = 16;

struct RowReceiver {
    DestReceiver pub;
    RowSink *sink;
};

/// Executes under the active snapshot; each row goes into the sink.
void execute(SPIPlanPtr plan, ParamListInfo params, RowSink &sink) {
    RowReceiver receiver{};
    receiver.pub.receiveSlot = [](TupleTableSlot *slot, DestReceiver *self) {
        pg::guard([&] {
            slot_getallattrs(slot);
            reinterpret_cast<RowReceiver *>(self)->sink->add(slot->tts_values, slot->tts_isnull, 1);
        });
        return true;
    };
    receiver.pub.rStartup = [](DestReceiver *, int, TupleDesc) {};
    receiver.pub.rShutdown = [](DestReceiver *) {};
    receiver.pub.rDestroy = [](DestReceiver *) {};
    receiver.pub.mydest = DestNone;
    receiver.sink = &sink;
    SPIExecuteOptions options{};
    options.params = params;
    options.read_only = true;
    options.dest = &receiver.pub;
    const MemoryContext context = CurrentMemoryContext;
    const int outcome = SPI_execute_plan_extended(plan, &options);
    if (outcome < 0)
        elog(ERROR, "could not compute a partition: %s", SPI_result_code_string(outcome));
    MemoryContextSwitchTo(context);
}

SPIPlanPtr prepare(const char *sql, int nargs, Oid *types) {
    SPIPlanPtr plan = SPI_prepare(sql, nargs, types);
    if (plan == nullptr)
        elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
    return plan;
}

/// The rows of one partition.
void compute_one(NodeProgram &node, const Group *group, RowSink &rows) {
    const int nkeys = node.node->nkeys();
    const algebra::KeySet null_keys = algebra::null_keys_of(group->nulls, nkeys);
    auto *types = pg::create_array<Oid>(static_cast<size_t>(nkeys));
    ParamListInfo params = makeParamList(nkeys);
    for (int k = 0; k < nkeys; k++) {
        types[k] = node.node->columns[static_cast<size_t>(k)].type;
        params->params[k] = {group->keys[k], group->nulls[k], PARAM_FLAG_CONST, types[k]};
    }
    SPIPlanPtr plan = nullptr;
    for (const GroupPlan &p : node.plans)
        if (p.null_keys == null_keys)
            plan = p.plan;
    if (plan == nullptr) {
        plan = prepare(lower::partition_sql(*node.node, null_keys), nkeys, types);
        SPI_keepplan(plan);
        node.plans.push_back({null_keys, 0, plan});
    }
    execute(plan, params, rows);
}

/// The rows of these partitions under the active snapshot.
void compute(Run &run, NodeProgram &node, std::span<Group *> groups, RowSink &rows) {
    connect_spi(run);
    pg::Vector<Group *> together;
    for (Group *group : groups) {
        CHECK_FOR_INTERRUPTS();
        if (groups.size() > kReadOneByOne && !has_null_key(node, group))
            together.push_back(group);
        else
            compute_one(node, group, rows);
    }
    if (together.empty())
        return;
    Tuplestorestate *keys = register_keys(node, {together.data(), together.size()});
    SPIPlanPtr plan = prepare(lower::partitions_sql(*node.node, lower::Groups::listed), 0, nullptr);
    execute(plan, nullptr, rows);
    SPI_freeplan(plan);
    forget_keys(keys);
}

/// The rows that a LIMIT keeps of those that it kept so far and the added ones.
void compute_merged(Run &run, const NodeProgram &node, ZSet &kept, ZSet &change, RowSink &rows) {
    connect_spi(run);
    Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);
    for (ZSet *part : {&kept, &change})
        for (const ZSet::Row *row : part->rows())
            for (int64 i = 0; i < row->weight; i++)
                tuplestore_putvalues(store, node.row_desc, row->values, row->nulls);
    auto *enr = pg::create<EphemeralNamedRelationData>();
    enr->md.name = pstrdup(lower::kRowsName);
    enr->md.tupdesc = node.row_desc;
    enr->md.enrtype = ENR_NAMED_TUPLESTORE;
    enr->md.enrtuples = static_cast<double>(tuplestore_tuple_count(store));
    enr->reldata = store;
    if (SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
        elog(ERROR, "could not register the rows to merge");
    SPIPlanPtr plan = prepare(lower::merge_sql(*node.node), 0, nullptr);
    execute(plan, nullptr, rows);
    SPI_freeplan(plan);
    SPI_unregister_relation(lower::kRowsName);
    tuplestore_end(store);
}

std::uint32_t key_operator(const NodeProgram &node) {
    return static_cast<std::uint32_t>(node.number) + 1;
}

/// Writers of one partition come one after the other. In the order of the hashes, the same for all.
void lock_partitions(Run &run, const NodeProgram &node, std::span<Group *> groups) {
    const Oid view = run.program->view;
    const std::uint32_t op = key_operator(node);
    const bool coarse = must_be_coarse(groups.size());
    run.waited |= lock_key_set(view, op, coarse);
    if (!coarse)
        for (const Group *group : groups)
            run.waited |= lock_key(view, op, group->hash);
}

/// Visits the stored rows of a partition under a snapshot, in `slot`.
template <typename Visit>
void for_each_stored(Target *target, const NodeProgram &node, const Group *group, Snapshot snapshot,
                     TupleTableSlot *slot, Visit visit) {
    if (node.node->nkeys() > 0) {
        start_lookup(target, group->keys, group->nulls, snapshot);
        while (next_match(target, group->keys, group->nulls, slot)) {
            slot_getallattrs(slot);
            visit();
        }
    } else {
        TableScanDesc scan = table_beginscan(target_relation(target), snapshot, 0, nullptr);
        while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
            CHECK_FOR_INTERRUPTS();
            slot_getallattrs(slot);
            visit();
        }
        table_endscan(scan);
    }
    ExecClearTuple(slot);
}

void subtract(ZSet &from, ZSet &rows) {
    for (const ZSet::Row *row : rows.rows())
        from.add(row->values, row->nulls, -row->weight);
}

[[noreturn]] void raise_concurrent_change() {
    ereport(ERROR,
            (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE), errmsg("could not serialize access due to concurrent update"),
             errdetail("A row of the same partition was changed by a concurrent transaction."),
             errhint("The transaction might succeed if retried.")));
    pg_unreachable();
}

/// REPEATABLE READ and SERIALIZABLE: what the latest state and the transaction's own snapshot say must agree, both of
/// what the partitions are made of and of their stored rows.
void check_own_snapshot(Run &run, NodeProgram &node, Target *target, TupleTableSlot *slot, std::span<Group *> groups,
                        ZSet &latest) {
    ZSet own(node.row_ops, run.memory);
    PushCopiedSnapshot(GetTransactionSnapshot());
    UpdateActiveSnapshotCommandId();
    Snapshot snapshot = GetActiveSnapshot();
    compute(run, node, groups, own);
    ZSet stored(node.row_ops, run.memory);
    for (const Group *group : groups)
        for_each_stored(target, node, group, snapshot, slot,
                        [&] { stored.add(slot->tts_values, slot->tts_isnull, 1); });
    PopActiveSnapshot();
    for (const Group *group : groups)
        for_each_stored(target, node, group, GetActiveSnapshot(), slot,
                        [&] { stored.add(slot->tts_values, slot->tts_isnull, -1); });
    subtract(own, latest);
    if (!own.is_empty() || !stored.is_empty())
        raise_concurrent_change();
}

/// Deletes and inserts what differs; `wanted` is used up. What is written is the node's delta.
void write_difference(Run &run, NodeProgram &node, Target *target, TupleTableSlot *slot, std::span<Group *> groups,
                      ZSet &wanted) {
    auto *reported = new (palloc(sizeof(ZSet))) ZSet(node.row_ops, run.memory);
    run.node_deltas[node.number] = reported;
    for (const Group *group : groups)
        for_each_stored(target, node, group, GetActiveSnapshot(), slot, [&] {
            ZSet::Row *row = wanted.find(slot->tts_values, slot->tts_isnull);
            if (row != nullptr && row->weight > 0) {
                row->weight--;
                return;
            }
            reported->add(slot->tts_values, slot->tts_isnull, -1);
            delete_row(target, slot);
        });
    TupleTableSlot *fresh = make_target_slot(target);
    const int n = fresh->tts_tupleDescriptor->natts;
    for (const ZSet::Row *row : wanted.rows()) {
        if (row->weight == 0)
            continue;
        reported->add(row->values, row->nulls, row->weight);
        for (int64 i = 0; i < row->weight; i++) {
            CHECK_FOR_INTERRUPTS();
            ExecClearTuple(fresh);
            std::copy(row->values, row->values + n, fresh->tts_values);
            std::copy(row->nulls, row->nulls + n, fresh->tts_isnull);
            ExecStoreVirtualTuple(fresh);
            insert_row(target, fresh);
        }
    }
}

/// One run of a node over the partitions that a change touches.
struct Stage {
    Run &run;
    NodeProgram &node;
    ZSet &change; // of the flow
    std::span<Group *> groups;
    Target *target;
    TupleTableSlot *slot;
};

/// Reads the kept rows of a LIMIT under a snapshot.
LimitEffect look(Stage &s, LimitOrder &order, Snapshot snapshot, ZSet *kept) {
    if (!order.measure(s.run, s.node))
        return LimitEffect::read_again;
    for_each_stored(s.target, s.node, s.groups[0], snapshot, s.slot,
                    [&] { kept->add(s.slot->tts_values, s.slot->tts_isnull, 1); });
    return order.effect(s.change, *kept);
}

/// Whether the change concerns no row that a LIMIT keeps. Then the kept rows are locked against changes: who comes
/// before their end must see this transaction's rows.
bool leaves_limit_alone(Stage &s, LimitOrder &order) {
    for (const bool locked : {false, true}) {
        if (locked) {
            s.run.waited |= lock_key_set(s.run.program->view, key_operator(s.node), false);
            s.run.waited |= lock_key_unchanged(s.run.program->view, key_operator(s.node), s.groups[0]->hash);
        }
        ZSet kept(s.node.row_ops, s.run.memory);
        push_snapshot(s.run);
        const LimitEffect effect = look(s, order, GetActiveSnapshot(), &kept);
        PopActiveSnapshot();
        if (effect != LimitEffect::none)
            return false;
    }
    if (!IsolationUsesXactSnapshot())
        return true;
    // What the transaction sees must not need the change either.
    ZSet kept(s.node.row_ops, s.run.memory);
    PushCopiedSnapshot(GetTransactionSnapshot());
    UpdateActiveSnapshotCommandId();
    const LimitEffect effect = look(s, order, GetActiveSnapshot(), &kept);
    PopActiveSnapshot();
    if (effect != LimitEffect::none)
        raise_concurrent_change();
    return true;
}

void recompute(Stage &s, std::optional<LimitOrder> &order) {
    lock_partitions(s.run, s.node, s.groups);
    push_snapshot(s.run);
    ZSet wanted(s.node.row_ops, s.run.memory);
    ZSet kept(s.node.row_ops, s.run.memory);
    if (order && !IsolationUsesXactSnapshot() && look(s, *order, GetActiveSnapshot(), &kept) != LimitEffect::read_again)
        compute_merged(s.run, s.node, kept, s.change, wanted);
    else
        compute(s.run, s.node, s.groups, wanted);
    if (IsolationUsesXactSnapshot())
        check_own_snapshot(s.run, s.node, s.target, s.slot, s.groups, wanted);
    write_difference(s.run, s.node, s.target, s.slot, s.groups, wanted);
    PopActiveSnapshot();
}

} // namespace

bool run_partition_stage(Run &run, NodeProgram &node) {
    pg::InContext in(run.memory);
    ZSet change(node.flow_ops, run.memory);
    read_flow(run, node.blocks, node.flow_ops, change);
    GroupTable touched(node, run.memory);
    for (const ZSet::Row *row : change.rows())
        if (row->weight != 0)
            touched.add(row->values, row->nulls, row->weight);
    const bool other_limits = tables_changed(run, node);
    if (other_limits)
        touched.require_scalar();
    if (touched.is_empty())
        return true;
    Target *target = open_target(node.relid, node.identity);
    Stage s{run, node, change, touched.in_lock_order(), target, make_target_slot(target)};
    std::optional<LimitOrder> order = other_limits ? std::nullopt : LimitOrder::of(*node.node);
    if (!order || !leaves_limit_alone(s, *order))
        recompute(s, order);
    run.rows_changed += rows_written(target);
    close_target(target);
    return true;
}

void build_partitions(Run &run, NodeProgram &node) {
    connect_spi(run);
    auto *rows = new (palloc(sizeof(ZSet))) ZSet(node.row_ops, run.memory);
    SPIPlanPtr plan = prepare(lower::partitions_sql(*node.node, lower::Groups::all), 0, nullptr);
    execute(plan, nullptr, *rows);
    SPI_freeplan(plan);
    ZSet wanted(node.row_ops, run.memory);
    for (const ZSet::Row *row : rows->rows())
        wanted.add(row->values, row->nulls, row->weight);
    run.node_deltas[node.number] = rows;
    Target *target = open_target(node.relid, node.identity);
    apply_difference(run, target, wanted);
    close_target(target);
    // What is above reads it.
    PopActiveSnapshot();
    CommandCounterIncrement();
    push_snapshot(run);
}

} // namespace upkeep::maintain
