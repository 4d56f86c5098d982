#include "pg/statistics.hpp"

#include <algorithm>

extern "C" {
#include "catalog/pg_statistic.h"
#include "utils/syscache.h"
}

namespace upkeep::pg {

std::optional<double> distinct_values(Relation table, AttrNumber column) {
    HeapTuple tuple = nullptr;
    for (const bool inherited : {false, true})
        if (!HeapTupleIsValid(tuple))
            tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(RelationGetRelid(table)), Int16GetDatum(column),
                                    BoolGetDatum(inherited));
    if (!HeapTupleIsValid(tuple))
        return std::nullopt;
    const auto distinct = static_cast<double>(reinterpret_cast<Form_pg_statistic>(GETSTRUCT(tuple))->stadistinct);
    ReleaseSysCache(tuple);
    return std::max(distinct < 0 ? -distinct * static_cast<double>(table->rd_rel->reltuples) : distinct, 1.0);
}

} // namespace upkeep::pg
