// A copy of a query that grows further columns.
#pragma once
#include "analysis/free_choice.hpp"

namespace upkeep::analysis {

/// An expression over float aggregates, rewritten to read its parts from the companion's row.
struct FloatExpression {
    Expr *expression;
    pg::Vector<FloatLeaf> leaves;
};

class Companion {
  public:
    explicit Companion(const Query *original);

    Query *query() { return copy_; }
    /// Adds a column after those that there are; an equal expression is not added twice. Returns its number from 0.
    int add(const Expr *expression);
    /// Adds a column even where there is an equal one.
    int append(const Expr *expression);
    /// Adds what bounds the error of a float aggregate that is in column `value` already (or -1: it is added, too).
    FloatLeaf add_float(const Aggref *aggregate, int value = -1);
    /// Adds every aggregate, group key and variable in the expression, and the bounds of the float ones.
    FloatExpression add_expression(Node *expression);

  private:
    int insert(const Expr *expression, int number);

    const Query *original_;
    Query *copy_;
};

/// The kind of a float aggregate whose value depends on the order of its additions; nothing for any other.
std::optional<FloatKind> find_float_kind(Oid aggregate);

/// count(DISTINCT …) of the argument of an aggregate call with DISTINCT, and of its text, which tells images apart.
Expr *make_count_of_values(const Aggref *aggregate);
Expr *make_count_of_images(const Aggref *aggregate);

/// array_agg of the first argument of an aggregate call, with its FILTER.
Expr *make_array_of(const Aggref *aggregate);

/// The first argument of an aggregate call for rows that pass its FILTER, else NULL; as an expression over one row.
Expr *make_filtered_argument(const Aggref *aggregate);

} // namespace upkeep::analysis
