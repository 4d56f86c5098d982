// Reading the change of one base table row by row.
#pragma once

#include "maintain/run.hpp"

namespace upkeep::maintain {

class DeltaReader {
  public:
    DeltaReader(Run &run, int table);
    ~DeltaReader();
    DeltaReader(const DeltaReader &) = delete;
    DeltaReader &operator=(const DeltaReader &) = delete;

    /// The next row; false at the end. Valid until the next call.
    bool next();
    TupleTableSlot *slot(); // with the base table's attribute numbers
    int64 weight() const { return weight_; }

  private:
    bool next_consolidated();

    TableDelta &delta_;
    TupleTableSlot *slot_ = nullptr; // of consolidated rows
    std::optional<capture::BatchReader> batch_;
    size_t at_ = 0;
    int64 weight_ = 0;
};

} // namespace upkeep::maintain
