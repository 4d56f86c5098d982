// Subqueries that are evaluated as they stand: they become inputs of their block, and the relations that they read are
// watched. Any subquery can be taken in like this; the other files know better ways for most.
#include "analysis/flatten.hpp"
#include "analysis/guards.hpp"
#include "analysis/levels.hpp"
#include "analysis/row_source.hpp"
#include "analysis/settle.hpp"

extern "C" {
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
}

namespace upkeep::analysis {

using algebra::InputKind;
using algebra::Role;

bool is_want_of_rule(const pg::Refusal &refusal) {
    return strcmp(refusal.code, kNoRule) == 0;
}

bool Analyser::retreat(const Mark &mark) {
    if (refusal == nullptr || !is_want_of_rule(*refusal))
        return false;
    refusal = nullptr;
    view_->nodes.resize(mark.nodes);
    view_->tables.resize(mark.tables);
    view_->facts.resize(mark.facts);
    return true;
}

namespace {

bool has_link(Node *node, void *) {
    if (node == nullptr)
        return false;
    return IsA(node, SubLink) || pg::walk_tree(node, has_link, nullptr);
}

/// A query that gives one row of these expressions.
Query *row_of(List *expressions) {
    Query *q = makeNode(Query);
    q->commandType = CMD_SELECT;
    q->canSetTag = true;
    q->hasSubLinks = true;
    q->jointree = makeFromExpr(NIL, nullptr);
    ListCell *lc;
    foreach (lc, expressions) {
        const int n = list_length(q->targetList) + 1;
        q->targetList = lappend(q->targetList, makeTargetEntry(static_cast<Expr *>(lfirst(lc)),
                                                               static_cast<AttrNumber>(n), psprintf("c%d", n), false));
    }
    return q;
}

} // namespace

/// The subquery input that gives the value of an expression's subquery, or of an expression that guards one.
Node *Analyser::lift_links(Node *expression, Arm &arm) {
    if (!has_link(expression, nullptr))
        return expression;
    struct Context {
        Analyser *analyser;
        Arm *arm;
        static Node *expand(Node *node, void *context) {
            if (node == nullptr)
                return nullptr;
            auto *c = static_cast<Context *>(context);
            return IsA(node, SubLink) ? c->analyser->expand_any(castNode(SubLink, node), *c->arm)
                                      : pg::mutate_tree(node, expand, context);
        }
        static Node *mutate(Node *node, void *context) {
            if (node == nullptr)
                return nullptr;
            if (!IsA(node, SubLink) && !guards_subquery(node))
                return pg::mutate_tree(node, mutate, context);
            auto *c = static_cast<Context *>(context);
            Node *value = expand(node, context);
            const Oid type = exprType(value), collation = exprCollation(value);
            const int32 typmod = exprTypmod(value);
            IncrementVarSublevelsUp(value, 1, 0);
            const int input = c->analyser->add_subquery(row_of(list_make1(value)), *c->arm);
            if (input < 0)
                return node;
            return reinterpret_cast<Node *>(makeVar(kInputBase + input, 1, type, typmod, collation, 0));
        }
    } context{this, &arm};
    return Context::mutate(expression, &context);
}

int Analyser::add_subquery(Query *given, Arm &arm) {
    // Evaluated over the old and over the new states, it must choose alike.
    Query *subquery = settle(given);
    refusal = refusal != nullptr ? refusal : check_subquery(subquery, view_);
    if (refusal != nullptr)
        return -1;
    RangeTblEntry *rte = makeNode(RangeTblEntry);
    rte->rtekind = RTE_SUBQUERY;
    rte->subquery = subquery;
    rte->lateral = true;
    rte->inFromCl = true;
    List *names = NIL;
    ListCell *lc;
    foreach (lc, subquery->targetList)
        if (!lfirst_node(TargetEntry, lc)->resjunk)
            names = lappend(names, makeString(psprintf("c%d", list_length(names) + 1)));
    rte->alias = makeAlias("s", names);
    rte->eref = makeAlias("s", names);
    const int input = static_cast<int>(arm.inputs.size());
    arm.inputs.push_back({InputKind::subquery, -1});
    arm.rtes.push_back(rte);
    return watch(arm, input, subquery) ? input : -1;
}

/// A subquery in FROM that reads columns to its left.
bool Analyser::add_lateral(Query *, Query *sub, int index, List *ctes, Arms *arms) {
    auto *contained = reinterpret_cast<Query *>(self_contained(reinterpret_cast<Node *>(sub), ctes, view_));
    for (Arm &arm : *arms) {
        auto *own = reinterpret_cast<Query *>(to_inputs(reinterpret_cast<Node *>(contained), arm));
        const int input = refusal == nullptr ? add_subquery(own, arm) : -1;
        if (input < 0)
            return false;
        arm.bindings[index - 1].input = input;
    }
    return true;
}

namespace {

void collect_indexes(Node *item, Bitmapset **indexes) {
    if (IsA(item, RangeTblRef)) {
        *indexes = bms_add_member(*indexes, castNode(RangeTblRef, item)->rtindex);
        return;
    }
    auto *join = castNode(JoinExpr, item);
    *indexes = bms_add_member(*indexes, join->rtindex);
    collect_indexes(join->larg, indexes);
    collect_indexes(join->rarg, indexes);
}

/// References of subqueries to the CTEs around the tree: one level further up. `depth`: of the tree's own level, 0.
bool raise_cte_references(Node *node, void *context) {
    if (node == nullptr)
        return false;
    if (!IsA(node, Query))
        return pg::walk_tree(node, raise_cte_references, context);
    int depth = *static_cast<int *>(context) + 1;
    ListCell *lc;
    foreach (lc, castNode(Query, node)->rtable) {
        auto *rte = lfirst_node(RangeTblEntry, lc);
        if (rte->rtekind == RTE_CTE && static_cast<int>(rte->ctelevelsup) >= depth)
            rte->ctelevelsup++;
    }
    return pg::walk_query(castNode(Query, node), raise_cte_references, &depth, 0);
}

/// What stands in a query as its columns of these range table entries, so that it can stand one level deeper: the
/// entries move along, all else becomes a reference to the level above.
Node *one_level_down(Node *tree, const Bitmapset *moved) {
    Node *result = replace_vars(tree, [&](const Var *var, int depth) {
        auto *copy = static_cast<Var *>(copyObjectImpl(var));
        const int up = static_cast<int>(var->varlevelsup);
        if (up > depth || (up == depth && !bms_is_member(var->varno, moved)))
            copy->varlevelsup++;
        return reinterpret_cast<Node *>(copy);
    });
    int depth = 0;
    raise_cte_references(result, &depth);
    return result;
}

/// Adds the columns of one side to a join's entry; returns their numbers.
List *add_side(Query *q, Node *side, RangeTblEntry *join) {
    const int index = IsA(side, RangeTblRef) ? castNode(RangeTblRef, side)->rtindex : castNode(JoinExpr, side)->rtindex;
    List *names = NIL, *vars = NIL, *numbers = NIL;
    expandRTE(rt_fetch(index, q->rtable), index, 0, -1, false, &names, &vars);
    ListCell *lc;
    foreach (lc, vars)
        numbers = lappend_int(numbers, lfirst_node(Var, lc)->varattno);
    join->joinaliasvars = list_concat(join->joinaliasvars, vars);
    join->eref->colnames = list_concat(join->eref->colnames, names);
    return numbers;
}

/// A join that nothing refers to by its own columns. The server prints no join without them.
Node *plain_join(Query *q, JoinType type, Node *left, Node *right, Node *quals) {
    RangeTblEntry *rte = makeNode(RangeTblEntry);
    rte->rtekind = RTE_JOIN;
    rte->jointype = type;
    rte->eref = makeAlias("unnamed_join", NIL);
    rte->inFromCl = true;
    rte->joinleftcols = add_side(q, left, rte);
    rte->joinrightcols = add_side(q, right, rte);
    q->rtable = lappend(q->rtable, rte);
    JoinExpr *join = makeNode(JoinExpr);
    join->jointype = type;
    join->larg = left;
    join->rarg = right;
    join->quals = quals == nullptr ? makeBoolConst(true, false) : quals;
    join->rtindex = list_length(q->rtable);
    return reinterpret_cast<Node *>(join);
}

} // namespace

namespace {

/// A query one level below `q` that can read the entries of `moved` as `q` does; the others keep the numbers right.
Query *query_over(Query *q, const Bitmapset *moved) {
    Query *sub = makeNode(Query);
    sub->commandType = CMD_SELECT;
    sub->canSetTag = true;
    sub->hasSubLinks = true;
    int index = 0;
    ListCell *lc;
    foreach (lc, q->rtable) {
        index++;
        auto *rte = lfirst_node(RangeTblEntry, lc);
        RangeTblEntry *entry = makeNode(RangeTblEntry);
        entry->rtekind = RTE_RESULT;
        entry->eref = makeAlias("unused", NIL);
        if (bms_is_member(index, moved) && rte->rtekind != RTE_JOIN) {
            entry = map_row_expressions(static_cast<RangeTblEntry *>(copyObjectImpl(rte)), [&](Node *e) {
                return one_level_down(e == nullptr ? e : flatten_join_alias_vars(q, e), moved);
            });
            if (rte->rtekind == RTE_CTE)
                entry->ctelevelsup++;
            else if (rte->rtekind == RTE_SUBQUERY)
                entry->lateral = true;
        }
        sub->rtable = lappend(sub->rtable, entry);
    }
    return sub;
}

/// A condition of `q` as it reads in that query. Joins lose their alias entries: everything refers to what they join.
Node *condition_below(Query *q, Node *condition, const Bitmapset *moved) {
    return condition == nullptr ? nullptr : one_level_down(flatten_join_alias_vars(q, condition), moved);
}

/// An item of FROM in that query.
Node *item_below(Query *q, Node *item, Query *sub, const Bitmapset *moved) {
    check_stack_depth();
    if (IsA(item, RangeTblRef))
        return static_cast<Node *>(copyObjectImpl(item));
    auto *join = castNode(JoinExpr, item);
    Node *left = item_below(q, join->larg, sub, moved), *right = item_below(q, join->rarg, sub, moved);
    return plain_join(sub, join->jointype, left, right, condition_below(q, join->quals, moved));
}

} // namespace

/// The arms' rows for which no row of `item` satisfies the condition, by NOT EXISTS as it stands.
bool Analyser::keep_without_match(Query *q, Node *item, Node *quals, List *ctes, Arms *arms) {
    Bitmapset *moved = nullptr;
    collect_indexes(item, &moved);
    Query *sub = query_over(q, moved);
    Node *below = item_below(q, item, sub, moved);
    sub->jointree = makeFromExpr(list_make1(below), condition_below(q, quals, moved));
    sub->targetList =
        list_make1(makeTargetEntry(reinterpret_cast<Expr *>(makeBoolConst(true, false)), 1, pstrdup("c1"), false));
    SubLink *link = makeNode(SubLink);
    link->subLinkType = EXISTS_SUBLINK;
    link->subselect = self_contained(reinterpret_cast<Node *>(sub), ctes, view_);
    link->location = -1;
    for (Arm &arm : *arms) {
        Node *matched = resolve(reinterpret_cast<Node *>(link), arm);
        if (refusal != nullptr)
            return false;
        arm.quals = lappend(list_copy(arm.quals), make_notclause(reinterpret_cast<Expr *>(matched)));
    }
    return true;
}

namespace {

/// (SELECT FROM (one row) LEFT JOIN inner ON quals), without outputs yet.
Query *nullable_query(Query *q, Node *inner, Node *quals, Bitmapset *moved) {
    Query *sub = query_over(q, moved);
    RangeTblEntry *one = makeNode(RangeTblEntry);
    one->rtekind = RTE_VALUES;
    one->values_lists = list_make1(list_make1(makeBoolConst(true, false)));
    one->coltypes = list_make1_oid(BOOLOID);
    one->coltypmods = list_make1_int(-1);
    one->colcollations = list_make1_oid(InvalidOid);
    one->eref = one->alias = makeAlias("one", list_make1(makeString(pstrdup("c1"))));
    one->inFromCl = true;
    sub->rtable = lappend(sub->rtable, one);
    RangeTblRef *ref = makeNode(RangeTblRef);
    ref->rtindex = list_length(sub->rtable);
    Node *right = item_below(q, inner, sub, moved);
    sub->jointree = makeFromExpr(
        list_make1(plain_join(sub, JOIN_LEFT, reinterpret_cast<Node *>(ref), right, condition_below(q, quals, moved))),
        nullptr);
    return sub;
}

/// What a query mentions of some of its relations.
class Mentioned {
  public:
    Mentioned(Query *q, Bitmapset *relations) {
        rows_.resize(list_length(q->rtable), nullptr);
        for_each_var(
            reinterpret_cast<Node *>(q),
            [&](const Var *var, int depth) {
                if (static_cast<int>(var->varlevelsup) != depth || !bms_is_member(var->varno, relations))
                    return;
                if (var->varattno > 0)
                    note(var);
                else if (var->varattno == 0)
                    rows_[static_cast<size_t>(var->varno - 1)] = var;
            },
            -1);
        // Columns of joins read those of what they join.
        for (int join_index = -1; (join_index = bms_next_member(relations, join_index)) >= 0;) {
            RangeTblEntry *rte = rt_fetch(join_index, q->rtable);
            if (rte->rtekind != RTE_JOIN)
                continue;
            for_each_var(flatten_join_alias_vars(q, reinterpret_cast<Node *>(rte->joinaliasvars)),
                         [&](const Var *var, int) {
                             if (var->varlevelsup == 0)
                                 note(var);
                         });
        }
    }

    bool has_column(int relation, AttrNumber column) const {
        return bms_is_member(number(relation, column), columns_);
    }
    /// The whole row, or nullptr.
    const Var *row(int relation) const { return rows_[static_cast<size_t>(relation - 1)]; }

  private:
    static int number(int relation, int column) { return relation * 2000 + column; }
    void note(const Var *var) { columns_ = bms_add_member(columns_, number(var->varno, var->varattno)); }

    Bitmapset *columns_ = nullptr;
    pg::Vector<const Var *> rows_;
};

/// Adds an output; returns its number.
AttrNumber add_output(Query *sub, Node *output) {
    const auto n = static_cast<AttrNumber>(list_length(sub->targetList) + 1);
    sub->targetList =
        lappend(sub->targetList, makeTargetEntry(reinterpret_cast<Expr *>(output), n, psprintf("c%d", n), false));
    return n;
}

/// Makes the mentioned columns of a relation outputs. Returns what stands for the relation's columns and row: Vars of
/// these outputs, with the relation's number still.
Binding select_mentioned(Query *q, int relation, const Mentioned &mentioned, Query *sub) {
    Binding binding;
    if (const Var *row = mentioned.row(relation)) {
        auto *var = static_cast<Var *>(copyObjectImpl(row));
        var->varlevelsup = 0;
        const AttrNumber n = add_output(sub, reinterpret_cast<Node *>(var));
        binding.row = reinterpret_cast<Node *>(makeVar(relation, n, row->vartype, row->vartypmod, row->varcollid, 0));
    }
    List *vars = NIL;
    expandRTE(rt_fetch(relation, q->rtable), relation, 0, -1, true, nullptr, &vars);
    ListCell *v;
    foreach (v, vars) {
        Node *column = static_cast<Node *>(lfirst(v));
        Var *var = IsA(column, Var) ? castNode(Var, column) : nullptr;
        if (var != nullptr && mentioned.has_column(relation, var->varattno))
            var->varattno = add_output(sub, static_cast<Node *>(copyObjectImpl(var)));
        else if (var != nullptr)
            column = reinterpret_cast<Node *>(makeNullConst(var->vartype, var->vartypmod, var->varcollid));
        binding.columns = lappend(binding.columns, column);
    }
    return binding;
}

Node *read_from_input(Node *node, int input) {
    return replace_vars(node, [&](const Var *var, int) {
        auto *copy = static_cast<Var *>(copyObjectImpl(var));
        copy->varno = kInputBase + input;
        return reinterpret_cast<Node *>(copy);
    });
}

} // namespace

/// The inner side of an outer join, with its condition, as a lateral subquery that gives a row of NULLs where nothing
/// matches: (SELECT inner.* FROM (one row) LEFT JOIN inner ON quals), of the columns that the query mentions.
bool Analyser::add_nullable(Query *q, Node *inner, Node *quals, List *ctes, Arms *arms) {
    Bitmapset *moved = nullptr;
    collect_indexes(inner, &moved);
    Query *sub = nullable_query(q, inner, quals, moved);
    const Mentioned mentioned(q, moved);
    pg::Vector<Binding> bindings;
    bindings.resize(list_length(q->rtable));
    for (int i = -1; (i = bms_next_member(moved, i)) >= 0;)
        if (rt_fetch(i, q->rtable)->rtekind != RTE_JOIN)
            bindings[i - 1] = select_mentioned(q, i, mentioned, sub);
    if (sub->targetList == NIL)
        add_output(sub, makeBoolConst(true, false));
    auto *own_ctes = reinterpret_cast<Query *>(self_contained(reinterpret_cast<Node *>(sub), ctes, view_));
    for (Arm &arm : *arms) {
        auto *own = reinterpret_cast<Query *>(to_inputs(reinterpret_cast<Node *>(own_ctes), arm));
        const int input = refusal == nullptr ? add_subquery(own, arm) : -1;
        if (input < 0)
            return false;
        for (int i = -1; (i = bms_next_member(moved, i)) >= 0;) {
            Binding &binding = arm.bindings[i - 1];
            const Binding &selected = bindings[i - 1];
            binding.input = -1;
            binding.nullable = true;
            binding.columns =
                reinterpret_cast<List *>(read_from_input(reinterpret_cast<Node *>(selected.columns), input));
            binding.row = selected.row == nullptr ? nullptr : read_from_input(selected.row, input);
        }
    }
    return true;
}

} // namespace upkeep::analysis
