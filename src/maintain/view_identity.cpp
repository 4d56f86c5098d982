#include "maintain/view_identity.hpp"

#include "maintain/identity.hpp"

extern "C" {
#include "catalog/pg_constraint.h"
}

namespace upkeep::maintain {

using analysis::Block;

namespace {

/// The primary key of a base table that is not deferrable: its columns, or empty.
pg::Vector<AttrNumber> primary_key(Oid relid, Oid *constraint) {
    pg::Vector<AttrNumber> key;
    Bitmapset *columns = get_primary_key_attnos(relid, false, constraint);
    for (int x = -1; (x = bms_next_member(columns, x)) >= 0;)
        key.push_back(static_cast<AttrNumber>(x + FirstLowInvalidHeapAttributeNumber));
    return key;
}

/// Whether a conjunct equates a column of `input` with one of another input, by the equality that keys are unique by.
/// The two columns are given to `visit(column, other_input)`.
template <typename Visit> void for_each_tie(const Block &block, int input, Visit visit) {
    ListCell *lc;
    foreach (lc, block.quals) {
        auto *op = static_cast<OpExpr *>(lfirst(lc));
        if (!IsA(op, OpExpr) || list_length(op->args) != 2)
            continue;
        for (int side = 0; side < 2; side++) {
            auto *mine = static_cast<Var *>(list_nth(op->args, side)),
                 *others = static_cast<Var *>(list_nth(op->args, 1 - side));
            if (!IsA(mine, Var) || !IsA(others, Var) || mine->varno != input + 1 || others->varno == mine->varno)
                continue;
            const TypeCacheEntry *type = lookup_type_cache(mine->vartype, TYPECACHE_BTREE_OPFAMILY);
            if (op->inputcollid == mine->varcollid && OidIsValid(type->btree_opf) &&
                get_op_opfamily_strategy(op->opno, type->btree_opf) == BTEqualStrategyNumber)
                visit(mine->varattno, others->varno - 1);
        }
    }
}

/// Whether one row of each input of `given` leaves at most one row of this input: all of its key is tied to theirs.
bool is_determined(const Block &block, int input, const pg::Vector<AttrNumber> &key, algebra::InputSet given) {
    pg::Vector<AttrNumber> open = key;
    for_each_tie(block, input, [&](AttrNumber column, int other) {
        if (algebra::has(given, other))
            open.erase(std::remove(open.begin(), open.end(), column), open.end());
    });
    return open.empty();
}

/// The inputs whose keys together identify a row of the block, when every input has a key: those that the others follow
/// from, along ties of whole keys.
algebra::InputSet identifying_inputs(const Block &block, const pg::Vector<pg::Vector<AttrNumber>> &keys) {
    const int n = static_cast<int>(keys.size());
    const auto identify = [&](algebra::InputSet chosen) {
        algebra::InputSet reached = chosen;
        for (bool more = true; more;) {
            more = false;
            for (int i = 0; i < n; i++)
                if (!algebra::has(reached, i) && is_determined(block, i, keys[i], reached)) {
                    reached |= algebra::only(i);
                    more = true;
                }
        }
        return std::popcount(reached) == n;
    };
    algebra::InputSet chosen = 0;
    for (int i = 0; i < n; i++)
        chosen |= algebra::only(i);
    for (int i = n - 1; i >= 0; i--)
        if (identify(chosen & ~algebra::only(i)))
            chosen &= ~algebra::only(i);
    return chosen;
}

/// Where a column of an input is shown bare in the block's outputs; 0: nowhere.
AttrNumber shown_bare(const Block &block, int input, AttrNumber attno) {
    for (int o = 0; o < list_length(block.outputs); o++) {
        auto *e = static_cast<Node *>(list_nth(block.outputs, o));
        if (IsA(e, Var) && castNode(Var, e)->varno == input + 1 && castNode(Var, e)->varattno == attno)
            return static_cast<AttrNumber>(o + 1);
    }
    return 0;
}

/// Where a single block of tables with primary keys shows those bare that all the rest follows from, they are a key of
/// the view.
bool key_from_primary_keys(Design *design, const analysis::ViewQuery &query) {
    if (query.output.blocks.size() != 1)
        return false;
    const Block &block = *query.output.blocks[0];
    pg::Vector<pg::Vector<AttrNumber>> keys;
    for (size_t i = 0; i < block.inputs.size(); i++) {
        if (block.inputs[i].kind != algebra::InputKind::table || !query.tables[block.inputs[i].source].constrained)
            return false;
        Oid constraint = InvalidOid;
        keys.push_back(primary_key(block.rtes[i]->relid, &constraint));
        if (keys.back().empty())
            return false;
        design->keys_relied_on.push_back({ConstraintRelationId, constraint, 0, "key"});
    }
    const algebra::InputSet identifying = identifying_inputs(block, keys);
    for (int i = 0; i < static_cast<int>(keys.size()); i++)
        for (AttrNumber attno : keys[i]) {
            if (!algebra::has(identifying, i))
                continue;
            const AttrNumber column = shown_bare(block, i, attno);
            if (column == 0)
                return false;
            const analysis::ColumnType &t = query.output.columns[column - 1];
            design->view_key.push_back(column);
            design->view_key_equality.push_back(lookup_type_cache(t.type, TYPECACHE_EQ_OPR)->eq_opr);
            design->view_key_collation.push_back(t.collation);
        }
    return true;
}

/// The keys of the only node below, where all are shown bare: a key of the view.
bool key_from_node(Design *design, const NodeProgram &node, const Block &top) {
    pg::Vector<AttrNumber> found;
    for (int k = 0; k < node.node->nkeys(); k++) {
        const AttrNumber shown = shown_as(top, k + 1);
        if (shown == 0)
            return false;
        found.push_back(shown);
        design->view_key_equality.push_back(node.node->keys[k].equality);
        design->view_key_collation.push_back(node.node->keys[k].collation);
    }
    design->view_key = found;
    return true;
}

} // namespace

void choose_view_identity(Design *design, Relation view) {
    Program *p = design->program;
    const analysis::ViewQuery &query = *p->query;
    const Block *top = query.output.blocks.size() == 1 ? query.output.blocks[0] : nullptr;
    const bool over_node = top != nullptr && top->inputs.size() == 1 &&
                           top->inputs[0].kind == algebra::InputKind::node &&
                           top->nodes[0]->kind == analysis::NodeKind::group;
    bool keyed = false;
    if (over_node) {
        NodeProgram &node = p->nodes[top->inputs[0].source];
        const bool groups = node.node->kind == analysis::NodeKind::group;
        p->output_in_node = groups && top->quals == NIL && lay_into_view(&node, *top);
        node.in_view = p->output_in_node;
        keyed = (groups || node.node->unique_keys) && key_from_node(design, node, *top);
    } else {
        keyed = key_from_primary_keys(design, query);
    }
    if (!keyed) {
        design->view_key.clear();
        design->view_key_equality.clear();
        design->view_key_collation.clear();
        design->keys_relied_on.clear();
        design->view_kind = IdentityKind::image_hash;
    } else if (design->view_key.empty()) {
        design->view_kind = IdentityKind::single_row;
    } else {
        design->view_kind =
            is_fixed_length_key(RelationGetDescr(view), {design->view_key.data(), design->view_key.size()})
                ? IdentityKind::unique_columns
                : IdentityKind::key_hash;
    }
    p->output.keyed = keyed;
}

} // namespace upkeep::maintain
