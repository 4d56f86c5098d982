#include "analysis/flatten.hpp"

#include "analysis/row_source.hpp"
#include "analysis/settle.hpp"

namespace upkeep::analysis {

bool Analyser::refuse(const char *code, const char *what, const char *why, const char *hint) {
    if (refusal == nullptr)
        refusal = make_refusal(code, what, why, hint);
    return false;
}

bool Analyser::not_yet(const char *what) {
    return refuse("unsupported-clause", what, psprintf("A query with %s is not maintained incrementally.", what),
                  "Rewrite the query without it, or register the materialized view with mode => 'manual'.");
}

bool Analyser::check_features(const Query *q) {
    if (q->commandType != CMD_SELECT || q->hasModifyingCTE)
        return not_yet("a data-modifying statement");
    if (q->hasRecursive)
        return not_yet("WITH RECURSIVE");
    if (q->rowMarks != NIL)
        return refuse("row-locking", "FOR UPDATE or FOR SHARE", "Row locking has no meaning in a maintained result.",
                      "Leave the locking clause out.");
    return true;
}

bool Analyser::query(Query *q, List *ctes, Arms *out) {
    check_stack_depth();
    if (!check_features(q))
        return false;
    ctes = lcons(q->cteList, list_copy(ctes));

    if (q->setOperations != nullptr)
        return set_operation(q, q->setOperations, ctes, out) && limit(q, visible_targets(q->targetList), out);

    Arm start;
    start.bindings.resize(list_length(q->rtable));
    out->clear();
    out->push_back(start);
    ListCell *lc;
    foreach (lc, q->jointree->fromlist)
        if (!from_item(q, static_cast<Node *>(lfirst(lc)), ctes, out))
            return false;
    if (!lift_scalars(q, ctes, out) || !add_quals(q, q->jointree->quals, ctes, out))
        return false;

    q->targetList = castNode(List, flatten_join_alias_vars(q, reinterpret_cast<Node *>(q->targetList)));
    int kept;
    List *targets = targets_of(q, &kept);
    if (!(q->hasWindowFuncs ? windows(q, targets, kept, out) : project(q, targets, kept, out)))
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

/// The rows of a query level before windows, DISTINCT and LIMIT: these expressions, grouped where the query groups.
/// Those beyond the first `kept` only make rows.
bool Analyser::project(Query *q, List *targets, int kept, Arms *arms) {
    if (q->hasAggs || q->groupClause != NIL || q->groupingSets != NIL || q->havingQual != nullptr)
        return aggregate(q, targets, kept, arms);
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

struct InputsRead {
    algebra::InputSet set = 0;
};

bool read_inputs(Node *node, void *context) {
    if (node == nullptr)
        return false;
    if (IsA(node, Var)) {
        static_cast<InputsRead *>(context)->set |= algebra::only(castNode(Var, node)->varno - 1);
        return false;
    }
    return pg::walk_tree(node, read_inputs, context);
}

/// From construction numbers (kInputBase + i) to final ones (i + 1).
Node *renumber(Node *node, void *) {
    if (node == nullptr)
        return nullptr;
    if (IsA(node, Var)) {
        auto *var = static_cast<Var *>(copyObjectImpl(node));
        var->varno = var->varno - kInputBase + 1;
        var->varnosyn = 0;
        var->varattnosyn = 0;
        return reinterpret_cast<Node *>(var);
    }
    return pg::mutate_tree(node, renumber, nullptr);
}

bool is_outer_reference(Node *node, void *) {
    if (node == nullptr)
        return false;
    if (IsA(node, Var))
        return castNode(Var, node)->varno < kInputBase || castNode(Var, node)->varlevelsup > 0;
    return pg::walk_tree(node, is_outer_reference, nullptr);
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
        return refuse("too-many-tables", "more than 60 relations in one join", "The plan would have too many terms.",
                      "Split the query into several materialized views.");
    for (const algebra::Input &input : arm.inputs)
        block->nodes.push_back(input.kind == algebra::InputKind::node ? view_->nodes[input.source] : nullptr);
    bool outer = is_outer_reference(reinterpret_cast<Node *>(arm.outputs), nullptr) ||
                 is_outer_reference(reinterpret_cast<Node *>(arm.quals), nullptr);
    for (const RangeTblEntry *rte : arm.rtes)
        outer |= is_outer_reference(row_expressions(rte), nullptr);
    if (outer)
        return not_yet("a correlated LATERAL subquery with aggregates or DISTINCT");
    block->inputs = arm.inputs;
    for (RangeTblEntry *rte : arm.rtes)
        block->rtes.push_back(map_row_expressions(rte, [](Node *node) { return renumber(node, nullptr); }));
    block->quals = reinterpret_cast<List *>(renumber(reinterpret_cast<Node *>(arm.quals), nullptr));
    block->outputs = reinterpret_cast<List *>(renumber(reinterpret_cast<Node *>(arm.outputs), nullptr));
    ListCell *lc;
    foreach (lc, block->quals) {
        auto *qual = static_cast<Node *>(lfirst(lc));
        InputsRead read;
        read_inputs(qual, &read);
        algebra::Qual shape{read.set, is_infallible(qual)};
        if (!ties_inputs(qual, &shape.left, &shape.right))
            shape.left = shape.right = -1;
        for (size_t i = 0; i < arm.inputs.size(); i++)
            shape.anti |= arm.inputs[i].role == algebra::Role::anti && algebra::has(read.set, static_cast<int>(i));
        block->qual_shapes.push_back(shape);
    }
    block->outputs_infallible = is_infallible(reinterpret_cast<Node *>(block->outputs));
    return check_row_sources(*block);
}

/// A row source that reads columns of two changed tables would be evaluated on phantom pairs, and may fail there.
bool Analyser::check_row_sources(const Block &block) {
    pg::Vector<algebra::InputSet> tables; // per input: the stored inputs that it comes from
    for (size_t i = 0; i < block.inputs.size(); i++) {
        algebra::InputSet from = 0;
        if (block.inputs[i].source >= 0) {
            from = algebra::only(static_cast<int>(i));
        } else {
            InputsRead read;
            read_inputs(row_expressions(block.rtes[i]), &read);
            for (size_t j = 0; j < i; j++)
                if (algebra::has(read.set, static_cast<int>(j)))
                    from |= tables[j];
            if (algebra::size(from) > 1)
                return not_yet("a function or VALUES list in FROM over columns of several tables");
        }
        tables.push_back(from);
    }
    return true;
}

bool Analyser::finish(const Arms &arms, Flow *flow) {
    for (const Arm &arm : arms) {
        auto *block = new (palloc(sizeof(Block))) Block();
        if (!finish_block(arm, block))
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

namespace {

bool note_columns(Node *node, void *context) {
    if (node == nullptr)
        return false;
    struct Noted {
        ViewQuery *view;
        const Block *block;
    };
    auto *noted = static_cast<Noted *>(context);
    if (IsA(node, Var)) {
        auto *var = castNode(Var, node);
        const algebra::Input &input = noted->block->inputs[var->varno - 1];
        if (input.kind == algebra::InputKind::table) {
            TableSource &table = noted->view->tables[input.source];
            table.used = bms_add_member(table.used, var->varattno - FirstLowInvalidHeapAttributeNumber);
        }
        return false;
    }
    return pg::walk_tree(node, note_columns, context);
}

void note_used_columns(ViewQuery *view, const Flow &flow) {
    for (Block *block : flow.blocks) {
        struct Noted {
            ViewQuery *view;
            const Block *block;
        } noted{view, block};
        note_columns(reinterpret_cast<Node *>(block->quals), &noted);
        note_columns(reinterpret_cast<Node *>(block->outputs), &noted);
        for (RangeTblEntry *rte : block->rtes)
            note_columns(row_expressions(rte), &noted);
    }
}

} // namespace

ViewQuery *analyse(const Query *query, Oid owner, const pg::Refusal **refusal) {
    auto *view = new (palloc(sizeof(ViewQuery))) ViewQuery();
    Analyser analyser(view, owner);
    Arms arms;
    // Where rows are computed again, the choices that SQL leaves open are to be the same.
    bool fine = analyser.query(settle(query, Choices::rows), NIL, &arms) && analyser.finish(arms, &view->output);
    if (fine) {
        for (GroupNode *node : view->nodes)
            note_used_columns(view, node->input);
        note_used_columns(view, view->output);
    }
    if (fine && view->tables.empty()) {
        analyser.refusal =
            make_refusal("no-table", "a query without base tables", "There is nothing whose changes could be followed.",
                         "Use a plain materialized view.");
        fine = false;
    }
    if (fine && view->output.columns.empty()) {
        analyser.refusal =
            make_refusal("no-columns", "a query without columns", "Its rows cannot be told apart or found again.",
                         "Select a column or a constant.");
        fine = false;
    }
    *refusal = analyser.refusal;
    return fine ? view : nullptr;
}

} // namespace upkeep::analysis
