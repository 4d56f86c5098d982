#include "maintain/top_n.hpp"

extern "C" {
#include "optimizer/optimizer.h"
#include "utils/sortsupport.h"
}

namespace upkeep::maintain {

std::optional<LimitOrder> LimitOrder::of(const analysis::GroupNode &node) {
    const Query *q = node.function;
    if (node.nkeys() > 0 || q->limitCount == nullptr || q->windowClause != NIL)
        return std::nullopt;
    LimitOrder order;
    if (node.limits == nullptr) {
        order.count_ = DatumGetInt64(castNode(Const, q->limitCount)->constvalue);
        order.offset_ = q->limitOffset != nullptr;
    }
    ListCell *lc;
    foreach (lc, q->sortClause) {
        auto *clause = lfirst_node(SortGroupClause, lc);
        Node *e = get_sortgroupclause_expr(clause, q->targetList);
        if (!IsA(e, Var))
            break;
        order.columns_.push_back(castNode(Var, e)->varattno - 1);
        SortSupportData support{};
        support.ssup_cxt = CurrentMemoryContext;
        support.ssup_collation = exprCollation(e);
        support.ssup_nulls_first = clause->nulls_first;
        PrepareSortSupportFromOrderingOp(clause->sortop, &support);
        order.support_.push_back(support);
    }
    return order;
}

namespace {

/// The statement is kept among those of the node, under a key that no partition has.
const algebra::KeySet kLimits = ~algebra::KeySet{};

SPIPlanPtr limits_plan(NodeProgram &node) {
    for (const GroupPlan &p : node.plans)
        if (p.null_keys == kLimits)
            return p.plan;
    const char *sql = lower::query_sql(node.node->limits);
    SPIPlanPtr plan = SPI_prepare(sql, 0, nullptr);
    if (plan == nullptr)
        elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
    SPI_keepplan(plan);
    node.plans.push_back({kLimits, 0, plan});
    return plan;
}

} // namespace

bool LimitOrder::measure(Run &run, NodeProgram &node) {
    if (node.node->limits == nullptr)
        return true;
    connect_spi(run);
    const MemoryContext context = CurrentMemoryContext;
    const int outcome = SPI_execute_plan(limits_plan(node), nullptr, nullptr, true, 0);
    if (outcome != SPI_OK_SELECT || SPI_processed != 1)
        elog(ERROR, "could not compute a LIMIT: %s", SPI_result_code_string(outcome));
    bool unlimited, from_start;
    count_ = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &unlimited));
    const int64 offset = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &from_start));
    SPI_freetuptable(SPI_tuptable);
    MemoryContextSwitchTo(context);
    offset_ = !from_start && offset > 0;
    return !unlimited && count_ >= 0 && (from_start || offset >= 0);
}

int LimitOrder::compare(const ZSet::Row *a, const ZSet::Row *b) {
    for (size_t i = 0; i < columns_.size(); i++) {
        const int c = columns_[i];
        const int outcome = ApplySortComparator(a->values[c], a->nulls[c], b->values[c], b->nulls[c], &support_[i]);
        if (outcome != 0)
            return outcome;
    }
    return 0;
}

LimitEffect LimitOrder::effect(ZSet &change, ZSet &kept) {
    if (count_ == 0)
        return LimitEffect::none;
    int64 rows = 0;
    const ZSet::Row *last = nullptr;
    for (const ZSet::Row *row : kept.rows()) {
        rows += row->weight;
        if (last == nullptr || compare(row, last) > 0)
            last = row;
    }
    bool merges = false;
    for (const ZSet::Row *row : change.rows()) {
        // Fewer rows than may be kept: there is no row behind them.
        if (row->weight == 0 || (rows >= count_ && compare(row, last) > 0))
            continue;
        if (row->weight < 0 || offset_)
            return LimitEffect::read_again;
        merges = true;
    }
    return merges ? LimitEffect::merge : LimitEffect::none;
}

} // namespace upkeep::maintain
