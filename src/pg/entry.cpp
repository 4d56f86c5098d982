#include "pg/entry.hpp"

namespace upkeep::pg {

void raise(const CaughtException &caught) {
    if (caught.out_of_memory) {
        ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
    }
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("unexpected C++ exception: %s", caught.what)));
    pg_unreachable();
}

} // namespace upkeep::pg
