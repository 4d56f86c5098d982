// upkeep_builds(): the rows behind upkeep.progress.
#include "observe/progress.hpp"
#include "pg/entry.hpp"

static const char *phase_name(upkeep::observe::Phase phase) {
    using upkeep::observe::Phase;
    switch (phase) {
    case Phase::locking:
        return "waiting for locks";
    case Phase::computing:
        return "computing";
    case Phase::writing:
        return "writing";
    case Phase::catching_up:
        return "catching up";
    }
    return nullptr;
}

UPKEEP_FUNCTION(upkeep_builds) {
    using namespace upkeep;
    InitMaterializedSRF(fcinfo, 0);
    const auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    for (const observe::Progress &build : observe::builds_under_way()) {
        Datum values[] = {ObjectIdGetDatum(build.view),
                          Int32GetDatum(build.pid),
                          CStringGetTextDatum(phase_name(build.phase)),
                          Int64GetDatum(build.rows_done),
                          Int64GetDatum(build.rows_estimated),
                          TimestampTzGetDatum(build.started)};
        bool nulls[] = {false, false, false, false, build.rows_estimated < 0, false};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    return 0;
}
