// "Not supported" as a value: raised by register(), listed by explain().
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::pg {

/// Why a query cannot be maintained. All strings are palloc'd or literals; `code` is from the closed, documented list.
struct Refusal {
    const char *code; // e.g. "volatile-function"
    const char *what; // the offending construct, for DETAIL's subject
    const char *why;  // a sentence
    const char *hint; // a sentence
};

} // namespace upkeep::pg
