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
    order.count_ = DatumGetInt64(castNode(Const, q->limitCount)->constvalue);
    order.offset_ = q->limitOffset != nullptr;
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
