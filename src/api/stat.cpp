// upkeep_stat(): the rows behind upkeep.stat_views, one for each registered view. The numbers are NULL where the
// library is not preloaded, since then nothing is counted.

#include "catalog/registration.hpp"
#include "observe/counters.hpp"
#include "pg/entry.hpp"

UPKEEP_FUNCTION(upkeep_stat) {
    using namespace upkeep;
    constexpr int kColumns = 9;
    InitMaterializedSRF(fcinfo, 0);
    const auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    if (result->setDesc->natts != kColumns) {
        elog(ERROR, "upkeep_stat() is declared with %d columns, expected %d", result->setDesc->natts, kColumns);
    }
    for (const catalog::Registration &registration : catalog::all_registrations()) {
        const observe::Counters counters = observe::counters_of(registration.view);
        const double mean = counters.calls > 0 ? counters.total_ms / static_cast<double>(counters.calls) : 0;
        Datum values[kColumns] = {
            ObjectIdGetDatum(registration.view),  Int64GetDatum(counters.calls),     Int64GetDatum(counters.rows_in),
            Int64GetDatum(counters.rows_changed), Float8GetDatum(counters.total_ms), Float8GetDatum(mean),
            Float8GetDatum(counters.max_ms),      Int64GetDatum(counters.rebuilds),  Int64GetDatum(counters.waits),
        };
        bool nulls[kColumns];
        std::fill_n(nulls, kColumns, !observe::is_counting());
        nulls[0] = false;
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    return 0;
}
