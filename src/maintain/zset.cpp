#include "maintain/zset.hpp"

#include "pg/memory.hpp"

namespace upkeep::maintain {

ZSet::ZSet(std::span<const pg::ColumnOps> columns, MemoryContext memory) : columns_(columns), memory_(memory) {}

uint64 ZSet::hash(const Datum *values, const bool *nulls) const {
    uint64 h = columns_.size();
    for (size_t i = 0; i < columns_.size(); i++)
        h = pg::combine_hash(h, pg::image_hash(columns_[i], values[i], nulls[i]));
    return h;
}

ZSet::Row **ZSet::slot_for(uint64 hash, const Datum *values, const bool *nulls) {
    const uint64 mask = static_cast<uint64>(table_size_) - 1;
    for (uint64 at = (hash ^ (hash >> 32)) & mask;; at = (at + 1) & mask) {
        Row *row = table_[at];
        if (row == nullptr)
            return &table_[at];
        if (row->hash != hash)
            continue;
        bool same = true;
        for (size_t i = 0; same && i < columns_.size(); i++)
            same = pg::image_equal(columns_[i], row->values[i], row->nulls[i], values[i], nulls[i]);
        if (same)
            return &table_[at];
    }
}

void ZSet::grow() {
    pg::InContext in(memory_);
    const int64 room = room_ == 0 ? 8 : room_ * 2;
    Row **rows = pg::create_array<Row *>(static_cast<size_t>(room));
    if (count_ > 0)
        memcpy(rows, rows_, sizeof(Row *) * static_cast<size_t>(count_));
    if (rows_ != nullptr) {
        pfree(rows_);
        pfree(table_);
    }
    rows_ = rows;
    room_ = room;
    table_size_ = room * 2;
    table_ = pg::create_array<Row *>(static_cast<size_t>(table_size_));
    const uint64 mask = static_cast<uint64>(table_size_) - 1;
    for (int64 i = 0; i < count_; i++) {
        uint64 at = (rows_[i]->hash ^ (rows_[i]->hash >> 32)) & mask;
        while (table_[at] != nullptr)
            at = (at + 1) & mask;
        table_[at] = rows_[i];
    }
}

void ZSet::add(const Datum *values, const bool *nulls, int64 weight) {
    if (weight == 0)
        return;
    if (count_ == room_)
        grow();
    const uint64 h = hash(values, nulls);
    Row **slot = slot_for(h, values, nulls);
    if (*slot != nullptr) {
        (*slot)->weight += weight;
        return;
    }
    pg::InContext in(memory_);
    const size_t n = columns_.size();
    auto *row = static_cast<Row *>(palloc(sizeof(Row) + n * (sizeof(Datum) + sizeof(bool))));
    row->hash = h;
    row->weight = weight;
    row->values = reinterpret_cast<Datum *>(row + 1);
    row->nulls = reinterpret_cast<bool *>(row->values + n);
    for (size_t i = 0; i < n; i++) {
        row->nulls[i] = nulls[i];
        row->values[i] = nulls[i] ? Datum{0} : datumCopy(values[i], columns_[i].byval, columns_[i].len);
    }
    *slot = row;
    rows_[count_++] = row;
}

ZSet::Row *ZSet::find(const Datum *values, const bool *nulls) {
    return count_ == 0 ? nullptr : *slot_for(hash(values, nulls), values, nulls);
}

bool ZSet::is_empty() const {
    for (int64 i = 0; i < count_; i++)
        if (rows_[i]->weight != 0)
            return false;
    return true;
}

std::span<pg::ColumnOps> column_ops(const pg::Vector<analysis::ColumnType> &columns) {
    auto *ops = pg::create_array<pg::ColumnOps>(columns.size());
    for (size_t i = 0; i < columns.size(); i++)
        ops[i] = pg::prepare_column_ops(columns[i].type, columns[i].collation, InvalidOid);
    return {ops, columns.size()};
}

} // namespace upkeep::maintain
