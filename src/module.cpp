// The module: the magic block and what is set up when the library is loaded.

#include "pg/entry.hpp"

extern "C" {

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void _PG_init(void) {
    upkeep::pg::guard([] {});
}
}
