#include "analysis/table_members.hpp"

#include "catalog/table_tree.hpp"

extern "C" {
#include "optimizer/optimizer.h"
}

namespace upkeep::analysis {

namespace {

bool contains(const pg::Vector<Oid> &relids, Oid relid) {
    return std::find(relids.begin(), relids.end(), relid) != relids.end();
}

constexpr int kWholeRow = 0 - FirstLowInvalidHeapAttributeNumber;

/// Visits the numbers of the used columns; for a whole row, of all columns.
template <typename Visit> void for_each_column(Oid relid, const Bitmapset *used, Visit visit) {
    if (!bms_is_member(kWholeRow, used)) {
        for (int x = -1; (x = bms_next_member(used, x)) >= 0;)
            if (x > kWholeRow)
                visit(static_cast<AttrNumber>(x + FirstLowInvalidHeapAttributeNumber));
        return;
    }
    Relation rel = table_open(relid, AccessShareLock);
    for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
        if (!TupleDescAttr(RelationGetDescr(rel), i)->attisdropped)
            visit(static_cast<AttrNumber>(i + 1));
    table_close(rel, NoLock);
}

/// The column of another table of the same tree, by name; 0 if it has none: children have columns of their own.
AttrNumber same_column(Oid relid, AttrNumber column, Oid other) {
    return relid == other ? column : get_attnum(other, get_attname(relid, column, false));
}

Bitmapset *columns_in(Oid relid, const Bitmapset *used, Oid other) {
    if (relid == other)
        return bms_copy(used);
    Bitmapset *columns = nullptr;
    for_each_column(relid, used, [&](AttrNumber column) {
        const AttrNumber there = same_column(relid, column, other);
        if (there != 0)
            columns = bms_add_member(columns, there - FirstLowInvalidHeapAttributeNumber);
    });
    return columns;
}

} // namespace

void find_members(TableSource *source) {
    const bool partitioned = get_rel_relkind(source->relid) == RELKIND_PARTITIONED_TABLE;
    source->ancestors = catalog::ancestors(source->relid);
    if (!source->only)
        source->members = catalog::table_and_heirs(source->relid, AccessShareLock);
    else if (!partitioned) // a partitioned table has no rows of its own
        source->members.push_back(source->relid);
    source->constrained = source->only || !catalog::has_inheritance_children(source->relid);
}

pg::Vector<Captured> captured_relations(const ViewQuery &query) {
    pg::Vector<Captured> all;
    auto add = [&](const TableSource &source, const Bitmapset *used, Oid relid) {
        Bitmapset *columns = columns_in(source.relid, used, relid);
        for (Captured &known : all)
            if (known.relid == relid) {
                known.used = bms_join(known.used, columns);
                return;
            }
        all.push_back({relid, columns});
    };
    for (const TableSource &source : query.tables) {
        Bitmapset *used = bms_copy(source.used);
        if (!source.ancestors.empty() && get_rel_relispartition(source.relid))
            pull_varattnos(reinterpret_cast<Node *>(catalog::partition_condition(source.relid)), 1, &used);
        for (Oid relid : source.ancestors)
            add(source, used, relid);
        for (Oid relid : source.members)
            add(source, source.used, relid);
        if (source.members.empty())
            add(source, source.used, source.relid);
    }
    return all;
}

AttrNumber *columns_elsewhere(const TableSource &source, Oid other, const Bitmapset *more, bool *same) {
    const Bitmapset *needed = bms_union(source.used, more);
    Relation rel = table_open(source.relid, AccessShareLock);
    auto *column = pg::create_array<AttrNumber>(static_cast<size_t>(RelationGetNumberOfAttributes(rel)));
    table_close(rel, NoLock);
    *same = !bms_is_member(kWholeRow, needed); // a whole row of another table is of another type
    for_each_column(source.relid, needed, [&](AttrNumber number) {
        column[number - 1] = same_column(source.relid, number, other);
        *same &= column[number - 1] == number;
    });
    return column;
}

Passage find_passage(const TableSource &source, Oid from) {
    Passage passage{contains(source.members, from), nullptr, NIL};
    if (!passage.passes && contains(source.ancestors, from) && get_rel_relispartition(source.relid) &&
        !source.members.empty()) {
        passage.passes = true;
        passage.condition = catalog::partition_condition(source.relid);
    }
    if (!passage.passes || from == source.relid)
        return passage;
    Bitmapset *needed = nullptr;
    pull_varattnos(reinterpret_cast<Node *>(passage.condition), 1, &needed);
    bool same;
    AttrNumber *column = columns_elsewhere(source, from, needed, &same);
    if (!same || passage.condition != NIL)
        passage.column = column;
    return passage;
}

} // namespace upkeep::analysis
