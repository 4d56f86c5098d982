// Writing rows to the change log of a base table.
#pragma once
#include "capture/log_layout.hpp"

namespace upkeep::capture {

/// Appends rows to the current segment of a log, which is opened when there is a row. Where the segment is gone, the
/// last view that wanted the rows has just been unregistered. One writer at a time: nothing that adds rows may run a
/// user's code.
class LogWriter {
  public:
    /// `table` and `layout` outlive the writer. `at_most`: how many rows may come.
    LogWriter(const catalog::TableEntry &table, LogLayout &layout, int64 at_most);
    LogWriter(const LogWriter &) = delete;
    LogWriter &operator=(const LogWriter &) = delete;

    /// Adds a row of the base table, which is copied.
    void add(TupleTableSlot *row, int weight);
    /// Adds a row that says that changes were lost.
    void add_lost();
    void finish();

    /// The block that the last row went to.
    BlockNumber last_block() const { return last_block_; }

  private:
    bool open();
    void prepare_batch();
    HeapTuple form(int weight);
    void put(HeapTuple tuple);
    void flush();
    BlockNumber insert_one(CommandId command);
    BlockNumber insert_together(CommandId command);

    MemoryContext memory_ = CurrentMemoryContext;
    Oid relid_;
    const catalog::LogTarget &target_;
    LogLayout &layout_;
    int64 at_most_;
    bool opened_ = false;
    Relation segment_ = nullptr;
    BulkInsertState bulk_ = nullptr;
    char *room_ = nullptr; // for a batch of rows of fixed width
    Size stride_ = 0;
    HeapTuple few_[LogLayout::kFewRows];
    HeapTuple *rows_ = nullptr;
    TupleTableSlot **slots_ = nullptr;
    int batch_rows_;
    int filled_ = 0;
    Size bytes_ = 0;
    BlockNumber last_block_ = 0;
};

} // namespace upkeep::capture
