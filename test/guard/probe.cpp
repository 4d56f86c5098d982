// Functions that fail in every way that a body can fail; loaded by test/guard/run only.

#include "pg/entry.hpp"

namespace {

// Leaves a PG_TRY by a C++ exception, as one does that passes through the server's own frames.
void throw_through_server_frame() {
    PG_TRY();
    { throw 1; }
    PG_CATCH();
    { PG_RE_THROW(); }
    PG_END_TRY();
}

} // namespace

extern "C" {
PG_MODULE_MAGIC;
}

UPKEEP_FUNCTION(probe_bad_alloc) { throw std::bad_alloc(); }

UPKEEP_FUNCTION(probe_exception) {
    struct Failure : std::exception {
        const char *what() const noexcept override { return "probe"; }
    };
    throw Failure();
}

UPKEEP_FUNCTION(probe_through_server) {
    throw_through_server_frame();
    PG_RETURN_VOID();
}

UPKEEP_FUNCTION(probe_ereport) {
    ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION), errmsg("the message"), errdetail("The detail."),
                    errhint("The hint.")));
}

UPKEEP_FUNCTION(probe_twice) { PG_RETURN_INT32(2 * PG_GETARG_INT32(0)); }
