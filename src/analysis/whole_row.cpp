// Whole rows (t, t.*::text, count(t)) and system columns.
#include "analysis/flatten.hpp"
#include "catalog/table_tree.hpp"

extern "C" {
#include "access/sysattr.h"
#include "parser/parse_relation.h"
}

namespace upkeep::analysis {

namespace {

/// The columns of an input; dropped ones are NULL.
List *input_columns(RangeTblEntry *rte, int index, int input, List **names) {
    List *columns = NIL;
    expandRTE(rte, index, 0, -1, true, names, &columns);
    ListCell *lc;
    foreach (lc, columns)
        if (IsA(lfirst(lc), Var))
            lfirst_node(Var, lc)->varno = kInputBase + input;
    return columns;
}

} // namespace

Node *Analyser::whole_row(const Arm &arm, const Var *var) {
    const Binding &binding = arm.bindings[static_cast<size_t>(var->varno - 1)];
    if (binding.absent)
        return reinterpret_cast<Node *>(makeNullConst(var->vartype, var->vartypmod, var->varcollid));
    RangeTblEntry *rte = rt_fetch(var->varno, arm.rtable);
    if (rte->rtekind == RTE_RELATION)
        view_->facts.push_back({RelationRelationId, rte->relid, 0, "row"});
    if (binding.row != nullptr)
        return static_cast<Node *>(copyObjectImpl(binding.row));
    List *names = rte->eref->colnames;
    RowExpr *row = makeNode(RowExpr);
    row->args = binding.columns != NIL ? static_cast<List *>(copyObjectImpl(binding.columns))
                                       : input_columns(rte, var->varno, binding.input, &names);
    row->row_typeid = var->vartype;
    row->row_format = var->vartype == RECORDOID ? COERCE_IMPLICIT_CAST : COERCE_EXPLICIT_CAST;
    row->colnames = var->vartype == RECORDOID ? static_cast<List *>(copyObjectImpl(names)) : NIL;
    row->location = -1;
    return reinterpret_cast<Node *>(row);
}

Node *system_column(const Arm &arm, const Var *var) {
    const Binding &binding = arm.bindings[static_cast<size_t>(var->varno - 1)];
    const RangeTblEntry *rte = rt_fetch(var->varno, arm.rtable);
    if (var->varattno != TableOidAttributeNumber || rte->rtekind != RTE_RELATION)
        return nullptr;
    if (binding.absent)
        return reinterpret_cast<Node *>(makeNullConst(OIDOID, -1, InvalidOid));
    if (binding.nullable || rte->relkind != RELKIND_RELATION ||
        (rte->inh && catalog::has_inheritance_children(rte->relid)))
        return nullptr;
    return reinterpret_cast<Node *>(
        makeConst(OIDOID, -1, InvalidOid, sizeof(Oid), ObjectIdGetDatum(rte->relid), false, true));
}

} // namespace upkeep::analysis
