#include "analysis/free_choice.hpp"

#include "analysis/companion.hpp"
#include "pg/row_hash.hpp"

extern "C" {
#include "catalog/pg_aggregate.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parse_oper.h"
#include "rewrite/rewriteManip.h"
}

namespace upkeep::analysis {
namespace {

Oid type_of(const Expr *expression) {
    return exprType(reinterpret_cast<const Node *>(expression));
}
Oid collation_of(const Expr *expression) {
    return exprCollation(reinterpret_cast<const Node *>(expression));
}

bool has_several_images(Oid type, Oid collation, Oid equality) {
    return !pg::prepare_column_ops(type, collation, equality).image_equality;
}

bool is_min_or_max(Oid aggregate) {
    HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
    if (!HeapTupleIsValid(tuple)) {
        return false;
    }
    const auto *form = reinterpret_cast<Form_pg_aggregate>(GETSTRUCT(tuple));
    const bool found = OidIsValid(form->aggsortop) && aggregate < FirstNormalObjectId;
    ReleaseSysCache(tuple);
    return found;
}

// Forms in which the rows that a group is made of are not simply the rows of FROM and WHERE.
bool has_plain_groups(const Query *query) {
    return query->groupingSets == NIL && query->setOperations == nullptr && !query->hasWindowFuncs &&
           !(query->hasTargetSRFs && (query->groupClause != NIL || query->hasAggs)) && !query->hasDistinctOn &&
           query->limitCount == nullptr && query->limitOffset == nullptr &&
           !(query->groupClause != NIL && query->distinctClause != NIL) &&
           !(query->hasAggs && query->distinctClause != NIL) &&
           !contain_volatile_functions(reinterpret_cast<Node *>(query->targetList));
}

bool is_grouped_by(const Query *query, const TargetEntry *entry) {
    ListCell *cell;
    foreach (cell, query->groupClause) {
        if (lfirst_node(SortGroupClause, cell)->tleSortGroupRef == entry->ressortgroupref) {
            return true;
        }
    }
    return false;
}

// UNION, INTERSECT and EXCEPT show equal rows in one form, the last two also with ALL.
bool compares_rows(const SetOperationStmt *operation) {
    return operation->op != SETOP_UNION || !operation->all;
}

void keep_duplicates(Node *node) {
    if (IsA(node, SetOperationStmt)) {
        auto *operation = castNode(SetOperationStmt, node);
        operation->op = SETOP_UNION;
        operation->all = true;
        operation->groupClauses = NIL;
        keep_duplicates(operation->larg);
        keep_duplicates(operation->rarg);
    }
}

// The analysis of one query: the companion and the inputs grow as columns ask for them.
struct Analysis {
    const Query *query;
    FreeChoices *choices;
    Companion companion;
    Companion inputs;
    pg::Vector<GroupKey> keys;
    bool ambiguous_keys = false; // some key has several images

    explicit Analysis(const Query *q) : query(q), choices(pg::create<FreeChoices>()), companion(q), inputs(q) {}

    void find_group_keys();
    void find_distinct_columns();
    void find_union_columns();
    void find_aggregate(int number, TargetEntry *entry);
    void find_forms(Column *column, Aggref *aggregate);
    void find_unordered(Column *column, Aggref *aggregate);
    void find_expression(Column *column, TargetEntry *entry);
};

// GROUP BY: every key enters the inputs and, shown or not, the companion.
void Analysis::find_group_keys() {
    ListCell *cell;
    foreach (cell, query->groupClause) {
        const auto *clause = lfirst_node(SortGroupClause, cell);
        const auto *entry = get_sortgroupclause_tle(const_cast<SortGroupClause *>(clause), query->targetList);
        GroupKey key{-1, -1, type_of(entry->expr), collation_of(entry->expr), clause->eqop};
        ambiguous_keys |= has_several_images(key.type, key.collation, key.equality);
        keys.push_back(key);
    }
}

void Analysis::find_distinct_columns() {
    ListCell *cell;
    foreach (cell, query->distinctClause) {
        const auto *clause = lfirst_node(SortGroupClause, cell);
        const auto *entry = get_sortgroupclause_tle(const_cast<SortGroupClause *>(clause), query->targetList);
        if (entry->resjunk) {
            continue;
        }
        const int number = entry->resno - 1;
        GroupKey key{number, number, type_of(entry->expr), collation_of(entry->expr), clause->eqop};
        keys.push_back(key);
        if (has_several_images(key.type, key.collation, key.equality)) {
            choices->columns[number].freedom = Freedom::key;
            choices->columns[number].input = number;
        }
    }
    Query *rows = inputs.query();
    rows->distinctClause = NIL;
    rows->sortClause = NIL;
}

void Analysis::find_union_columns() {
    const auto *operation = castNode(SetOperationStmt, query->setOperations);
    int number = 0;
    ListCell *cell;
    foreach (cell, operation->groupClauses) {
        const Oid type = list_nth_oid(operation->colTypes, number);
        const Oid collation = list_nth_oid(operation->colCollations, number);
        GroupKey key{number, number, type, collation, lfirst_node(SortGroupClause, cell)->eqop};
        keys.push_back(key);
        if (has_several_images(type, collation, key.equality)) {
            choices->columns[number].freedom = Freedom::key;
            choices->columns[number].input = number;
        }
        number++;
    }
    Query *rows = inputs.query();
    keep_duplicates(rows->setOperations);
    rows->sortClause = NIL;
}

bool is_numeric_statistic(Oid aggregate) {
    switch (aggregate) {
    case F_SUM_NUMERIC:
    case F_AVG_NUMERIC:
    case F_VAR_POP_NUMERIC:
    case F_VAR_SAMP_NUMERIC:
    case F_VARIANCE_NUMERIC:
    case F_STDDEV_POP_NUMERIC:
    case F_STDDEV_SAMP_NUMERIC:
    case F_STDDEV_NUMERIC:
        return true;
    default:
        return false;
    }
}

void Analysis::find_forms(Column *column, Aggref *aggregate) {
    column->freedom = Freedom::forms;
    column->values = companion.add(make_count_of_values(aggregate));
    column->images = companion.add(make_count_of_images(aggregate));
    column->exact = aggregate->aggfnoid == F_SUM_NUMERIC;
}

// array_agg and string_agg: the order in which rows come.
void Analysis::find_unordered(Column *column, Aggref *aggregate) {
    if (aggregate->aggorder != NIL || aggregate->aggdistinct != NIL) {
        return;
    }
    if (aggregate->aggfnoid == F_ARRAY_AGG_ANYNONARRAY) {
        column->freedom = Freedom::elements;
        return;
    }
    if (aggregate->aggfnoid != F_STRING_AGG_TEXT_TEXT) {
        return;
    }
    const auto *delimiter = lsecond_node(TargetEntry, aggregate->args)->expr;
    if (!IsA(delimiter, Const) || reinterpret_cast<const Const *>(delimiter)->constisnull) {
        return;
    }
    column->delimiter = TextDatumGetCString(reinterpret_cast<const Const *>(delimiter)->constvalue);
    if (*column->delimiter == '\0') {
        return;
    }
    column->freedom = Freedom::pieces;
    column->values = companion.add(make_array_of(aggregate));
}

// A column that is an aggregate call and nothing else.
void Analysis::find_aggregate(int number, TargetEntry *entry) {
    Column *column = &choices->columns[number];
    auto *aggregate = castNode(Aggref, entry->expr);
    if (aggregate->agglevelsup != 0 || aggregate->aggkind != AGGKIND_NORMAL) {
        return;
    }
    if (find_float_kind(aggregate->aggfnoid)) {
        column->freedom = Freedom::floating;
        column->leaves = pg::create<FloatLeaf>();
        column->nleaves = 1;
        column->leaves[0] = companion.add_float(aggregate, number);
    } else if (has_plain_groups(query) && is_min_or_max(aggregate->aggfnoid)) {
        const Oid type = aggregate->aggtype;
        Oid equality = InvalidOid;
        get_sort_group_operators(type, false, false, false, nullptr, &equality, nullptr, nullptr);
        if (OidIsValid(equality) && has_several_images(type, aggregate->inputcollid, equality)) {
            column->freedom = Freedom::extreme;
            column->equality = equality;
        }
    } else if (aggregate->aggdistinct != NIL && is_numeric_statistic(aggregate->aggfnoid)) {
        find_forms(column, aggregate);
    } else {
        find_unordered(column, aggregate);
    }
}

// Any other column of a grouped query.
void Analysis::find_expression(Column *column, TargetEntry *entry) {
    Node *expression = reinterpret_cast<Node *>(entry->expr);
    if (!contain_aggs_of_level(expression, 0)) {
        const bool determined = is_grouped_by(query, entry) &&
                                !has_several_images(type_of(entry->expr), collation_of(entry->expr), InvalidOid);
        if (ambiguous_keys && !determined && has_plain_groups(query)) {
            column->freedom = Freedom::key;
        }
        return;
    }
    if (checkExprHasSubLink(expression) || contain_windowfuncs(expression) || expression_returns_set(expression) ||
        contain_volatile_functions(expression)) {
        return;
    }
    FloatExpression floats = companion.add_expression(expression);
    if (floats.leaves.empty()) {
        return;
    }
    column->freedom = Freedom::floating;
    column->nleaves = static_cast<int>(floats.leaves.size());
    column->leaves = pg::create_array<FloatLeaf>(floats.leaves.size());
    std::copy(floats.leaves.begin(), floats.leaves.end(), column->leaves);
    column->expression = floats.expression;
}

// The inputs of a grouped query: its keys, then what the columns with a choice of inputs are computed from.
void complete_inputs(Analysis *analysis) {
    const Query *query = analysis->query;
    Query *rows = analysis->inputs.query();
    if (query->havingQual != nullptr && !contain_aggs_of_level(query->havingQual, 0)) {
        rows->jointree->quals =
            make_and_qual(rows->jointree->quals, static_cast<Node *>(copyObjectImpl(query->havingQual)));
    }
    rows->targetList = NIL;
    rows->groupClause = NIL;
    rows->havingQual = nullptr;
    rows->sortClause = NIL;
    rows->hasAggs = false;
    ListCell *cell;
    int number = 0;
    foreach (cell, query->groupClause) {
        auto *entry = get_sortgroupclause_tle(lfirst_node(SortGroupClause, cell), query->targetList);
        GroupKey *key = &analysis->keys[number++];
        key->companion = entry->resjunk ? analysis->companion.add(entry->expr) : entry->resno - 1;
        key->input = analysis->inputs.add(entry->expr);
    }
    foreach (cell, query->targetList) {
        const auto *entry = lfirst_node(TargetEntry, cell);
        if (entry->resjunk) {
            continue;
        }
        Column *column = &analysis->choices->columns[entry->resno - 1];
        if (column->freedom == Freedom::key) {
            column->input = analysis->inputs.add(entry->expr);
        } else if (column->freedom == Freedom::extreme) {
            column->input = analysis->inputs.append(make_filtered_argument(castNode(Aggref, entry->expr)));
        }
    }
}

bool needs_inputs(const FreeChoices *choices) {
    return std::any_of(choices->columns, choices->columns + choices->ncolumns, [](const Column &column) {
        return column.freedom == Freedom::key || column.freedom == Freedom::extreme;
    });
}

void find_in_grouped_query(Analysis *analysis) {
    const Query *query = analysis->query;
    analysis->find_group_keys();
    ListCell *cell;
    foreach (cell, query->targetList) {
        auto *entry = lfirst_node(TargetEntry, cell);
        if (entry->resjunk) {
            continue;
        }
        if (IsA(entry->expr, Aggref)) {
            analysis->find_aggregate(entry->resno - 1, entry);
        } else {
            analysis->find_expression(&analysis->choices->columns[entry->resno - 1], entry);
        }
    }
    if (needs_inputs(analysis->choices)) {
        complete_inputs(analysis);
    }
}

} // namespace

const FreeChoices *find_free_choices(const Query *query) {
    Analysis analysis(query);
    FreeChoices *choices = analysis.choices;
    choices->ncolumns = ExecCleanTargetListLength(query->targetList);
    choices->columns = pg::create_array<Column>(choices->ncolumns);
    std::fill_n(choices->columns, choices->ncolumns, Column());

    if (query->setOperations != nullptr) {
        if (compares_rows(castNode(SetOperationStmt, query->setOperations)) && query->limitCount == nullptr &&
            query->limitOffset == nullptr) {
            analysis.find_union_columns();
        }
    } else if (query->hasAggs || query->groupClause != NIL) {
        if (query->distinctClause == NIL) { // further columns would undo the DISTINCT
            find_in_grouped_query(&analysis);
        }
    } else if (query->distinctClause != NIL && has_plain_groups(query)) {
        analysis.find_distinct_columns();
    }
    choices->companion = analysis.companion.query();
    choices->inputs = needs_inputs(choices) ? analysis.inputs.query() : nullptr;
    choices->nkeys = static_cast<int>(analysis.keys.size());
    choices->keys = pg::create_array<GroupKey>(analysis.keys.size());
    std::copy(analysis.keys.begin(), analysis.keys.end(), choices->keys);
    return choices;
}

} // namespace upkeep::analysis
