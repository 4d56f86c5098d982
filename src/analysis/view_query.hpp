// What the analysis makes of a materialized view's query: flows of blocks over sources, and nodes (aggregations)
// between them. See algebra/block.hpp for the shape; here the expressions are the server's own trees.
#pragma once

#include "algebra/block.hpp"
#include "pg/memory.hpp"
#include "pg/refusal.hpp"

namespace upkeep::analysis {

/// A base table, or a registered materialized view that is read like one; once however often it occurs.
struct TableSource {
    Oid relid;
    Bitmapset *used;           // columns that the query reads, offset by FirstLowInvalidHeapAttributeNumber
    bool only = false;         // FROM ONLY a table with children: their rows are not read
    bool is_matview = false;   // its changes are those that its maintenance writes
    pg::Vector<Oid> members;   // the tables whose rows are read: itself, its partitions, its children
    pg::Vector<Oid> ancestors; // the tables by whose name a statement can change these rows too
    bool constrained = true;   // its primary key and NOT NULL hold for all its rows: children have none of them
};

struct GroupNode;

/// Var convention in the expressions of a block: varno = number of the input + 1, varattno = the input's column
/// (the table's own attribute number; the node's output column; the function's or VALUES list's column).
struct Block {
    pg::Vector<algebra::Input> inputs;
    pg::Vector<RangeTblEntry *>
        rtes; // per input: relation, function or VALUES entry (expressions resolved); NULL for a node
    pg::Vector<const GroupNode *> nodes; // per input: the node, or NULL
    List *quals = NIL;                   // conjuncts, Node *
    pg::Vector<algebra::Qual> qual_shapes;
    List *outputs = NIL; // Expr *
    bool outputs_infallible = false;

    algebra::Block shape() const {
        return {{inputs.data(), inputs.size()}, {qual_shapes.data(), qual_shapes.size()}, outputs_infallible};
    }
};

struct ColumnType {
    Oid type;
    int32 typmod;
    Oid collation;
};

/// Blocks joined by UNION ALL.
struct Flow {
    pg::Vector<ColumnType> columns;
    pg::Vector<Block *> blocks;
};

struct KeyColumn {
    Oid equality; // btree equality operator; InvalidOid: none, it follows from the other keys and is compared by image
    Oid collation;
};

/// One aggregate call over the columns of the node's input flow.
struct AggCall {
    Aggref *aggref;       // as in the query, arguments unresolved: for names and types only
    pg::Vector<int> args; // flow columns of the arguments, and of what its ORDER BY sorts by; -1: a record of arguments
    int filter;           // flow column, or -1
    bool plain;           // no DISTINCT, no ORDER BY, not an ordered-set aggregate, at most one argument
    bool not_null;        // the argument is known to be never NULL
    int constant_scale;   // display scale of a bare numeric(p,s) column, else -1
    List *direct = NIL;   // direct arguments of an ordered-set aggregate: over the keys, Vars of relation 1
    int tally = -1;       // with DISTINCT: the node of the values that it adds up instead of the flow's; -1: none
};

/// What a node makes of its input flow.
enum class NodeKind : std::uint8_t {
    group,     // γ, δ: a row for each key; its state is folded
    partition, // a query over the flow, key by key: windows, DISTINCT ON, LIMIT; its rows are stored and compared
    derived,   // the flow itself: it has a consolidated delta, and no state
    fixpoint,  // the least fixpoint of the flow, which reads the node itself; without blocks: its query, run whole;
               // without query: the flow's rows, stored
    tally,     // δ of a group node's keys and the DISTINCT argument of a call: part of that node, fed by its flow
};

/// How SQL writes the rows of a derived node that is an outer join: (left) LEFT JOIN (right UNION ALL …) ON `on`, whose
/// Vars, and those of `outputs`, are of relation 1, left's columns, and 2, right's.
struct OuterJoin {
    Block *left = nullptr;
    pg::Vector<Block *> right;
    List *on = NIL;
    List *outputs = NIL;
};

/// γ: input flow columns are the keys first, then arguments and filters. Output columns: keys, then aggregates.
struct GroupNode {
    NodeKind kind = NodeKind::group;
    Flow input;
    bool scalar = false; // an aggregate without GROUP BY: one row always
    pg::Vector<KeyColumn> keys;
    pg::Vector<AggCall> aggs;
    pg::Vector<ColumnType> columns; // of the output
    // Of a fixpoint. UNION: all columns are keys, UNION ALL: none are.
    Query *query = nullptr;      // gives all its rows
    Bitmapset *tables = nullptr; // numbers of the tables that the query, or `limits`, reads
    // Where SQL finds the node's rows: a state table and, per output column, its column there. Not set before they
    // exist.
    Oid stored = InvalidOid;
    pg::Vector<AttrNumber> stored_columns;
    // partition: a query over relation 1, the input flow (not in its range table yet). Its first columns are those of
    // the flow, the keys before all others; what it has beyond `columns` is not read.
    Query *function = nullptr;
    Query *limits = nullptr; // of a LIMIT that is not constant: one row, the count and what is passed over (bigint)
    const char *function_name = nullptr; // for explain
    OuterJoin *as_join = nullptr;        // derived: an outer join; else SQL reads the blocks
    // Output columns (from 1) that are expressions over others, as Vars of relation 1: what a join is tied by.
    pg::Vector<std::pair<int, Node *>> computed;
    bool unique_keys = false;            // partition: at most one row for each key
    pg::Vector<int> tallies;             // group: numbers of its tallies
    int argument = -1;                   // tally: column of the group's flow, the last key here
    int filter = -1;                     // tally: the column of the flow that says which rows count, or -1
    bool shows_forms = false;            // tally: it matters which of several equal values is reported

    int nkeys() const { return static_cast<int>(keys.size()); }
};

/// A fact that the plan relies on beyond PostgreSQL's own dependencies.
struct Reliance {
    Oid classid;
    Oid objid;
    int32 subid;
    const char *kind;
};

/// Which settings the accepted STABLE functions of a query depend on.
enum class SettingsUse : std::uint8_t { none, time_zone, all };

struct ViewQuery {
    pg::Vector<TableSource> tables;
    pg::Vector<GroupNode *> nodes; // in topological order
    Flow output;
    pg::Vector<Reliance> facts;
    SettingsUse settings = SettingsUse::none;
};

/// Analyses the query of a materialized view. Returns nullptr and a refusal where it cannot be kept up to date
/// incrementally. `query` is not changed. `owner`: as whom the view is maintained (for the checks of rights).
ViewQuery *analyse(const Query *query, Oid owner, const pg::Refusal **refusal);

/// The query as a node that is run whole at every change: where its parts cannot be kept.
ViewQuery *analyse_whole(const Query *query, Oid owner, const pg::Refusal **refusal);

} // namespace upkeep::analysis
