// Names of objects for messages and generated SQL.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::pg {

/// "schema.name", quoted where needed, of a relation; its OID as text if it is gone. Palloc'd.
const char *qualified_name(Oid relid);

/// "schema.name" of a type (format_type with the schema always shown), with its typmod.
const char *type_name(Oid type, int32 typmod);

/// "schema.name" of a collation, quoted where needed.
const char *collation_name(Oid collation);

} // namespace upkeep::pg
