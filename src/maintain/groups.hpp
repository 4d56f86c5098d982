// Folding a node's input delta per group, in memory.
#pragma once

#include "maintain/program.hpp"

namespace upkeep::maintain {

/// The summed change of one group.
struct Group {
    uint64 hash;
    int64 rows; // change of the number of rows
    Datum *keys;
    bool *nulls;
    ZSet *images; // weights of the key images, for keys whose equal values can differ in form; else nullptr
    char *deltas;
    Datum *read_values; // keys and aggregates as read again together with other groups; nullptr: not read
    bool *read_nulls;

    AggDelta *delta(const NodeProgram &node, int agg) {
        return reinterpret_cast<AggDelta *>(deltas + node.delta_offset[agg]);
    }
};

class GroupTable final : public RowSink {
  public:
    GroupTable(const NodeProgram &node, MemoryContext memory);

    /// One row of the node's input flow: keys, arguments, filters.
    void add(const Datum *values, const bool *nulls, int64 weight) override;

    /// The change of a tally (keys, value) goes into the calls that add up its values.
    void add_distinct(int tally, ZSet &change);

    /// The one group of an aggregate without GROUP BY is there even without rows.
    void require_scalar() {
        if (count_ == 0)
            find_or_add(nullptr, nullptr);
    }

    /// The group with this key, or nullptr.
    Group *find(const Datum *values, const bool *nulls);

    /// The groups in the order in which their rows are locked (by hash of the key, then by the key, the same for every writer).
    std::span<Group *> in_lock_order();
    bool is_empty() const { return count_ == 0; }
    size_t size() const { return static_cast<size_t>(count_); }

  private:
    uint64 hash(const Datum *values, const bool *nulls) const;
    Group **place_of(uint64 hash, const Datum *values, const bool *nulls);
    Group *find_or_add(const Datum *values, const bool *nulls);
    void grow();

    const NodeProgram &node_;
    MemoryContext memory_;
    Group **groups_ = nullptr;
    Group **table_ = nullptr;
    int64 count_ = 0;
    int64 room_ = 0;
};

} // namespace upkeep::maintain
