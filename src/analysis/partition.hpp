// What the queries of partition nodes are made of. Such a query reads the node's input flow, as relation 1, which has
// no entry in the range table yet.
#pragma once

#include "analysis/view_query.hpp"

extern "C" {
#include "nodes/makefuncs.h"
#include "parser/parsetree.h"
}

namespace upkeep::analysis {

/// The expression with each occurrence of one of `from` replaced by its counterpart.
Node *substitute(Node *expression, const List *from, const List *to);

/// The columns of a node's flow: the keys, then the others; at least one.
List *flow_of(List *keys, const List *columns);

/// A query over a flow that shows all of its columns, and then what is added.
class FlowQuery {
  public:
    /// `columns`: expressions of the query level that the flow's columns stand for. They outlive this.
    explicit FlowQuery(const List *columns);

    /// An expression of the query level over the flow.
    Node *over_flow(Node *expression) const { return substitute(expression, columns_, vars_); }

    void add_column(Expr *expression);

    /// ORDER BY, PARTITION BY or DISTINCT ON of a query level, whose target entries they refer to.
    List *clauses(const List *clauses, List *targets);

    /// The query, once everything is added.
    Query *finish();

    Query *query() { return query_; }

  private:
    Index reference(Node *expression);

    const List *columns_;
    List *vars_ = NIL;
    List *hidden_ = NIL;
    Query *query_;
};

} // namespace upkeep::analysis
