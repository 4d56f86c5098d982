#include "maintain/evaluator.hpp"

extern "C" {
#include "optimizer/optimizer.h"
}

namespace upkeep::maintain {

namespace {

bool note_last_column(Node *node, void *context) {
    if (node == nullptr)
        return false;
    if (IsA(node, Var)) {
        auto *last = static_cast<AttrNumber *>(context);
        *last = std::max(*last, castNode(Var, node)->varattno);
        return false;
    }
    return pg::walk_tree(node, note_last_column, context);
}

/// Columns of inputs become columns of the wide row.
Node *widen(Node *node, void *context) {
    if (node == nullptr)
        return nullptr;
    if (IsA(node, Var)) {
        auto *var = static_cast<Var *>(copyObjectImpl(node));
        const auto &wide = *static_cast<const pg::Vector<lower::WideColumn> *>(context);
        for (size_t i = 0; i < wide.size(); i++)
            if (wide[i].input == var->varno - 1 && wide[i].attno == var->varattno) {
                var->varno = 1;
                var->varattno = static_cast<AttrNumber>(i + 1);
                break;
            }
        return reinterpret_cast<Node *>(var);
    }
    return pg::mutate_tree(node, widen, context);
}

ExprState *prepare(Node *expression) {
    return ExecInitExpr(expression_planner(static_cast<Expr *>(copyObjectImpl(expression))), nullptr);
}

} // namespace

Evaluator *Evaluator::compile(List *quals, List *outputs) {
    auto *e = pg::create<Evaluator>();
    e->context_ = CreateStandaloneExprContext();
    if (quals != NIL) {
        Node *all = reinterpret_cast<Node *>(make_ands_explicit(static_cast<List *>(copyObjectImpl(quals))));
        Expr *planned = expression_planner(reinterpret_cast<Expr *>(all));
        List *conjuncts = make_ands_implicit(planned);
        e->qual_ = conjuncts == NIL ? nullptr : ExecInitQual(conjuncts, nullptr);
        note_last_column(reinterpret_cast<Node *>(conjuncts), &e->last_column_);
    }
    e->count_ = list_length(outputs);
    e->outputs_ = pg::create_array<Output>(static_cast<size_t>(e->count_));
    e->values_ = pg::create_array<Datum>(static_cast<size_t>(e->count_));
    e->nulls_ = pg::create_array<bool>(static_cast<size_t>(e->count_));
    note_last_column(reinterpret_cast<Node *>(outputs), &e->last_column_);
    for (int i = 0; i < e->count_; i++) {
        auto *output = static_cast<Node *>(list_nth(outputs, i));
        if (IsA(output, Var))
            e->outputs_[i].column = castNode(Var, output)->varattno;
        else
            e->outputs_[i].state = prepare(output);
    }
    return e;
}

Evaluator *Evaluator::over_input(const analysis::Block &block) {
    return compile(block.quals, block.outputs); // its only input is joined
}

Evaluator *Evaluator::over_wide(const analysis::Block &block, const pg::Vector<lower::WideColumn> &wide,
                                bool with_quals) {
    auto *context = const_cast<pg::Vector<lower::WideColumn> *>(&wide);
    List *quals = NIL;
    for (int i = 0; with_quals && i < list_length(block.quals); i++)
        if (lower::evaluates_late(block.qual_shapes[i]))
            quals = lappend(quals, widen(static_cast<Node *>(list_nth(block.quals, i)), context));
    return compile(quals, reinterpret_cast<List *>(widen(reinterpret_cast<Node *>(block.outputs), context)));
}

Evaluator *Evaluator::over_relevant(const analysis::Block &block, int input) {
    List *quals = NIL;
    for (int i = 0; i < list_length(block.quals); i++)
        if (algebra::filters_rows(block.qual_shapes[i], input))
            quals = lappend(quals, list_nth(block.quals, i));
    return quals == NIL ? nullptr : compile(quals, NIL);
}

bool Evaluator::accepts(TupleTableSlot *slot) {
    ResetExprContext(context_);
    context_->ecxt_scantuple = slot;
    if (last_column_ > 0)
        slot_getsomeattrs(slot, last_column_);
    return qual_ == nullptr || ExecQual(qual_, context_);
}

bool Evaluator::outputs(TupleTableSlot *slot, const Datum **values, const bool **nulls) {
    if (!accepts(slot))
        return false;
    for (int i = 0; i < count_; i++) {
        const Output &o = outputs_[i];
        if (o.state == nullptr) {
            values_[i] = slot->tts_values[o.column - 1];
            nulls_[i] = slot->tts_isnull[o.column - 1];
        } else {
            values_[i] = ExecEvalExprSwitchContext(o.state, context_, &nulls_[i]);
        }
    }
    *values = values_;
    *nulls = nulls_;
    return true;
}

bool Evaluator::row(TupleTableSlot *slot, RowSink &sink, int64 weight) {
    const Datum *values;
    const bool *nulls;
    if (!outputs(slot, &values, &nulls))
        return false;
    sink.add(values, nulls, weight);
    return true;
}

} // namespace upkeep::maintain
