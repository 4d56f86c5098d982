// What the planner expects of a change and of the whole view.
#include "catalog/log.hpp"
#include "maintain/course.hpp"
#include "maintain/key_estimates.hpp"
#include "maintain/old_state.hpp"
#include "pg/run_as.hpp"

extern "C" {
#include "nodes/plannodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/plancat.h"
#include "tcop/tcopprot.h"
#include "utils/plancache.h"
}

namespace upkeep::maintain {

namespace {

/// In units of cpu_tuple_cost, as measured: a changed row is read from the log, and folded; a row of a target is looked
/// up by index, locked and written; a stored row is read and compared with what was computed.
constexpr double kRead = 15;
constexpr double kFold = 8;
constexpr double kWrite = 30;
constexpr double kCompare = 20;

/// In units of cpu_operator_cost: a row of a tuplestore is read and its key compared; old rows are looked up by their
/// keys. Measured against subqueries that find their rows by index in memory, for which the planner expects many times
/// what they take.
constexpr double kMeet = 75;
constexpr double kLookUp = 500;

/// What both summands over touched rows take, beside what the planner expects of the one over the new states, as
/// measured. Where it does not know by how many keys rows are touched, it expects too little.
constexpr double kTouched = 10;
constexpr double kTouchedByKnown = 1;

/// How many times what the planner expects statements over a change take, beside one over whole tables, as measured.
constexpr double kTerm = 1.2;

/// States are left behind by a rebuild that takes so many times as long with them as for the view alone; not where all
/// of it costs less than this (a twentieth of a second or so): there is nothing to be saved.
constexpr double kLargeStates = 1.3;
constexpr double kMuch = 5000;

struct Expected {
    double cost = 0;
    double rows = 0;
};

Expected expected_of(SPIPlanPtr plan) {
    Expected expected;
    CachedPlan *cached = SPI_plan_get_cached_plan(plan);
    if (cached == nullptr)
        return expected;
    ListCell *cell;
    foreach (cell, cached->stmt_list) {
        const Plan *tree = lfirst_node(PlannedStmt, cell)->planTree;
        expected.cost += tree->total_cost;
        expected.rows += tree->plan_rows;
    }
    ReleaseCachedPlan(cached, CurrentResourceOwner);
    return expected;
}

/// Both summands of the rows that a watched input touches. What one costs over the old states is what it does over the
/// new ones, and that each touched row meets the old rows of the changed images: those of its keys, or all.
Expected touched(Run &run, BlockProgram &block, algebra::InputSet changed, const delta::ScopeTerm &term) {
    Expected over_new = expected_of(term_plan(run, block, {changed, changed, 0, 0, &term}));
    double both = kTouched;
    const algebra::Input &touching = block.block->inputs[term.touching];
    if (const Bitmapset *key = lower::touching_key(*block.block, term.touching)) {
        const double more = count_keys(run, touching.source, key) /
                            keys_expected(static_cast<double>(changed_rows(run, touching)), key) /
                            rows_too_many(run.program->query->tables[touching.source].relid, key);
        over_new.cost *= more;
        over_new.rows *= more;
        both = kTouchedByKnown;
    }
    double each = kLookUp;
    for (size_t i = 0; i < block.block->inputs.size(); i++) {
        const algebra::Input &input = block.block->inputs[i];
        if (algebra::has(changed, static_cast<int>(i)) && (block.scans >> source_of(*run.program, input) & 1) != 0)
            each += static_cast<double>(changed_rows(run, input)) * kMeet;
    }
    return {both * over_new.cost + over_new.rows * each * cpu_operator_cost, over_new.rows};
}

/// Rows that are folded into groups, or collected.
double fold_cost(double rows) {
    return rows * kFold * cpu_tuple_cost;
}

/// Rows of a node that are in memory when they are asked for.
bool reads_node_directly(const BlockProgram &block) {
    return block.direct && block.block->inputs[0].kind == algebra::InputKind::node;
}

/// All terms of the blocks over tables, and the rows that they give; what nodes will report is not known yet.
/// `too_dear`: how many times what they take the planner expects of subqueries that are asked row by row.
Expected delta_of(Run &run, pg::Vector<BlockProgram> &blocks, double too_dear) {
    Expected sum;
    for (BlockProgram &block : blocks) {
        algebra::InputSet changed = 0;
        for (size_t i = 0; i < block.block->inputs.size(); i++)
            if (block.block->inputs[i].kind == algebra::InputKind::table &&
                changed_rows(run, block.block->inputs[i]) > 0)
                changed |= algebra::only(static_cast<int>(i));
        if (changed == 0)
            continue;
        if (block.direct) {
            sum.rows += static_cast<double>(changed_rows(run, block.block->inputs[0]));
            continue;
        }
        connect_spi(run);
        auto add = [&](const Expected &term) {
            sum.cost += kTerm * term.cost;
            sum.rows += term.rows;
        };
        if (const algebra::InputSet watched = algebra::watched_inputs(block.block->shape()); watched != 0) {
            delta::scope_terms(changed, watched, [&](const delta::ScopeTerm &term) {
                if (term.touching >= 0 && term.old)
                    return;
                Expected of_term = term.touching < 0
                                       ? expected_of(term_plan(run, block, {changed, changed, 0, 0, &term}))
                                       : touched(run, block, changed, term);
                of_term.cost /= too_dear;
                add(of_term);
            });
            continue;
        }
        for (size_t i = 0; i < block.block->inputs.size(); i++)
            if (algebra::has(changed, static_cast<int>(i))) {
                const algebra::InputSet one = algebra::only(static_cast<int>(i));
                add(expected_of(term_plan(run, block, {one, changed})));
            }
    }
    return sum;
}

double contents_cost(Run &run, pg::Vector<BlockProgram> &blocks, bool by_rows) {
    double cost = 0;
    for (BlockProgram &block : blocks) {
        if (reads_node_directly(block))
            continue;
        connect_spi(run);
        TermWanted wanted{0, 0};
        wanted.by_rows = by_rows;
        const Expected expected = expected_of(term_plan(run, block, wanted));
        cost += expected.cost + fold_cost(expected.rows);
    }
    return cost;
}

struct Stored {
    double pages, rows;
};

Stored size_of(Oid relid) {
    Relation rel = table_open(relid, AccessShareLock);
    BlockNumber pages;
    double tuples, visible;
    estimate_rel_size(rel, nullptr, &pages, &tuples, &visible);
    table_close(rel, NoLock);
    return {static_cast<double>(pages), tuples};
}

/// Reading what is stored and comparing it with what was computed.
double stored_cost(Oid relid) {
    const Stored stored = size_of(relid);
    return stored.pages * seq_page_cost + kCompare * stored.rows * cpu_tuple_cost;
}

/// So many rows come to a target: of its rows that are there, each is written twice at most.
double write_cost(Oid relid, double rows) {
    constexpr double kNew = 1000;
    return kWrite * std::min(rows, 2 * size_of(relid).rows + kNew) * cpu_tuple_cost;
}

} // namespace

static double contents_cost(Run &run, bool by_rows) {
    double cost = contents_cost(run, run.program->output.blocks, by_rows);
    for (NodeProgram &node : run.program->nodes)
        if (!node.derived) // what reads it has its query inside
            cost += contents_cost(run, node.blocks, by_rows);
    return cost;
}

/// The planner thinks lookups in memory dearer than they are. How much so, it says of the whole, which can be computed
/// by joins with the subqueries instead.
static double lookups_too_dear(Run &run) {
    return run.program->watches ? std::max(contents_cost(run, true) / std::max(contents_cost(run, false), 1.0), 1.0)
                                : 1;
}

/// What it costs to compute the view anew, and its states.
static double whole_cost(Run &run) {
    Program &program = *run.program;
    double whole = stored_cost(program.view);
    for (const NodeProgram &node : program.nodes)
        if (!node.derived && !node.in_view)
            whole += stored_cost(node.relid);
    return whole + contents_cost(run, false);
}

CachedPages::CachedPages(Run &run) : run_(run), as_(run.program->owner, pg::RunAs::Path::keep) {
    run.cached = true;
    constexpr double kCached = 1.1;
    if (random_page_cost > kCached * seq_page_cost)
        as_.set_setting("random_page_cost", psprintf("%g", kCached * seq_page_cost));
}

/// What it costs to follow the change, which has been read.
static double change_cost(Run &run) {
    Program &program = *run.program;
    const double too_dear = lookups_too_dear(run);
    double cost = 0;
    for (NodeProgram &node : program.nodes) {
        const Expected delta = delta_of(run, node.blocks, too_dear);
        cost += delta.cost;
        if (!node.derived)
            cost += fold_cost(delta.rows) + write_cost(node.relid, delta.rows);
        // Every group that is touched is read again, at worst one for each row.
        if (node.reads_again)
            cost += delta.rows * random_page_cost;
    }
    const Expected delta = delta_of(run, program.output.blocks, too_dear);
    return cost + delta.cost + write_cost(program.view, delta.rows);
}

/// Whether a state is kept beside the view that the view's own query can do without. Sums of floats are not among them:
/// those of the server depend on the order of its additions.
static bool can_leave_states(const Program &program) {
    bool stores = false;
    for (const NodeProgram &node : program.nodes) {
        stores |= !node.in_view && !node.derived;
        for (int a = 0; a < node.naggs; a++)
            if (is_float_kind(node.specs[a].kind))
                return false;
    }
    return stores;
}

/// What it costs to compute the view alone, by its query.
static double contents_alone_cost(Run &run) {
    const Program &program = *run.program;
    Relation rel = table_open(program.view, AccessShareLock);
    const PlannedStmt *plan = pg_plan_query(settled_query(rel), "upkeep", CURSOR_OPT_PARALLEL_OK, nullptr);
    table_close(rel, AccessShareLock);
    return plan->planTree->total_cost + kCompare * plan->planTree->plan_rows * cpu_tuple_cost +
           stored_cost(program.view);
}

/// By `whole`, which is what it costs to compute the states, too. Where they are left behind already, they stay there.
static std::optional<double> cost_without_states(Run &run, double whole) {
    if (whole < kMuch || !can_leave_states(*run.program))
        return std::nullopt;
    // To plan the query takes time: not again before much has changed.
    Estimates &estimated = estimates_of(run.program->view);
    constexpr double kSame = 0.1;
    if (std::abs(whole - estimated.whole) > kSame * estimated.whole) {
        estimated.whole = whole;
        estimated.alone = contents_alone_cost(run);
    }
    const double alone = estimated.alone * whole / estimated.whole;
    const double large = catalog::owed_states(run.program->view) ? 1 : kLargeStates;
    return whole > large * alone ? std::optional<double>(alone) : std::nullopt;
}

RebuildCost rebuild_cost(Run &run) {
    const CachedPages cached(run);
    RebuildCost cost;
    cost.whole = whole_cost(run);
    cost.alone = cost_without_states(run, cost.whole);
    return cost;
}

double follow_cost(Run &run) {
    const CachedPages cached(run);
    return change_cost(run);
}

RebuildCost rebuild_cost(Program *program) {
    Run run{program, AllocSetContextCreate(CurrentMemoryContext, "upkeep costs", ALLOCSET_DEFAULT_SIZES)};
    RebuildCost cost;
    {
        pg::InContext in(run.memory);
        pg::RunAs as(program->owner, pg::RunAs::Path::fixed);
        for (const auto &[name, value] : program->settings)
            as.set_setting(name, value);
        run.tables.resize(program->query->tables.size());
        run.node_deltas.resize(program->nodes.size(), nullptr);
        PushActiveSnapshot(GetLatestSnapshot());
        cost = rebuild_cost(run);
        PopActiveSnapshot();
        finish_spi(run);
    }
    MemoryContextDelete(run.memory);
    return cost;
}

double reading_cost(int64 rows) {
    return static_cast<double>(rows) * kRead * cpu_tuple_cost;
}

} // namespace upkeep::maintain
