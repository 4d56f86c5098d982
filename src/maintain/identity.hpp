// Making and finding the index by which maintenance finds the rows of a target.
#pragma once
#include "maintain/target.hpp"

namespace upkeep::maintain {

enum class KeyNulls : uint8 {
    possible, // a unique index must be NULLS NOT DISTINCT
    never,    // no key column is ever NULL: any unique index does
};

/// True when a unique index can hold every key: each column's type has a fixed length and a btree order, and there are
/// no more than an index takes. Else the kind is key_hash.
bool is_fixed_length_key(TupleDesc desc, std::span<const AttrNumber> columns);

/// An existing index of `relid` that fits: of the kind's form, valid and ready, not partial; unique_columns and
/// single_row: unique and not deferrable, with the same equality operators and collations (in any column order).
/// `equality` (btree equality operators) and `collations` are in the order of `columns`; nullptr: the defaults of the
/// columns. `columns` is empty for single_row, and for image_hash, where it means all columns.
/// Also what to ask when the index of an Identity is gone: REINDEX CONCURRENTLY leaves one with another OID.
std::optional<Identity> find_identity(Oid relid, IdentityKind kind, std::span<const AttrNumber> columns,
                                      const Oid *equality, const Oid *collations, KeyNulls nulls = KeyNulls::possible);

/// find_identity, else creates the index, named `index_name` (with a number behind it if that is taken), as the current
/// user, who must own the relation. Ours is always NULLS NOT DISTINCT. `created`, if given: whether the index is ours.
/// Raises feature_not_supported for key_hash with operators other than the types' default ones, and for a row without
/// columns. Result: current memory context.
Identity create_identity(Oid relid, IdentityKind kind, std::span<const AttrNumber> columns, const Oid *equality,
                         const Oid *collations, const char *index_name, KeyNulls nulls = KeyNulls::possible,
                         bool *created = nullptr);

/// The Identity of an index that find_identity or create_identity returned earlier; key order is the index's own.
/// nullopt if there is no such index or it has none of the forms. Result: current memory context.
std::optional<Identity> load_identity(Oid index);

/// True if the index's expression calls a function of this extension (such an index goes when the view is
/// unregistered).
bool uses_own_function(const Identity &identity);

} // namespace upkeep::maintain
