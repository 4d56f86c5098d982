// Every test of the server's version is here; the rest of the code is written against the newest signature.
// Included by pg/postgres.hpp, after the server's headers.

#pragma once

#if PG_VERSION_NUM < 150000
#error "upkeep needs PostgreSQL 15 or newer"
#endif

// Before 16 the server marks nothing as exported, and -fvisibility=hidden would hide even the magic function.
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#endif
