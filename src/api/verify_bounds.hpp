// How far the value of a float aggregate may be from what another order of its additions gives.
#pragma once
#include "analysis/free_choice.hpp"
#include "maintain/row_comparison.hpp"

namespace upkeep::api {

using maintain::Row;

/// Says of a column that depends on float aggregates whether the view's value may stand for the query's.
class FloatBounds {
  public:
    FloatBounds(const analysis::FreeChoices *choices, TupleDesc query_desc);

    /// `number` is a column of freedom floating; `query` a row of the companion.
    bool is_within(int number, const Row &view, const Row &query);

  private:
    bool is_direct_within(const analysis::FloatLeaf &leaf, Oid type, Datum view, const Row &query);
    bool is_expression_within(int number, Datum view, bool view_null, const Row &query);
    void show(const Row &query);
    Datum evaluate(int number, bool *isnull);

    const analysis::FreeChoices *choices_;
    TupleDesc desc_;
    EState *state_;
    ExprState **expressions_;
    TupleTableSlot *slot_;
};

/// A float4, float8 or numeric value.
long double to_long_double(Oid type, Datum value);
bool is_number_type(Oid type);

} // namespace upkeep::api
