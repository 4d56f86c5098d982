#include "analysis/flatten.hpp"
#include "analysis/levels.hpp"

#include "analysis/row_source.hpp"
#include "analysis/settle.hpp"

namespace upkeep::analysis {

bool Analyser::refuse(const char *code, const char *what, const char *why, const char *hint) {
    if (refusal == nullptr)
        refusal = make_refusal(code, what, why, hint);
    return false;
}

bool Analyser::no_rule(const char *what) {
    return refuse(kNoRule, what, psprintf("There is no rule for %s here.", what), "");
}

bool Analyser::check_features(const Query *q) {
    if (q->commandType != CMD_SELECT || q->hasModifyingCTE)
        refusal = data_modifying();
    if (q->rowMarks != NIL)
        refusal = row_locking();
    return refusal == nullptr;
}

bool Analyser::query(Query *q, List *ctes, Arms *out) {
    check_stack_depth();
    const bool chain = std::exchange(in_chain_, false);
    const bool fine = check_features(q) && query_level(q, ctes, out);
    in_chain_ = chain;
    return fine;
}

bool Analyser::query_level(Query *q, List *ctes, Arms *out) {
    ctes = lcons(q->cteList, list_copy(ctes));
    auto contain = [&](auto *&tree) {
        tree = reinterpret_cast<std::remove_reference_t<decltype(tree)>>(
            self_contained(reinterpret_cast<Node *>(tree), ctes, view_));
    };
    if (q->hasSubLinks) {
        contain(q->targetList);
        contain(q->jointree);
        contain(q->havingQual);
        contain(q->limitCount);
        contain(q->limitOffset);
    }

    if (q->setOperations != nullptr)
        return set_operation(q, q->setOperations, ctes, out) && limit(q, visible_targets(q->targetList), out);

    move_scalar_conditions(q);
    Arm start;
    start.bindings.resize(list_length(q->rtable));
    start.rtable = q->rtable;
    out->clear();
    out->push_back(start);
    ListCell *lc;
    foreach (lc, q->jointree->fromlist)
        if (!from_item(q, static_cast<Node *>(lfirst(lc)), ctes, out))
            return false;
    if (!where(q, ctes, out))
        return false;

    q->targetList = castNode(List, flatten_join_alias_vars(q, reinterpret_cast<Node *>(q->targetList)));
    if (q->hasWindowFuncs)
        guard_window_arguments(q);
    int kept;
    List *targets = targets_of(q, &kept);
    if (!(q->hasWindowFuncs ? windows(q, targets, kept, ctes, out) : project(q, targets, kept, ctes, out)))
        return false;
    targets = list_truncate(targets, kept);
    if (q->hasDistinctOn) {
        if (!distinct_on(q, targets, out))
            return false;
    } else if (q->distinctClause != NIL && !distinct(q->targetList, q->distinctClause, out)) {
        return false;
    }
    if (!limit(q, targets, out))
        return false;
    const int visible = list_length(visible_targets(q->targetList));
    for (Arm &arm : *out)
        arm.outputs = list_truncate(list_copy(arm.outputs), visible);
    return true;
}

bool is_empty(const Arm &arm, int first_qual) {
    algebra::InputSet anti = 0;
    for (size_t i = 0; i < arm.inputs.size() && i < algebra::kMaxInputs; i++)
        anti |= arm.inputs[i].role == algebra::Role::anti ? algebra::only(static_cast<int>(i)) : 0;
    for (int i = first_qual; i < list_length(arm.quals); i++) {
        auto *qual = static_cast<Node *>(list_nth(arm.quals, i));
        if ((inputs_read(qual).set & anti) == 0 && is_never_true(qual))
            return true;
    }
    return false;
}

/// WHERE, which leaves out the arms that have no rows: those that NULLs stand in for what is not there, mostly.
bool Analyser::where(Query *q, List *ctes, Arms *arms) {
    if (!lift_scalars(q, ctes, arms) || !add_quals(q, q->jointree->quals, ctes, arms))
        return false;
    Arms kept;
    for (const Arm &arm : *arms)
        if (!is_empty(arm, 0))
            kept.push_back(arm);
    if (!kept.empty())
        *arms = kept;
    return true;
}

/// The rows of a query level before windows, DISTINCT and LIMIT: these expressions, grouped where the query groups.
/// Those beyond the first `kept` only make rows.
bool Analyser::project(Query *q, List *targets, int kept, List *ctes, Arms *arms) {
    if (q->hasAggs || q->groupClause != NIL || q->groupingSets != NIL || q->havingQual != nullptr)
        return aggregate(q, targets, kept, ctes, arms);
    for (Arm &arm : *arms) {
        arm.outputs = castNode(List, resolve(reinterpret_cast<Node *>(targets), arm));
        if (refusal != nullptr || !check_tree(reinterpret_cast<Node *>(arm.outputs)))
            return false;
        expand_sets(&arm, kept);
    }
    return true;
}

bool Analyser::check_tree(Node *expression) {
    refusal = refusal != nullptr ? refusal : check_expression(expression, view_);
    return refusal == nullptr;
}

List *visible_targets(const List *target_list) {
    List *result = NIL;
    ListCell *lc;
    foreach (lc, target_list) {
        auto *tle = lfirst_node(TargetEntry, lc);
        if (!tle->resjunk)
            result = lappend(result, tle->expr);
    }
    return result;
}

namespace {

/// The inputs of a finished block.
algebra::InputSet read_inputs(Node *tree) {
    algebra::InputSet set = 0;
    for_each_var(tree, [&](const Var *var, int depth) {
        if (static_cast<int>(var->varlevelsup) == depth)
            set |= algebra::only(var->varno - 1);
    });
    return set;
}

/// Whether something in it may raise an error and reads several inputs, or is evaluated only where another part allows
/// it.
bool can_fail_together(Node *node, void *context) {
    if (node == nullptr || is_infallible(node) || algebra::size(read_inputs(node)) <= 1)
        return false;
    const bool evaluates_all = IsA(node, List) || IsA(node, OpExpr) || IsA(node, FuncExpr) || IsA(node, RelabelType) ||
                               IsA(node, DistinctExpr);
    return !evaluates_all || may_fail_by_itself(node) || pg::walk_tree(node, can_fail_together, context);
}

/// From construction numbers (kInputBase + i) to final ones (i + 1).
Node *renumber(Node *tree) {
    return replace_vars(tree, [](const Var *var, int depth) {
        auto *copy = static_cast<Var *>(copyObjectImpl(var));
        if (static_cast<int>(var->varlevelsup) == depth) {
            copy->varno = var->varno - kInputBase + 1;
            copy->varnosyn = 0;
            copy->varattnosyn = 0;
        }
        return reinterpret_cast<Node *>(copy);
    });
}

/// Where a node has an expression over its columns as a column of its own, that is read instead.
Node *use_computed(Node *tree, void *context) {
    if (tree == nullptr || IsA(tree, Var) || IsA(tree, Const))
        return tree;
    const auto *block = static_cast<const Block *>(context);
    for (size_t i = 0; !IsA(tree, List) && i < block->nodes.size(); i++)
        for (size_t c = 0; block->nodes[i] != nullptr && c < block->nodes[i]->computed.size(); c++) {
            const auto &[column, expression] = block->nodes[i]->computed[c];
            auto *own = static_cast<Node *>(copyObjectImpl(expression));
            ChangeVarNodes(own, 1, static_cast<int>(i) + 1, 0);
            if (equal(own, tree))
                return reinterpret_cast<Node *>(makeVar(static_cast<int>(i) + 1, static_cast<AttrNumber>(column),
                                                        exprType(tree), exprTypmod(tree), exprCollation(tree), 0));
        }
    return pg::mutate_tree(tree, use_computed, context);
}

/// A plain equality between columns of two different inputs.
bool ties_inputs(Node *qual, int *left, int *right) {
    if (!IsA(qual, OpExpr) || list_length(castNode(OpExpr, qual)->args) != 2)
        return false;
    auto *op = castNode(OpExpr, qual);
    auto strip = [](Node *n) {
        return IsA(n, RelabelType) ? reinterpret_cast<Node *>(castNode(RelabelType, n)->arg) : n;
    };
    Node *a = strip(static_cast<Node *>(linitial(op->args)));
    Node *b = strip(static_cast<Node *>(lsecond(op->args)));
    if (!IsA(a, Var) || !IsA(b, Var) || castNode(Var, a)->varno == castNode(Var, b)->varno)
        return false;
    if (!op_hashjoinable(op->opno, exprType(static_cast<Node *>(linitial(op->args)))))
        return false;
    *left = castNode(Var, a)->varno - 1;
    *right = castNode(Var, b)->varno - 1;
    return true;
}

} // namespace

bool Analyser::finish_block(const Arm &arm, Block *block) {
    if (arm.inputs.size() > algebra::kMaxInputs)
        return no_rule("more than 60 relations in one join");
    for (const algebra::Input &input : arm.inputs) {
        if (input.kind == algebra::InputKind::node && input.source >= kOpenNode)
            return no_rule("a recursive reference below grouping, DISTINCT, a window or LIMIT");
        block->nodes.push_back(input.kind == algebra::InputKind::node ? view_->nodes[input.source] : nullptr);
    }
    bool outer = inputs_read(reinterpret_cast<Node *>(arm.outputs)).unresolved ||
                 inputs_read(reinterpret_cast<Node *>(arm.quals)).unresolved;
    for (const RangeTblEntry *rte : arm.rtes)
        outer |= inputs_read(row_expressions(rte)).unresolved;
    if (outer)
        return no_rule("a correlated LATERAL subquery with aggregates or DISTINCT");
    block->inputs = arm.inputs;
    auto prepare = [&](Node *e) { return use_stored_paths(renumber(e)); };
    for (RangeTblEntry *rte : arm.rtes)
        block->rtes.push_back(map_row_expressions(rte, prepare));
    block->quals = reinterpret_cast<List *>(prepare(reinterpret_cast<Node *>(arm.quals)));
    block->outputs = reinterpret_cast<List *>(prepare(reinterpret_cast<Node *>(arm.outputs)));
    if (refusal != nullptr)
        return false;
    block->quals = reinterpret_cast<List *>(use_computed(reinterpret_cast<Node *>(block->quals), block));
    ListCell *lc;
    foreach (lc, block->quals) {
        auto *qual = static_cast<Node *>(lfirst(lc));
        const algebra::InputSet read = read_inputs(qual);
        algebra::Qual shape{read, is_infallible(qual), !can_fail_together(qual, nullptr)};
        if (!ties_inputs(qual, &shape.left, &shape.right))
            shape.left = shape.right = -1;
        for (size_t i = 0; i < arm.inputs.size(); i++)
            shape.anti |= arm.inputs[i].role == algebra::Role::anti && algebra::has(read, static_cast<int>(i));
        block->qual_shapes.push_back(shape);
    }
    for (const auto &[input, touch] : arm.touches) {
        auto *qual = renumber(touch);
        algebra::Qual shape{read_inputs(qual), true, true};
        if (!ties_inputs(qual, &shape.left, &shape.right))
            shape.left = shape.right = -1;
        shape.watched = input;
        block->quals = lappend(block->quals, qual);
        block->qual_shapes.push_back(shape);
    }
    block->outputs_infallible = is_infallible(reinterpret_cast<Node *>(block->outputs));
    return true;
}

bool Analyser::finish(const Arms &arms, Flow *flow) {
    for (const Arm &arm : arms) {
        auto *block = new (palloc(sizeof(Block))) Block();
        Arm enclosed = arm;
        if (!enclose(&enclosed) || !finish_block(enclosed, block))
            return false;
        flow->blocks.push_back(block);
    }
    ListCell *lc;
    foreach (lc, arms[0].outputs) {
        auto *e = static_cast<Node *>(lfirst(lc));
        flow->columns.push_back({exprType(e), exprTypmod(e), exprCollation(e)});
    }
    return true;
}

void note_column(ViewQuery *view, TableSource *table, AttrNumber column) {
    if (column != 0) {
        table->used = bms_add_member(table->used, column - FirstLowInvalidHeapAttributeNumber);
        return;
    }
    Relation rel = table_open(table->relid, AccessShareLock);
    for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
        if (!TupleDescAttr(RelationGetDescr(rel), i)->attisdropped)
            table->used = bms_add_member(table->used, i + 1 - FirstLowInvalidHeapAttributeNumber);
    table_close(rel, NoLock);
    view->facts.push_back({RelationRelationId, table->relid, 0, "row"});
}

namespace {

void note_columns(ViewQuery *view, const Block &block, Node *tree) {
    for_each_var(tree, [&](const Var *var, int depth) {
        if (static_cast<int>(var->varlevelsup) != depth)
            return;
        const algebra::Input &input = block.inputs[var->varno - 1];
        if (input.kind != algebra::InputKind::table)
            return;
        TableSource &table = view->tables[input.source];
        note_column(view, &table, var->varattno);
    });
}

void note_used_columns(ViewQuery *view, const Flow &flow) {
    for (Block *block : flow.blocks) {
        note_columns(view, *block, reinterpret_cast<Node *>(block->quals));
        note_columns(view, *block, reinterpret_cast<Node *>(block->outputs));
        for (RangeTblEntry *rte : block->rtes)
            note_columns(view, *block, row_expressions(rte));
    }
}

/// Of the tables of a query that is run whole.
void note_all_columns(ViewQuery *view, const Bitmapset *tables) {
    for (int t = -1; (t = bms_next_member(tables, t)) >= 0;) {
        TableSource &table = view->tables[static_cast<size_t>(t)];
        Relation rel = table_open(table.relid, AccessShareLock);
        for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
            if (!TupleDescAttr(RelationGetDescr(rel), i)->attisdropped)
                table.used = bms_add_member(table.used, i + 1 - FirstLowInvalidHeapAttributeNumber);
        table_close(rel, NoLock);
    }
}

/// What every query must have, however it is maintained.
const pg::Refusal *check_shape(const ViewQuery &view) {
    if (view.tables.empty())
        return make_refusal("no-table", "a query without base tables",
                            "There is nothing whose changes could be followed.", "Use a plain materialized view.");
    if (view.output.columns.empty())
        return make_refusal("no-columns", "a query without columns", "Its rows cannot be told apart or found again.",
                            "Select a column or a constant.");
    return nullptr;
}

template <typename Walk> ViewQuery *analyse_by(Oid owner, const pg::Refusal **refusal, Walk walk) {
    auto *view = new (palloc(sizeof(ViewQuery))) ViewQuery();
    Analyser analyser(view, owner);
    Arms arms;
    if (walk(analyser, &arms) && analyser.finish(arms, &view->output)) {
        for (GroupNode *node : view->nodes) {
            note_used_columns(view, node->input);
            note_all_columns(view, node->tables);
        }
        note_used_columns(view, view->output);
        analyser.refusal = check_shape(*view);
    }
    *refusal = analyser.refusal;
    return analyser.refusal == nullptr ? view : nullptr;
}

} // namespace

ViewQuery *analyse(const Query *query, Oid owner, const pg::Refusal **refusal) {
    // Where rows are computed again, the choices that SQL leaves open are to be the same.
    ViewQuery *view = analyse_by(owner, refusal, [&](Analyser &analyser, Arms *arms) {
        return analyser.query(settle(query, Choices::rows), NIL, arms);
    });
    return view == nullptr && is_want_of_rule(**refusal) ? analyse_whole(query, owner, refusal) : view;
}

ViewQuery *analyse_whole(const Query *query, Oid owner, const pg::Refusal **refusal) {
    return analyse_by(owner, refusal,
                      [&](Analyser &analyser, Arms *arms) { return analyser.run_whole(settle(query), arms); });
}

} // namespace upkeep::analysis
