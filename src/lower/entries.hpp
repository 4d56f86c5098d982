// The pieces of query trees that are made to be deparsed.
#pragma once
#include "pg/memory.hpp"

extern "C" {
#include "nodes/makefuncs.h"
#include "parser/parsetree.h"
}

namespace upkeep::lower {

/// A reference to a named tuplestore (or a CTE). The server prints a reference to a CTE as its bare name, which is how
/// a named tuplestore is written too.
RangeTblEntry *tuplestore_entry(const char *name, Alias *alias, List *columns);
RangeTblEntry *subquery_entry(Query *query, Alias *alias, List *columns);

RangeTblRef *reference(int index);

/// SELECT, with neither FROM nor targets yet.
Query *select_nothing();
/// SELECT FROM the entry.
Query *select_from(RangeTblEntry *rte);

/// Adds an entry of the query to its FROM.
void add_item(Query *q, int index);

/// Adds an output column, named c1, c2, …
void add_target(Query *q, Expr *e);

/// EXISTS (SELECT 1 FROM …) of a query that has no targets yet.
Node *exists(Query *inner);

/// OFFSET 0: the planner passes no condition into the query.
void fence(Query *q);

/// c1, c2, …
List *numbered_names(int n);

} // namespace upkeep::lower
