// Orders in which only rows with the same image tie.
#pragma once
#include "pg/memory.hpp"

namespace upkeep::analysis {

/// Whether values that are equal, by the default equality of the expression's type, can have different images.
bool has_several_images(const Expr *expression);

/// Whether rows that tie in an ORDER BY list have the same image in all the expressions as it is.
bool is_ordered_by_image(const List *clauses, List *targets, List *expressions);

/// Extends an ORDER BY list so that rows that tie in it have the same image in all the expressions. The clauses refer
/// to `targets`, where missing expressions are added as hidden entries. Nothing is added where nothing is missing.
void order_by_image(List **clauses, List **targets, List *expressions);

/// The target entry of an expression, added as a hidden one if there is none.
TargetEntry *find_or_add_target(List **targets, Expr *expression);

/// The expressions, each once, without constants.
List *distinct_expressions(List *expressions);

/// Whether the list has an equal expression.
bool has_expression(const List *expressions, const Node *expression);

} // namespace upkeep::analysis
