// What is known of keys that the planner does not know.
#include "maintain/key_estimates.hpp"

#include "maintain/delta_reader.hpp"
#include "pg/statistics.hpp"

extern "C" {
#include "access/genam.h"
#include "utils/selfuncs.h"
}

namespace upkeep::maintain {

namespace {

/// Different values of a column, as last analyzed.
double distinct_values(Relation rel, AttrNumber column) {
    return pg::distinct_values(rel, column).value_or(DEFAULT_NUM_DISTINCT);
}

/// No key has more rows than there are values of the other columns of a unique index that holds it.
double most_rows(Relation rel, const Bitmapset *key) {
    double most = rel->rd_rel->reltuples;
    List *indexes = RelationGetIndexList(rel);
    ListCell *cell;
    foreach (cell, indexes) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);
        const Form_pg_index form = index->rd_index;
        Bitmapset *columns = nullptr;
        double others = 1;
        bool plain = form->indisunique && form->indisvalid &&
                     heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr);
        for (int i = 0; i < form->indnkeyatts; i++) {
            const AttrNumber column = form->indkey.values[i];
            plain &= column > 0;
            if (!plain)
                break;
            columns = bms_add_member(columns, column);
            others *= bms_is_member(column, key) ? 1 : distinct_values(rel, column);
        }
        if (plain && bms_is_subset(key, columns))
            most = std::min(most, others);
        index_close(index, AccessShareLock);
    }
    return most;
}

} // namespace

double count_keys(Run &run, int table, const Bitmapset *key) {
    pg::Vector<uint64> hashes;
    pg::Vector<std::pair<int, pg::ColumnOps>> ops;
    for (DeltaReader reader(run, table); reader.next();) {
        CHECK_FOR_INTERRUPTS();
        TupleTableSlot *slot = reader.slot();
        if (ops.empty())
            for (int x = -1; (x = bms_next_member(key, x)) >= 0;) {
                const Form_pg_attribute a = TupleDescAttr(slot->tts_tupleDescriptor, x - 1);
                ops.push_back({x, pg::prepare_column_ops(a->atttypid, a->attcollation, InvalidOid)});
            }
        uint64 hash = 0;
        for (const auto &[column, of_column] : ops) {
            bool null;
            Datum value = slot_getattr(slot, column, &null);
            if (!null && of_column.len == -1)
                value = PointerGetDatum(PG_DETOAST_DATUM(value));
            hash = pg::combine_hash(hash, pg::key_hash(of_column, value, null));
        }
        hashes.push_back(hash);
    }
    std::sort(hashes.begin(), hashes.end());
    return static_cast<double>(std::unique(hashes.begin(), hashes.end()) - hashes.begin());
}

double keys_expected(double rows, const Bitmapset *key) {
    const double most = bms_num_members(key) == 1 ? 0 : rows / 10;
    return std::min(rows, std::max<double>(most, DEFAULT_NUM_DISTINCT));
}

double rows_too_many(Oid relid, const Bitmapset *key) {
    Relation rel = table_open(relid, AccessShareLock);
    double rows = rel->rd_rel->reltuples;
    for (int x = -1; (x = bms_next_member(key, x)) >= 0;)
        rows /= distinct_values(rel, static_cast<AttrNumber>(x));
    const double most = std::max(most_rows(rel, key), 1.0);
    table_close(rel, NoLock);
    return std::max(rows / most, 1.0);
}

} // namespace upkeep::maintain
