// Old rows by keys: a tuplestore has no index.
#include "maintain/old_state.hpp"

namespace upkeep::maintain {

namespace {

template <typename T> std::span<T> keep(std::span<const T> values) {
    auto *copy = pg::create_array<T>(values.size());
    std::copy(values.begin(), values.end(), copy);
    return {copy, values.size()};
}

template <typename T> bool same(std::span<const T> a, std::span<const T> b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

/// Where the column stands in the rows of the change.
size_t place_of(const OldRows &rows, AttrNumber column) {
    const auto &columns = rows.relation->columns;
    const auto found = std::find(columns.begin(), columns.end(), column);
    if (found == columns.end())
        elog(ERROR, "column %d of an old row is not known", column);
    return static_cast<size_t>(found - columns.begin());
}

} // namespace

bool OldIndex::is_for(std::span<const AttrNumber> columns, std::span<const Oid> equalities,
                      std::span<const Oid> collations) const {
    return same<AttrNumber>(columns_, columns) && same<Oid>(equalities_, equalities) &&
           same<Oid>(collations_, collations);
}

void OldIndex::fill(const OldRows &rows, std::span<const pg::ColumnOps> ops) {
    uint64 size = 16;
    while (size < rows.rows.size())
        size *= 2;
    mask_ = size - 1;
    entries_ = pg::create_array<Entry *>(size);
    auto *all = pg::create_array<Entry>(rows.rows.size());
    for (const auto &[row, copies] : rows.rows) {
        uint64 hash = 0;
        bool null = false;
        for (size_t k = 0; k < columns_.size() && !null; k++) {
            const size_t at = place_of(rows, columns_[k]);
            null = row->nulls[at];
            if (!null)
                hash = pg::combine_hash(hash, pg::key_hash(ops[k], row->values[at], false));
        }
        if (null) // no equality holds
            continue;
        *all = {hash, row, copies, entries_[hash & mask_]};
        entries_[hash & mask_] = all++;
    }
}

OldIndex *OldIndex::require(OldRows *rows, std::span<const AttrNumber> columns, std::span<const Oid> equalities,
                            std::span<const Oid> collations) {
    for (OldIndex *index : rows->indexes)
        if (index->is_for(columns, equalities, collations))
            return index;
    const pg::InContext in(rows->memory);
    auto *index = pg::create<OldIndex>();
    index->columns_ = keep<AttrNumber>(columns);
    index->equalities_ = keep<Oid>(equalities);
    index->collations_ = keep<Oid>(collations);
    auto *ops = pg::create_array<pg::ColumnOps>(columns.size());
    for (size_t k = 0; k < columns.size(); k++)
        ops[k] = pg::prepare_column_ops(rows->change->columns()[place_of(*rows, columns[k])].type, collations[k],
                                        equalities[k]);
    index->fill(*rows, {ops, columns.size()});
    rows->indexes.push_back(index);
    return index;
}

} // namespace upkeep::maintain
