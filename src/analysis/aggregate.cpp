// GROUP BY, aggregates, HAVING and DISTINCT: a node over the flow, and a block above it.
#include "analysis/flatten.hpp"
#include "analysis/levels.hpp"

extern "C" {
#include "catalog/pg_aggregate.h"
#include "optimizer/tlist.h"
#include "parser/parse_agg.h"
}

namespace upkeep::analysis {

namespace {

/// The unresolved parts of a grouped query: key expressions and distinct aggregate calls.
struct Parts {
    List *keys = NIL;
    List *calls = NIL;
    List *absent = NIL;    // grouping expressions that are not in this grouping set: NULL
    const List *set = NIL; // the sort-group references of the grouping set
};

/// The tree, which stands `depth` queries below, as it reads at the query's own level.
Node *at_own_level(Node *node, int depth) {
    auto *copy = static_cast<Node *>(copyObjectImpl(node));
    if (depth > 0)
        IncrementVarSublevelsUp(copy, -depth, depth);
    return copy;
}

/// The same where the tree may be of any level: null if it reads anything of the queries in between.
Node *as_read_above(Node *node, int depth) {
    if (!IsA(node, Var) && !is_opclause(node) && !IsA(node, FuncExpr) && !IsA(node, RelabelType) &&
        !IsA(node, CoalesceExpr) && !IsA(node, CaseExpr) && !IsA(node, CoerceViaIO))
        return nullptr;
    bool own = true;
    for_each_var(node, [&](const Var *var, int inside) {
        const int up = static_cast<int>(var->varlevelsup);
        own &= up < inside || up >= inside + depth;
    });
    return own ? at_own_level(node, depth) : nullptr;
}

/// Collects aggregate calls, and plain columns that are neither a key nor inside a call (the query may show them when
/// they depend on a key: a primary key among the grouping columns), inside subqueries too.
struct Collect {
    Parts *parts;
    bool columns;
    int depth = 0;
};

bool collect_parts(Node *node, void *context) {
    if (node == nullptr)
        return false;
    auto *collect = static_cast<Collect *>(context);
    if (IsA(node, Query)) {
        collect->depth++;
        pg::walk_query(castNode(Query, node), collect_parts, collect, QTW_IGNORE_JOINALIASES);
        collect->depth--;
        return false;
    }
    if (IsA(node, Aggref)) {
        if (static_cast<int>(castNode(Aggref, node)->agglevelsup) == collect->depth)
            collect->parts->calls = list_append_unique(collect->parts->calls, at_own_level(node, collect->depth));
        else if (collect->depth > 0)
            return pg::walk_tree(node, collect_parts, context);
        return collect_parts(reinterpret_cast<Node *>(castNode(Aggref, node)->aggdirectargs), context);
    }
    if (list_member(collect->parts->keys, collect->depth == 0 ? node : as_read_above(node, collect->depth)))
        return false;
    if (collect->columns && IsA(node, Var) && static_cast<int>(castNode(Var, node)->varlevelsup) == collect->depth) {
        collect->parts->keys = lappend(collect->parts->keys, at_own_level(node, collect->depth));
        return false;
    }
    return pg::walk_tree(node, collect_parts, context);
}

/// Keys and calls become columns of the node, which is the only input of the block above; inside subqueries too.
struct Replace {
    const Parts *parts;
    int depth = 0;
};

Node *replace_parts(Node *node, void *context) {
    if (node == nullptr)
        return nullptr;
    auto *replace = static_cast<Replace *>(context);
    const Parts *parts = replace->parts;
    if (IsA(node, Query)) {
        replace->depth++;
        Query *query = pg::mutate_query(castNode(Query, node), replace_parts, context, 0);
        replace->depth--;
        return reinterpret_cast<Node *>(query);
    }
    if (IsA(node, GroupingFunc) && static_cast<int>(castNode(GroupingFunc, node)->agglevelsup) == replace->depth)
        return grouping_value(castNode(GroupingFunc, node), parts->set);
    const bool call = IsA(node, Aggref) && static_cast<int>(castNode(Aggref, node)->agglevelsup) == replace->depth;
    Node *own = replace->depth == 0 ? node
                : call              ? at_own_level(node, replace->depth)
                                    : as_read_above(node, replace->depth);
    if (own == nullptr || IsA(node, List))
        return pg::mutate_tree(node, replace_parts, context);
    if (list_member(parts->absent, own))
        return reinterpret_cast<Node *>(makeNullConst(exprType(node), exprTypmod(node), exprCollation(node)));
    int column = 0;
    for (List *list : {parts->keys, parts->calls}) {
        ListCell *lc;
        foreach (lc, list) {
            column++;
            if (equal(own, lfirst(lc)))
                return reinterpret_cast<Node *>(makeVar(kInputBase, static_cast<AttrNumber>(column), exprType(node),
                                                        exprTypmod(node), exprCollation(node),
                                                        static_cast<Index>(replace->depth)));
        }
    }
    return pg::mutate_tree(node, replace_parts, context);
}

/// The grouping expressions of one grouping set become keys.
void add_keys(Query *q, Parts *parts, GroupNode *node) {
    ListCell *lc;
    foreach (lc, q->groupClause) {
        auto *clause = lfirst_node(SortGroupClause, lc);
        TargetEntry *tle = get_sortgroupclause_tle(clause, q->targetList);
        Node *key = flatten_join_alias_vars(q, reinterpret_cast<Node *>(tle->expr));
        if (!list_member_int(parts->set, static_cast<int>(clause->tleSortGroupRef))) {
            parts->absent = lappend(parts->absent, key);
        } else if (IsA(key, RowExpr) && exprType(key) == RECORDOID) {
            // Rows are equal where their fields are, and NULL is equal to NULL there, too.
            ListCell *field;
            foreach (field, castNode(RowExpr, key)->args)
                if (!list_member(parts->keys, lfirst(field))) {
                    parts->keys = lappend(parts->keys, lfirst(field));
                    node->keys.push_back(functional_key(static_cast<Node *>(lfirst(field))));
                }
        } else if (!list_member(parts->keys, key)) {
            parts->keys = lappend(parts->keys, key);
            node->keys.push_back({clause->eqop, exprCollation(key)});
        }
    }
}

/// Direct arguments with the keys in them replaced by Vars of relation 1.
List *over_keys(List *direct, Parts *parts) {
    Replace replace{parts};
    auto *result = reinterpret_cast<List *>(replace_parts(reinterpret_cast<Node *>(direct), &replace));
    ChangeVarNodes(reinterpret_cast<Node *>(result), kInputBase, 1, 0);
    return result;
}

} // namespace

Node *grouping_value(const GroupingFunc *grouping, const List *set) {
    int32 value = 0;
    ListCell *lc;
    foreach (lc, grouping->refs)
        value = value << 1 | (list_member_int(set, lfirst_int(lc)) ? 0 : 1);
    return reinterpret_cast<Node *>(
        makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(value), false, true));
}

Expr *only_where(const Expr *condition, Expr *expression) {
    auto *value = reinterpret_cast<Node *>(expression);
    CaseWhen *when = makeNode(CaseWhen);
    when->expr = static_cast<Expr *>(copyObjectImpl(condition));
    when->result = expression;
    when->location = -1;
    CaseExpr *choice = makeNode(CaseExpr);
    choice->casetype = exprType(value);
    choice->casecollid = exprCollation(value);
    choice->args = list_make1(when);
    choice->defresult =
        reinterpret_cast<Expr *>(makeNullConst(choice->casetype, exprTypmod(value), choice->casecollid));
    choice->location = -1;
    return reinterpret_cast<Expr *>(choice);
}

List *columns_read(Node *tree, const List *grouping) {
    Parts parts;
    parts.keys = list_copy(grouping);
    Collect collect{&parts, true};
    collect_parts(tree, &collect);
    return list_concat(parts.keys, parts.calls);
}

Node *read_from_node(Node *tree, const List *columns) {
    Parts parts;
    parts.keys = list_copy(columns);
    Replace replace{&parts};
    return replace_parts(tree, &replace);
}

Arm arm_over_node(int number) {
    Arm arm;
    arm.inputs.push_back({algebra::InputKind::node, number});
    arm.rtes.push_back(nullptr);
    return arm;
}

int numeric_scale(int32 typmod) {
    const int scale = (((typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024;
    return std::max(scale, 0);
}

/// The server takes a parent's primary key for a key of its children's rows too.
bool Analyser::is_determined(Node *column, const Arm &arm) {
    const Var *var = IsA(column, Var) ? castNode(Var, column) : nullptr;
    const algebra::Input *input = var == nullptr ? nullptr : &arm.inputs[var->varno - kInputBase];
    if (input == nullptr || input->kind != algebra::InputKind::table || view_->tables[input->source].constrained)
        return true;
    return refuse("ambiguous-column", "a column that GROUP BY does not list, of a table with children by inheritance",
                  "The primary key that it depends on does not hold for the children's rows.",
                  "Group by the column too, or read ONLY the parent.");
}

KeyColumn functional_key(Node *column) {
    TypeCacheEntry *type = lookup_type_cache(exprType(column), TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR);
    const bool sortable = OidIsValid(type->eq_opr) && OidIsValid(type->lt_opr);
    return {sortable ? type->eq_opr : InvalidOid, exprCollation(column)};
}

bool Analyser::aggregate(Query *q, List *targets, int kept, List *ctes, Arms *arms) {
    Node *having = q->havingQual != nullptr ? flatten_join_alias_vars(q, q->havingQual) : nullptr;
    List *all = NIL;
    ListCell *lc;
    foreach (lc, q->groupClause)
        all = lappend_int(all, static_cast<int>(lfirst_node(SortGroupClause, lc)->tleSortGroupRef));
    // Each grouping set is a GROUP BY of its own, and the result their UNION ALL.
    List *sets = q->groupingSets == NIL ? list_make1(all) : expand_grouping_sets(q->groupingSets, q->groupDistinct, -1);
    if (list_length(sets) > kMaxGroupingSets)
        return no_rule("very many grouping sets");
    const Arms input = *arms;
    arms->clear();
    foreach (lc, sets)
        if (!group_by(q, targets, kept, having, static_cast<List *>(lfirst(lc)), input, ctes, arms))
            return false;
    return true;
}

/// SELECT targets FROM groups WHERE having: the arm reads the groups, the only entry of the range table.
bool Analyser::select_groups(List *targets, int kept, Node *having, List *ctes, Arm arm, Arms *result) {
    Query *q = makeNode(Query);
    q->commandType = CMD_SELECT;
    RangeTblEntry *groups = makeNode(RangeTblEntry);
    groups->rtekind = RTE_RESULT;
    groups->eref = makeAlias("groups", NIL);
    q->rtable = list_make1(groups);
    q->jointree = makeFromExpr(NIL, having);
    ListCell *lc;
    foreach (lc, targets)
        q->targetList = lappend(q->targetList, makeTargetEntry(static_cast<Expr *>(lfirst(lc)),
                                                               static_cast<AttrNumber>(list_length(q->targetList) + 1),
                                                               nullptr, false));
    arm.rtable = q->rtable;
    arm.bindings.resize(1);
    arm.bindings[0].input = 0;
    Arms arms;
    arms.push_back(arm);
    if (!where(q, ctes, &arms) || !project(q, visible_targets(q->targetList), kept, ctes, &arms))
        return false;
    for (const Arm &each : arms)
        result->push_back(each);
    return true;
}

/// One grouping set: a node over the input, and an arm above it.
bool Analyser::group_by(Query *q, List *targets, int kept, Node *having, const List *set, Arms input, List *ctes,
                        Arms *result) {
    auto *node = new (palloc(sizeof(GroupNode))) GroupNode();
    Parts parts;
    parts.set = set;
    ListCell *lc;
    add_keys(q, &parts, node);
    node->scalar = set == NIL;
    // Columns that depend on a primary key in GROUP BY become keys too.
    Collect collect{&parts, !node->scalar && q->groupingSets == NIL};
    collect_parts(reinterpret_cast<Node *>(targets), &collect);
    collect_parts(having, &collect);
    const int written = node->nkeys();
    for (int i = written; i < list_length(parts.keys); i++)
        node->keys.push_back(functional_key(static_cast<Node *>(list_nth(parts.keys, i))));
    pg::Vector<int> numbers;
    List *calls = list_copy(parts.calls);
    do {
        auto *part = new (palloc(sizeof(GroupNode))) GroupNode(*node);
        List *columns = list_copy(parts.keys);
        for (; calls != NIL && part->aggs.size() < kMaxParts; calls = list_delete_first(calls))
            if (!add_call(linitial_node(Aggref, calls), part, &columns))
                return false;
        for (AggCall &call : part->aggs)
            call.direct = over_keys(call.aggref->aggdirectargs, &parts);
        const int ncolumns = list_length(columns);
        foreach (lc, parts.absent) // those that make rows do so in every grouping set
            if (expression_returns_set(static_cast<Node *>(lfirst(lc))))
                columns = lappend(columns, lfirst(lc));
        Arms arms = input;
        for (Arm &arm : arms) {
            arm.outputs = reinterpret_cast<List *>(resolve(reinterpret_cast<Node *>(columns), arm));
            if (refusal != nullptr || !check_tree(reinterpret_cast<Node *>(arm.outputs)))
                return false;
            for (int i = written; i < node->nkeys(); i++)
                if (!is_determined(static_cast<Node *>(list_nth(arm.outputs, i)), arm))
                    return false;
            expand_sets(&arm, ncolumns);
        }
        if (!add_node(part, arms))
            return false;
        numbers.push_back(static_cast<int>(view_->nodes.size()) - 1);
    } while (calls != NIL);
    Arm above = arm_over_node(numbers[0]);
    List *shown = list_concat_copy(parts.keys, parts.calls); // what the columns below stand for
    if (numbers.size() > 1 && !bring_together(numbers, list_length(parts.keys), &shown, &above))
        return false;
    parts.keys = shown;
    parts.calls = NIL;
    Replace replace{&parts};
    List *trees = list_make2(targets, having);
    trees = castNode(List, replace_parts(reinterpret_cast<Node *>(trees), &replace));
    ChangeVarNodes(reinterpret_cast<Node *>(trees), kInputBase, 1, 0); // the groups
    return select_groups(static_cast<List *>(linitial(trees)), kept, static_cast<Node *>(lsecond(trees)), ctes, above,
                         result);
}

/// A record that the call sorts by, of its own arguments: it can be made of the flow's columns.
bool is_row_of_arguments(const TargetEntry *entry, const Aggref *call) {
    if (!entry->resjunk || !IsA(entry->expr, RowExpr))
        return false;
    ListCell *lc;
    foreach (lc, reinterpret_cast<RowExpr *>(entry->expr)->args)
        if (tlist_member(static_cast<Expr *>(lfirst(lc)), call->args) == nullptr)
            return false;
    return true;
}

/// What the call reads of a row: the argument, evaluated where the filter is true only.
Expr *filtered_argument(Expr *argument, const Aggref *call) {
    return call->aggfilter == nullptr || is_infallible(reinterpret_cast<Node *>(argument))
               ? argument
               : only_where(call->aggfilter, argument);
}

/// One aggregate call; its arguments and filter become columns of the input flow.
bool Analyser::add_call(Aggref *aggref, GroupNode *node, List **columns) {
    if ((refusal = check_function(aggref->aggfnoid, view_)) != nullptr)
        return false;
    AggCall call{aggref, {}, -1, false, false, -1};
    call.plain = aggref->aggkind == AGGKIND_NORMAL && list_length(aggref->args) <= 1;
    ListCell *arg;
    foreach (arg, aggref->args) {
        if (is_row_of_arguments(lfirst_node(TargetEntry, arg), aggref)) {
            call.args.push_back(-1);
            continue;
        }
        call.args.push_back(list_length(*columns));
        *columns = lappend(*columns, filtered_argument(lfirst_node(TargetEntry, arg)->expr, aggref));
    }
    call.direct = static_cast<List *>(copyObjectImpl(aggref->aggdirectargs));
    if (!check_tree(reinterpret_cast<Node *>(aggref->aggdirectargs)))
        return false;
    if (aggref->aggfilter != nullptr) {
        call.filter = list_length(*columns);
        *columns = lappend(*columns, aggref->aggfilter);
    }
    node->aggs.push_back(call);
    return true;
}

/// Finishes the node's input and describes its output columns and what is known about its arguments.
bool Analyser::add_node(GroupNode *node, const Arms &arms) {
    if (!finish(arms, &node->input))
        return false;
    if (static_cast<int>(node->aggs.size()) > kMaxParts)
        return no_rule("more than 60 aggregates in one SELECT");
    for (int i = 0; i < node->nkeys(); i++) {
        node->columns.push_back(node->input.columns[i]);
        if (get_typtype(node->columns.back().type) == TYPTYPE_PSEUDO)
            return no_rule("rows of no named type as keys");
    }
    for (AggCall &call : node->aggs) {
        node->columns.push_back({call.aggref->aggtype, -1, call.aggref->aggcollid});
        if (call.args.size() != 1)
            continue;
        call.not_null = true;
        int scale = -2;
        for (const Block *block : node->input.blocks) {
            auto *arg = static_cast<Node *>(list_nth(block->outputs, call.args[0]));
            const Var *var = IsA(arg, Var) ? castNode(Var, arg) : nullptr;
            const bool column = var != nullptr && block->inputs[var->varno - 1].kind == algebra::InputKind::table;
            int this_scale = -1;
            if (column && var->vartype == NUMERICOID && var->vartypmod >= VARHDRSZ)
                this_scale = numeric_scale(var->vartypmod);
            scale = scale == -2 || scale == this_scale ? this_scale : -1;
            const TableSource *table = column ? &view_->tables[block->inputs[var->varno - 1].source] : nullptr;
            const Oid relid = column ? table->relid : InvalidOid;
            bool not_null = false;
            if (column && table->constrained) {
                HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(var->varattno));
                not_null = HeapTupleIsValid(tuple) && reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple))->attnotnull;
                if (HeapTupleIsValid(tuple))
                    ReleaseSysCache(tuple);
            }
            call.not_null = call.not_null && not_null;
            if (not_null)
                view_->facts.push_back({RelationRelationId, relid, var->varattno, "not-null"});
        }
        call.constant_scale = scale < 0 ? -1 : scale;
    }
    view_->nodes.push_back(node);
    return true;
}

bool Analyser::distinct(List *targets, List *clauses, Arms *arms) {
    auto *node = new (palloc(sizeof(GroupNode))) GroupNode();
    ListCell *lc;
    foreach (lc, targets) {
        auto *tle = lfirst_node(TargetEntry, lc);
        if (tle->resjunk)
            continue;
        const SortGroupClause *found = nullptr;
        ListCell *c;
        foreach (c, clauses)
            if (lfirst_node(SortGroupClause, c)->tleSortGroupRef == tle->ressortgroupref)
                found = lfirst_node(SortGroupClause, c);
        if (found == nullptr)
            return no_rule("DISTINCT over some of the columns");
        node->keys.push_back({found->eqop, exprCollation(reinterpret_cast<Node *>(tle->expr))});
    }
    if (!add_node(node, *arms))
        return false;
    Arm above = arm_over_node(static_cast<int>(view_->nodes.size()) - 1);
    for (int i = 0; i < node->nkeys(); i++) {
        const ColumnType &c = node->columns[i];
        above.outputs = lappend(above.outputs, makeVar(kInputBase, i + 1, c.type, c.typmod, c.collation, 0));
    }
    arms->clear();
    arms->push_back(above);
    return true;
}

} // namespace upkeep::analysis
