// Query trees of blocks, made to be deparsed.
#pragma once

#include "lower/entries.hpp"
#include "lower/sql.hpp"

namespace upkeep::lower {

/// SELECT over the block's inputs, the changed ones read from their deltas; no targets yet. Anti inputs are in FROM
/// only where they are read from their deltas.
/// Inputs in `old` are read from the CTEs of old_states, which have the weight like a delta.
Query *block_query(const analysis::Block &block, algebra::InputSet changed, algebra::InputSet old = 0);

/// WITH …: the old states of the inputs, their new states and the opposite of their deltas; empty where there are none.
const char *old_states(const analysis::Block &block, algebra::InputSet old);

/// The conjuncts that evaluate in the term, and that no key of the other anti inputs is tied; of one that is read from
/// its old state, that none was tied before.
void add_quals(Query *q, const analysis::Block &block, const TermInputs &inputs);

/// SELECT over the block's inputs in a summand of the delta of a block with a subquery; no targets yet.
Query *scope_query(const analysis::Block &block, const delta::ScopeTerm &term);

/// Whether a condition that ties a watched input is about the row of that input alone.
bool is_filter(const analysis::Block &block, int qual);
/// SELECT of the block's outputs over the new state.
Query *contents_query(const analysis::Block &block);
/// SELECT of the rows of a derived node over the new state.
Query *derived_query(const analysis::GroupNode &node);

/// Conditions on values of subqueries in FROM become conditions with these subqueries, where the planner sees what they
/// are.
void ask_subqueries(Query *q);

/// The query as text.
const char *deparse(const Query *q);

/// An input of a block, or its delta, as an entry of a query, named o1, o2, …
RangeTblEntry *input_entry(const analysis::Block &block, int i, bool from_delta);

/// Adds the columns of the wide row.
void add_wide(Query *q, const pg::Vector<WideColumn> &wide);

/// The number of the weight column in the delta of an input.
AttrNumber weight_column(const analysis::Block &block, int input);

} // namespace upkeep::lower
