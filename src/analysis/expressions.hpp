// Which scalar expressions can be maintained, and what the plan comes to rely on through them.
#pragma once

#include "analysis/view_query.hpp"

namespace upkeep::analysis {

/// Walks one expression tree: volatile, time-dependent and user-defined STABLE functions, subqueries and window
/// functions are refused; the functions and enum types met become facts. Returns nullptr if all is well.
const pg::Refusal *check_expression(Node *expression, ViewQuery *view);

/// The same for a whole query that is evaluated as it stands, with all that is inside it.
const pg::Refusal *check_subquery(Query *query, ViewQuery *view);

/// The same for one function (an aggregate).
const pg::Refusal *check_function(Oid function, ViewQuery *view);

/// The refusal of a system column such as ctid.
const pg::Refusal *refuse_system_column(AttrNumber column);

/// Refusals that more than one place raises.
const pg::Refusal *data_modifying();
const pg::Refusal *row_locking();
const pg::Refusal *tablesample();

/// The refusal of a SEARCH or CYCLE clause in whose paths PostgreSQL is free, or nullptr: it adds their columns to the
/// recursive term behind its back, so that DISTINCT keeps one of several paths, and LIMIT and windows do not sort by
/// them.
const pg::Refusal *check_paths(const CommonTableExpr *cte);

/// True if evaluating the expression can never raise an error (every function in it is leakproof, or it is a plain
/// equality of columns).
bool is_infallible(Node *expression);
/// The same of a node without what is below it.
bool may_fail_by_itself(Node *node);

/// Whether the condition lets no row pass: it is false, or a constant NULL in it makes it NULL.
bool is_never_true(Node *condition);

/// The code of a refusal that nobody is shown: a construct has no rule here, and another way is tried. The last is to
/// run the query whole.
inline constexpr const char *kNoRule = "no-rule";

const pg::Refusal *make_refusal(const char *code, const char *what, const char *why, const char *hint);

} // namespace upkeep::analysis
