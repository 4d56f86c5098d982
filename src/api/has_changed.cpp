// upkeep.has_changed: what the statements of a refresh ask that read old states.
#include "maintain/old_state.hpp"
#include "pg/entry.hpp"

namespace upkeep::api {

namespace {

constexpr int kFirstColumn = 2;

/// The change of the source, if the arguments are its columns.
maintain::ZSet *find_change(FunctionCallInfo fcinfo) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || get_fn_expr_variadic(fcinfo->flinfo))
        return nullptr;
    maintain::ZSet *change = maintain::changes_of(PG_GETARG_INT64(0), PG_GETARG_INT32(1));
    if (change == nullptr || change == fcinfo->flinfo->fn_extra)
        return change;
    const auto columns = change->columns();
    if (static_cast<size_t>(PG_NARGS() - kFirstColumn) != columns.size())
        return nullptr;
    for (size_t i = 0; i < columns.size(); i++)
        if (get_fn_expr_argtype(fcinfo->flinfo, static_cast<int>(i) + kFirstColumn) != columns[i].type)
            return nullptr;
    fcinfo->flinfo->fn_extra = change;
    return change;
}

} // namespace

// has_changed(run, source, VARIADIC columns) returns boolean
UPKEEP_FUNCTION(upkeep_has_changed) {
    maintain::ZSet *change = find_change(fcinfo);
    if (change == nullptr)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("upkeep.has_changed can be called by statements of a refresh only")));
    Datum values[FUNC_MAX_ARGS];
    bool nulls[FUNC_MAX_ARGS];
    for (int i = kFirstColumn; i < PG_NARGS(); i++) {
        values[i - kFirstColumn] = PG_GETARG_DATUM(i);
        nulls[i - kFirstColumn] = PG_ARGISNULL(i);
    }
    const maintain::ZSet::Row *row = change->find(values, nulls);
    return BoolGetDatum(row != nullptr && row->weight != 0);
}

} // namespace upkeep::api
