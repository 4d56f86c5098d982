// Inputs that are no relation: functions in FROM, VALUES, XMLTABLE, and the set-returning functions of a select list.
#pragma once

#include "pg/postgres.hpp"

namespace upkeep::analysis {

/// The expressions that an entry's rows are made of, as one tree. Nothing for relations and nodes (nullptr).
Node *row_expressions(const RangeTblEntry *rte);

/// A copy of an entry, each of its expressions replaced by what `map` makes of it; relations and nodes as they are.
template <typename Map> RangeTblEntry *map_row_expressions(RangeTblEntry *rte, Map map) {
    if (rte == nullptr || rte->rtekind == RTE_RELATION)
        return rte;
    auto *copy = static_cast<RangeTblEntry *>(copyObjectImpl(rte));
    copy->functions = reinterpret_cast<List *>(map(reinterpret_cast<Node *>(copy->functions)));
    copy->values_lists = reinterpret_cast<List *>(map(reinterpret_cast<Node *>(copy->values_lists)));
    copy->subquery = reinterpret_cast<Query *>(map(reinterpret_cast<Node *>(copy->subquery)));
    copy->tablefunc = reinterpret_cast<TableFunc *>(map(reinterpret_cast<Node *>(copy->tablefunc)));
    return copy;
}

/// The rows of LATERAL (SELECT expressions), with set-returning functions among the expressions: a subquery whose
/// select list is kept in values_lists until SQL is written, so that its columns are references like any other's.
RangeTblEntry *select_list_entry(List *expressions);

/// The subquery of such an entry.
Query *select_list_query(const RangeTblEntry *rte);

} // namespace upkeep::analysis
