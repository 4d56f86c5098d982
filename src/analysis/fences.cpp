// Conditions that the query evaluates behind others.
//
// All conditions of flattened queries end up beside each other, and the server may evaluate any of them first. That is what
// it does with the query itself, except at a fence: a condition above an outer join is evaluated for what the join makes
// of its nullable side, unless it turns the join into an inner one; one above a materialized CTE or a security barrier
// view, for the rows of that. Where such a condition can fail, what it reads from behind the fence is read where the
// conditions there hold: CASE WHEN these THEN … END.
#include "analysis/flatten.hpp"

extern "C" {
#include "optimizer/clauses.h"
}

namespace upkeep::analysis {

namespace {

bool has_link(Node *node, void *) {
    return node != nullptr && (IsA(node, SubLink) || pg::walk_tree(node, has_link, nullptr));
}

/// SQL alone has the inputs of NOT EXISTS, and these conditions not as such.
bool can_be_repeated(Node *qual, const Arm &arm) {
    const algebra::InputSet read = inputs_read(qual).set;
    for (size_t i = 0; i < arm.inputs.size(); i++)
        if (algebra::has(read, static_cast<int>(i)) && arm.inputs[i].role != algebra::Role::inner)
            return false;
    return true;
}

bool is_open(const Fence &fence, const Bitmapset *filled) {
    for (int i = 0; i < algebra::kMaxInputs; i++)
        if (!fence.firm && algebra::has(fence.inputs, i) && bms_is_member(kInputBase + i, filled))
            return true;
    return false;
}

Node *guarded(Node *expression, algebra::InputSet inputs, List *guards) {
    if ((inputs_read(expression).set & inputs) == 0 || is_infallible(expression))
        return expression;
    return reinterpret_cast<Node *>(only_where(make_ands_explicit(guards), reinterpret_cast<Expr *>(expression)));
}

} // namespace

bool is_materialized(const CommonTableExpr *cte) {
    return cte->ctematerialized == CTEMaterializeAlways ||
           (cte->ctematerialized == CTEMaterializeDefault && cte->cterefcount > 1);
}

void add_fence(Arm *arm, size_t first_input, int first_qual, bool firm) {
    Fence fence{0, NIL, firm};
    for (size_t i = first_input; i < arm->inputs.size() && i < algebra::kMaxInputs; i++)
        fence.inputs |= algebra::only(static_cast<int>(i));
    for (int i = first_qual; i < list_length(arm->quals); i++)
        if (can_be_repeated(static_cast<Node *>(list_nth(arm->quals, i)), *arm))
            fence.quals = lappend(fence.quals, list_nth(arm->quals, i));
    if (fence.quals != NIL)
        arm->fences.push_back(fence);
}

/// The inputs that conditions keep from being all NULL: an outer join with one on its nullable side is an inner join.
Bitmapset *Analyser::filled_by(const List *conditions, const Arm &arm) {
    Bitmapset *filled = nullptr;
    const ListCell *lc;
    foreach (lc, conditions)
        if (!arm.fences.empty() && !has_link(static_cast<Node *>(lfirst(lc)), nullptr))
            filled = bms_add_members(filled, find_nonnullable_rels(to_inputs(static_cast<Node *>(lfirst(lc)), arm)));
    return filled;
}

Node *behind_fences(Node *conjunct, const Arm &arm, const Bitmapset *filled) {
    List *guards = NIL;
    algebra::InputSet inputs = 0;
    if (arm.fences.empty() || is_infallible(conjunct))
        return conjunct;
    const algebra::InputSet read = inputs_read(conjunct).set;
    for (const Fence &fence : arm.fences) {
        if ((fence.inputs & read) == 0 || is_open(fence, filled))
            continue;
        inputs |= fence.inputs;
        guards = list_concat_unique(guards, fence.quals);
    }
    if (guards == NIL)
        return conjunct;
    auto *op = reinterpret_cast<OpExpr *>(conjunct);
    if (!IsA(conjunct, OpExpr) || list_length(op->args) != 2 ||
        !op_mergejoinable(op->opno, exprType(static_cast<Node *>(linitial(op->args)))))
        return guarded(conjunct, inputs, guards);
    // It stays an equality, which may tie two inputs.
    auto *equality = static_cast<OpExpr *>(copyObjectImpl(op));
    ListCell *lc;
    foreach (lc, equality->args)
        lfirst(lc) = guarded(static_cast<Node *>(lfirst(lc)), inputs, guards);
    return reinterpret_cast<Node *>(equality);
}

} // namespace upkeep::analysis
