// FROM and WHERE: base tables, views, subqueries, CTEs, functions, VALUES and inner joins, flattened into arms.
#include "analysis/flatten.hpp"
#include "analysis/levels.hpp"
#include "analysis/row_source.hpp"
#include "analysis/settle.hpp"
#include "analysis/table_members.hpp"
#include "catalog/registration.hpp"
#include "catalog/table_tree.hpp"
#include "pg/names.hpp"

extern "C" {
#include "access/transam.h"
#include "catalog/pg_inherits.h"
#include "rewrite/rewriteHandler.h"
#include "utils/rls.h"
}

namespace upkeep::analysis {

Node *shift_inputs(Node *expression, int by) {
    return replace_vars(expression, [&](const Var *var, int) {
        auto *copy = static_cast<Var *>(copyObjectImpl(var));
        if (copy->varno >= kInputBase)
            copy->varno += by;
        return reinterpret_cast<Node *>(copy);
    });
}

Node *lower_outer(Node *expression) {
    return replace_vars(expression, [](const Var *var, int depth) {
        auto *copy = static_cast<Var *>(copyObjectImpl(var));
        if (static_cast<int>(copy->varlevelsup) > depth)
            copy->varlevelsup--;
        return reinterpret_cast<Node *>(copy);
    });
}

Node *Analyser::to_inputs(Node *expression, const Arm &arm) {
    const char *trouble = nullptr;
    AttrNumber system_column_read = 0;
    Node *result = replace_vars(expression, [&](const Var *var, int depth) {
        auto *copy = static_cast<Var *>(copyObjectImpl(var));
        Node *value = nullptr;
        if (static_cast<int>(var->varlevelsup) != depth || var->varno >= kWatched)
            return reinterpret_cast<Node *>(copy);
        const Binding &binding = arm.bindings[var->varno - 1];
        if (binding.input < 0 && binding.columns == NIL) {
            trouble = "a reference that is not resolved";
            return reinterpret_cast<Node *>(copy);
        }
        if (var->varattno <= 0) {
            if (var->varattno < 0 && (value = system_column(arm, var)) == nullptr) {
                system_column_read = var->varattno;
                return reinterpret_cast<Node *>(copy);
            }
            if (var->varattno == 0)
                value = whole_row(arm, var);
            IncrementVarSublevelsUp(value, depth, 0);
            return value;
        }
        if (binding.columns != NIL) {
            auto *column = static_cast<Node *>(copyObjectImpl(list_nth(binding.columns, var->varattno - 1)));
            IncrementVarSublevelsUp(column, depth, 0);
            return column;
        }
        copy->varno = kInputBase + binding.input;
        return reinterpret_cast<Node *>(copy);
    });
    if (trouble != nullptr)
        no_rule(trouble);
    if (system_column_read != 0 && refusal == nullptr)
        refusal = refuse_system_column(system_column_read);
    return result;
}

Node *Analyser::resolve(Node *expression, Arm &arm) {
    return lift_links(to_inputs(expression, arm), arm);
}

bool Analyser::add_quals(Query *q, Node *quals, List *ctes, Arms *arms) {
    if (quals == nullptr)
        return true;
    const List *all = conjuncts(flatten_join_alias_vars(q, quals));
    const ListCell *lc;
    foreach (lc, all) {
        auto *conjunct = static_cast<Node *>(lfirst(lc));
        bool negated = false;
        if (SubLink *link = existence_test(conjunct, &negated)) {
            const Mark before = mark();
            Arms result = *arms;
            if (add_existence(link, negated, ctes, &result)) {
                *arms = result;
                continue;
            }
            if (!retreat(before))
                return false;
        }
        for (Arm &arm : *arms) {
            Node *resolved = resolve(conjunct, arm);
            if (refusal != nullptr || !check_tree(resolved))
                return false;
            const Bitmapset *filled = filled_by(all, arm);
            arm.quals = list_copy(arm.quals);
            ListCell *part;
            foreach (part, conjuncts(resolved))
                arm.quals = lappend(arm.quals, behind_fences(static_cast<Node *>(lfirst(part)), arm, filled));
        }
    }
    return true;
}

List *conjuncts(Node *condition) {
    List *result = NIL;
    List *todo = make_ands_implicit(reinterpret_cast<Expr *>(condition));
    while (todo != NIL) {
        auto *conjunct = static_cast<Node *>(linitial(todo));
        todo = list_delete_first(list_copy(todo));
        // What all parts of an OR demand may be the equality that ties two tables: the planner alone would find it.
        if (is_orclause(conjunct))
            conjunct = reinterpret_cast<Node *>(
                canonicalize_qual(static_cast<Expr *>(copyObjectImpl(conjunct)), /*is_check=*/false));
        if (is_andclause(conjunct))
            todo = list_concat(list_copy(castNode(BoolExpr, conjunct)->args), todo);
        else
            result = lappend(result, conjunct);
    }
    return result;
}

bool Analyser::from_item(Query *q, Node *item, List *ctes, Arms *arms) {
    check_stack_depth();
    if (IsA(item, RangeTblRef))
        return range_table_entry(q, castNode(RangeTblRef, item)->rtindex, ctes, arms);
    auto *join = castNode(JoinExpr, item);
    if (join->jointype != JOIN_INNER)
        return outer_join(q, join, ctes, arms);
    return from_item(q, join->larg, ctes, arms) && from_item(q, join->rarg, ctes, arms) &&
           add_quals(q, join->quals, ctes, arms);
}

bool Analyser::range_table_entry(Query *q, int index, List *ctes, Arms *arms) {
    RangeTblEntry *rte = rt_fetch(index, q->rtable);
    if (rte->tablesample != nullptr) {
        refusal = tablesample();
        return false;
    }
    switch (rte->rtekind) {
    case RTE_RELATION:
        return rte->relkind == RELKIND_VIEW ? add_view(q, rte, index, arms) : add_table(rte, index, arms);
    case RTE_SUBQUERY:
        return add_query(q, rte->subquery, index, ctes, arms, rte->security_barrier);
    case RTE_CTE:
        return add_cte(q, rte, index, ctes, arms);
    case RTE_FUNCTION:
        return add_rows(rte, index, algebra::InputKind::function, arms);
    case RTE_VALUES:
        return add_rows(rte, index, algebra::InputKind::values, arms);
    case RTE_TABLEFUNC:
        return add_rows(rte, index, algebra::InputKind::function, arms);
    default:
        return no_rule("this kind of FROM item");
    }
}

/// A view of views follows those that it reads, whatever their mode: each reports the rows that its maintenance writes.
bool Analyser::check_matview(Oid relid) {
    const char *name = pg::qualified_name(relid);
    const char *what = psprintf("materialized view %s", name);
    catalog::Registration registration;
    if (!catalog::find_registration(relid, &registration))
        return refuse(
            "unregistered-view", what,
            psprintf("Materialized view %s is not registered, so that changes of its rows are not followed.", name),
            psprintf("Register it first: SELECT upkeep.register(%s).", quote_literal_cstr(name)));
    if (!registration.active || registration.state == catalog::State::stale)
        return refuse(
            "stale-view", what,
            psprintf("Materialized view %s is not active, so that changes of its rows are not followed.", name),
            psprintf("REFRESH MATERIALIZED VIEW %s activates it, and then what reads it.", name));
    if (pg_class_aclcheck(relid, owner_, ACL_SELECT) != ACLCHECK_OK)
        return refuse("no-right", what, "The owner of the materialized view has no SELECT right on it.",
                      "GRANT SELECT on it to the owner of the materialized view.");
    return true;
}

/// What every table whose rows are read must be: a partition or a child as well.
bool Analyser::check_member(Oid relid) {
    const char *name = pg::qualified_name(relid);
    const char relkind = get_rel_relkind(relid);
    const char persistence = get_rel_persistence(relid);
    auto what = [&](const char *kind) { return psprintf("%s %s", kind, name); };
    if (relkind == RELKIND_FOREIGN_TABLE)
        return refuse("foreign-table", what("foreign table"), "Changes of a foreign table cannot be captured.",
                      "Copy the data into a local table.");
    if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
        return refuse("sequence", what("sequence"), "Changes of a sequence cannot be captured.",
                      "Use a table of your own.");
    if (persistence == RELPERSISTENCE_TEMP)
        return refuse("temporary-table", what("temporary table"),
                      "A temporary table vanishes with its owner's connection.", "Use a permanent table.");
    if (persistence == RELPERSISTENCE_UNLOGGED)
        return refuse("unlogged-table", what("unlogged table"),
                      "An unlogged table is emptied by a crash, without any change that could be captured.",
                      "ALTER TABLE … SET LOGGED.");
    return true;
}

bool Analyser::check_table(Oid relid, bool only) {
    const char *name = pg::qualified_name(relid);
    auto what = [&](const char *kind) { return psprintf("%s %s", kind, name); };
    LockRelationOid(relid, AccessShareLock);
    if (get_rel_relkind(relid) == RELKIND_MATVIEW)
        return check_matview(relid);
    if (!check_member(relid))
        return false;
    if (relid < FirstNormalObjectId)
        return refuse("system-catalog", what("system catalog"), "Changes of system catalogs cannot be captured.",
                      "Use a table of your own.");
    for (Oid member : only ? pg::Vector<Oid>() : catalog::table_and_heirs(relid, AccessShareLock))
        if (!check_member(member))
            return false;
    if (catalog::has_foreign_partition(relid))
        return refuse("foreign-table", what("foreign partition beside table"),
                      "PostgreSQL cannot tell what a statement on a partitioned table changes where a partition is "
                      "foreign.",
                      "Detach the foreign partition, or copy its data into a local table.");
    if (check_enable_rls(relid, owner_, true) == RLS_ENABLED)
        return refuse("row-level-security", what("row-level security on table"),
                      "The owner of the materialized view sees only some of the rows.",
                      "Let the owner of the table own the materialized view.");
    if (pg_class_aclcheck(relid, owner_, ACL_SELECT) != ACLCHECK_OK)
        return refuse("no-right", what("table"), "The owner of the materialized view has no SELECT right on it.",
                      "GRANT SELECT on the table to the owner of the materialized view.");
    return true;
}

/// The number of a base table among those of the view; -1: refused.
int Analyser::add_source(const RangeTblEntry *rte) {
    const bool only = !rte->inh && has_subclass(rte->relid);
    if (!check_table(rte->relid, only))
        return -1;
    int source = -1;
    for (size_t i = 0; i < view_->tables.size(); i++)
        if (view_->tables[i].relid == rte->relid && view_->tables[i].only == only)
            source = static_cast<int>(i);
    if (source < 0) {
        source = static_cast<int>(view_->tables.size());
        view_->tables.push_back({rte->relid, nullptr, only, rte->relkind == RELKIND_MATVIEW});
        find_members(&view_->tables.back());
        view_->facts.push_back({RelationRelationId, rte->relid, 0, "table"});
        view_->facts.push_back({RelationRelationId, rte->relid, 0, "members"});
        view_->facts.push_back({RelationRelationId, rte->relid, 0, "feed"});
        view_->facts.push_back({RelationRelationId, rte->relid, 0, "bounds"});
    }
    return source;
}

bool Analyser::add_table(RangeTblEntry *rte, int index, Arms *arms) {
    const int source = add_source(rte);
    if (source < 0)
        return false;
    for (Arm &arm : *arms) {
        arm.bindings[index - 1].input = static_cast<int>(arm.inputs.size());
        arm.inputs.push_back({algebra::InputKind::table, source});
        arm.rtes.push_back(rte);
    }
    return true;
}

bool Analyser::add_view(Query *q, RangeTblEntry *rte, int index, Arms *arms) {
    Relation rel = table_open(rte->relid, AccessShareLock);
    Query *sub = settle(get_view_query(rel), Choices::rows);
    const bool barrier = RelationIsSecurityView(rel);
    table_close(rel, NoLock);
    view_->facts.push_back({RelationRelationId, rte->relid, 0, "view"});
    return add_query(q, sub, index, NIL, arms, barrier);
}

/// `fenced`: conditions around the query are evaluated for its rows alone. `computed`: so are all of its columns.
bool Analyser::add_query(Query *q, Query *sub, int index, List *ctes, Arms *arms, bool fenced, bool computed) {
    Arms below;
    const bool correlated = contain_vars_of_level(reinterpret_cast<Node *>(sub), 1);
    const Mark before = mark();
    auto *read = static_cast<Query *>(copyObjectImpl(sub));
    if (!computed)
        drop_unused_outputs(q, index, read);
    if (!query(read, ctes, &below)) {
        if (!retreat(before))
            return false;
        if (correlated)
            return add_lateral(q, sub, index, ctes, arms);
        bool reads_outside = false; // columns of queries further out
        for_each_var(
            reinterpret_cast<Node *>(sub),
            [&](const Var *var, int depth) { reads_outside |= static_cast<int>(var->varlevelsup) > depth; }, -1);
        if (reads_outside || !open_.empty()) // or it may read what is being followed
            return no_rule("a subquery that cannot be run whole");
        auto *own = reinterpret_cast<Query *>(self_contained(reinterpret_cast<Node *>(sub), ctes, view_));
        if (!run_whole(settle(own), &below))
            return false;
    }
    if (arms->size() * below.size() > kMaxArms && !collapse_union(&below))
        return false;
    Arms combined;
    for (const Arm &arm : *arms)
        for (const Arm &part : below) {
            Arm next = merge(arm, part);
            next.bindings[index - 1].columns = next.outputs;
            next.outputs = NIL;
            if (fenced)
                add_fence(&next, arm.inputs.size(), list_length(arm.quals), true);
            combined.push_back(next);
        }
    *arms = combined;
    return refusal == nullptr;
}

/// The arms become the flow of one node. Where all read a single input, the planner passes join keys down to it: no
/// rows are stored then.
bool Analyser::collapse_union(Arms *arms) {
    auto *node = new (palloc(sizeof(GroupNode))) GroupNode();
    const bool single = std::all_of(arms->begin(), arms->end(), [](const Arm &arm) { return arm.inputs.size() <= 1; });
    node->kind = single ? NodeKind::derived : NodeKind::fixpoint;
    node->function_name = "union all";
    Arms flow = *arms;
    for (Arm &arm : flow)
        if (arm.outputs == NIL) // rows without columns still have to be counted
            arm.outputs = list_make1(makeBoolConst(true, false));
    if (!finish(flow, &node->input))
        return false;
    node->columns = node->input.columns;
    view_->nodes.push_back(node);
    Arm above = arm_over_node(static_cast<int>(view_->nodes.size()) - 1);
    for (int i = 0; i < list_length((*arms)[0].outputs); i++) {
        const ColumnType &t = node->columns[static_cast<size_t>(i)];
        above.outputs = lappend(above.outputs,
                                makeVar(kInputBase, static_cast<AttrNumber>(i + 1), t.type, t.typmod, t.collation, 0));
    }
    arms->clear();
    arms->push_back(above);
    return true;
}

Arm Analyser::merge(const Arm &arm, const Arm &part) {
    Arm next = arm;
    const int shift = static_cast<int>(arm.inputs.size());
    // What the subquery took from its surroundings (LATERAL, correlation) is now a reference to this query's range
    // table.
    auto take = [&](Node *expression) { return to_inputs(lower_outer(shift_inputs(expression, shift)), arm); };
    for (const algebra::Input &input : part.inputs)
        next.inputs.push_back(input);
    for (RangeTblEntry *rte : part.rtes) {
        next.rtes.push_back(map_row_expressions(rte, take));
        if (next.rtes.back() != rte)
            next.rtes.back()->lateral = true;
    }
    for (Watch watch : part.watches) {
        watch.input += shift;
        watch.quals = reinterpret_cast<List *>(take(reinterpret_cast<Node *>(watch.quals)));
        next.watches.push_back(watch);
    }
    next.quals =
        list_concat(list_copy(arm.quals), reinterpret_cast<List *>(take(reinterpret_cast<Node *>(part.quals))));
    for (const Fence &fence : part.fences)
        next.fences.push_back({shift < algebra::kMaxInputs ? fence.inputs << shift : 0,
                               reinterpret_cast<List *>(take(reinterpret_cast<Node *>(fence.quals))), fence.firm});
    next.outputs = reinterpret_cast<List *>(take(reinterpret_cast<Node *>(part.outputs)));
    return next;
}

bool Analyser::add_cte(Query *q, RangeTblEntry *rte, int index, List *ctes, Arms *arms) {
    auto *scope = static_cast<List *>(list_nth(ctes, rte->ctelevelsup));
    List *outer = list_copy_tail(ctes, rte->ctelevelsup);
    ListCell *lc;
    foreach (lc, scope) {
        auto *cte = lfirst_node(CommonTableExpr, lc);
        if (strcmp(cte->ctename, rte->ctename) != 0)
            continue;
        if (cte->cterecursive)
            return add_recursive_cte(rte, index, cte, outer, arms);
        if (rte->ctelevelsup > 0 && contain_vars_of_level(cte->ctequery, 1))
            return no_rule("a CTE with outer references");
        const bool computed = is_materialized(cte);
        return add_query(q, castNode(Query, cte->ctequery), index, outer, arms, computed, computed);
    }
    return no_rule("a CTE that is not in sight");
}

bool Analyser::add_rows(RangeTblEntry *rte, int index, algebra::InputKind kind, Arms *arms) {
    for (Arm &arm : *arms) {
        RangeTblEntry *copy = map_row_expressions(rte, [&](Node *node) { return resolve(node, arm); });
        if (refusal != nullptr || !check_tree(row_expressions(copy)))
            return false;
        copy->lateral = copy->rtekind != RTE_VALUES || copy->lateral;
        arm.bindings[index - 1].input = static_cast<int>(arm.inputs.size());
        arm.inputs.push_back({kind, -1});
        arm.rtes.push_back(copy);
    }
    return true;
}

} // namespace upkeep::analysis
