#include "lower/old_keys.hpp"

extern "C" {
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
}

namespace upkeep::lower {

namespace {

/// The conditions of inner joins, and the entries that they join.
struct InnerJoins {
    List *conditions = NIL;
    Bitmapset *entries = nullptr;

    void add(Node *item) {
        if (item == nullptr)
            return;
        if (IsA(item, List)) {
            ListCell *cell;
            foreach (cell, reinterpret_cast<List *>(item))
                add(static_cast<Node *>(lfirst(cell)));
        } else if (IsA(item, RangeTblRef)) {
            entries = bms_add_member(entries, castNode(RangeTblRef, item)->rtindex);
        } else if (IsA(item, FromExpr)) {
            add(reinterpret_cast<Node *>(castNode(FromExpr, item)->fromlist));
            add_conditions(castNode(FromExpr, item)->quals);
        } else if (IsA(item, JoinExpr) && castNode(JoinExpr, item)->jointype == JOIN_INNER) {
            add(castNode(JoinExpr, item)->larg);
            add(castNode(JoinExpr, item)->rarg);
            add_conditions(castNode(JoinExpr, item)->quals);
        }
    }
    void add_conditions(Node *quals) {
        conditions = list_concat(conditions, make_ands_implicit(reinterpret_cast<Expr *>(quals)));
    }
};

InnerJoins joins_of(const Query *q) {
    InnerJoins joins;
    joins.add(reinterpret_cast<Node *>(q->jointree));
    return joins;
}

Node *without_relabel(Node *node) {
    while (node != nullptr && IsA(node, RelabelType))
        node = reinterpret_cast<Node *>(castNode(RelabelType, node)->arg);
    return node;
}

/// Rows in, rows out: what is asked of its columns may be asked of its inputs.
bool is_plain(const Query *q) {
    return q->setOperations == nullptr && q->groupClause == NIL && q->groupingSets == NIL && !q->hasAggs &&
           !q->hasWindowFuncs && !q->hasTargetSRFs && q->distinctClause == NIL && q->limitCount == nullptr &&
           q->limitOffset == nullptr && q->havingQual == nullptr;
}

/// A condition about a column of entry `index`, said of the query that stands there; nullptr: that cannot be.
Node *pass_down(Node *condition, int index, const Query *inner) {
    if (!IsA(condition, OpExpr) || list_length(castNode(OpExpr, condition)->args) != 2)
        return nullptr;
    auto *op = static_cast<OpExpr *>(copyObjectImpl(condition));
    ListCell *cell;
    bool found = false;
    foreach (cell, op->args) {
        Node *plain = without_relabel(static_cast<Node *>(lfirst(cell)));
        const auto *var = plain != nullptr && IsA(plain, Var) ? castNode(Var, plain) : nullptr;
        if (var == nullptr || var->varlevelsup != 0 || var->varno != index) {
            IncrementVarSublevelsUp(static_cast<Node *>(lfirst(cell)), 1, 0);
            continue;
        }
        if (found || var->varattno <= 0 || var->varattno > list_length(inner->targetList))
            return nullptr;
        Node *below = reinterpret_cast<Node *>(
            list_nth_node(TargetEntry, inner->targetList, var->varattno - 1)->expr);
        Node *stored = without_relabel(below);
        if (stored == nullptr || !IsA(stored, Var) || castNode(Var, stored)->varlevelsup != 0)
            return nullptr;
        lfirst(cell) = copyObjectImpl(below);
        found = true;
    }
    return found ? reinterpret_cast<Node *>(op) : nullptr;
}

bool holds_sublink(Node *node, void *) {
    return node != nullptr && (IsA(node, SubLink) || pg::walk_tree(node, holds_sublink, nullptr));
}

} // namespace

List *OldKeys::conditions(Query *q) {
    List *all = list_copy(joins_of(q).conditions);
    for (const Hint &hint : hints_)
        if (hint.query == q)
            all = list_concat(all, hint.conditions);
    return all;
}

void OldKeys::enter(Query *q) {
    const InnerJoins joins = joins_of(q);
    List *all = conditions(q);
    for (int i = -1; (i = bms_next_member(joins.entries, i)) >= 0;) {
        const auto *rte = list_nth_node(RangeTblEntry, q->rtable, i - 1);
        if (rte->rtekind != RTE_SUBQUERY || (q == statement_ && i == driver_) || !is_plain(rte->subquery))
            continue;
        Hint hint{rte->subquery, NIL};
        ListCell *cell;
        foreach (cell, all) {
            auto *condition = static_cast<Node *>(lfirst(cell));
            if (key_from(q, i, condition))
                if (Node *below = pass_down(condition, i, rte->subquery))
                    hint.conditions = lappend(hint.conditions, below);
        }
        if (hint.conditions != NIL)
            hints_.push_back(hint);
    }
}

/// Of rows that are at hand when the query is run, or of the driver's.
bool OldKeys::is_known(const Query *q, Node *value) const {
    if (holds_sublink(value, nullptr) || contain_volatile_functions(value))
        return false;
    List *vars = pull_vars_of_level(value, 0);
    ListCell *cell;
    foreach (cell, vars) {
        const auto *var = static_cast<const Var *>(lfirst(cell));
        if (q != statement_ || !IsA(var, Var) || var->varno != driver_)
            return false;
    }
    return true;
}

std::optional<OldKey> OldKeys::key_from(const Query *q, int index, Node *condition) const {
    if (!IsA(condition, OpExpr) || list_length(castNode(OpExpr, condition)->args) != 2)
        return std::nullopt;
    const OpExpr *op = castNode(OpExpr, condition);
    for (const bool left : {true, false}) {
        auto *column = without_relabel(static_cast<Node *>(left ? linitial(op->args) : lsecond(op->args)));
        auto *value = static_cast<Node *>(left ? lsecond(op->args) : linitial(op->args));
        if (column == nullptr || !IsA(column, Var) || castNode(Var, column)->varlevelsup != 0 ||
            castNode(Var, column)->varno != index || castNode(Var, column)->varattno <= 0 || !is_known(q, value))
            continue;
        const Oid equality = left ? op->opno : get_commutator(op->opno);
        const Node *compared = static_cast<Node *>(left ? linitial(op->args) : lsecond(op->args));
        if (OidIsValid(equality) && op_hashjoinable(equality, exprType(compared)) && OidIsValid(get_commutator(equality)))
            return OldKey{castNode(Var, column)->varattno, equality, op->inputcollid, value};
    }
    return std::nullopt;
}

pg::Vector<OldKey> OldKeys::keys_of(Query *q, int index, const pg::Vector<AttrNumber> &columns) {
    pg::Vector<OldKey> keys;
    bool depends = false;
    if (!bms_is_member(index, joins_of(q).entries))
        return keys;
    ListCell *cell;
    foreach (cell, conditions(q)) {
        const std::optional<OldKey> key = key_from(q, index, static_cast<Node *>(lfirst(cell)));
        if (!key || std::find(columns.begin(), columns.end(), key->column) == columns.end())
            continue;
        keys.push_back(*key);
        depends |= !IsA(key->value, Const);
    }
    if (!depends)
        keys.clear();
    return keys;
}

void order_entries(Query *q) {
    bool changed = false;
    ListCell *cell;
    foreach (cell, q->rtable) {
        auto *rte = lfirst_node(RangeTblEntry, cell);
        if (rte->rtekind != RTE_SUBQUERY || rte->lateral ||
            !contain_vars_of_level(reinterpret_cast<Node *>(rte->subquery), 1))
            continue;
        rte->lateral = changed = true;
    }
    if (!changed)
        return;
    List *first = NIL, *then = NIL;
    foreach (cell, q->jointree->fromlist) {
        auto *item = static_cast<Node *>(lfirst(cell));
        const bool depends = !IsA(item, RangeTblRef) ||
                             list_nth_node(RangeTblEntry, q->rtable, castNode(RangeTblRef, item)->rtindex - 1)->lateral;
        List *&part = depends ? then : first;
        part = lappend(part, item);
    }
    q->jointree->fromlist = list_concat(first, then);
}

} // namespace upkeep::lower
