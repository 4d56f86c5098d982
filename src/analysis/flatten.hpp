// The walk from a Query to flows and nodes. One file per clause: from.cpp, aggregate.cpp, setop.cpp, recursion.cpp,
// flatten.cpp (the rest).
#pragma once

#include "analysis/expressions.hpp"

extern "C" {
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
}

namespace upkeep::analysis {

/// At most so many blocks in a join.
inline constexpr size_t kMaxArms = 64;

/// Each is a node with a state: CUBE of 8 columns.
inline constexpr int kMaxGroupingSets = 256;

/// At most so many aggregates in a node: maintenance keeps sets of them as bits.
inline constexpr int kMaxParts = 60;

/// While a block is under construction its inputs are Vars with varno kInputBase + number, so that they cannot be
/// taken for references to the range table of the query being read.
inline constexpr int kInputBase = 30000;

/// What a range table index of the query at hand stands for in one arm: an input, or the output expressions of a
/// flattened subquery.
struct Binding {
    int input = -1;
    List *columns = NIL;
    bool absent = false;   // on the nullable side of an outer join, without a match
    bool nullable = false; // the columns are NULL without a match
    Node *row = nullptr;   // then, the whole row, which is NULL too
};

/// The variables of a watched relation have this varno.
inline constexpr int kWatched = kInputBase - 1;

/// A relation that a subquery input reads, and which rows of the other inputs a change of it touches.
struct Watch {
    int input; // the subquery
    algebra::Input watched;
    RangeTblEntry *rte; // of a table, else nullptr
    List *quals;        // over the inputs and the watched relation
};

/// Conditions above it are evaluated where its own hold (fences.cpp).
struct Fence {
    algebra::InputSet inputs; // behind it
    List *quals;
    bool firm; // it stays whatever the conditions above it say
};

/// A block under construction.
struct Arm {
    pg::Vector<algebra::Input> inputs;
    pg::Vector<RangeTblEntry *> rtes;
    pg::Vector<Watch> watches;
    pg::Vector<std::pair<int, Node *>> touches; // watched inputs, and which rows a change of them touches
    List *quals = NIL;
    pg::Vector<Fence> fences;
    List *outputs = NIL;
    pg::Vector<Binding> bindings; // by range table index - 1, of the query being read
    List *rtable = NIL;           // its range table
};

using Arms = pg::Vector<Arm>;

/// How the inputs that a combined arm has beyond those of an outer arm depend on that outer arm.
struct Correlation {
    List *ties = NIL; // OpExpr: an equality between an expression of the outer side and one of the inner side
    List *outer_sides = NIL;
    List *inner_sides = NIL;
    List *outer_only = NIL; // conjuncts over the outer side alone
    List *inner_only = NIL;
};

/// The inputs of a combined arm beyond those of the outer one, as an arm of its own; its outputs are the inner sides.
Arm inner_arm(const Arm &outer, const Arm &combined, const Correlation &correlation);

/// The ties between the outer sides and the key columns of the node that is input `input`.
List *tie_quals(const Correlation &correlation, int input);

/// Which inputs the expressions of a tree read, while its block is under construction; and whether it refers to outer
/// queries or to a range table.
struct InputsRead {
    algebra::InputSet set = 0;
    bool unresolved = false;
};
InputsRead inputs_read(Node *tree);

/// A condition of the arm, its first ones apart, holds for no row: NULL stands for a column that it compares. What ties
/// an anti input is no such condition.
bool is_empty(const Arm &arm, int first_qual);

/// The queries of the tree with the views that they read in place, and the CTEs of the queries around it and of their
/// own, except for recursive ones: they can be evaluated anywhere. `ctes`: the stack of CTE lists in sight. The views
/// become facts of `view`.
Node *self_contained(Node *tree, List *ctes, ViewQuery *view);

/// Columns of `sub`, entry `index` of the range table, that `q` does not read become NULL, where the server does not
/// compute them either.
void drop_unused_outputs(Query *q, int index, Query *sub);

/// Conditions of inner joins that have scalar subqueries become conditions of WHERE.
void move_scalar_conditions(Query *q);

/// Whether the server computes it by itself.
bool is_materialized(const CommonTableExpr *cte);

/// Fences in what the arm has from this input, and this condition, on.
void add_fence(Arm *arm, size_t first_input, int first_qual, bool firm);

/// A conjunct above the arm's fences as it may stand beside its conditions. `filled`: the inputs that no row of NULLs
/// in their place would pass the conditions of the same WHERE or ON.
Node *behind_fences(Node *conjunct, const Arm &arm, const Bitmapset *filled);

/// The conjuncts of a condition: nested ANDs pulled apart, and what all parts of an OR demand taken out of it.
List *conjuncts(Node *condition);

/// EXISTS (…), NOT EXISTS (…) or … IN (SELECT …) as a conjunct by itself, else nullptr.
SubLink *existence_test(Node *conjunct, bool *negated);

class Analyser {
  public:
    Analyser(ViewQuery *view, Oid owner) : view_(view), owner_(owner) {}

    /// The output of a query as arms. References to outer queries stay as Vars with their level lowered by one.
    /// `ctes`: the stack of CTE lists in sight, innermost first. False: refused.
    bool query(Query *q, List *ctes, Arms *out);

    /// The query as one arm over a node that runs it whole.
    bool run_whole(Query *q, Arms *out);

    /// Arms to finished blocks.
    bool finish(const Arms &arms, Flow *flow);

    const pg::Refusal *refusal = nullptr;

  private:
    bool query_level(Query *q, List *ctes, Arms *out);
    bool refuse(const char *code, const char *what, const char *why, const char *hint);
    bool no_rule(const char *what);
    bool check_features(const Query *q);
    bool check_tree(Node *expression);
    bool finish_block(const Arm &arm, Block *block);

    bool from_item(Query *q, Node *item, List *ctes, Arms *arms);
    bool range_table_entry(Query *q, int index, List *ctes, Arms *arms);
    bool add_table(RangeTblEntry *rte, int index, Arms *arms);
    int add_source(const RangeTblEntry *rte);
    bool check_table(Oid relid, bool only);
    bool check_member(Oid relid);
    bool check_matview(Oid relid);
    bool add_view(Query *q, RangeTblEntry *rte, int index, Arms *arms);
    bool add_query(Query *q, Query *sub, int index, List *ctes, Arms *arms, bool fenced = false, bool computed = false);
    bool add_cte(Query *q, RangeTblEntry *rte, int index, List *ctes, Arms *arms);
    bool recursive_cte(CommonTableExpr *cte, List *scopes, int *number);
    bool recursive_flow(CommonTableExpr *cte, List *scopes, GroupNode *node);
    bool whole_query(const Query *query, GroupNode *node);
    bool note_whole_tables(Query *query, GroupNode *node);
    bool add_recursive_cte(RangeTblEntry *rte, int index, CommonTableExpr *cte, List *scopes, Arms *arms);
    Node *use_stored_paths(Node *expression);
    bool add_rows(RangeTblEntry *rte, int index, algebra::InputKind kind, Arms *arms);
    bool where(Query *q, List *ctes, Arms *arms);
    bool add_quals(Query *q, Node *quals, List *ctes, Arms *arms);
    Bitmapset *filled_by(const List *conditions, const Arm &arm);
    /// The arm with a subquery's arm behind it; its outputs are those of the subquery, resolved.
    Arm merge(const Arm &arm, const Arm &part);

    bool outer_join(Query *q, JoinExpr *join, List *ctes, Arms *arms);
    bool outer_join_beside(Query *q, JoinExpr *join, List *ctes, Arms *arms);
    bool write_as_join(const Arm &outer, const Arms &matched, const List *columns, GroupNode *node);
    bool join_outer(Query *q, JoinExpr *join, List *ctes, const Arms &before, const Arms &outer, Arms *matched,
                    Arms *result);
    bool join_sides(Query *q, JoinExpr *join, List *ctes, bool chain, Arms *outer, Arms *matched, Arms *arms);
    bool collapse(Query *q, const JoinExpr *join, Arms *arms, const Arm *outer, const Arms &matched);
    bool use_collapsed(Query *q, const JoinExpr *join, Arms *arms);
    bool add_unmatched(Query *q, Node *inner, Node *quals, List *ctes, const Arm &outer, Arms *matched,
                       Arms *unmatched);
    bool with_matches(Query *q, Node *inner, Node *quals, List *ctes, const Arm &outer, Arms *result, Arms *matched);
    bool without_match(Query *q, Node *item, Node *quals, List *ctes, const Arm &arm, Arms *result);
    bool add_existence(SubLink *link, bool negated, List *ctes, Arms *arms);
    bool keep_where(const Arm &outer, const Arms &combined, algebra::Role role, Arms *result);
    bool correlate(const Arm &outer, const Arm &combined, Correlation *correlation);
    bool lift_scalars(Query *q, List *ctes, Arms *arms);
    bool add_scalar(SubLink *link, int index, List *ctes, Arms *arms);
    bool add_scalar_to(const Arm &arm, int index, Node *target, List *calls, const GroupNode &prototype,
                       const Arms &below, Arms *result);
    int add_key_node(const Arm &outer, const Arms &combined, const Correlation &correlation);
    /// References to the range table of the query being read become inputs of the arm.
    Node *to_inputs(Node *expression, const Arm &arm);
    /// The row that a Var of a whole row stands for in this arm.
    Node *whole_row(const Arm &arm, const Var *var);
    /// The same, and its subqueries become inputs of their own.
    Node *resolve(Node *expression, Arm &arm);
    Node *lift_links(Node *expression, Arm &arm);
    Node *expand_any(SubLink *link, const Arm &arm);
    bool is_never_null(Node *expression, const Query *query, const Arm *arm);
    int add_subquery(Query *subquery, Arm &arm);
    bool watch(Arm &arm, int input, Query *subquery);
    bool watch_query(Arm &arm, int input, Query *query, int depth, List *conditions);
    bool watch_item(Arm &arm, int input, Query *query, Node *item, int depth, List *conditions);
    bool watch_table(Arm &arm, int input, const RangeTblEntry *rte, int index, List *conditions);
    bool keep_without_match(Query *q, Node *item, Node *quals, List *ctes, Arms *arms);
    bool add_nullable(Query *q, Node *inner, Node *quals, List *ctes, Arms *arms);
    bool add_lateral(Query *q, Query *sub, int index, List *ctes, Arms *arms);
    bool enclose(Arm *arm);
    bool enclose_subqueries(Arm *arm, algebra::InputSet subqueries);
    int add_derived(const Arm &arm);
    bool collapse_union(Arms *arms);

    /// What the analysis has gathered so far, to go back to when an attempt ends in a refusal that another way may
    /// not meet.
    struct Mark {
        size_t nodes, tables, facts;
    };
    Mark mark() const { return {view_->nodes.size(), view_->tables.size(), view_->facts.size()}; }
    bool retreat(const Mark &mark);

    bool project(Query *q, List *targets, int kept, List *ctes, Arms *arms);
    bool aggregate(Query *q, List *targets, int kept, List *ctes, Arms *arms);
    bool group_by(Query *q, List *targets, int kept, Node *having, const List *set, Arms input, List *ctes,
                  Arms *result);
    bool select_groups(List *targets, int kept, Node *having, List *ctes, Arm arm, Arms *result);
    bool bring_together(const pg::Vector<int> &numbers, int nkeys, List **shown, Arm *above);
    bool add_call(Aggref *aggref, GroupNode *node, List **columns);
    void expand_sets(Arm *arm, int visible);
    static List *targets_of(const Query *q, int *kept);
    bool distinct(List *targets, List *clauses, Arms *arms);
    bool add_node(GroupNode *node, const Arms &arms);
    bool is_determined(Node *column, const Arm &arm);

    bool windows(Query *q, List *targets, int kept, List *ctes, Arms *arms);
    bool check_windows(const Query *q, const List *calls);
    void note_keys(const Query *q);
    bool distinct_on(const Query *q, const List *targets, Arms *arms);
    bool limit(const Query *q, const List *targets, Arms *arms);
    bool computed_limits(Node *count, Node *offset, GroupNode *node);
    bool add_partition(GroupNode *node, const char *name, const List *columns, const List *flow, const List *results,
                       Arms *arms);

    bool set_operation(Query *q, Node *tree, List *ctes, Arms *out);
    bool count_sides(const SetOperationStmt *op, Arms *arms);

    /// A recursive CTE that is analysed, or (with its node's number) has been.
    struct Recursion {
        const CommonTableExpr *cte;
        const GroupNode *node;
        int number;
    };

    ViewQuery *view_;
    Oid owner_;
    bool in_chain_ = false; // on a side of an outer join that wants one arm
    pg::Vector<Recursion> open_;
    pg::Vector<Recursion> done_;

    /// An outer join whose rows a node has; its columns, and what they are bound to.
    struct Collapsed {
        const JoinExpr *join;
        const GroupNode *node;
        int number;
        const List *columns;
        Arm bound;
    };
    pg::Vector<Collapsed> collapsed_;
};

/// Whether it only says that a construct has no rule here: then another way may do.
bool is_want_of_rule(const pg::Refusal &refusal);

/// Whether the outer joins of this item of FROM are so many that they are taken one by one.
bool is_long_chain(const JoinExpr *join);

/// Whether a FULL JOIN is among the joins of this item of FROM.
bool has_full_join(const Node *item);

/// Notes that a column of the table is read; 0: all of them, as a row.
void note_column(ViewQuery *view, TableSource *table, AttrNumber column);

/// The value of a system column that follows from the query (tableoid of a table without children), or nullptr.
Node *system_column(const Arm &arm, const Var *var);

/// The number that a recursive CTE's reference to itself has until its node has one.
inline constexpr int kOpenNode = 1 << 20;

/// The CTE as an ordinary recursive query without SEARCH and CYCLE, its further columns of types that can be stored. A
/// null result: it cannot be written so.
CommonTableExpr *expand_search_and_cycle(const CommonTableExpr *cte);

/// Whether an input of an arm gets a node of its own, together with what it reads.
bool is_enclosed(const Arm &arm, int input);

/// GROUPING(…) in one grouping set: a bit for each argument that is not in it, the last argument's lowest.
Node *grouping_value(const GroupingFunc *grouping, const List *set);

/// The output of an arm in the column types of the set operation.
List *coerce_columns(List *outputs, const SetOperationStmt *op);

/// Shifts the input numbers of every resolved Var by `by`.
Node *shift_inputs(Node *expression, int by);

/// A key that is no grouping expression of the query itself: by the default equality of its type.
KeyColumn functional_key(Node *column);

/// References to outer queries, as they read one query further out.
Node *lower_outer(Node *expression);

/// The expression, NULL where the condition is not true.
Expr *only_where(const Expr *condition, Expr *expression);

/// What a tree reads of its query, in its subqueries too: the grouping expressions, columns beside them, aggregates.
List *columns_read(Node *tree, const List *grouping);

/// The tree over the only input of an arm, a node whose columns these are; in its subqueries too.
Node *read_from_node(Node *tree, const List *columns);

/// Where FILTER keeps subqueries in the arguments of window functions from being evaluated, CASE does.
void guard_window_arguments(Query *q);

/// The one arm of a block over a node.
Arm arm_over_node(int number);

/// Visible (not resjunk) target expressions, in order.
List *visible_targets(const List *target_list);

} // namespace upkeep::analysis
