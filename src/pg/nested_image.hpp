// Values that hold rows: what is stored of such a row depends on where its fields came from.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::pg {

/// True if values of the type are rows, or arrays or domains of rows.
bool holds_rows(Oid type);

/// A field of a row keeps the compression that it had in the table, so that the same value has more than one image.
/// This builds the one whose fields are all plain. Only for types that hold rows. Current context.
Datum plain_rows(Oid type, Datum value);

} // namespace upkeep::pg
