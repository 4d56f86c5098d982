// What a change does to the rows that a LIMIT keeps.
#pragma once

#include "maintain/run.hpp"

namespace upkeep::maintain {

enum class LimitEffect : std::uint8_t {
    none,       // every changed row comes after the last one that is kept
    merge,      // the new rows are among the kept ones and the added ones
    read_again, // a row that is kept leaves, or what stands before the kept rows changes
};

/// The order of a LIMIT, as far as it is one of plain columns.
class LimitOrder {
  public:
    /// nullopt: the node is no LIMIT, or one without a count. Current context.
    static std::optional<LimitOrder> of(const analysis::GroupNode &node);

    /// The limits as the active snapshot has them, where they are not constant. False: there is no count, or one of them
    /// is an error.
    bool measure(Run &run, NodeProgram &node);

    LimitEffect effect(ZSet &change, ZSet &kept);

  private:
    int compare(const ZSet::Row *a, const ZSet::Row *b);

    int64 count_ = 0;
    bool offset_ = false;
    pg::Vector<int> columns_;
    pg::Vector<SortSupportData> support_;
};

} // namespace upkeep::maintain
