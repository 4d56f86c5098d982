// upkeep.key_hash and upkeep.image_hash: what identity indexes of the kinds key_hash and image_hash hold.
#include "pg/entry.hpp"
#include "pg/row_hash.hpp"

namespace upkeep::api {

namespace {

// The arguments' types are the same in every call of one expression.
struct Prepared {
    int n;
    pg::ColumnOps columns[FLEXIBLE_ARRAY_MEMBER];
};

// The collation that the parser chose for each argument; the call's own one would be their common one, if any.
Oid argument_collation(FmgrInfo *function, int i) {
    Node *call = function->fn_expr;
    if (call == nullptr || !IsA(call, FuncExpr)) {
        return InvalidOid;
    }
    return exprCollation(static_cast<Node *>(list_nth(castNode(FuncExpr, call)->args, i)));
}

const Prepared *prepare(FunctionCallInfo fcinfo) {
    FmgrInfo *function = fcinfo->flinfo;
    if (function->fn_extra != nullptr) {
        return static_cast<Prepared *>(function->fn_extra);
    }
    if (get_fn_expr_variadic(function)) {
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("hash functions do not take their arguments as a VARIADIC array")));
    }
    MemoryContext saved = MemoryContextSwitchTo(function->fn_mcxt);
    int n = PG_NARGS();
    auto *prepared = static_cast<Prepared *>(palloc0(offsetof(Prepared, columns) + n * sizeof(pg::ColumnOps)));
    prepared->n = n;
    for (int i = 0; i < n; i++) {
        Oid type = get_fn_expr_argtype(function, i);
        if (!OidIsValid(type)) {
            ereport(ERROR, (errcode(ERRCODE_INDETERMINATE_DATATYPE),
                            errmsg("could not determine the type of argument %d", i + 1)));
        }
        prepared->columns[i] = pg::prepare_column_ops(type, argument_collation(function, i), InvalidOid);
    }
    MemoryContextSwitchTo(saved);
    function->fn_extra = prepared;
    return prepared;
}

Datum hash_arguments(FunctionCallInfo fcinfo, pg::HashKind kind) {
    const Prepared *prepared = prepare(fcinfo);
    Datum values[FUNC_MAX_ARGS];
    bool nulls[FUNC_MAX_ARGS];
    for (int i = 0; i < prepared->n; i++) {
        values[i] = PG_GETARG_DATUM(i);
        nulls[i] = PG_ARGISNULL(i);
    }
    return UInt64GetDatum(pg::row_hash(kind, prepared->columns, values, nulls, prepared->n));
}

} // namespace

// key_hash(VARIADIC "any") returns bigint: equal keys have equal hashes, by the types' default operators; NULLs too.
UPKEEP_FUNCTION(upkeep_key_hash) {
    return hash_arguments(fcinfo, pg::HashKind::key);
}

// image_hash(VARIADIC "any") returns bigint: rows with equal images have equal hashes; any type.
UPKEEP_FUNCTION(upkeep_image_hash) {
    return hash_arguments(fcinfo, pg::HashKind::image);
}

} // namespace upkeep::api
