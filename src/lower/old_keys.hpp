// Relations that a statement reads as they were, by keys: which equalities with rows at hand say what it wants of them.
#pragma once

#include "lower/query.hpp"

namespace upkeep::lower {

/// column OPERATOR value, where the value is known before the relation is read.
struct OldKey {
    AttrNumber column;
    Oid equality;
    Oid collation;
    Node *value; // of the query that the relation stands in
};

/// Walks down a statement, query by query.
class OldKeys {
  public:
    /// `driver`: the entry of the statement's own FROM that is read first; 0: none.
    OldKeys(const Query *statement, int driver) : statement_(statement), driver_(driver) {}

    /// Notes what the query's conditions say to the queries in its FROM. To be called before those are looked at.
    void enter(Query *q);
    /// The keys by which entry `index` of the query is wanted, among these columns. At least one depends on a row.
    pg::Vector<OldKey> keys_of(Query *q, int index, const pg::Vector<AttrNumber> &columns);

  private:
    List *conditions(Query *q);
    bool is_known(const Query *q, Node *value) const;
    std::optional<OldKey> key_from(const Query *q, int index, Node *condition) const;

    struct Hint {
        const Query *query;
        List *conditions;
    };
    const Query *statement_;
    int driver_;
    pg::Vector<Hint> hints_;
};

/// Marks the entries that depend on others beside them, now that values of these stand in them, and puts those first.
void order_entries(Query *q);

} // namespace upkeep::lower
