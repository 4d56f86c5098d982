// upkeep.old_rows: what the statements of a refresh ask for rows as they were, by keys.
#include "maintain/old_state.hpp"
#include "pg/entry.hpp"

extern "C" {
#include "utils/array.h"
}

namespace upkeep::api {

namespace {

constexpr int kFirstKey = 5;

/// What a call of the function looks into; kept while the statement runs.
struct Lookup {
    maintain::OldRows *rows;
    maintain::OldIndex *index;
    std::span<pg::ColumnOps> keys; // of the values
};

template <typename T> std::span<T> elements(FunctionCallInfo fcinfo, int argument, Oid type, int16 length, char align) {
    if (PG_ARGISNULL(argument))
        return {};
    Datum *values;
    int n;
    deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), type, length, true, align, &values, nullptr, &n);
    auto *copy = pg::create_array<T>(static_cast<size_t>(n));
    for (int i = 0; i < n; i++)
        copy[i] = static_cast<T>(values[i]);
    return {copy, static_cast<size_t>(n)};
}

/// Whether the rows are to be returned with the columns that they have.
bool fits(const maintain::OldRows &rows, TupleDesc desc) {
    const auto &columns = rows.relation->columns;
    for (size_t i = 0; i < columns.size(); i++)
        if (columns[i] > desc->natts || TupleDescAttr(desc, columns[i] - 1)->atttypid != rows.change->columns()[i].type)
            return false;
    return true;
}

/// nullptr: these are not the arguments that a statement of the present refresh has.
Lookup *prepare_lookup(FunctionCallInfo fcinfo, TupleDesc desc) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || get_fn_expr_variadic(fcinfo->flinfo))
        return nullptr;
    maintain::OldRows *rows = maintain::old_rows_of(PG_GETARG_INT64(0), PG_GETARG_INT32(1));
    const auto columns = elements<AttrNumber>(fcinfo, 2, INT2OID, sizeof(int16), TYPALIGN_SHORT);
    const auto equalities = elements<Oid>(fcinfo, 3, OIDOID, sizeof(Oid), TYPALIGN_INT);
    const auto collations = elements<Oid>(fcinfo, 4, OIDOID, sizeof(Oid), TYPALIGN_INT);
    const auto n = static_cast<size_t>(PG_NARGS() - kFirstKey);
    if (rows == nullptr || !fits(*rows, desc) || columns.size() != n || equalities.size() != n || collations.size() != n)
        return nullptr;
    auto *lookup = pg::create<Lookup>();
    lookup->rows = rows;
    auto *keys = pg::create_array<pg::ColumnOps>(n);
    for (size_t k = 0; k < n; k++)
        keys[k] = pg::prepare_column_ops(get_fn_expr_argtype(fcinfo->flinfo, kFirstKey + static_cast<int>(k)),
                                         collations[k], get_commutator(equalities[k]));
    lookup->keys = {keys, n};
    lookup->index = maintain::OldIndex::require(rows, columns, equalities, collations);
    return lookup;
}

/// The hash of the values; none where one is NULL.
std::optional<uint64> hash_of(FunctionCallInfo fcinfo, const Lookup &lookup) {
    uint64 hash = 0;
    for (size_t k = 0; k < lookup.keys.size(); k++) {
        const int argument = kFirstKey + static_cast<int>(k);
        if (PG_ARGISNULL(argument))
            return std::nullopt;
        Datum value = PG_GETARG_DATUM(argument);
        if (lookup.keys[k].len == -1)
            value = PointerGetDatum(PG_DETOAST_DATUM(value));
        hash = pg::combine_hash(hash, pg::key_hash(lookup.keys[k], value, false));
    }
    return hash;
}

} // namespace

// old_rows(run, source, columns, equalities, collations, VARIADIC keys) returns setof record
UPKEEP_FUNCTION(upkeep_old_rows) {
    auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    if (result == nullptr || !IsA(result, ReturnSetInfo) || (result->allowedModes & SFRM_Materialize) == 0 ||
        result->expectedDesc == nullptr)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("upkeep.old_rows can be called in FROM with a list of columns only")));
    TupleDesc desc = result->expectedDesc;
    auto *lookup = static_cast<Lookup *>(fcinfo->flinfo->fn_extra);
    if (lookup == nullptr) {
        const pg::InContext in(fcinfo->flinfo->fn_mcxt);
        lookup = prepare_lookup(fcinfo, desc);
        fcinfo->flinfo->fn_extra = lookup;
    }
    if (lookup == nullptr)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("upkeep.old_rows can be called by statements of a refresh only")));
    const std::optional<uint64> hash = hash_of(fcinfo, *lookup);
    const pg::InContext in(result->econtext->ecxt_per_query_memory);
    result->returnMode = SFRM_Materialize;
    result->setResult = tuplestore_begin_heap(false, false, work_mem);
    result->setDesc = CreateTupleDescCopy(desc);
    if (!hash)
        return Datum(0);
    Datum values[MaxTupleAttributeNumber];
    bool nulls[MaxTupleAttributeNumber];
    std::fill_n(nulls, desc->natts, true);
    lookup->index->find(*hash, [&](const maintain::ZSet::Row &row, int64 copies) {
        lookup->rows->fill(row, values, nulls);
        for (int64 i = 0; i < copies; i++)
            tuplestore_putvalues(result->setResult, desc, values, nulls);
    });
    return Datum(0);
}

} // namespace upkeep::api
