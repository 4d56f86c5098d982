// Statements of a recursive node beside the terms of its blocks: its query, and rows derived again.
#include "maintain/fixpoint.hpp"
#include "pg/entry.hpp"

extern "C" {
#include "tcop/dest.h"
#include "utils/queryenvironment.h"
}

namespace upkeep::maintain {

namespace {

// Plans that are kept in NodeProgram::plans, by `wanted`; a size class is added to the first.
constexpr std::uint64_t kDerivable = 0;
constexpr std::uint64_t kAll = std::uint64_t{1} << 62;

struct RowReceiver {
    DestReceiver pub;
    RowSink *sink;
};

/// Executes a plan under the active snapshot; all its rows go into the sink with weight 1.
void execute(Run &run, SPIPlanPtr plan, RowSink &sink) {
    const MemoryContext context = CurrentMemoryContext;
    RowReceiver r{};
    r.pub.receiveSlot = [](TupleTableSlot *slot, DestReceiver *self) {
        pg::guard([&] {
            slot_getallattrs(slot);
            reinterpret_cast<RowReceiver *>(self)->sink->add(slot->tts_values, slot->tts_isnull, 1);
        });
        return true;
    };
    r.pub.rStartup = [](DestReceiver *, int, TupleDesc) {};
    r.pub.rShutdown = [](DestReceiver *) {};
    r.pub.rDestroy = [](DestReceiver *) {};
    r.pub.mydest = DestNone;
    r.sink = &sink;
    SPIExecuteOptions options{};
    options.read_only = true;
    options.dest = &r.pub;
    const int result = SPI_execute_plan_extended(plan, &options);
    if (result < 0)
        elog(ERROR, "could not execute a maintenance query: %s", SPI_result_code_string(result));
    MemoryContextSwitchTo(context);
    (void)run;
}

template <typename Text>
SPIPlanPtr kept_plan(Run &run, NodeProgram &node, const algebra::KeySet &null_keys, std::uint64_t wanted, Text text) {
    for (const GroupPlan &p : node.plans)
        if (p.null_keys == null_keys && p.wanted == wanted)
            return p.plan;
    pg::InContext in(run.memory);
    const char *sql = text();
    SPIPlanPtr plan = SPI_prepare(sql, 0, nullptr);
    if (plan == nullptr)
        elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
    SPI_keepplan(plan);
    node.plans.push_back({null_keys, wanted, plan});
    return plan;
}

} // namespace

void read_all(Run &run, NodeProgram &node, RowSink &sink) {
    connect_spi(run);
    execute(run, kept_plan(run, node, {}, kAll, [&] { return lower::query_sql(node.node->query); }), sink);
}

void read_derivable(Run &run, NodeProgram &node, std::span<const Group *> listed, const algebra::KeySet &null_keys,
                    RowSink &sink) {
    connect_spi(run);
    const int nkeys = node.node->nkeys();
    pg::InContext in(run.memory);
    TupleDesc desc = CreateTemplateTupleDesc(nkeys);
    for (int k = 0; k < nkeys; k++) {
        const analysis::ColumnType &t = node.node->columns[static_cast<size_t>(k)];
        TupleDescInitEntry(desc, static_cast<AttrNumber>(k + 1), psprintf("k%d", k + 1), t.type, t.typmod, 0);
        TupleDescInitEntryCollation(desc, static_cast<AttrNumber>(k + 1), t.collation);
    }
    Tuplestorestate *rows = tuplestore_begin_heap(false, false, work_mem);
    for (const Group *row : listed)
        tuplestore_putvalues(rows, desc, row->keys, row->nulls);
    register_relation(lower::kKeysName, desc, rows, static_cast<int64>(listed.size()));
    const std::uint64_t wanted = kDerivable + static_cast<std::uint64_t>(size_class(static_cast<int64>(listed.size())));
    execute(run,
            kept_plan(run, node, null_keys, wanted,
                      [&] { return lower::groups_sql(*node.node, lower::Groups::listed, {}, null_keys); }),
            sink);
    SPI_unregister_relation(lower::kKeysName);
    tuplestore_end(rows);
}

} // namespace upkeep::maintain
