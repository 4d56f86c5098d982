// What a block with a subquery reads as it was before the change, where no command id shows that: a deferred view's
// tables were changed by others, long ago. Sources are numbered: the tables of the query, then its nodes.
#pragma once

#include "maintain/run.hpp"

namespace upkeep::maintain {

/// The rows that a source had of the images that have changed, with the number of copies.
struct OldRows {
    MemoryContext memory; // of the run
    const lower::OldRelation *relation;
    const ZSet *change; // whose columns these rows have
    pg::Vector<std::pair<const ZSet::Row *, int64>> rows;
    pg::Vector<class OldIndex *> indexes; // made when they are asked for

    /// Puts a row's columns to their places in the relation.
    void fill(const ZSet::Row &row, Datum *values, bool *nulls) const {
        for (size_t i = 0; i < relation->columns.size(); i++) {
            values[relation->columns[i] - 1] = row.values[i];
            nulls[relation->columns[i] - 1] = row.nulls[i];
        }
    }
};

/// The changes by image, by source: those that a statement asks for are there before it runs.
struct OldChanges {
    int64 number; // of the run
    pg::Vector<ZSet *> of_source;
    pg::Vector<OldRows *> old_rows;
};

/// The number of an input's source.
int source_of(const Program &program, const algebra::Input &input);

/// Whether the old states of all blocks that need them can be made.
bool can_make_old_states(Program &program);

/// Makes the old states known to SQL of what the block reads and what has changed, under the active snapshot. SPI is
/// connected. Returns these sources; run.broken where the change does not fit what is there.
std::uint64_t make_old_states(Run &run, BlockProgram &block);

/// A statement whose $1 is the number of the run; and its parameters.
SPIPlanPtr prepare_with_old_states(const char *sql);
ParamListInfo old_state_params(Run &run);

/// What upkeep.has_changed looks into: the change of a source in the run of this number; nullptr: there is none.
ZSet *changes_of(int64 run, int source);

/// What upkeep.old_rows looks into, likewise.
OldRows *old_rows_of(int64 run, int source);

/// Old rows by the hashes of some columns, with NULL in none of them.
class OldIndex {
  public:
    /// Of these columns of the relation, for these equalities. In the memory of the run.
    static OldIndex *require(OldRows *rows, std::span<const AttrNumber> columns, std::span<const Oid> equalities,
                             std::span<const Oid> collations);
    /// Calls visit(row, copies) for the rows of this hash of the values (pg::key_hash by the other side of each
    /// equality), and a few others.
    template <typename Visit> void find(uint64 hash, Visit visit) const {
        for (const Entry *e = entries_[hash & mask_]; e != nullptr; e = e->next)
            if (e->hash == hash)
                visit(*e->row, e->copies);
    }

  private:
    struct Entry {
        uint64 hash;
        const ZSet::Row *row;
        int64 copies;
        Entry *next;
    };
    void fill(const OldRows &rows, std::span<const pg::ColumnOps> ops);
    bool is_for(std::span<const AttrNumber> columns, std::span<const Oid> equalities,
                std::span<const Oid> collations) const;

    std::span<AttrNumber> columns_;
    std::span<Oid> equalities_, collations_;
    Entry **entries_;
    uint64 mask_;
};

} // namespace upkeep::maintain
