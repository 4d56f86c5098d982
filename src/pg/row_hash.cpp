#include "pg/row_hash.hpp"
#include "pg/nested_image.hpp"

extern "C" {
#include "access/nbtree.h"
#include "catalog/pg_am.h"
#include "catalog/pg_amop.h"
#include "common/hashfn.h"
#include "utils/catcache.h"
}

namespace upkeep::pg {

namespace {

static_assert(FUNC_MAX_ARGS == 100, "the chain of calls in row_hash(), and so every stored hash, depends on it");

constexpr int kHashExtendedProc =
    2; // HASHEXTENDED_PROC; access/hash.h needs the macros that the umbrella header takes away
constexpr uint64 kNullHash = UINT64CONST(0x6e756c6c5f6b6579);
constexpr uint64 kConstantHash = UINT64CONST(0x636f6e7374616e74); // of types that can be compared and not hashed

// The finalizer of MurmurHash3 (Appleby): every bit of x reaches every bit of the result.
uint64 mix(uint64 x) {
    x ^= x >> 33;
    x *= UINT64CONST(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64CONST(0xc4ceb9fe1a85ec53);
    return x ^ (x >> 33);
}

// The bits of a value that is passed by value, whatever its unused bytes hold.
uint64 significant_bits(int16 len, Datum value) {
    switch (len) {
    case 1:
        return static_cast<uint8>(value);
    case 2:
        return static_cast<uint16>(value);
    case 4:
        return static_cast<uint32>(value);
    default:
        return value;
    }
}

uint64 hash_bytes_64(const void *bytes, Size length) {
    return hash_bytes_extended(static_cast<const unsigned char *>(bytes), static_cast<int>(length), 0);
}

FmgrInfo *prepare_function(Oid function) {
    if (!OidIsValid(function)) {
        return nullptr;
    }
    auto *info = static_cast<FmgrInfo *>(palloc0(sizeof(FmgrInfo)));
    fmgr_info(function, info);
    return info;
}

// A btree family says by its support function 4 whether equal values have equal images.
bool says_image_equality(Oid family, Oid input, Oid collation) {
    if (!OidIsValid(family)) {
        return false;
    }
    Oid proc = get_opfamily_proc(family, input, input, BTEQUALIMAGE_PROC);
    return OidIsValid(proc) && DatumGetBool(OidFunctionCall1Coll(proc, collation, ObjectIdGetDatum(input)));
}

// Operators other than the type's default one are looked up in the families that they belong to.
void prepare_operator(ColumnOps *ops, Oid equality) {
    ops->equal = prepare_function(get_opcode(equality));
    const Oid base = getBaseType(ops->type);
    Oid hash = InvalidOid;
    CatCList *members = SearchSysCacheList1(AMOPOPID, ObjectIdGetDatum(equality));
    for (int i = 0; i < members->n_members; i++) {
        auto *form = reinterpret_cast<Form_pg_amop>(GETSTRUCT(&members->members[i]->tuple));
        // The side of a cross-type operator (int4 = int8) that this column is on; a family hashes both alike.
        Oid input = form->amoprighttype == base ? form->amoprighttype : form->amoplefttype;
        if (form->amopmethod == HASH_AM_OID && form->amopstrategy == HTEqualStrategyNumber && !OidIsValid(hash)) {
            hash = get_opfamily_proc(form->amopfamily, input, input, kHashExtendedProc);
        }
        if (form->amopmethod == BTREE_AM_OID && form->amopstrategy == BTEqualStrategyNumber) {
            ops->image_equality = ops->image_equality || says_image_equality(form->amopfamily, input, ops->collation);
        }
    }
    ReleaseSysCacheList(members);
    if (op_hashjoinable(equality, ops->type)) {
        ops->hash = prepare_function(hash);
    }
}

} // namespace

ColumnOps prepare_column_ops(Oid type, Oid collation, Oid equality) {
    ColumnOps ops{};
    ops.type = type;
    ops.collation = collation;
    get_typlenbyvalalign(type, &ops.len, &ops.byval, &ops.align);
    ops.holds_rows = ops.len == -1 && holds_rows(type);

    // The type cache knows which arrays, records and ranges have elements that can be compared and hashed.
    TypeCacheEntry *entry =
        lookup_type_cache(type, TYPECACHE_EQ_OPR | TYPECACHE_HASH_EXTENDED_PROC | TYPECACHE_BTREE_OPFAMILY);
    if (OidIsValid(equality) && equality != entry->eq_opr) {
        prepare_operator(&ops, equality);
    } else if (OidIsValid(entry->eq_opr)) {
        ops.equal = prepare_function(get_opcode(entry->eq_opr));
        ops.hash = prepare_function(entry->hash_extended_proc);
        ops.image_equality = says_image_equality(entry->btree_opf, entry->btree_opintype, collation);
    }
    return ops;
}

uint64 image_hash(const ColumnOps &c, Datum value, bool isnull) {
    if (isnull) {
        return kNullHash;
    }
    if (c.byval) {
        return mix(significant_bits(c.len, value));
    }
    if (c.len > 0) {
        return hash_bytes_64(DatumGetPointer(value), c.len);
    }
    if (c.len == -2) {
        return hash_bytes_64(DatumGetCString(value), std::strlen(DatumGetCString(value)));
    }
    if (c.holds_rows) {
        value = plain_rows(c.type, value);
    }
    varlena *plain = PG_DETOAST_DATUM_PACKED(value);
    uint64 result = hash_bytes_64(VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
    if (static_cast<void *>(plain) != DatumGetPointer(value)) {
        pfree(plain);
    }
    return result;
}

bool image_equal(const ColumnOps &c, Datum a, bool anull, Datum b, bool bnull) {
    if (anull || bnull) {
        return anull && bnull;
    }
    if (c.byval) {
        return significant_bits(c.len, a) == significant_bits(c.len, b);
    }
    if (c.holds_rows) {
        return datum_image_eq(plain_rows(c.type, a), plain_rows(c.type, b), c.byval, c.len);
    }
    return datum_image_eq(a, b, c.byval, c.len);
}

uint64 key_hash(const ColumnOps &c, Datum value, bool isnull) {
    if (isnull) {
        return kNullHash;
    }
    if (c.hash != nullptr) {
        return DatumGetUInt64(FunctionCall2Coll(c.hash, c.collation, value, UInt64GetDatum(0)));
    }
    return c.image_equality || c.equal == nullptr ? image_hash(c, value, false) : kConstantHash;
}

bool key_equal(const ColumnOps &c, Datum a, bool anull, Datum b, bool bnull) {
    if (anull || bnull) {
        return anull && bnull;
    }
    if (c.equal == nullptr) {
        return image_equal(c, a, false, b, false);
    }
    return DatumGetBool(FunctionCall2Coll(c.equal, c.collation, a, b));
}

uint64 combine_hash(uint64 seed, uint64 h) {
    return mix(seed * UINT64CONST(0x9e3779b97f4a7c15) + h);
}

uint64 row_hash(HashKind kind, const ColumnOps *columns, const Datum *values, const bool *nulls, int n) {
    uint64 result = 0;
    int arguments = 0;
    for (int i = 0; i < n; i++) {
        if (arguments == kMaxHashArguments) {
            // The bigint so far is the first argument of the next call.
            uint64 link =
                kind == HashKind::image
                    ? mix(result)
                    : DatumGetUInt64(DirectFunctionCall2(hashint8extended, UInt64GetDatum(result), UInt64GetDatum(0)));
            result = combine_hash(0, link);
            arguments = 1;
        }
        uint64 column = kind == HashKind::image ? image_hash(columns[i], values[i], nulls[i])
                                                : key_hash(columns[i], values[i], nulls[i]);
        result = combine_hash(result, column);
        arguments++;
    }
    return result;
}

} // namespace upkeep::pg
