// The summands of the delta of a block with a subquery (delta/scope.hpp): the rows that a change touches, evaluated
// over one state.
#include "lower/query.hpp"

#include "lower/beside.hpp"
#include "pg/row_hash.hpp"

extern "C" {
#include "catalog/pg_aggregate.h"
#include "catalog/pg_operator_d.h"
#include "parser/parse_oper.h"
#include "rewrite/rewriteManip.h"
}

namespace upkeep::lower {

using analysis::Block;

namespace {

/// Rows of a numbered delta that are alike in the columns which the conditions read touch the same rows: one of them is
/// enough, and its number is the least, so that a key with many changes is looked at once. (SELECT c1, …, min(r) FROM
/// the numbered delta GROUP BY …); the delta as it is where alike cannot be told, or no column is read.
Query *one_of_alike(Query *numbered, const pg::Vector<Var *> &columns, List *names) {
    Query *q = select_nothing();
    q->rtable = list_make1(subquery_entry(numbered, makeAlias("n", NIL), names));
    add_item(q, 1);
    for (size_t c = 0; c < columns.size(); c++) {
        if (columns[c] == nullptr) {
            add_target(q, static_cast<Expr *>(copyObjectImpl(
                              list_nth_node(TargetEntry, numbered->targetList, static_cast<int>(c))->expr)));
            continue;
        }
        auto *var = static_cast<Var *>(copyObjectImpl(columns[c]));
        if (!pg::prepare_column_ops(var->vartype, var->varcollid, InvalidOid).image_equality)
            return numbered;
        var->varno = 1;
        var->varattno = static_cast<AttrNumber>(c + 1);
        var->varlevelsup = 0;
        add_target(q, reinterpret_cast<Expr *>(var));
        SortGroupClause *clause = makeNode(SortGroupClause);
        clause->tleSortGroupRef = static_cast<Index>(c + 1);
        get_sort_group_operators(var->vartype, true, true, false, &clause->sortop, &clause->eqop, nullptr,
                                 &clause->hashable);
        llast_node(TargetEntry, q->targetList)->ressortgroupref = clause->tleSortGroupRef;
        q->groupClause = lappend(q->groupClause, clause);
    }
    if (q->groupClause == NIL)
        return numbered;
    Expr *number =
        reinterpret_cast<Expr *>(makeVar(1, static_cast<AttrNumber>(columns.size() + 1), INT8OID, -1, InvalidOid, 0));
    Aggref *least = makeNode(Aggref);
    least->aggfnoid = F_MIN_INT8;
    least->aggtype = INT8OID;
    least->aggargtypes = list_make1_oid(INT8OID);
    least->args = list_make1(makeTargetEntry(number, 1, nullptr, false));
    least->aggkind = AGGKIND_NORMAL;
    least->aggsplit = AGGSPLIT_SIMPLE;
    least->aggno = least->aggtransno = -1;
    least->location = -1;
    q->hasAggs = true;
    add_target(q, reinterpret_cast<Expr *>(least));
    return q;
}

/// The delta of a watched input with a number for each row, r, so that the first of several that touch a row can be
/// told: (SELECT d.*, row_number() OVER () AS r FROM the delta d WHERE what the conditions say of its rows alone).
RangeTblEntry *numbered_delta(const Block &block, int input) {
    RangeTblEntry *delta = input_entry(block, input, true);
    delta->alias = makeAlias("d", NIL);
    delta->eref->aliasname = pstrdup("d");
    Query *q = select_nothing();
    q->rtable = list_make1(delta);
    add_item(q, 1);
    // Only what the conditions read; the others keep the numbers right.
    pg::Vector<Var *> columns;
    columns.resize(static_cast<size_t>(list_length(delta->eref->colnames)), nullptr);
    struct Find {
        Index varno;
        pg::Vector<Var *> *columns;
        static bool walk(Node *node, void *context) {
            if (node == nullptr)
                return false;
            auto *c = static_cast<Find *>(context);
            if (IsA(node, Var) && static_cast<Index>(castNode(Var, node)->varno) == c->varno)
                (*c->columns)[static_cast<size_t>(castNode(Var, node)->varattno - 1)] = castNode(Var, node);
            return pg::walk_tree(node, walk, context);
        }
    } find{static_cast<Index>(input + 1), &columns};
    List *filters = NIL;
    for (int i = 0; i < list_length(block.quals); i++) {
        auto *qual = static_cast<Node *>(list_nth(block.quals, i));
        if (block.qual_shapes[i].watched != input)
            continue;
        if (!is_filter(block, i)) {
            Find::walk(qual, &find);
            continue;
        }
        auto *filter = static_cast<Node *>(copyObjectImpl(qual));
        ChangeVarNodes(filter, input + 1, 1, 0);
        filters = lappend(filters, filter);
    }
    q->jointree->quals = filters == NIL ? nullptr : reinterpret_cast<Node *>(make_ands_explicit(filters));
    for (size_t c = 0; c < columns.size(); c++) {
        Expr *e =
            reinterpret_cast<Expr *>(makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(0), false, true));
        if (columns[c] != nullptr) {
            auto *var = static_cast<Var *>(copyObjectImpl(columns[c]));
            var->varno = 1;
            e = reinterpret_cast<Expr *>(var);
        }
        add_target(q, e);
    }
    WindowFunc *number = makeNode(WindowFunc);
    number->winfnoid = F_ROW_NUMBER;
    number->wintype = INT8OID;
    number->winref = 1;
    number->location = -1;
    WindowClause *window = makeNode(WindowClause);
    window->winref = 1;
    window->frameOptions = FRAMEOPTION_DEFAULTS;
    q->windowClause = list_make1(window);
    q->hasWindowFuncs = true;
    add_target(q, reinterpret_cast<Expr *>(number));
    List *names = NIL;
    for (size_t c = 0; c <= columns.size(); c++)
        names = lappend(names, makeString(psprintf("c%zu", c + 1)));
    return subquery_entry(one_of_alike(q, columns, names), makeAlias(psprintf("o%d", input + 1), NIL), names);
}

/// The conditions that tie a watched input to others; it is entry `index` of the query at `depth` below the block's
/// query.
List *ties_of(const Block &block, int input, int index, int depth) {
    List *result = NIL;
    struct Placing {
        int input, index, depth;
        static Node *place(Node *node, void *context) {
            if (node == nullptr)
                return nullptr;
            if (!IsA(node, Var))
                return pg::mutate_tree(node, place, context);
            auto *p = static_cast<Placing *>(context);
            auto *var = static_cast<Var *>(copyObjectImpl(node));
            if (var->varno == p->input + 1)
                var->varno = p->index;
            else
                var->varlevelsup = static_cast<Index>(p->depth);
            return reinterpret_cast<Node *>(var);
        }
    } placing{input, index, depth};
    for (int i = 0; i < list_length(block.quals); i++)
        if (block.qual_shapes[i].watched == input && !is_filter(block, i))
            result = lappend(result, Placing::place(static_cast<Node *>(list_nth(block.quals, i)), &placing));
    return result;
}

Expr *row_number_of(const Block &block, int input, int index, int depth) {
    const auto column = static_cast<AttrNumber>(weight_column(block, input) + 1);
    return reinterpret_cast<Expr *>(makeVar(index, column, INT8OID, -1, InvalidOid, static_cast<Index>(depth)));
}

/// NOT EXISTS (SELECT 1 FROM the delta WHERE its ties [AND its number is below that of the row at hand])
Node *not_touched(const Block &block, int input, bool before_this) {
    Query *inner = select_nothing();
    RangeTblEntry *delta = numbered_delta(block, input);
    delta->alias = makeAlias("t", NIL);
    delta->eref->aliasname = pstrdup("t");
    inner->rtable = list_make1(delta);
    add_item(inner, 1);
    List *ties = ties_of(block, input, 1, 1);
    if (before_this) {
        Expr *below = make_opclause(Int8LessOperator, BOOLOID, false, row_number_of(block, input, 1, 0),
                                    row_number_of(block, input, input + 1, 1), InvalidOid, InvalidOid);
        ties = lappend(ties, below);
    }
    inner->jointree->quals = ties == NIL ? nullptr : reinterpret_cast<Node *>(make_ands_explicit(ties));
    return reinterpret_cast<Node *>(make_notclause(reinterpret_cast<Expr *>(exists(inner))));
}

/// Whether what ties a watched input reads a column of a derived one that may fail for rows that are left out there.
/// Ties are conditions of the subquery, which is asked of the rows that are left.
bool is_tied_by_fallible(const Block &block, int input) {
    if (block.nodes[input] == nullptr || block.nodes[input]->kind != analysis::NodeKind::derived)
        return false;
    for (int i = 0; i < list_length(block.quals); i++)
        if (block.qual_shapes[i].watched >= 0 && algebra::has(block.qual_shapes[i].inputs, input) &&
            !is_harmless(block, static_cast<Node *>(list_nth(block.quals, i))))
            return true;
    return false;
}

} // namespace

Query *scope_query(const Block &block, const delta::ScopeTerm &term) {
    const algebra::InputSet watched = algebra::watched_inputs(block.shape());
    Query *q = select_nothing();
    List *quals = NIL;
    for (int i = 0; i < static_cast<int>(block.inputs.size()); i++) {
        const bool touching = i == term.touching;
        const bool from_delta = term.touching < 0 && block.inputs[i].source >= 0 && !algebra::has(watched, i);
        RangeTblEntry *rte = touching ? numbered_delta(block, i) : input_entry(block, i, from_delta);
        if (!touching && !from_delta && is_tied_by_fallible(block, i))
            fence(rte->subquery);
        q->rtable = lappend(q->rtable, rte);
        if (touching || !algebra::has(watched, i))
            add_item(q, i + 1);
        if (touching) {
            quals = list_concat(quals, ties_of(block, i, i + 1, 0));
            if (touching_key(block, i) == nullptr)
                quals = lappend(quals, not_touched(block, i, true));
        }
        if (algebra::has(term.untouched, i))
            quals = lappend(quals, not_touched(block, i, false));
    }
    for (int i = 0; i < list_length(block.quals); i++)
        if (block.qual_shapes[i].watched < 0)
            quals = lappend(quals, copyObjectImpl(list_nth(block.quals, i)));
    if (quals != NIL)
        q->jointree->quals = reinterpret_cast<Node *>(make_ands_explicit(quals));
    return q;
}

} // namespace upkeep::lower
