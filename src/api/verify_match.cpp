#include "api/verify_match.hpp"

#include "api/verify_bounds.hpp"
#include "api/verify_inputs.hpp"

extern "C" {
#include "catalog/pg_collation.h"
#include "utils/numeric.h"
}

namespace upkeep::api {

using maintain::Difference;
using maintain::prepare_columns;
using maintain::Row;

using analysis::Column;
using analysis::Freedom;

namespace {

// A row of the view is tried against at most so many rows of the query. Only a view that does not show its keys can
// have more candidates, and then a row too many is reported, never one too few.
constexpr int kMaxCandidates = 1000;

// A row that waits for its counterpart. Counterparts have the same bucket, and nearly the same value.
struct Waiting {
    int number;
    uint64 bucket;
    double value; // of the first float column
    bool paired;
};

bool operator<(const Waiting &a, const Waiting &b) {
    if (a.bucket != b.bucket) {
        return a.bucket < b.bucket;
    }
    return a.value != b.value ? a.value < b.value : a.number < b.number;
}

// True if two lists of values are the same multiset of images. O(n log n) unless hashes collide.
bool is_same_multiset(const pg::ColumnOps &ops, const Datum *a, const bool *anulls, const Datum *b, const bool *bnulls,
                      int n) {
    struct Hashed {
        uint64 hash;
        int number;
    };
    pg::Vector<Hashed> left;
    pg::Vector<Hashed> right;
    for (int i = 0; i < n; i++) {
        left.push_back(Hashed{pg::image_hash(ops, a[i], anulls[i]), i});
        right.push_back(Hashed{pg::image_hash(ops, b[i], bnulls[i]), i});
    }
    const auto by_hash = [](const Hashed &x, const Hashed &y) { return x.hash < y.hash; };
    std::sort(left.begin(), left.end(), by_hash);
    std::sort(right.begin(), right.end(), by_hash);
    for (int i = 0; i < n; i++) {
        // Equal hashes stand at the same places on both sides; among them the counterpart is brought to this place.
        int j = i;
        while (j < n && right[j].hash == left[i].hash &&
               !pg::image_equal(ops, a[left[i].number], anulls[left[i].number], b[right[j].number],
                                bnulls[right[j].number])) {
            j++;
        }
        if (j == n || right[j].hash != left[i].hash) {
            return false;
        }
        std::swap(right[i], right[j]);
    }
    return true;
}

struct Elements {
    Datum *values;
    bool *nulls;
    int n;
};

Elements take_apart(Oid array_type, Datum array) {
    const Oid type = get_element_type(array_type);
    int16 len;
    bool byval;
    char align;
    Elements elements;
    get_typlenbyvalalign(type, &len, &byval, &align);
    deconstruct_array(DatumGetArrayTypeP(array), type, len, byval, align, &elements.values, &elements.nulls,
                      &elements.n);
    return elements;
}

bool has_same_elements(const pg::ColumnOps &array, Datum view, Datum query) {
    ArrayType *mine = DatumGetArrayTypeP(view);
    ArrayType *theirs = DatumGetArrayTypeP(query);
    if (ARR_NDIM(mine) != 1 || ARR_NDIM(theirs) != 1 || ARR_LBOUND(mine)[0] != ARR_LBOUND(theirs)[0]) {
        return false;
    }
    const Elements a = take_apart(array.type, view);
    const Elements b = take_apart(array.type, query);
    return a.n == b.n &&
           is_same_multiset(pg::prepare_column_ops(get_element_type(array.type), array.collation, InvalidOid), a.values,
                            a.nulls, b.values, b.nulls, a.n);
}

// The text must fall into exactly the values that were aggregated. Where a value has the delimiter in it, the parts are
// not certain, and only the same text is accepted.
bool has_same_pieces(const Column &column, Oid array_type, Datum view, Datum values) {
    const Elements elements = take_apart(array_type, values);
    const Size length = std::strlen(column.delimiter);
    pg::Vector<Datum> expected;
    for (int i = 0; i < elements.n; i++) {
        if (!elements.nulls[i]) {
            if (std::strstr(TextDatumGetCString(elements.values[i]), column.delimiter) != nullptr) {
                return false;
            }
            expected.push_back(elements.values[i]);
        }
    }
    pg::Vector<Datum> pieces;
    const char *rest = TextDatumGetCString(view);
    while (const char *end = std::strstr(rest, column.delimiter)) {
        pieces.push_back(PointerGetDatum(cstring_to_text_with_len(rest, static_cast<int>(end - rest))));
        rest = end + length;
    }
    pieces.push_back(CStringGetTextDatum(rest));
    const int n = static_cast<int>(expected.size());
    const bool *no_nulls = pg::create_array<bool>(n);
    return pieces.size() == expected.size() &&
           is_same_multiset(pg::prepare_column_ops(TEXTOID, DEFAULT_COLLATION_OID, InvalidOid), pieces.data(), no_nulls,
                            expected.data(), no_nulls, n);
}

// Whether two results may come from the same values in other scales: sums are equal then, and what is divided differs by
// no more than the last digit of the shorter one.
bool is_scaled_alike(Datum a, Datum b, bool exact) {
    const Numeric mine = DatumGetNumeric(a), theirs = DatumGetNumeric(b);
    if (exact || numeric_is_nan(mine) || numeric_is_nan(theirs) || numeric_is_inf(mine) || numeric_is_inf(theirs)) {
        return DatumGetBool(DirectFunctionCall2(numeric_eq, a, b));
    }
    const int32 scale = std::min(DatumGetInt32(DirectFunctionCall1(numeric_scale, a)),
                                 DatumGetInt32(DirectFunctionCall1(numeric_scale, b)));
    const Datum distance = DirectFunctionCall1(numeric_abs, DirectFunctionCall2(numeric_sub, a, b));
    return DatumGetBool(
        DirectFunctionCall2(numeric_le, distance, NumericGetDatum(int64_div_fast_to_numeric(1, scale))));
}

// The comparison of one row of the view with one of the query.
class Judge {
  public:
    Judge(const analysis::FreeChoices *choices, TupleDesc desc, const pg::Vector<Row> &query)
        : choices_(choices), desc_(desc), columns_(prepare_columns(desc_)), extremes_(prepare_extremes(choices, desc_)),
          bounds_(choices, desc_), images_(choices, desc_, query) {}

    bool is_permitted(const Row &view, const Row &query, int query_number) {
        bool same_keys = true;
        for (int i = 0; i < choices_->ncolumns; i++) {
            if (pg::image_equal(columns_[i], view.values[i], view.nulls[i], query.values[i], query.nulls[i])) {
                continue;
            }
            if (choices_->columns[i].freedom == Freedom::key) {
                same_keys = false;
            } else if (!is_column_permitted(i, view, query, query_number)) {
                return false;
            }
        }
        return same_keys || images_.has_key_images(query_number, view);
    }

    // Columns without freedom, and the keys themselves as their operators have them.
    uint64 bucket(const Row &row) {
        uint64 hash = 0;
        for (int i = 0; i < choices_->ncolumns; i++) {
            if (choices_->columns[i].freedom == Freedom::none) {
                hash = pg::combine_hash(hash, pg::image_hash(columns_[i], row.values[i], row.nulls[i]));
            }
        }
        for (int k = 0; k < choices_->nkeys; k++) {
            const analysis::GroupKey &key = choices_->keys[k];
            if (key.companion >= 0 && key.companion < choices_->ncolumns) {
                const pg::ColumnOps ops = pg::prepare_column_ops(key.type, key.collation, key.equality);
                hash = pg::combine_hash(hash, pg::key_hash(ops, row.values[key.companion], row.nulls[key.companion]));
            }
        }
        return hash;
    }

    double value(const Row &row) const {
        for (int i = 0; i < choices_->ncolumns; i++) {
            const Oid type = TupleDescAttr(desc_, i)->atttypid;
            if (choices_->columns[i].freedom == Freedom::floating && is_number_type(type)) {
                const double number = row.nulls[i] ? 0 : static_cast<double>(to_long_double(type, row.values[i]));
                return std::isnan(number) ? 0 : number;
            }
        }
        return 0;
    }

  private:
    bool is_column_permitted(int number, const Row &view, const Row &query, int query_number) {
        const Column &column = choices_->columns[number];
        if (column.freedom == Freedom::floating) {
            return bounds_.is_within(number, view, query);
        }
        if (view.nulls[number] || query.nulls[number]) {
            return false;
        }
        switch (column.freedom) {
        case Freedom::extreme:
            return pg::key_equal(extremes_[number], view.values[number], false, query.values[number], false) &&
                   images_.has_extreme_image(query_number, view, number);
        case Freedom::elements:
            return has_same_elements(columns_[number], view.values[number], query.values[number]);
        case Freedom::pieces:
            return has_same_pieces(column, TupleDescAttr(desc_, column.values)->atttypid, view.values[number],
                                   query.values[column.values]);
        case Freedom::forms:
            return DatumGetInt64(query.values[column.images]) > DatumGetInt64(query.values[column.values]) &&
                   is_scaled_alike(view.values[number], query.values[number], column.exact);
        default:
            return false;
        }
    }

    const analysis::FreeChoices *choices_;
    TupleDesc desc_;
    pg::ColumnOps *columns_;
    pg::ColumnOps *extremes_;
    FloatBounds bounds_;
    InputImages images_;
};

// The rows of the query that may be what a row of the view stands for. Of copies, which differ in the further columns
// alone, as many can be as are too many.
class Candidates {
  public:
    explicit Candidates(const Difference &difference) : rows_(difference.query), first_(difference.first_copy) {
        rows_.insert(rows_.end(), difference.spare.begin(), difference.spare.end());
        room_.resize(difference.query.size(), 0);
        for (const int first : first_) {
            room_[first]++;
        }
        first_.insert(first_.end(), difference.first_spare_copy.begin(), difference.first_spare_copy.end());
    }

    const pg::Vector<Row> &rows() const { return rows_; }
    bool is_open(int number) const { return room_[first_[number]] > 0; }
    void take(int number) { room_[first_[number]]--; }

    pg::Vector<Row> left() const {
        pg::Vector<Row> left;
        for (std::size_t i = 0; i < room_.size(); i++) {
            left.insert(left.end(), room_[i], rows_[i]);
        }
        return left;
    }

  private:
    pg::Vector<Row> rows_;
    pg::Vector<int> first_; // of its copies, by number
    pg::Vector<int> room_;  // how many of the copies are left, by the number of the first one
};

pg::Vector<Waiting> sort_rows(Judge *judge, const pg::Vector<Row> &rows) {
    pg::Vector<Waiting> waiting;
    for (const Row &row : rows) {
        CHECK_FOR_INTERRUPTS();
        waiting.push_back(Waiting{static_cast<int>(waiting.size()), judge->bucket(row), judge->value(row), false});
    }
    std::sort(waiting.begin(), waiting.end());
    return waiting;
}

// Looks for a counterpart among the rows of the same bucket, from the nearest value outwards.
Waiting *find_counterpart(Judge *judge, const Row &row, const Waiting &view, const Candidates &candidates,
                          pg::Vector<Waiting> *waiting) {
    const int n = static_cast<int>(waiting->size());
    const auto start = std::lower_bound(waiting->begin(), waiting->end(), Waiting{-1, view.bucket, view.value, false});
    int up = static_cast<int>(start - waiting->begin());
    int down = up - 1;
    const auto in_bucket = [&](int i) { return i >= 0 && i < n && (*waiting)[i].bucket == view.bucket; };
    int tried = 0;
    while (tried < kMaxCandidates && (in_bucket(up) || in_bucket(down))) {
        for (const int i : {up, down}) {
            if (!in_bucket(i) || (*waiting)[i].paired || !candidates.is_open((*waiting)[i].number)) {
                continue;
            }
            Waiting *candidate = &(*waiting)[i];
            if (judge->is_permitted(row, candidates.rows()[candidate->number], candidate->number)) {
                return candidate;
            }
            tried++;
        }
        up += in_bucket(up);
        down -= in_bucket(down);
    }
    return nullptr;
}

pg::Vector<Row> unpaired(const pg::Vector<Row> &rows, const pg::Vector<Waiting> &waiting) {
    pg::Vector<Row> left;
    for (const Waiting &w : waiting) {
        if (!w.paired) {
            left.push_back(rows[w.number]);
        }
    }
    return left;
}

} // namespace

void remove_permitted(const analysis::FreeChoices *choices, Difference *difference) {
    if (difference->view.empty() || difference->query.empty()) {
        return;
    }
    Candidates candidates(*difference);
    Judge judge(choices, difference->query_desc, candidates.rows());
    pg::Vector<Waiting> view = sort_rows(&judge, difference->view);
    pg::Vector<Waiting> query = sort_rows(&judge, candidates.rows());
    MemoryContext trial = AllocSetContextCreate(CurrentMemoryContext, "upkeep trial", ALLOCSET_DEFAULT_SIZES);
    for (Waiting &row : view) {
        CHECK_FOR_INTERRUPTS();
        pg::InContext in_trial(trial);
        if (Waiting *counterpart = find_counterpart(&judge, difference->view[row.number], row, candidates, &query)) {
            row.paired = true;
            counterpart->paired = true;
            candidates.take(counterpart->number);
        }
        MemoryContextReset(trial);
    }
    difference->view = unpaired(difference->view, view);
    difference->query = candidates.left();
}

} // namespace upkeep::api
