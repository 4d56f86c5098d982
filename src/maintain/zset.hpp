// A Z-set in memory: rows with weights, consolidated by image.
#pragma once

#include "analysis/view_query.hpp"
#include "pg/row_hash.hpp"

namespace upkeep::maintain {

/// Receives weighted rows. The values are valid during the call only.
class RowSink {
  public:
    virtual void add(const Datum *values, const bool *nulls, int64 weight) = 0;

  protected:
    ~RowSink() = default;
};

/// Rows keyed by image with the sum of their weights. Rows whose weights cancelled stay with weight 0 until read.
class ZSet final : public RowSink {
  public:
    struct Row {
        uint64 hash;
        int64 weight;
        Datum *values;
        bool *nulls;
    };

    /// Rows are copied into `memory`.
    ZSet(std::span<const pg::ColumnOps> columns, MemoryContext memory);

    void add(const Datum *values, const bool *nulls, int64 weight) override;
    /// The row with this image, or nullptr.
    Row *find(const Datum *values, const bool *nulls);

    std::span<Row *> rows() { return {rows_, static_cast<size_t>(count_)}; }
    bool is_empty() const; // nothing with a weight other than 0
    std::span<const pg::ColumnOps> columns() const { return columns_; }

  private:
    uint64 hash(const Datum *values, const bool *nulls) const;
    Row **slot_for(uint64 hash, const Datum *values, const bool *nulls);
    void grow();

    std::span<const pg::ColumnOps> columns_;
    MemoryContext memory_;
    Row **rows_ = nullptr;  // in order of arrival
    Row **table_ = nullptr; // open addressing, power of two
    int64 count_ = 0;
    int64 room_ = 0;
    int64 table_size_ = 0;
};

/// What a ZSet needs to know of a flow's columns. Current context.
std::span<pg::ColumnOps> column_ops(const pg::Vector<analysis::ColumnType> &columns);

} // namespace upkeep::maintain
