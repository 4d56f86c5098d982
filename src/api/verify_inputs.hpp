// The images of keys and extremes that exist in the rows that a group is made of.
#pragma once
#include "analysis/free_choice.hpp"
#include "maintain/row_comparison.hpp"

namespace upkeep::api {

using maintain::Row;

/// How to compare the columns of freedom extreme by the equality of their order; by column number.
pg::ColumnOps *prepare_extremes(const analysis::FreeChoices *choices, TupleDesc query_desc);

class InputImages {
  public:
    /// Reads the inputs of the groups that the given rows of the companion stand for.
    InputImages(const analysis::FreeChoices *choices, TupleDesc query_desc, const pg::Vector<Row> &query_rows);

    /// True if one input row of the group of `query_rows[number]` has the images that `view` shows in all columns of
    /// freedom key.
    bool has_key_images(int number, const Row &view) const;
    /// True if an input row of that group has the image that `view` shows in `column`, of freedom extreme.
    bool has_extreme_image(int number, const Row &view, int column) const;

  private:
    struct Group {
        uint64 hash;
        Row row;                // of the companion
        pg::Vector<Row> images; // of the inputs; only what differs in the columns that matter
    };

    void read();
    void add(const Row &input);
    bool has_same_keys(const maintain::Row &a, const maintain::Row &b) const;
    Group *find_group(uint64 hash, const Row &input);
    void forget_other_values(const Row &query, const Row &input) const;
    bool shows(const Row &image, const Row &input) const;

    const analysis::FreeChoices *choices_;
    const pg::ColumnOps *query_columns_;
    pg::ColumnOps *input_columns_ = nullptr;
    pg::ColumnOps *keys_;
    pg::ColumnOps *extremes_;
    TupleDesc input_desc_ = nullptr;
    pg::Vector<Group> groups_; // ascending by hash
    pg::Vector<int> group_of_; // by number of the row
};

} // namespace upkeep::api
