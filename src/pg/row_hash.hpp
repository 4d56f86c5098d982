// Hashing and comparing values by image and by key operator. The hashes are stored in indexes: they never change.
#pragma once
#include "pg/postgres.hpp"

namespace upkeep::pg {

/// What it takes to hash and compare one column. Trivially copyable; FmgrInfo memory: the context current at prepare
/// time.
struct ColumnOps {
    Oid type;
    int16 len;
    bool byval;
    char align;
    Oid collation;
    FmgrInfo *hash;      // extended (64-bit) hash function of the equality operator's hash family; nullptr: none exists
    FmgrInfo *equal;     // equality function; nullptr: none exists (json, point, xml)
    bool image_equality; // equality is image equality (btree support function 4 says so)
    bool holds_rows;     // rows, or arrays of rows: compared by the image that they have with plain fields
};

/// `equality`: the operator to use (a btree equality), or InvalidOid for the type's default one. With a cross-type join
/// operator (int4 = int8) the hash is that of the column's own side: equal values of either type hash alike; `equal`
/// takes the operator's two types and `image_equality` means nothing then.
ColumnOps prepare_column_ops(Oid type, Oid collation, Oid equality);

/// Hash of the bits of a detoasted value, and equality of images (datum_image_eq).
uint64 image_hash(const ColumnOps &c, Datum value, bool isnull);
bool image_equal(const ColumnOps &c, Datum a, bool anull, Datum b, bool bnull);

/// Hash and equality as the key operator has it; NULLs are equal to each other. A type without a hash function whose
/// equality is image equality hashes by image, any other hashes to a constant. A type without an equality operator is
/// compared by image.
uint64 key_hash(const ColumnOps &c, Datum value, bool isnull);
bool key_equal(const ColumnOps &c, Datum a, bool anull, Datum b, bool bnull);

/// Order-dependent combination over the columns of a row: start from 0. Stable across builds.
uint64 combine_hash(uint64 seed, uint64 h);

enum class HashKind : uint8 { key, image };

/// An SQL function takes at most 100 arguments. The hash of a wider row is that of a chain of calls, each of which has
/// the previous one's result as its first argument: image_hash(image_hash(c1, ..., c100), c101, ..., c199).
inline constexpr int kMaxHashArguments = FUNC_MAX_ARGS;

/// Hash of a row: the value of upkeep.key_hash(columns) or upkeep.image_hash(columns), chained where they are too many.
uint64 row_hash(HashKind kind, const ColumnOps *columns, const Datum *values, const bool *nulls, int n);

} // namespace upkeep::pg
