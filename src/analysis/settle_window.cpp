// Windows in which no rows but copies are peers, and in which copies meet in one order.
#include "analysis/image_order.hpp"
#include "analysis/settle_internal.hpp"
#include "analysis/window_remedy.hpp"
#include "pg/entry.hpp"

extern "C" {
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parse_clause.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
}

namespace upkeep::analysis {
namespace {

constexpr Oid kGreaterEqual = 430; // pg_catalog.>=(bigint, integer)
constexpr int kWholePartition = FRAMEOPTION_NONDEFAULT | FRAMEOPTION_ROWS | FRAMEOPTION_BETWEEN |
                                FRAMEOPTION_START_UNBOUNDED_PRECEDING | FRAMEOPTION_END_UNBOUNDED_FOLLOWING;

// What rows must agree in to be exchanged without a trace: every part of the columns that is no window function.
bool collect_parts(Node *node, List **parts) {
    if (node == nullptr)
        return false;
    if (!IsA(node, List) && !IsA(node, NamedArgExpr) && !contain_windowfuncs(node) && !expression_returns_set(node) &&
        !contain_volatile_functions(node)) {
        *parts = lappend(*parts, node);
        return false;
    }
    return pg::walk_tree(
        node,
        [](Node *child, void *context) {
            return pg::guard([&] { return collect_parts(child, static_cast<List **>(context)); });
        },
        parts);
}

// Where a window is in the list: windows of a query are numbered from 1.
Index window_number(const Query *q, const WindowClause *window) {
    ListCell *cell;
    foreach (cell, q->windowClause)
        if (lfirst(cell) == window)
            return static_cast<Index>(foreach_current_index(cell) + 1);
    elog(ERROR, "a window is not there");
}

/// One level whose windows are settled.
class Windows {
  public:
    explicit Windows(Query *q) : q_(q) {
        if (q->hasTargetSRFs && q->groupClause != NIL)
            divide_from_groups();
        ListCell *cell;
        foreach (cell, q->targetList)
            collect_parts(reinterpret_cast<Node *>(lfirst_node(TargetEntry, cell)->expr), &parts_);
        parts_ = distinct_expressions(static_cast<List *>(copyObjectImpl(parts_)));
        copies_ = !tells_rows_apart(q, parts_);
    }

    void settle() {
        ListCell *cell;
        foreach (cell, q_->targetList) {
            auto *entry = lfirst_node(TargetEntry, cell);
            entry->expr = reinterpret_cast<Expr *>(replace(reinterpret_cast<Node *>(entry->expr)));
        }
        if (!running_.empty())
            split();
        if (!copies_)
            return;
        if (several_together())
            number_copies();
        while (List *first = first_of_several())
            nest(first);
    }

  private:
    struct Made {
        Index winref;
        Remedy remedy;
        WindowClause *window;
    };
    struct Running {
        WindowFunc *function;
        WindowClause *peers; // the groups of peers, by the image
    };

    WindowClause *find(Index winref) const {
        ListCell *cell;
        foreach (cell, q_->windowClause)
            if (lfirst_node(WindowClause, cell)->winref == winref)
                return lfirst_node(WindowClause, cell);
        elog(ERROR, "window %u is not there", winref);
    }

    WindowClause *make(const WindowClause *window, Remedy remedy);
    WindowClause *find_or_make(const WindowClause *window, Remedy remedy);
    Node *replace(Node *node);
    Node *replace_function(WindowFunc *function);
    Node *make_nth(WindowFunc *function, Index frame);
    void split();
    static bool numbers_copies(const Made &made);
    bool numbers_copies_in(const WindowClause *window) const;
    int place_outside(const WindowFunc *function) const;
    List *open_windows() const;
    List *first_of_several() const;
    bool several_together() const;
    void extend_orders(List *results);
    void nest(List *first);
    void number_copies();
    void divide_from_groups();
    Query *divide(List *windows);
    bool makes_set(Node *node) const;
    Node *lift(Node *node, Query *outer, Query *inner);

    Query *q_;
    List *parts_ = NIL;
    bool copies_ = false; // rows may be copies of each other
    pg::Vector<Made> made_;
    pg::Vector<Running> running_;
    List *outside_ = NIL; // windows that stay in the outer query while one is divided
    List *done_ = NIL;    // windows that a query below has
};

// The window that takes the place of another; nullptr if that has no peers that differ.
WindowClause *Windows::make(const WindowClause *window, Remedy remedy) {
    auto *result = static_cast<WindowClause *>(copyObjectImpl(window));
    result->name = nullptr;
    result->refname = nullptr;
    result->copiedOrder = false;
    List *before = list_concat(list_copy(result->partitionClause), result->orderClause);
    List *after = list_copy(before);
    const bool copies_matter = copies_ && (remedy == Remedy::order || remedy == Remedy::number);
    if (!is_ordered_by_image(before, q_->targetList, parts_)) {
        if (is_ungrouped(q_))
            order_as_source(q_, &after, &q_->targetList);
        order_by_image(&after, &q_->targetList, parts_);
    } else if (!copies_matter) {
        return nullptr;
    }
    const int npartition = list_length(result->partitionClause);
    if (remedy == Remedy::peers) {
        result->partitionClause = before;
        result->orderClause = list_copy_tail(after, list_length(before));
    } else {
        result->orderClause = list_copy_tail(after, npartition);
    }
    if (remedy == Remedy::number)
        result->frameOptions = FRAMEOPTION_DEFAULTS;
    else if (remedy == Remedy::running)
        result->frameOptions = FRAMEOPTION_DEFAULTS; // up to the last copy: which copy is the last is open
    else if (remedy != Remedy::order)
        result->frameOptions = kWholePartition;
    if (remedy != Remedy::order)
        result->startOffset = result->endOffset = nullptr;
    result->startInRangeFunc = result->endInRangeFunc = InvalidOid;
    ListCell *cell;
    foreach (cell, q_->windowClause)
        result->winref = std::max(result->winref, lfirst_node(WindowClause, cell)->winref);
    result->winref++;
    q_->windowClause = lappend(q_->windowClause, result);
    return result;
}

WindowClause *Windows::find_or_make(const WindowClause *window, Remedy remedy) {
    for (const Made &made : made_)
        if (made.winref == window->winref && made.remedy == remedy)
            return made.window;
    WindowClause *result = make(window, remedy);
    made_.push_back(Made{window->winref, remedy, result});
    return result;
}

Node *Windows::replace(Node *node) {
    if (node == nullptr)
        return nullptr;
    if (IsA(node, WindowFunc))
        return replace_function(castNode(WindowFunc, node));
    return pg::mutate_tree(
        node,
        [](Node *child, void *context) {
            return pg::guard([&] { return static_cast<Windows *>(context)->replace(child); });
        },
        this);
}

Node *Windows::replace_function(WindowFunc *function) {
    const WindowClause *window = find(function->winref);
    const Remedy remedy = find_remedy(function, window);
    if (remedy == Remedy::none)
        return reinterpret_cast<Node *>(function);
    WindowClause *settled = find_or_make(window, remedy);
    if (settled == nullptr)
        return reinterpret_cast<Node *>(function);
    const Index frame = function->winref;
    function->winref = settled->winref;
    if (remedy == Remedy::nth)
        return make_nth(function, frame);
    if (remedy == Remedy::running)
        running_.push_back(Running{function, find_or_make(window, Remedy::peers)});
    return reinterpret_cast<Node *>(function);
}

// CASE WHEN count(*) OVER (the frame) >= n THEN nth_value(x, n) OVER (the whole partition) END
Node *Windows::make_nth(WindowFunc *function, Index frame) {
    WindowFunc *count = makeNode(WindowFunc);
    count->winfnoid = F_COUNT_;
    count->wintype = INT8OID;
    count->winref = frame;
    count->winstar = true;
    count->winagg = true;
    count->location = -1;
    CaseWhen *when = makeNode(CaseWhen);
    when->expr = make_opclause(kGreaterEqual, BOOLOID, false, reinterpret_cast<Expr *>(count),
                               static_cast<Expr *>(copyObjectImpl(lsecond(function->args))), InvalidOid, InvalidOid);
    when->result = reinterpret_cast<Expr *>(function);
    when->location = -1;
    CaseExpr *result = makeNode(CaseExpr);
    result->casetype = function->wintype;
    result->casecollid = function->wincollid;
    result->args = list_make1(when);
    result->defresult = reinterpret_cast<Expr *>(
        makeNullConst(function->wintype, exprTypmod(reinterpret_cast<Node *>(function)), function->wincollid));
    result->location = -1;
    return reinterpret_cast<Node *>(result);
}

// A set that is a group key is made below the windows, all others are made above them. Its column becomes one of a query
// below.
void Windows::divide_from_groups() {
    outside_ = q_->windowClause;
    Query *inner = divide(outside_);
    inner->hasWindowFuncs = false;
    inner->windowClause = outside_ = NIL;
}

// Whether an expression has several values for each row of the level.
bool Windows::makes_set(Node *node) const {
    return expression_returns_set(node) &&
           !has_expression(get_sortgrouplist_exprs(q_->groupClause, q_->targetList), node);
}

// The level becomes a query with these windows over one with all others, which is returned.
Query *Windows::divide(List *windows) {
    Query *inner = makeNode(Query);
    *inner = *q_;
    inner->distinctClause = inner->sortClause = NIL;
    inner->hasDistinctOn = false;
    inner->limitOffset = inner->limitCount = nullptr;
    inner->limitOption = LIMIT_OPTION_COUNT;
    inner->targetList = NIL;
    ListCell *cell;
    foreach (cell, q_->targetList) { // what clauses refer to keeps its number
        const auto *entry = lfirst_node(TargetEntry, cell);
        auto *expression = reinterpret_cast<Node *>(entry->expr);
        if (entry->ressortgroupref == 0 || contain_windowfuncs(expression) || makes_set(expression))
            continue;
        auto *copy = static_cast<TargetEntry *>(copyObjectImpl(entry));
        copy->resno = static_cast<AttrNumber>(list_length(inner->targetList) + 1);
        copy->resjunk = false;
        inner->targetList = lappend(inner->targetList, copy);
    }

    Query *outer = begin_outer(inner);
    outer->windowClause = windows;
    foreach (cell, q_->targetList) {
        const auto *entry = lfirst_node(TargetEntry, cell);
        auto *copy = makeTargetEntry(
            reinterpret_cast<Expr *>(lift(reinterpret_cast<Node *>(entry->expr), outer, inner)),
            static_cast<AttrNumber>(list_length(outer->targetList) + 1), entry->resname, entry->resjunk);
        copy->ressortgroupref = entry->ressortgroupref;
        outer->targetList = lappend(outer->targetList, copy);
    }
    outer->windowClause = static_cast<List *>(copyObjectImpl(outer->windowClause));
    foreach (cell, outer->windowClause)
        lfirst_node(WindowClause, cell)->winref = static_cast<Index>(foreach_current_index(cell) + 1);
    outer->hasWindowFuncs = true;
    outer->hasTargetSRFs = expression_returns_set(reinterpret_cast<Node *>(outer->targetList));
    inner->hasTargetSRFs = expression_returns_set(reinterpret_cast<Node *>(inner->targetList));
    outer->distinctClause = q_->distinctClause;
    outer->hasDistinctOn = q_->hasDistinctOn;
    outer->sortClause = q_->sortClause;
    outer->limitOffset = q_->limitOffset;
    outer->limitCount = q_->limitCount;
    outer->limitOption = q_->limitOption;
    outer->hasSubLinks = q_->hasSubLinks;
    IncrementVarSublevelsUp(reinterpret_cast<Node *>(inner), 1, 1);
    finish_outer(outer, inner);
    *q_ = *outer;
    for (Made &made : made_) // the outer query has copies
        for (int i = 0; i < list_length(outside_); i++)
            if (list_nth(outside_, i) == made.window)
                made.window = list_nth_node(WindowClause, q_->windowClause, i);
    return inner;
}

// SELECT f(running(x) OVER (… ORDER BY o)) … becomes
// SELECT f(last_value(r) OVER (PARTITION BY …, o ORDER BY image)) FROM (SELECT …, running(x) OVER (… ORDER BY o, image)
// AS r …): of the peers, the last one has seen what all of them see, and so has each of its copies.
void Windows::split() {
    List *windows = NIL;
    for (const Running &running : running_)
        windows = list_append_unique_ptr(windows, running.peers);
    q_ = divide(windows);
    running_.clear();
}

// The settled windows that number copies of which none has the order. Those without PARTITION BY come last: a change of
// one row can change all their results, and with them all that is above.
List *Windows::open_windows() const {
    List *windows = NIL;
    for (const bool divided : {true, false})
        for (const Made &made : made_)
            if (numbers_copies(made) && !list_member_ptr(done_, made.window) &&
                (made.window->partitionClause != NIL) == divided)
                windows = list_append_unique_ptr(windows, made.window);
    return windows;
}

bool sort_alike(const WindowClause *a, const WindowClause *b) {
    return equal(a->partitionClause, b->partitionClause) && equal(a->orderClause, b->orderClause);
}

// Those that divide and sort as the first one does; NIL where all do.
List *Windows::first_of_several() const {
    List *windows = open_windows(), *same = NIL;
    ListCell *cell;
    foreach (cell, windows)
        if (sort_alike(linitial_node(WindowClause, windows), lfirst_node(WindowClause, cell)))
            same = lappend(same, lfirst(cell));
    return list_length(same) < list_length(windows) ? same : NIL;
}

// Whether some of them sort otherwise, and may be computed together (analysis/window.cpp).
bool Windows::several_together() const {
    List *windows = open_windows();
    for (int i = 0; i < list_length(windows); i++)
        for (int j = 0; j < i; j++) {
            const auto *a = list_nth_node(WindowClause, windows, i), *b = list_nth_node(WindowClause, windows, j);
            const bool together = a->partitionClause == NIL
                                      ? b->partitionClause == NIL
                                      : list_intersection(a->partitionClause, b->partitionClause) != NIL;
            if (together && !sort_alike(a, b))
                return true;
        }
    return false;
}

// Whether functions of this window make a difference between rows that are copies.
bool Windows::numbers_copies(const Made &made) {
    return made.window != nullptr && (made.remedy == Remedy::order || made.remedy == Remedy::number);
}

bool Windows::numbers_copies_in(const WindowClause *window) const {
    for (const Made &made : made_)
        if (made.window == window && numbers_copies(made))
            return true;
    return false;
}

// Where the window of a function is among those that stay outside; -1: it goes into the inner query.
int Windows::place_outside(const WindowFunc *function) const {
    if (outside_ != NIL)
        for (int i = 0; i < list_length(outside_); i++)
            if (list_nth_node(WindowClause, outside_, i)->winref == function->winref)
                return i;
    return -1;
}

// Of rows that are copies, it is open which gets which result of a window. A second window that divides or sorts
// otherwise must meet them in the same order: its ORDER BY goes on with the results of the first one, which a query
// below computes.
void Windows::nest(List *first) {
    done_ = list_concat(done_, first);
    outside_ = NIL;
    ListCell *cell;
    foreach (cell, q_->windowClause) {
        const auto *window = lfirst_node(WindowClause, cell);
        const bool goes_below = list_member_ptr(first, window) ||
                                (window->partitionClause != NIL && !numbers_copies_in(window));
        if (!goes_below)
            outside_ = lappend(outside_, lfirst(cell));
    }
    Query *inner = divide(outside_);
    List *results = NIL;
    foreach (cell, inner->targetList) {
        auto *entry = lfirst_node(TargetEntry, cell);
        ListCell *w;
        foreach (w, first)
            if (IsA(entry->expr, WindowFunc) &&
                reinterpret_cast<WindowFunc *>(entry->expr)->winref == lfirst_node(WindowClause, w)->winref)
                results = lappend(results, makeVarFromTargetEntry(1, entry));
    }
    extend_orders(results);
}

// Where windows that sort otherwise are computed together, they stay so over a query that numbers the copies.
void Windows::number_copies() {
    outside_ = q_->windowClause;
    Query *inner = divide(outside_);
    TargetEntry *number = add_copy_number(inner);
    finish_outer(q_, inner);
    extend_orders(list_make1(makeVarFromTargetEntry(1, number)));
    done_ = list_concat(done_, open_windows());
}

// Copies come in the order of what a query below says of them.
void Windows::extend_orders(List *results) {
    ListCell *cell;
    foreach (cell, q_->windowClause) {
        auto *window = lfirst_node(WindowClause, cell);
        if (!numbers_copies_in(window))
            continue;
        const int npartition = list_length(window->partitionClause);
        List *order = list_concat_copy(window->partitionClause, window->orderClause);
        order_by_image(&order, &q_->targetList, results);
        window->orderClause = list_copy_tail(order, npartition);
    }
}

// An expression over the columns of the inner query, which gets those that it needs.
Node *Windows::lift(Node *node, Query *outer, Query *inner) {
    struct Context {
        Windows *windows;
        Query *outer;
        Query *inner;
    } context{this, outer, inner};
    if (node == nullptr || IsA(node, Const))
        return node;
    // A row made for an order is made again outside: its type is no column's. So are sets.
    const bool is_expression = !IsA(node, List) && !IsA(node, CaseWhen) && !IsA(node, NamedArgExpr) &&
                               !IsA(node, RowExpr) && !makes_set(node);
    const int place = IsA(node, WindowFunc) ? place_outside(castNode(WindowFunc, node)) : -1;
    if (!is_expression || place >= 0 || (!IsA(node, WindowFunc) && contain_windowfuncs(node))) {
        Node *result = pg::mutate_tree(
            node,
            [](Node *child, void *c) {
                auto *levels = static_cast<Context *>(c);
                return pg::guard([&] { return levels->windows->lift(child, levels->outer, levels->inner); });
            },
            &context);
        if (place >= 0)
            castNode(WindowFunc, result)->winref = static_cast<Index>(place + 1);
        return result;
    }
    TargetEntry *column = nullptr;
    ListCell *cell;
    foreach (cell, inner->targetList)
        if (column == nullptr && equal(lfirst_node(TargetEntry, cell)->expr, node))
            column = lfirst_node(TargetEntry, cell);
    if (column == nullptr) {
        column = makeTargetEntry(reinterpret_cast<Expr *>(node),
                                 static_cast<AttrNumber>(list_length(inner->targetList) + 1), nullptr, false);
        inner->targetList = lappend(inner->targetList, column);
    }
    Var *var = makeVarFromTargetEntry(1, column);
    for (const Running &running : running_) {
        if (!equal(running.function, node))
            continue;
        WindowFunc *last = makeNode(WindowFunc);
        last->winfnoid = F_LAST_VALUE;
        last->wintype = var->vartype;
        last->wincollid = var->varcollid;
        last->inputcollid = var->varcollid;
        last->args = list_make1(var);
        last->winref = window_number(outer, running.peers);
        last->location = -1;
        return reinterpret_cast<Node *>(last);
    }
    return reinterpret_cast<Node *>(var);
}

} // namespace

void settle_windows(Query *q) {
    Windows(q).settle();
}

} // namespace upkeep::analysis
