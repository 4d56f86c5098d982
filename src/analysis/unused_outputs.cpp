// Columns of a subquery in FROM that the query around it does not read: the server does not compute them, and no state
// is kept for them.
#include "analysis/flatten.hpp"
#include "analysis/levels.hpp"

namespace upkeep::analysis {

namespace {

/// The columns of a range table entry that its query reads.
class Reads {
  public:
    Reads(Query *q, int index) : q_(q), index_(index) {
        for_each_var(
            reinterpret_cast<Node *>(q),
            [&](const Var *var, int depth) {
                if (static_cast<int>(var->varlevelsup) == depth)
                    note(var);
            },
            -1);
    }

    bool whole_row() const { return whole_row_; }
    bool has(AttrNumber column) const { return bms_is_member(column, columns_); }

  private:
    void note(const Var *var) {
        if (var->varno >= kWatched)
            return;
        const RangeTblEntry *rte = rt_fetch(var->varno, q_->rtable);
        if (var->varno == index_) {
            whole_row_ |= var->varattno <= 0;
            columns_ = var->varattno > 0 ? bms_add_member(columns_, var->varattno) : columns_;
        } else if (rte->rtekind == RTE_JOIN) {
            auto *joined = var->varattno > 0 ? static_cast<Node *>(list_nth(rte->joinaliasvars, var->varattno - 1))
                                             : reinterpret_cast<Node *>(rte->joinaliasvars);
            for_each_var(flatten_join_alias_vars(q_, joined), [&](const Var *below, int) {
                if (below->varlevelsup == 0)
                    note(below);
            });
        }
    }

    Query *q_;
    int index_;
    bool whole_row_ = false;
    Bitmapset *columns_ = nullptr;
};

void note_refs(const List *clauses, Bitmapset **refs) {
    const ListCell *lc;
    foreach (lc, clauses)
        *refs = bms_add_member(*refs, static_cast<int>(lfirst_node(SortGroupClause, lc)->tleSortGroupRef));
}

bool is_wanted(const TargetEntry *entry, const Reads &reads, const Bitmapset *refs) {
    auto *expression = reinterpret_cast<Node *>(entry->expr);
    return entry->resjunk || reads.has(entry->resno) || expression_returns_set(expression) ||
           contain_volatile_functions(expression) || bms_is_member(static_cast<int>(entry->ressortgroupref), refs);
}

bool find_windows(Node *node, void *context) {
    if (node == nullptr)
        return false;
    if (IsA(node, WindowFunc)) {
        auto **windows = static_cast<Bitmapset **>(context);
        *windows = bms_add_member(*windows, static_cast<int>(castNode(WindowFunc, node)->winref));
    }
    return pg::walk_tree(node, find_windows, context);
}

/// The windows that columns read, or that only hidden ones do.
void keep_read_windows(Query *sub, const Reads &reads, Bitmapset *refs) {
    Bitmapset *windows = nullptr;
    ListCell *lc;
    foreach (lc, sub->targetList)
        if (is_wanted(lfirst_node(TargetEntry, lc), reads, refs))
            find_windows(reinterpret_cast<Node *>(lfirst_node(TargetEntry, lc)->expr), &windows);
    List *kept = NIL;
    foreach (lc, sub->windowClause)
        if (bms_is_member(static_cast<int>(lfirst_node(WindowClause, lc)->winref), windows))
            kept = lappend(kept, lfirst(lc));
    sub->windowClause = kept;
    sub->hasWindowFuncs = kept != NIL;
}

} // namespace

void drop_unused_outputs(Query *q, int index, Query *sub) {
    if (sub->setOperations != nullptr || sub->distinctClause != NIL)
        return;
    const Reads reads(q, index);
    if (reads.whole_row())
        return;
    Bitmapset *refs = nullptr;
    note_refs(sub->groupClause, &refs);
    note_refs(sub->sortClause, &refs);
    keep_read_windows(sub, reads, refs);
    ListCell *lc;
    foreach (lc, sub->windowClause) {
        note_refs(lfirst_node(WindowClause, lc)->partitionClause, &refs);
        note_refs(lfirst_node(WindowClause, lc)->orderClause, &refs);
    }
    foreach (lc, sub->targetList) {
        auto *entry = lfirst_node(TargetEntry, lc);
        auto *value = reinterpret_cast<Node *>(entry->expr);
        if (!is_wanted(entry, reads, refs))
            entry->expr =
                reinterpret_cast<Expr *>(makeNullConst(exprType(value), exprTypmod(value), exprCollation(value)));
    }
}

} // namespace upkeep::analysis
