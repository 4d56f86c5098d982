// Where PostgreSQL itself is free in what a query returns, and what must be known to tell a permitted row from a wrong
// one. Used by verify() for the rows that differ; nothing here takes part in maintenance.
//
// A column has one freedom, found from the original query's tree. A form that no rule covers is compared by image, so
// that an unknown form can only raise a false alarm, never hide a wrong row. A new rule is a new Freedom.
#pragma once
#include "pg/memory.hpp"

namespace upkeep::analysis {

enum class Freedom : uint8 {
    none,    // the image is determined
    key,     // computed from group keys or DISTINCT columns of which several images are equal: any that is in the input
    extreme, // min or max of a type whose equal values have several images: any of them that is in the input
    floating, // computed from sums, averages or variances of floats: the order of the additions
    elements, // array_agg without ORDER BY: the same elements in any order
    pieces,   // string_agg without ORDER BY: the same pieces in any order
    forms,    // an aggregate over DISTINCT numerics: which scale each of them has that occurs in several
};

enum class FloatKind : uint8 { sum_float4, sum_float8, average, var_pop, var_samp, stddev_pop, stddev_samp };

/// One float aggregate, and the columns of the companion's row (from 0) that tell how far its value can be off.
struct FloatLeaf {
    FloatKind kind;
    int value;     // the aggregate itself
    int count;     // number of values that are not NULL, bigint
    int sum;       // their sum, numeric
    int magnitude; // the sum of their absolute values, numeric
    bool distinct; // of equal zeros one is added, of whichever sign
};

struct Column {
    Freedom freedom = Freedom::none;
    // floating: the aggregates that it depends on, and the expression over the companion's row (Vars of relation 1)
    FloatLeaf *leaves = nullptr;
    int nleaves = 0;
    Expr *expression = nullptr;
    // key: this column, extreme: its argument, as a column of the inputs' row
    int input = -1;
    // extreme: the equality operator of its type
    Oid equality = InvalidOid;
    // pieces: the aggregated values, an array in the companion's row; the delimiter. forms: the number of values
    int values = -1;
    // forms: the number of images of these values, and whether they are only added up
    int images = -1;
    bool exact = false;
    const char *delimiter = nullptr;
};

/// A group key (or DISTINCT column): where it is in the companion's and in the inputs' row, and when two are equal.
struct GroupKey {
    int companion;
    int input;
    Oid type;
    Oid collation;
    Oid equality;
};

struct FreeChoices {
    Query *companion; // the original query with further columns after its own
    Query *inputs;    // the rows that the groups are made of, ungrouped; nullptr if no column needs them
    int ncolumns;     // of the original query
    Column *columns;
    int nkeys;
    GroupKey *keys;
};

/// The freedoms of a rewritten query in simple form. Where its result is determined, every column has none and the
/// companion is a mere copy. The query is not changed; the result is palloc'd in the current context.
const FreeChoices *find_free_choices(const Query *query);

} // namespace upkeep::analysis
