// Hashing and comparing values by image and by key operator.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::pg {

/// What it takes to hash and compare one column. Trivially copyable; FmgrInfo memory: the context current at prepare time.
struct ColumnOps {
  Oid type;
  int16 len; bool byval; char align;
  Oid collation;
  FmgrInfo *hash;     // extended (64-bit) hash function of the equality operator's hash family; nullptr: none exists
  FmgrInfo *equal;    // equality function; nullptr: none exists (json, point, xml)
  bool image_equality; // equality is image equality (btree support function 4 says so)
};

/// `equality`: the operator to use (a btree equality), or InvalidOid for the type's default one.
ColumnOps prepare_column_ops(Oid type, Oid collation, Oid equality);

/// Hash of the bits of a detoasted value, and equality of images (datum_image_eq).
uint64 image_hash(const ColumnOps &c, Datum value, bool isnull);
bool image_equal(const ColumnOps &c, Datum a, bool anull, Datum b, bool bnull);

/// Hash and equality as the key operator has it; NULLs are equal to each other. A type without a hash function whose
/// equality is image equality hashes by image, any other hashes to a constant.
uint64 key_hash(const ColumnOps &c, Datum value, bool isnull);
bool key_equal(const ColumnOps &c, Datum a, bool anull, Datum b, bool bnull);

/// Order-dependent combination over the columns of a row. Stable across builds (values are stored in indexes).
uint64 combine_hash(uint64 seed, uint64 h);

} // namespace upkeep::pg
