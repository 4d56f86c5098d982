// Many outer joins one above the other. Each doubles the arms, so beyond a few of them what stands on the outer side of
// a join becomes a derived node, of which the join above reads one arm:
//
//   X₁ = A ⟕ B₁      Xᵢ = Xᵢ₋₁ ⟕ Bᵢ = (Xᵢ₋₁ ⋈ Bᵢ) ⊎ (Xᵢ₋₁ ▷ Bᵢ) × NULLs
//
// A change of A passes through two blocks for each join. SQL that reads Xᵢ has the join as such inside, and not the two
// blocks, which would have the two of Xᵢ₋₁ inside each, and so on.
//
// Through a FULL JOIN the planner passes no key down, so the rows of one are stored, with the expressions by which the
// joins above are tied (of USING: coalesce of both sides' columns) as columns of their own, which can be indexed.
#include "analysis/flatten.hpp"
#include "analysis/levels.hpp"

extern "C" {
#include "optimizer/clauses.h"
#include "parser/parse_relation.h"
}

namespace upkeep::analysis {

namespace {

/// From so many outer joins in one item of FROM on, or so many FULL ones, of which each triples the arms.
constexpr int kLong = 4;
constexpr int kFull = 2;

struct JoinCounts {
    int outer = 0;
    int full = 0;
};

void count_joins(const Node *item, JoinCounts *counts) {
    if (!IsA(item, JoinExpr))
        return;
    const auto *join = reinterpret_cast<const JoinExpr *>(item);
    counts->outer += join->jointype != JOIN_INNER ? 1 : 0;
    counts->full += join->jointype == JOIN_FULL ? 1 : 0;
    count_joins(join->larg, counts);
    count_joins(join->rarg, counts);
}

bool is_bound(const Binding &binding) {
    return binding.input >= 0 || binding.columns != NIL;
}

/// The columns of what is bound in the arm that the query mentions anywhere, as Vars of the query's own level.
List *mentioned_columns(Query *q, const Arm &arm) {
    List *columns = NIL;
    auto note = [&](const Var *var, int depth) {
        if (static_cast<int>(var->varlevelsup) != depth || var->varno > list_length(q->rtable))
            return;
        auto *own = static_cast<Var *>(copyObjectImpl(var));
        own->varlevelsup = 0;
        for_each_var(flatten_join_alias_vars(q, reinterpret_cast<Node *>(own)), [&](const Var *base, int level) {
            if (level > 0 || base->varlevelsup > 0 || !is_bound(arm.bindings[static_cast<size_t>(base->varno - 1)]))
                return;
            auto *column = static_cast<Var *>(copyObjectImpl(base));
            column->location = -1;
            column->varnosyn = 0;
            column->varattnosyn = 0;
            columns = list_append_unique(columns, column);
        });
    };
    for_each_var(reinterpret_cast<Node *>(q), note, -1);
    return columns;
}

/// System columns, and rows of no named type, are no columns of a node.
bool can_be_columns(const List *columns) {
    ListCell *lc;
    foreach (lc, columns)
        if (lfirst_node(Var, lc)->varattno < 0 ||
            (lfirst_node(Var, lc)->varattno == 0 && lfirst_node(Var, lc)->vartype == RECORDOID))
            return false;
    return true;
}

Node *column_of(int relation, int number, const Node *like) {
    return reinterpret_cast<Node *>(makeVar(relation, static_cast<AttrNumber>(number), exprType(like), exprTypmod(like),
                                            exprCollation(like), 0));
}

bool has_subquery(const Arm &arm) {
    return !arm.watches.empty() ||
           std::any_of(arm.inputs.begin(), arm.inputs.end(),
                       [](const algebra::Input &input) { return input.kind == algebra::InputKind::subquery; });
}

/// What is bound in `from` reads the columns of the only input of the arm.
void bind_to_columns(Query *q, const Arm &from, const List *columns, Arm *arm) {
    for (size_t i = 0; i < from.bindings.size(); i++) {
        if (!is_bound(from.bindings[i]))
            continue;
        const int index = static_cast<int>(i) + 1;
        Binding &binding = arm->bindings[i] = Binding();
        binding.nullable = true;
        expandRTE(rt_fetch(index, q->rtable), index, 0, -1, true, nullptr, &binding.columns);
        ListCell *lc;
        foreach (lc, binding.columns) {
            const Node *column = static_cast<Node *>(lfirst(lc));
            lfirst(lc) = makeNullConst(exprType(column), exprTypmod(column), exprCollation(column));
        }
        foreach (lc, columns) {
            const Var *var = lfirst_node(Var, lc);
            if (var->varno != index)
                continue;
            Node *column = column_of(kInputBase, foreach_current_index(lc) + 1, reinterpret_cast<const Node *>(var));
            if (var->varattno == 0)
                binding.row = column;
            else
                lfirst(list_nth_cell(binding.columns, var->varattno - 1)) = column;
        }
    }
}

struct Tied {
    Query *q;
    const Arm *arm;
    const List *columns;
    List *found = NIL;
};

/// An expression over what is bound in the arm, evaluated for every row without harm.
bool can_be_computed(Node *expression, const Tied &tied) {
    bool own = true, reads = false;
    for_each_var(expression, [&](const Var *var, int depth) {
        reads = true;
        own &= depth == 0 && var->varlevelsup == 0 && is_bound(tied.arm->bindings[static_cast<size_t>(var->varno - 1)]);
    });
    return own && reads && !contain_subplans(expression) && is_infallible(expression) &&
           get_typtype(exprType(expression)) != TYPTYPE_PSEUDO && can_be_columns(pull_var_clause(expression, 0));
}

/// The sides of equalities, in WHERE and ON, that are more than a column.
bool collect_tied(Node *node, void *context) {
    if (node == nullptr || IsA(node, SubLink))
        return false;
    auto *tied = static_cast<Tied *>(context);
    if (IsA(node, OpExpr) && list_length(castNode(OpExpr, node)->args) == 2) {
        ListCell *lc;
        foreach (lc, castNode(OpExpr, node)->args) {
            Node *side = flatten_join_alias_vars(tied->q, static_cast<Node *>(copyObjectImpl(lfirst(lc))));
            while (IsA(side, RelabelType))
                side = reinterpret_cast<Node *>(castNode(RelabelType, side)->arg);
            if (!IsA(side, Var) && op_hashjoinable(castNode(OpExpr, node)->opno, exprType(side)) &&
                can_be_computed(side, *tied))
                tied->found = list_append_unique(tied->found, side);
        }
        return false;
    }
    return pg::walk_tree(node, collect_tied, context);
}

/// Expressions that become columns behind the `columns`, and are noted as such.
List *computed_columns(Query *q, const Arm &arm, const List *columns, GroupNode *node) {
    Tied tied{q, &arm, columns};
    collect_tied(reinterpret_cast<Node *>(q->jointree), &tied);
    ListCell *lc;
    foreach (lc, tied.found) {
        Node *own = replace_vars(static_cast<Node *>(lfirst(lc)), [&](const Var *var, int) {
            ListCell *c;
            foreach (c, columns)
                if (lfirst_node(Var, c)->varno == var->varno && lfirst_node(Var, c)->varattno == var->varattno)
                    return column_of(1, foreach_current_index(c) + 1, reinterpret_cast<const Node *>(var));
            elog(ERROR, "a column that a join is tied by is not there");
        });
        node->computed.push_back({list_length(columns) + foreach_current_index(lc) + 1, own});
    }
    return tied.found;
}

} // namespace

bool is_long_chain(const JoinExpr *join) {
    JoinCounts counts;
    count_joins(reinterpret_cast<const Node *>(join), &counts);
    return counts.outer >= kLong || counts.full >= kFull;
}

bool has_full_join(const Node *item) {
    JoinCounts counts;
    count_joins(item, &counts);
    return counts.full > 0;
}

/// The join by itself, and then beside each of the arms. Refused where it reads what stands before it.
bool Analyser::outer_join_beside(Query *q, JoinExpr *join, List *ctes, Arms *arms) {
    Arm start;
    start.bindings.resize((*arms)[0].bindings.size());
    start.rtable = (*arms)[0].rtable;
    Arms own, result;
    own.push_back(start);
    if (!outer_join(q, join, ctes, &own))
        return false;
    for (const Arm &arm : *arms)
        for (const Arm &part : own) {
            const int by = static_cast<int>(arm.inputs.size());
            auto *kept = arm.outputs;
            Arm next = merge(arm, part);
            next.outputs = kept;
            for (size_t i = 0; i < part.bindings.size(); i++) {
                if (!is_bound(part.bindings[i]))
                    continue;
                Binding &binding = next.bindings[i] = part.bindings[i];
                binding.input += binding.input >= 0 ? by : 0;
                binding.columns = castNode(List, shift_inputs(reinterpret_cast<Node *>(binding.columns), by));
                binding.row = binding.row == nullptr ? nullptr : shift_inputs(binding.row, by);
            }
            result.push_back(next);
        }
    if (result.size() > kMaxArms)
        return no_rule("outer joins with more than 64 combinations");
    *arms = result;
    return refusal == nullptr;
}

/// The two sides as blocks of their own, and the conditions between their columns. Without effect where the inner side
/// cannot stand by itself.
bool Analyser::write_as_join(const Arm &outer, const Arms &matched, const List *columns, GroupNode *node) {
    auto *join = new (palloc(sizeof(OuterJoin))) OuterJoin();
    Arm left = outer;
    left.outputs = NIL;
    if (has_subquery(outer))
        return true;
    for (const Arm &arm : matched) {
        Correlation own;
        if (has_subquery(arm))
            return true;
        if (!correlate(outer, arm, &own))
            return false;
        const auto outside = algebra::only(static_cast<int>(outer.inputs.size())) - 1;
        const bool first = &arm == &matched[0];
        List *shown = NIL;
        ListCell *lc;
        foreach (lc, columns) {
            auto *var = lfirst_node(Var, lc);
            Node *value = to_inputs(reinterpret_cast<Node *>(var), arm);
            if (is_bound(outer.bindings[static_cast<size_t>(var->varno - 1)])) {
                if (!first)
                    continue;
                left.outputs = lappend(left.outputs, value);
                join->outputs = lappend(join->outputs, column_of(1, list_length(left.outputs), value));
                continue;
            }
            if ((inputs_read(value).set & outside) != 0)
                return true;
            shown = lappend(shown, value);
            if (first)
                join->outputs = lappend(join->outputs, column_of(2, list_length(shown), value));
        }
        for (int t = 0; first && t < list_length(own.ties); t++) {
            auto *tie = static_cast<OpExpr *>(copyObjectImpl(list_nth(own.ties, t)));
            auto *outer_side = static_cast<Node *>(list_nth(own.outer_sides, t));
            auto *inner_side = static_cast<Node *>(list_nth(own.inner_sides, t));
            left.outputs = lappend(left.outputs, outer_side);
            Node *l = column_of(1, list_length(left.outputs), outer_side);
            Node *r = column_of(2, list_length(shown) + t + 1, inner_side);
            tie->args = equal(linitial(tie->args), inner_side) ? list_make2(r, l) : list_make2(l, r);
            join->on = lappend(join->on, tie);
        }
        foreach (lc, own.outer_only) {
            if (!first)
                return true;
            left.outputs = lappend(left.outputs, lfirst(lc));
            join->on = lappend(join->on, column_of(1, list_length(left.outputs), static_cast<Node *>(lfirst(lc))));
        }
        own.inner_sides = list_concat(shown, own.inner_sides);
        join->right.push_back(new (palloc(sizeof(Block))) Block());
        if (!finish_block(inner_arm(outer, arm, own), join->right.back()))
            return false;
    }
    join->left = new (palloc(sizeof(Block))) Block();
    if (!finish_block(left, join->left))
        return false;
    node->as_join = join;
    return true;
}

/// What is bound in `from` reads the node's columns.
static Arm arm_over_join(Query *q, int number, const Arm &from, const List *columns) {
    Arm above = arm_over_node(number);
    above.bindings = from.bindings;
    above.rtable = from.rtable;
    bind_to_columns(q, from, columns, &above);
    return above;
}

/// The arms become the flow of a node, and one arm over it takes their place. They are those of a join between `outer`
/// and its matches, or (nullptr) any. Without effect where the query reads what a node has no column for.
bool Analyser::collapse(Query *q, const JoinExpr *join, Arms *arms, const Arm *outer, const Arms &matched) {
    const Arm any = (*arms)[0];
    const List *columns = mentioned_columns(q, any);
    if ((arms->size() == 1 && !has_subquery(any)) || !can_be_columns(columns))
        return true;
    auto *node = new (palloc(sizeof(GroupNode))) GroupNode();
    const bool stored = join != nullptr && join->jointype == JOIN_FULL;
    node->kind = stored ? NodeKind::fixpoint : NodeKind::derived;
    node->function_name = "full join";
    List *outputs = list_copy(columns);
    if (stored)
        outputs = list_concat(outputs, computed_columns(q, any, columns, node));
    Arms flow = *arms;
    for (Arm &arm : flow) {
        arm.outputs = castNode(List, to_inputs(reinterpret_cast<Node *>(outputs), arm));
        if (outputs == NIL) // rows without columns still have to be counted
            arm.outputs = list_make1(makeBoolConst(true, false));
    }
    if (refusal != nullptr || (outer != nullptr && columns != NIL && !write_as_join(*outer, matched, columns, node)) ||
        !finish(flow, &node->input))
        return false;
    node->columns = node->input.columns;
    view_->nodes.push_back(node);
    const int number = static_cast<int>(view_->nodes.size()) - 1;
    if (join != nullptr)
        collapsed_.push_back({join, node, number, columns, any});
    arms->clear();
    arms->push_back(arm_over_join(q, number, any, columns));
    return true;
}

/// The node of a join that has been taken before: a FULL JOIN reads its sides twice.
bool Analyser::use_collapsed(Query *q, const JoinExpr *join, Arms *arms) {
    for (const Collapsed &c : collapsed_) {
        if (c.join != join || static_cast<size_t>(c.number) >= view_->nodes.size() ||
            view_->nodes[static_cast<size_t>(c.number)] != c.node)
            continue;
        for (const Binding &binding : (*arms)[0].bindings)
            if (is_bound(binding))
                return false;
        arms->clear();
        arms->push_back(arm_over_join(q, c.number, c.bound, c.columns));
        return true;
    }
    return false;
}

} // namespace upkeep::analysis
