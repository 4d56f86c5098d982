// A view's compiled maintenance program: cached per backend, dropped when anything it was made from changes.
#pragma once
#include "algebra/key_set.hpp"
#include "catalog/registration.hpp"
#include "maintain/aggregate.hpp"
#include "maintain/evaluator.hpp"
#include "maintain/target.hpp"

namespace upkeep::maintain {

/// A prepared statement of one term, or of a probe of a change, for one size class of the change.
struct TermPlan {
    algebra::InputSet changed;
    algebra::InputSet old;    // read from their old states
    bool phantoms;            // conjuncts that can fail are left out: more than one input changed
    algebra::InputSet beside; // of a probe: the inputs joined with the change, and itself; of a term: none
    int size_class;
    SPIPlanPtr plan;
    bool scoped; // of a block with a subquery: the summand
    delta::ScopeTerm scope;
    std::uint64_t was;    // sources that it reads as they were
    bool cached = false;  // planned as if pages were in memory
    bool by_rows = false; // see TermWanted
};

struct BlockProgram {
    const analysis::Block *block;
    uint32 number;              // within the program
    bool direct;                // a single stored input and nothing else: evaluated over its rows, without SQL
    Evaluator *input_evaluator; // direct
    pg::Vector<lower::WideColumn> wide;
    TupleDesc wide_desc;
    std::span<pg::ColumnOps> wide_ops;
    Evaluator *wide_outputs; // conditions evaluated by SQL
    Evaluator *wide_all;
    std::uint64_t reads = 0; // with watched inputs: the sources that the old states are made of (see old_state.hpp)
    std::uint64_t scans = 0; // those of them whose old rows are not asked for by keys
    bool reads_known = false;
    pg::Vector<TermPlan> plans;
};

/// A prepared statement that reads one group again.
struct GroupPlan {
    algebra::KeySet null_keys;
    std::uint64_t wanted; // bits of aggregate calls; bit 63: the keys
    SPIPlanPtr plan;
};

/// Where a state column of a group is kept, or what it follows from.
struct StatePlace {
    AttrNumber column; // of the target; 0: derived
    int same_as;       // derived: position of the state column with the same value
};

struct NodeProgram {
    int number;
    const analysis::GroupNode *node;
    pg::Vector<BlockProgram> blocks;
    std::span<pg::ColumnOps> flow_ops;
    std::span<pg::ColumnOps> key_ops; // with the grouping's own equality
    std::span<pg::ColumnOps> row_ops; // of the output columns (keys, aggregates)
    TupleDesc row_desc;               // of the output columns
    int naggs;
    AggSpec *specs;
    Size *delta_offset; // of each aggregate's delta within a group's memory
    Size delta_size;
    int *first_state; // position of each aggregate's first state column; position 0 is the number of rows
    int *states_of;   // number of its state columns
    int nstates;
    bool consolidates;         // some aggregate needs its input consolidated
    bool reads_again;          // some aggregate is always read again
    bool ambiguous_keys;       // equal keys can have different images
    bool in_view;              // the view itself is the state
    bool derived;              // there is no state
    Oid relid;                 // the state table, or the view
    AttrNumber *key_column;    // of the target
    AttrNumber *result_column; // of the state table, per aggregate, where SQL reads the node's rows; else nullptr
    StatePlace *state_place;
    int *visible_count; // in the view: per aggregate, the state position that counts its non-null values, or -1
    Identity identity;
    pg::Vector<GroupPlan> plans;
};

/// Whether a node's state table holds its rows as they are, columns c1 …
inline bool stores_rows(const analysis::GroupNode &node) {
    return node.kind == analysis::NodeKind::partition || node.kind == analysis::NodeKind::fixpoint;
}

/// Whether the rows of a node's state are found by a key; else all of them are read.
inline bool has_identity(const analysis::GroupNode &node) {
    return node.kind != analysis::NodeKind::partition || node.nkeys() > 0;
}
inline constexpr Identity kNoIdentity{IdentityKind::none, InvalidOid, 0, nullptr, nullptr, nullptr, nullptr};
/// Where the state table holds an output column (from 1) of a node that SQL reads.
AttrNumber stored_column(const NodeProgram &node, int column);

/// How the rows of the view are found where no node's state is in it.
struct OutputProgram {
    pg::Vector<BlockProgram> blocks;
    std::span<pg::ColumnOps> ops;
    bool keyed; // identity is a key, else a bag
    Identity identity;
};

/// What is prepared for a base table when it has changed for the first time.
struct TableProgram {
    std::span<AttrNumber> used;      // columns that the view uses
    std::span<pg::ColumnOps> ops;    // of these
    TupleDesc delta_desc;            // of its change as a relation for SQL
    SPIPlanPtr changed_rows[4];      // for old states: the rows of changed images, by size class; nullptr until needed
    std::span<Evaluator *> relevant; // a row that none of them accepts takes part in nothing; empty: all rows may
};

struct Program {
    uint64 serial; // every one that this backend compiles has another
    Oid view;
    Oid owner;
    MemoryContext context;
    analysis::ViewQuery *query;
    pg::Vector<TableProgram> tables; // by table number of the query
    pg::Vector<NodeProgram> nodes;
    OutputProgram output;
    bool output_in_node; // the last node keeps its state in the view: no separate output stage
    bool fixed_path;     // maintenance runs SQL or user-defined functions: needs the fixed search_path
    bool watches;        // some block has a subquery, for which the old states are read
    bool scoped;         // some step reads touched groups again as a matter of course
    const char *layout;  // how rows are stored, as text
    pg::Vector<std::pair<const char *, const char *>> settings;
};

/// What analysis and layout make of a view's query, before any state exists.
struct Design {
    Program *program;                       // identities and state tables not yet filled in
    pg::Vector<const char *> state_columns; // per node, the column list of its state table, nullptr: in the view
    IdentityKind view_kind;
    pg::Vector<AttrNumber> view_key;
    pg::Vector<Oid> view_key_equality;
    pg::Vector<Oid> view_key_collation;
    const Oid *key_equality() const { return view_key.empty() ? nullptr : view_key_equality.data(); }
    const Oid *key_collation() const { return view_key.empty() ? nullptr : view_key_collation.data(); }
    pg::Vector<analysis::Reliance> keys_relied_on; // primary keys that the identity rests on
};

/// Analyses and lays out. nullptr and a refusal if it cannot be maintained in that mode. Runs as the owner with the
/// fixed path (the caller's RunAs); all memory in the current context.
Design *design_view(Oid view, catalog::Mode mode, const Query *query, Oid owner, const pg::Refusal **refusal);

/// The program of a registered view, compiled if need be. nullptr: the stored layout no longer fits (the view has to be
/// activated again), with the reason.
Program *find_program(Oid view, const char **why);

/// Completes a design with the identities and state tables that exist; for find_program and activate.
bool bind_design(Design *design, const char **why);

/// The query of a materialized view.
const Query *view_query(Relation rel);

/// Drops a view's cached program in this backend (its plans too).
void forget_program(Oid view);

/// Registered by module.cpp: invalidation callbacks.
void install_program_cache();

} // namespace upkeep::maintain
