#include "api/verify_inputs.hpp"

namespace upkeep::api {

using maintain::copy_row;
using maintain::for_each_row;
using maintain::prepare_columns;
using maintain::Row;
using maintain::run_query;

using analysis::Column;
using analysis::Freedom;

namespace {

uint64 hash_keys(const analysis::FreeChoices *choices, const pg::ColumnOps *keys, const Row &row, bool companion) {
    uint64 hash = 0;
    for (int k = 0; k < choices->nkeys; k++) {
        const int number = companion ? choices->keys[k].companion : choices->keys[k].input;
        hash = pg::combine_hash(hash, pg::key_hash(keys[k], row.values[number], row.nulls[number]));
    }
    return hash;
}

pg::ColumnOps *prepare_keys(const analysis::FreeChoices *choices) {
    auto *keys = pg::create_array<pg::ColumnOps>(choices->nkeys);
    for (int k = 0; k < choices->nkeys; k++) {
        const analysis::GroupKey &key = choices->keys[k];
        keys[k] = pg::prepare_column_ops(key.type, key.collation, key.equality);
    }
    return keys;
}

} // namespace

pg::ColumnOps *prepare_extremes(const analysis::FreeChoices *choices, TupleDesc query_desc) {
    auto *extremes = pg::create_array<pg::ColumnOps>(choices->ncolumns);
    for (int i = 0; i < choices->ncolumns; i++) {
        const Form_pg_attribute attribute = TupleDescAttr(query_desc, i);
        if (choices->columns[i].freedom == Freedom::extreme) {
            extremes[i] =
                pg::prepare_column_ops(attribute->atttypid, attribute->attcollation, choices->columns[i].equality);
        }
    }
    return extremes;
}

InputImages::InputImages(const analysis::FreeChoices *choices, TupleDesc query_desc, const pg::Vector<Row> &query_rows)
    : choices_(choices), query_columns_(prepare_columns(query_desc)), keys_(prepare_keys(choices)),
      extremes_(prepare_extremes(choices, query_desc)) {
    if (choices->inputs == nullptr) {
        return;
    }
    // One group for all rows with the same keys: of INTERSECT ALL and EXCEPT ALL there may be several.
    pg::Vector<int> order;
    pg::Vector<uint64> hashes;
    for (const Row &row : query_rows) {
        order.push_back(static_cast<int>(order.size()));
        hashes.push_back(hash_keys(choices, keys_, row, true));
    }
    std::sort(order.begin(), order.end(), [&](int a, int b) { return hashes[a] < hashes[b]; });
    group_of_.resize(query_rows.size());
    for (const int number : order) {
        int group = static_cast<int>(groups_.size());
        while (group > 0 && groups_[group - 1].hash == hashes[number] &&
               !has_same_keys(groups_[group - 1].row, query_rows[number])) {
            group--;
        }
        if (group > 0 && groups_[group - 1].hash == hashes[number]) {
            group_of_[number] = group - 1;
            continue;
        }
        group_of_[number] = static_cast<int>(groups_.size());
        groups_.push_back(Group{hashes[number], query_rows[number], {}});
    }
    read();
}

bool InputImages::has_same_keys(const Row &a, const Row &b) const {
    for (int k = 0; k < choices_->nkeys; k++) {
        const int number = choices_->keys[k].companion;
        if (!pg::key_equal(keys_[k], a.values[number], a.nulls[number], b.values[number], b.nulls[number])) {
            return false;
        }
    }
    return true;
}

void InputImages::read() {
    MemoryContext keep = CurrentMemoryContext;
    Tuplestorestate *rows = run_query(choices_->inputs, &input_desc_);
    input_columns_ = prepare_columns(input_desc_);
    for_each_row(rows, input_desc_, [&](TupleTableSlot *slot) {
        const Row input{slot->tts_values, slot->tts_isnull};
        Group *group = find_group(hash_keys(choices_, keys_, input, false), input);
        if (group != nullptr) {
            forget_other_values(group->row, input);
        }
        if (group == nullptr || std::any_of(group->images.begin(), group->images.end(),
                                            [&](const Row &image) { return shows(image, input); })) {
            return;
        }
        pg::InContext in_result(keep);
        group->images.push_back(copy_row(input_desc_, input.values, input.nulls, input_desc_->natts));
    });
    tuplestore_end(rows);
}

InputImages::Group *InputImages::find_group(uint64 hash, const Row &input) {
    auto group =
        std::lower_bound(groups_.begin(), groups_.end(), hash, [](const Group &g, uint64 h) { return g.hash < h; });
    for (; group != groups_.end() && group->hash == hash; ++group) {
        int k = 0;
        while (k < choices_->nkeys) {
            const int mine = choices_->keys[k].companion;
            const int theirs = choices_->keys[k].input;
            if (!pg::key_equal(keys_[k], group->row.values[mine], group->row.nulls[mine], input.values[theirs],
                               input.nulls[theirs])) {
                break;
            }
            k++;
        }
        if (k == choices_->nkeys) {
            return &*group;
        }
    }
    return nullptr;
}

// An argument of min or max that is not equal to the extreme says nothing.
void InputImages::forget_other_values(const Row &query, const Row &input) const {
    for (int i = 0; i < choices_->ncolumns; i++) {
        const Column &column = choices_->columns[i];
        if (column.freedom == Freedom::extreme &&
            !pg::key_equal(extremes_[i], query.values[i], query.nulls[i], input.values[column.input],
                           input.nulls[column.input])) {
            input.nulls[column.input] = true;
        }
    }
}

// True if a kept image already says all that this input row says.
bool InputImages::shows(const Row &image, const Row &input) const {
    for (int i = 0; i < choices_->ncolumns; i++) {
        const int number = choices_->columns[i].input;
        if (number >= 0 && !pg::image_equal(input_columns_[number], image.values[number], image.nulls[number],
                                            input.values[number], input.nulls[number])) {
            return false;
        }
    }
    return true;
}

bool InputImages::has_key_images(int number, const Row &view) const {
    const Group &group = groups_[group_of_[number]];
    return std::any_of(group.images.begin(), group.images.end(), [&](const Row &image) {
        for (int i = 0; i < choices_->ncolumns; i++) {
            const Column &column = choices_->columns[i];
            if (column.freedom == Freedom::key &&
                !pg::image_equal(query_columns_[i], view.values[i], view.nulls[i], image.values[column.input],
                                 image.nulls[column.input])) {
                return false;
            }
        }
        return true;
    });
}

bool InputImages::has_extreme_image(int number, const Row &view, int column) const {
    const Group &group = groups_[group_of_[number]];
    const int input = choices_->columns[column].input;
    return std::any_of(group.images.begin(), group.images.end(), [&](const Row &image) {
        return pg::image_equal(query_columns_[column], view.values[column], view.nulls[column], image.values[input],
                               image.nulls[input]);
    });
}

} // namespace upkeep::api
