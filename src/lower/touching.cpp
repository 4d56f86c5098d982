// What the conditions say that tie a watched input: which of them are about its row alone, and whether a row can be tied to
// one row of its change only.
#include "lower/query.hpp"
#include "pg/row_hash.hpp"

namespace upkeep::lower {

using analysis::Block;

namespace {

struct Reads {
    int watched; // its entry in the block
    bool own = false, others = false;
    static bool walk(Node *node, void *context) {
        if (node == nullptr)
            return false;
        auto *reads = static_cast<Reads *>(context);
        if (IsA(node, Var))
            (castNode(Var, node)->varno == reads->watched ? reads->own : reads->others) = true;
        return pg::walk_tree(node, walk, context);
    }
};

Reads reads_of(Node *condition, int input) {
    Reads reads{input + 1};
    Reads::walk(condition, &reads);
    return reads;
}

bool is_integer(Oid type) {
    return type == INT2OID || type == INT4OID || type == INT8OID;
}

/// The column of an equality with what the other inputs give, under which a value of those is equal to one image only.
const Var *key_column(Node *condition, int input) {
    if (!IsA(condition, OpExpr) || list_length(castNode(OpExpr, condition)->args) != 2)
        return nullptr;
    const OpExpr *op = castNode(OpExpr, condition);
    Oid left, right;
    op_input_types(op->opno, &left, &right);
    if (op->opno >= FirstNormalObjectId || !op_mergejoinable(op->opno, left) ||
        (left != right && !(is_integer(left) && is_integer(right))) ||
        (OidIsValid(op->inputcollid) && !get_collation_isdeterministic(op->inputcollid)))
        return nullptr;
    for (const bool first : {true, false}) {
        auto *column = static_cast<Node *>(first ? linitial(op->args) : lsecond(op->args));
        auto *value = static_cast<Node *>(first ? lsecond(op->args) : linitial(op->args));
        if (IsA(column, Var) && castNode(Var, column)->varno == input + 1 && !reads_of(value, input).own) {
            const Var *var = castNode(Var, column);
            const bool fits = var->vartype == (first ? left : right) &&
                              pg::prepare_column_ops(var->vartype, var->varcollid, InvalidOid).image_equality;
            return fits ? var : nullptr;
        }
    }
    return nullptr;
}

} // namespace

bool is_filter(const Block &block, int qual) {
    return !reads_of(static_cast<Node *>(list_nth(block.quals, qual)), block.qual_shapes[qual].watched).others;
}

Bitmapset *touching_key(const Block &block, int input) {
    Bitmapset *columns = nullptr;
    for (int i = 0; i < list_length(block.quals); i++) {
        if (block.qual_shapes[i].watched != input || is_filter(block, i))
            continue;
        const Var *column = key_column(static_cast<Node *>(list_nth(block.quals, i)), input);
        if (column == nullptr)
            return nullptr;
        columns = bms_add_member(columns, column->varattno);
    }
    return columns;
}

} // namespace upkeep::lower
