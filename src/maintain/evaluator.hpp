// A block's conditions and outputs, compiled with the server's expression machinery for one shape of input row.
#pragma once

#include "lower/sql.hpp"
#include "maintain/zset.hpp"

namespace upkeep::maintain {

/// Compiled once per program and used for many rows. Lives in the context current at compile time.
class Evaluator {
  public:
    /// Over the rows of the block's only input (a base table's or a node's own columns).
    static Evaluator *over_input(const analysis::Block &block);
    /// Over wide rows. `with_quals` false: the conjuncts were evaluated by SQL.
    static Evaluator *over_wide(const analysis::Block &block, const pg::Vector<lower::WideColumn> &wide,
                                bool with_quals);
    /// Of those conditions of the block over this input alone that cannot fail, over the input's rows; no outputs.
    /// nullptr: there are none.
    static Evaluator *over_relevant(const analysis::Block &block, int input);

    /// Evaluates one row and gives its outputs to the sink, if the conditions hold. False: they do not.
    bool row(TupleTableSlot *slot, RowSink &sink, int64 weight);
    /// Evaluates one row whatever the conditions; the outputs stay valid until the next call.
    bool outputs(TupleTableSlot *slot, const Datum **values, const bool **nulls);
    /// Whether the conditions hold.
    bool accepts(TupleTableSlot *slot);

  private:
    struct Output {
        AttrNumber column; // a plain column, else 0
        ExprState *state;
    };
    static Evaluator *compile(List *quals, List *outputs);

    ExprContext *context_;
    ExprState *qual_;
    int count_;
    AttrNumber last_column_;
    Output *outputs_;
    Datum *values_;
    bool *nulls_;
};

} // namespace upkeep::maintain
