// The server evaluates the conditions of a query in whatever order seems cheap, each as far down as it can. What the query
// computes of the rows that are left alone (a key, an argument) may fail for others, so that a condition on it must not be
// one of those.
#include "lower/beside.hpp"

#include "analysis/expressions.hpp"
#include "analysis/levels.hpp"

extern "C" {
#include "catalog/pg_inherits.h"
#include "catalog/pg_language_d.h"
#include "catalog/pg_proc.h"
}

namespace upkeep::lower {

using analysis::Block;
using analysis::GroupNode;
using analysis::NodeKind;

namespace {

/// The planner puts the body of such a function in its place, and conditions inside.
bool is_sql_function(Node *node, void *context) {
    if (node == nullptr)
        return false;
    auto written_in_sql = [](Oid function, void *) {
        HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
        const bool sql =
            HeapTupleIsValid(tuple) && reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->prolang == SQLlanguageId;
        if (HeapTupleIsValid(tuple))
            ReleaseSysCache(tuple);
        return sql;
    };
    return check_functions_in_node(node, written_in_sql, nullptr) || pg::walk_tree(node, is_sql_function, context);
}

/// A column of a subquery that is a column of a table inside.
bool is_stored(const Query *q, AttrNumber column) {
    if (column <= 0 || column > list_length(q->targetList) || q->setOperations != nullptr)
        return false;
    const auto *e = reinterpret_cast<Node *>(list_nth_node(TargetEntry, q->targetList, column - 1)->expr);
    if (!IsA(e, Var) || castNode(Var, e)->varlevelsup != 0)
        return false;
    return list_nth_node(RangeTblEntry, q->rtable, castNode(Var, e)->varno - 1)->rtekind == RTE_RELATION;
}

bool is_harmless_column(const Block &block, const Var *var) {
    const int input = var->varno - 1;
    if (const GroupNode *node = block.nodes[input])
        return node->kind != NodeKind::derived ||
               std::all_of(node->input.blocks.begin(), node->input.blocks.end(), [&](const Block *below) {
                   return is_harmless(*below, static_cast<Node *>(list_nth(below->outputs, var->varattno - 1)));
               });
    const RangeTblEntry *rte = block.rtes[input];
    ListCell *lc;
    switch (rte->rtekind) {
    case RTE_RELATION:
    case RTE_TABLEFUNC:
        return true;
    case RTE_FUNCTION:
        return !is_sql_function(reinterpret_cast<Node *>(rte->functions), nullptr);
    case RTE_VALUES: // one row of them becomes part of the query around it
        foreach (lc, rte->values_lists)
            if (var->varattno <= 0 ||
                !is_harmless(block, static_cast<Node *>(list_nth(lfirst_node(List, lc), var->varattno - 1))))
                return false;
        return true;
    default: // through set-returning functions of a select list no condition passes
        return rte->subquery == nullptr || is_stored(rte->subquery, var->varattno);
    }
}

bool keeps_every_row(const Block &block) {
    return block.inputs.size() == 1 && block.quals == NIL &&
           (block.nodes[0] != nullptr ? block.nodes[0]->kind != NodeKind::derived
                                      : block.rtes[0]->rtekind == RTE_RELATION);
}

/// An index of no other rows than all, into which each of them has come by now.
bool is_whole(const Relation index) {
    return index->rd_index->indisvalid && !index->rd_index->indcheckxmin &&
           heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr);
}

bool is_indexed_in(Relation table, Node *expression) {
    Node *planned = eval_const_expressions(nullptr, expression);
    bool found = false;
    List *indexes = RelationGetIndexList(table);
    ListCell *lc;
    foreach (lc, indexes) {
        Relation index = index_open(lfirst_oid(lc), AccessShareLock);
        ListCell *e;
        foreach (e, is_whole(index) ? RelationGetIndexExpressions(index) : NIL)
            found |= equal(lfirst(e), planned);
        index_close(index, NoLock);
    }
    return found;
}

} // namespace

bool is_harmless(const Block &block, Node *expression) {
    bool harmless = analysis::is_infallible(expression);
    analysis::for_each_var(expression, [&](const Var *var, int) {
        harmless = harmless && var->varlevelsup == 0 && is_harmless_column(block, var);
    });
    return harmless;
}

// A row whose value cannot be computed could not be in the index.
bool is_indexed(const Block &block, Node *expression) {
    int input = -1;
    bool one = true;
    analysis::for_each_var(expression, [&](const Var *var, int) {
        one &= input < 0 || input == var->varno - 1;
        input = var->varno - 1;
    });
    if (!one || input < 0 || block.nodes[input] != nullptr || block.rtes[input]->rtekind != RTE_RELATION)
        return false;
    auto *own = static_cast<Node *>(copyObjectImpl(expression));
    ChangeVarNodes(own, input + 1, 1, 0);
    Relation table = table_open(block.rtes[input]->relid, AccessShareLock);
    // Rows of children are in no index of their parent; those of partitions are in parts of it.
    const bool own_rows = table->rd_rel->relkind == RELKIND_PARTITIONED_TABLE || !block.rtes[input]->inh ||
                          !has_subclass(RelationGetRelid(table));
    const bool found = own_rows && is_indexed_in(table, own);
    table_close(table, NoLock);
    return found;
}

bool may_stand_beside(const Block &block, Node *expression) {
    return keeps_every_row(block) || is_harmless(block, expression) || is_indexed(block, expression);
}

} // namespace upkeep::lower
