// From blocks and nodes to SQL text. Every relation and operator outside pg_catalog is qualified (the caller has set
// search_path = pg_catalog, pg_temp); expressions are deparsed by the server from analysed trees, never edited as text.
#pragma once

#include "algebra/key_set.hpp"
#include "analysis/view_query.hpp"
#include "delta/join.hpp"
#include "delta/scope.hpp"

namespace upkeep::lower {

/// Whether a conjunct may have to wait until all terms are added up.
bool evaluates_late(const algebra::Qual &qual);

/// One column of a block's wide row: what outputs read of all inputs, and conjuncts that evaluate late.
struct WideColumn {
    int input;
    AttrNumber attno;
    analysis::ColumnType type;
};

/// The wide row of a block, in a fixed order.
pg::Vector<WideColumn> wide_columns(const analysis::Block &block);

/// Name under which the delta of a base table is known to the generated SQL: a named tuplestore with the table's own
/// attribute numbers (columns c1, c2, …) and the weight w behind them.
const char *delta_name(int table);

/// The same for a node below: its output columns (c1, c2, …) and the weight w.
const char *node_delta_name(int node);

/// A tuple descriptor of that form for a base table. Unused columns may be NULL in it.
TupleDesc delta_descriptor(Oid relid);

/// How a term reads the inputs of its block; the others from their new states.
struct TermInputs {
    algebra::InputSet changed;      // from their deltas
    algebra::InputSet all_changed;  // in the run of the term
    algebra::InputSet old = 0;      // from their old states
    algebra::InputSet filtered = 0; // changed ones whose deltas hold no rows but those that the block lets through
};

/// One term of a block's delta (nothing changed: the block over new states alone): the weights of the changed inputs and
/// of those read from their old states in ascending order of input (bigint), then the wide row. Only conjuncts that
/// evaluate in the terms of the run are in it, and none that filtered inputs have been asked: the planner, which knows
/// nothing of the values in deltas, would take most of their rows for lost.
const char *term_sql(const analysis::Block &block, const TermInputs &inputs, const pg::Vector<WideColumn> &wide);

/// The block's outputs over the new states alone, where the planner may see what subqueries are and ask them all at once,
/// and may have workers evaluate the outputs.
const char *contents_sql(const analysis::Block &block);

/// The columns of a watched input whose values say which rows it touches, where a row can be tied to no more than one
/// of the keys that its change has; else none.
Bitmapset *touching_key(const analysis::Block &block, int input);

/// One summand of the delta of a block with a subquery: the weight of the joined input's change (where the summand
/// reads it), then the wide row.
const char *scope_sql(const analysis::Block &block, const delta::ScopeTerm &term, const pg::Vector<WideColumn> &wide);

/// A table, or the state of a node, that a statement is to read as it was before the change.
struct OldRelation {
    int source; // number of the table, or of tables + number of the node
    Oid relid;
    bool only;
    bool is_node;
    bool constrained;               // what its columns say of NULLs holds for all its rows
    pg::Vector<AttrNumber> columns; // that are read; its other columns are NULL
};

/// Name under which the rows are known that the relation had of the images that have changed: columns c1, c2, … by the
/// relation's attribute numbers.
const char *old_rows_name(int source);

/// Adds the sources that this summand reads, in subqueries too, and those among them of which it reads all old rows
/// again and again, since it does not ask for them by keys. False: they cannot be read as they were.
bool reads_relations(const analysis::Block &block, const delta::ScopeTerm &term, std::span<const OldRelation> relations,
                     std::uint64_t *found, std::uint64_t *scanned);

/// The summand over the old states: the relations of the set `was` are read as they were. $1 (bigint) is the
/// number of the run.
const char *old_scope_sql(const analysis::Block &block, const delta::ScopeTerm &term,
                          const pg::Vector<WideColumn> &wide, std::span<const OldRelation> relations,
                          std::uint64_t was);

/// The rows that the relation has now of the images that have changed. $1 as above.
const char *changed_rows_sql(const OldRelation &relation);

/// `SELECT 1` over the changed rows of `input`, which is among `kept`, joined with the others of these (tables and
/// nodes) by the conjuncts that read nothing else and cannot fail.
const char *probe_sql(const analysis::Block &block, int input, algebra::InputSet kept);

/// Reads one group again, for a node without nodes below: `SELECT` the wanted aggregate calls over the rows whose key
/// equals $1 … $n; `null_keys` are those that are NULL (their parameters are unused).
const char *group_sql(const analysis::GroupNode &node, const algebra::KeySet &null_keys, std::span<const int> wanted);

/// The key columns of any one row of such a group.
const char *representative_sql(const analysis::GroupNode &node, const algebra::KeySet &null_keys);

enum class Groups : std::uint8_t {
    all,
    listed, // those whose keys are rows of the named tuplestore upkeep_keys(k1, k2, …)
};

/// Reads many groups again in one statement: the key columns, then the wanted aggregate calls, grouped by the keys, of
/// which `null_keys` are NULL in all that are listed.
const char *groups_sql(const analysis::GroupNode &node, Groups groups, std::span<const int> wanted,
                       const algebra::KeySet &null_keys = {});

/// A query of the analysis as it is.
const char *query_sql(const Query *query);

/// The rows that a partition node has for one key, as for group_sql: its output columns, and perhaps more behind them.
const char *partition_sql(const analysis::GroupNode &node, const algebra::KeySet &null_keys);

/// The same for many keys, or for all.
const char *partitions_sql(const analysis::GroupNode &node, Groups groups);

/// The rows of a partition node without keys, from the named tuplestore upkeep_rows(c1, c2, …) in place of its flow.
const char *merge_sql(const analysis::GroupNode &node);

inline constexpr const char *kRowsName = "upkeep_rows";
inline constexpr const char *kKeysName = "upkeep_keys";

} // namespace upkeep::lower
