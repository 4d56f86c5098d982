// The border between the server and C++: every function pointer that the server is given goes through guard().
//
// The server's own errors are longjmps and pass through untouched. A C++ exception (a failed allocation, a container
// out of range) must not leave our code, since no frame of the server catches it and the process would abort. It
// becomes an ordinary error here, raised outside the handler, so that the longjmp does not skip the end of the catch.

#pragma once

#include "pg/postgres.hpp"

namespace upkeep::pg {

// The server's error state as it was when our code was entered. An exception that passed a PG_TRY of the server leaves
// PG_exception_stack pointing into a dead frame.
struct EntryState {
    sigjmp_buf *exception_stack = PG_exception_stack;
    ErrorContextCallback *context_stack = error_context_stack;

    void restore() const noexcept {
        PG_exception_stack = exception_stack;
        error_context_stack = context_stack;
    }
};

// What is kept of an exception until it can be raised: no memory is taken while memory may be what is missing.
struct CaughtException {
    bool out_of_memory = false;
    char what[200] = "unknown C++ exception";

    void set(const char *text) noexcept { strlcpy(what, text, sizeof(what)); }
};

// Raises a caught C++ exception as an error: out_of_memory for a failed allocation, else internal_error.
[[noreturn]] void raise(const CaughtException &caught);

// Calls body() and returns what it returns; a C++ exception becomes an error. Costs two loads on the way in.
template <typename Body> auto guard(Body &&body) -> decltype(body()) {
    const EntryState entered;
    CaughtException caught;
    try {
        return body();
    } catch (const std::bad_alloc &) {
        caught.out_of_memory = true;
    } catch (const std::exception &exception) {
        caught.set(exception.what());
    } catch (...) {
    }
    entered.restore();
    raise(caught);
}

} // namespace upkeep::pg

// Defines a function that SQL can call:  UPKEEP_FUNCTION(upkeep_verify) { ...PG_GETARG_OID(0)...; return datum; }
// The body sees `fcinfo`, so the PG_ARGISNULL, PG_GETARG_x and PG_RETURN_x macros work in it.
#define UPKEEP_FUNCTION(name)                                                                                          \
    static Datum name##_body(FunctionCallInfo fcinfo);                                                                 \
    extern "C" {                                                                                                       \
    PG_FUNCTION_INFO_V1(name);                                                                                         \
    PGDLLEXPORT Datum name(PG_FUNCTION_ARGS) {                                                                         \
        return ::upkeep::pg::guard([fcinfo] { return name##_body(fcinfo); });                                          \
    }                                                                                                                  \
    }                                                                                                                  \
    static Datum name##_body([[maybe_unused]] FunctionCallInfo fcinfo)
