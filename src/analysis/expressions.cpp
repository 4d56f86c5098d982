#include "analysis/expressions.hpp"

extern "C" {
#include "access/transam.h"
#include "catalog/heap.h"
#include "optimizer/optimizer.h"
#include "utils/regproc.h"
}

namespace upkeep::analysis {

const pg::Refusal *make_refusal(const char *code, const char *what, const char *why, const char *hint) {
    auto *r = pg::create<pg::Refusal>();
    *r = {code, what, why, hint};
    return r;
}

const pg::Refusal *refuse_system_column(AttrNumber column) {
    return make_refusal(
        "system-column", psprintf("system column %s", NameStr(SystemAttributeDefinition(column)->attname)),
        "It tells how a row is stored, which changes without any change of data.", "Leave the column out.");
}

namespace {

/// Built-in STABLE functions whose result depends on their arguments and on pinned settings only.
constexpr std::string_view kSettingsOnly[] = {
    "anytextcat",
    "array_out",
    "array_to_json",
    "array_to_string",
    "bytea_out",
    "cash_in",
    "cash_out",
    "concat",
    "concat_ws",
    "date_ge_timestamptz",
    "date_gt_timestamptz",
    "date_le_timestamptz",
    "date_lt_timestamptz",
    "date_eq_timestamptz",
    "date_ne_timestamptz",
    "date_cmp_timestamptz",
    "date_out",
    "date_part",
    "date_trunc",
    "enum_out",
    "extract",
    "format",
    "generate_series",
    "interval_in",
    "interval_out",
    "json_agg",
    "json_in",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_object_agg",
    "json_build_array",
    "json_build_object",
    "json_object",
    "jsonb_build_array",
    "jsonb_build_object",
    "json_populate_record",
    "json_populate_recordset",
    "json_to_record",
    "json_to_recordset",
    "jsonb_populate_record",
    "jsonb_populate_recordset",
    "jsonb_to_record",
    "jsonb_to_recordset",
    "make_timestamptz",
    "money",
    "overlaps",
    "plainto_tsquery",
    "phraseto_tsquery",
    "websearch_to_tsquery",
    "quote_literal",
    "quote_nullable",
    "range_out",
    "record_out",
    "row_to_json",
    "text",
    "time",
    "time_out",
    "timetz",
    "timetz_out",
    "textanycat",
    "timestamp",
    "timestamp_out",
    "timestamptz",
    "timestamptz_out",
    "date",
    "timestamp_ge_timestamptz",
    "timestamp_gt_timestamptz",
    "timestamp_le_timestamptz",
    "timestamp_lt_timestamptz",
    "timestamp_eq_timestamptz",
    "timestamp_ne_timestamptz",
    "timestamp_cmp_timestamptz",
    "timestamptz_ge_timestamp",
    "timestamptz_gt_timestamp",
    "timestamptz_le_timestamp",
    "timestamptz_lt_timestamp",
    "timestamptz_eq_timestamp",
    "timestamptz_ne_timestamp",
    "timestamptz_cmp_timestamp",
    "timestamptz_ge_date",
    "timestamptz_gt_date",
    "timestamptz_le_date",
    "timestamptz_lt_date",
    "timestamptz_eq_date",
    "timestamptz_ne_date",
    "timestamptz_cmp_date",
    "timestamptz_pl_interval",
    "timestamptz_mi_interval",
    "interval_pl_timestamptz",
    "to_char",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_date",
    "to_timestamp",
    "to_tsvector",
    "to_tsquery",
    "ts_headline",
    "float4out",
    "float8out",
    "multirange_out",
    "timezone",
    "date_bin",
    "numeric",
    "cash_numeric",
    "xml_in",
    "int4_cash",
    "int8_cash",
    "numeric_cash",
};

bool is_settings_only(Oid function, const char *name) {
    if (function >= FirstUnpinnedObjectId)
        return false;
    for (std::string_view known : kSettingsOnly)
        if (known == name)
            return true;
    return false;
}

/// Output functions that the server calls IMMUTABLE, and that follow extra_float_digits or bytea_output all the same.
bool is_output_by_settings(Oid function) {
    switch (function) {
    case F_FLOAT4OUT:
    case F_FLOAT8OUT:
    case F_BYTEAOUT:
    case F_POINT_OUT:
    case F_LSEG_OUT:
    case F_LINE_OUT:
    case F_PATH_OUT:
    case F_BOX_OUT:
    case F_POLY_OUT:
    case F_CIRCLE_OUT:
        return true;
    default:
        return false;
    }
}

/// Of these, the ones for which the time zone is all that matters.
bool is_time_zone_only(std::string_view name) {
    if (name.ends_with("_out"))
        return false;
    for (std::string_view exact : {"date_trunc", "date_part", "extract", "timezone", "date_bin", "generate_series",
                                   "overlaps", "timestamp", "timestamptz", "date", "time", "timetz"})
        if (name == exact)
            return true;
    return name.starts_with("timestamptz_") || name.find("_timestamptz") != std::string_view::npos;
}

/// Those that call the input functions of the types of their result's columns.
bool reads_text(Oid function) {
    switch (function) {
    case F_JSON_POPULATE_RECORD:
    case F_JSON_POPULATE_RECORDSET:
    case F_JSON_TO_RECORD:
    case F_JSON_TO_RECORDSET:
    case F_JSONB_POPULATE_RECORD:
    case F_JSONB_POPULATE_RECORDSET:
    case F_JSONB_TO_RECORD:
    case F_JSONB_TO_RECORDSET:
        return true;
    default:
        return false;
    }
}

struct Walk {
    ViewQuery *view;
    bool subqueries = false; // they are evaluated as they stand
    const pg::Refusal *refusal = nullptr;
};

void add_fact(ViewQuery *view, Oid classid, Oid objid, const char *kind) {
    for (const Reliance &f : view->facts)
        if (f.classid == classid && f.objid == objid && strcmp(f.kind, kind) == 0)
            return;
    view->facts.push_back({classid, objid, 0, kind});
}

bool is_refused_function(Oid function, void *context) {
    auto *walk = static_cast<Walk *>(context);
    const char *name = get_func_name(function);
    const char volatility = func_volatile(function);
    const char *what = psprintf("function %s", format_procedure_qualified(function));
    if (volatility == PROVOLATILE_VOLATILE) {
        walk->refusal =
            make_refusal("volatile-function", what,
                         psprintf("The %s is volatile: its result can change without any change of data.", what),
                         "Use an immutable function.");
        return true;
    }
    if (volatility == PROVOLATILE_STABLE) {
        if (function == F_NOW || function == F_STATEMENT_TIMESTAMP || function == F_TRANSACTION_TIMESTAMP) {
            walk->refusal = make_refusal("current-time", what,
                                         psprintf("The %s changes with the clock, without any change of data.", what),
                                         "Filter by time in the queries that read the materialized view.");
            return true;
        }
        if (!is_settings_only(function, name)) {
            walk->refusal =
                make_refusal("stable-function", what,
                             psprintf("The %s is only STABLE: it may depend on more than its arguments and the "
                                      "settings kept at registration.",
                                      what),
                             "If its result depends on its arguments alone, use or declare an IMMUTABLE function.");
            return true;
        }
        const SettingsUse use = is_time_zone_only(name) ? SettingsUse::time_zone : SettingsUse::all;
        walk->view->settings = std::max(walk->view->settings, use);
    }
    if (is_output_by_settings(function))
        walk->view->settings = SettingsUse::all;
    if (function >= FirstUnpinnedObjectId)
        add_fact(walk->view, ProcedureRelationId, function, "function");
    return false;
}

/// Values of the type are read from text: the text 'today' is another date tomorrow.
bool is_refused_input(Oid type, Walk *walk) {
    check_stack_depth();
    type = getBaseType(type);
    if (OidIsValid(get_element_type(type)))
        return is_refused_input(get_element_type(type), walk);
    if (get_typtype(type) == TYPTYPE_COMPOSITE) {
        bool refused = false;
        TupleDesc desc = lookup_rowtype_tupdesc(type, -1);
        for (int i = 0; i < desc->natts && !refused; i++)
            refused = !TupleDescAttr(desc, i)->attisdropped && is_refused_input(TupleDescAttr(desc, i)->atttypid, walk);
        ReleaseTupleDesc(desc);
        add_fact(walk->view, RelationRelationId, get_typ_typrelid(type), "row");
        return refused;
    }
    if (type_is_enum(type)) {
        add_fact(walk->view, TypeRelationId, type, "enum");
        return false;
    }
    if (get_typtype(type) == TYPTYPE_PSEUDO)
        return false;
    Oid input, parameter;
    getTypeInputInfo(type, &input, &parameter);
    return is_refused_function(input, walk);
}

bool are_refused_inputs(const List *types, Walk *walk) {
    ListCell *lc;
    foreach (lc, types)
        if (is_refused_input(lfirst_oid(lc), walk))
            return true;
    return false;
}

/// Clauses that no query below a maintained one may have.
const pg::Refusal *check_clauses(const Query *q) {
    if (q->commandType != CMD_SELECT || q->hasModifyingCTE)
        return data_modifying();
    if (q->rowMarks != NIL)
        return row_locking();
    ListCell *lc;
    foreach (lc, q->rtable)
        if (lfirst_node(RangeTblEntry, lc)->tablesample != nullptr)
            return tablesample();
    foreach (lc, q->cteList)
        if (const pg::Refusal *refusal = check_paths(lfirst_node(CommonTableExpr, lc)))
            return refusal;
    return nullptr;
}

bool walk_expression(Node *node, void *context) {
    auto *walk = static_cast<Walk *>(context);
    if (node == nullptr)
        return false;
    check_stack_depth();
    const char *what = nullptr;
    switch (nodeTag(node)) {
    case T_SQLValueFunction:
        walk->refusal = make_refusal("current-time", "CURRENT_DATE, CURRENT_TIMESTAMP, CURRENT_USER or the like",
                                     "Its value changes without any change of data.",
                                     "Filter in the queries that read the materialized view.");
        return true;
    case T_NextValueExpr:
        what = "nextval()";
        break;
    case T_SubLink:
        what = "a subquery in an expression";
        break;
    case T_WindowFunc:
        what = "a window function";
        break;
    case T_GroupingFunc:
        what = "GROUPING()";
        break;
    case T_CurrentOfExpr:
        what = "CURRENT OF";
        break;
    default:
        break;
    }
    if (walk->subqueries && (IsA(node, SubLink) || IsA(node, WindowFunc) || IsA(node, GroupingFunc)))
        what = nullptr;
    if (IsA(node, Query)) {
        walk->refusal = check_clauses(castNode(Query, node));
        return walk->refusal != nullptr || pg::walk_query(castNode(Query, node), walk_expression, walk, 0);
    }
    if (what != nullptr) {
        walk->refusal = make_refusal(kNoRule, what, psprintf("There is no rule for %s here.", what), "");
        return true;
    }
    if (check_functions_in_node(node, is_refused_function, walk))
        return true;
    if ((IsA(node, FuncExpr) && reads_text(castNode(FuncExpr, node)->funcid) &&
         is_refused_input(exprType(node), walk)) ||
        (IsA(node, RangeTblFunction) && are_refused_inputs(castNode(RangeTblFunction, node)->funccoltypes, walk)) ||
        (IsA(node, TableFunc) && are_refused_inputs(castNode(TableFunc, node)->coltypes, walk)))
        return true;
    if (IsA(node, Var) && castNode(Var, node)->varattno < 0) {
        walk->refusal = refuse_system_column(castNode(Var, node)->varattno);
        return true;
    }
    if (IsA(node, Var) || IsA(node, Const) || IsA(node, FuncExpr)) {
        const Oid type = exprType(node);
        if (type >= FirstUnpinnedObjectId && type_is_enum(type))
            add_fact(walk->view, TypeRelationId, type, "enum");
    }
    return pg::walk_tree(node, walk_expression, walk);
}

/// Comparisons that cannot fail, though they are not marked leakproof: equality of a btree family of the server's own,
/// and those of numbers.
bool is_safe_comparison(const OpExpr *op) {
    const Oid type = exprType(static_cast<Node *>(linitial(op->args)));
    if (op->opno >= FirstUnpinnedObjectId)
        return false;
    if (op_mergejoinable(op->opno, type))
        return true;
    List *meanings = type == NUMERICOID ? get_op_btree_interpretation(op->opno) : NIL;
    return meanings != NIL;
}

} // namespace

/// Everything with functions is judged by those functions.
bool may_fail_by_itself(Node *node) {
    switch (nodeTag(node)) {
    case T_Var:
    case T_Const:
    case T_Param:
    case T_BoolExpr:
    case T_NullTest:
    case T_BooleanTest:
    case T_RelabelType:
    case T_CollateExpr:
    case T_CaseExpr:
    case T_CaseWhen:
    case T_CaseTestExpr:
    case T_CoalesceExpr:
    case T_OpExpr:
    case T_DistinctExpr:
    case T_FuncExpr:
    case T_List:
    case T_ScalarArrayOpExpr:
    case T_NullIfExpr:
    case T_RowCompareExpr:
    case T_RowExpr:
    case T_TargetEntry:
        break;
    default:
        return true;
    }
    auto leaky = [](Oid function, void *) { return !get_func_leakproof(function); };
    if (!check_functions_in_node(node, leaky, nullptr))
        return false;
    return !IsA(node, OpExpr) || !is_safe_comparison(reinterpret_cast<OpExpr *>(node));
}

namespace {

bool varies(Node *node, void *) {
    if (node == nullptr || IsA(node, Const))
        return false;
    const bool call = IsA(node, OpExpr) || IsA(node, FuncExpr) || IsA(node, RelabelType) || IsA(node, List);
    return !call || pg::walk_tree(node, varies, nullptr);
}

/// What is computed once, when the expression is planned: if it fails, the query has no result at all.
bool is_computed_once(Node *node) {
    return (IsA(node, OpExpr) || IsA(node, FuncExpr)) && !varies(node, nullptr) && !contain_mutable_functions(node);
}

bool may_fail(Node *node, void *) {
    return node != nullptr && !is_computed_once(node) &&
           (may_fail_by_itself(node) || pg::walk_tree(node, may_fail, nullptr));
}

} // namespace

const pg::Refusal *check_subquery(Query *query, ViewQuery *view) {
    Walk walk{view, true};
    walk_expression(reinterpret_cast<Node *>(query), &walk);
    return walk.refusal;
}

const pg::Refusal *data_modifying() {
    return make_refusal("data-modifying", "a data-modifying statement",
                        "PostgreSQL takes no data-modifying statement in a materialized view.", "Leave it out.");
}

const pg::Refusal *row_locking() {
    return make_refusal("row-locking", "FOR UPDATE or FOR SHARE", "Row locking has no meaning in a maintained result.",
                        "Leave the locking clause out.");
}

const pg::Refusal *tablesample() {
    return make_refusal("tablesample", "TABLESAMPLE", "A random sample is not determined by the data.",
                        "Leave TABLESAMPLE out.");
}

const pg::Refusal *check_expression(Node *expression, ViewQuery *view) {
    Walk walk{view};
    walk_expression(expression, &walk);
    return walk.refusal;
}

const pg::Refusal *check_function(Oid function, ViewQuery *view) {
    Walk walk{view};
    is_refused_function(function, &walk);
    return walk.refusal;
}

bool is_infallible(Node *expression) {
    return !may_fail(expression, nullptr);
}

namespace {

bool any_is_null(const List *expressions);

/// NULL whatever the columns are.
bool is_always_null(Node *expression) {
    switch (nodeTag(expression)) {
    case T_Const:
        return castNode(Const, expression)->constisnull;
    case T_RelabelType:
        return is_always_null(reinterpret_cast<Node *>(castNode(RelabelType, expression)->arg));
    case T_OpExpr:
        return op_strict(castNode(OpExpr, expression)->opno) && !castNode(OpExpr, expression)->opretset &&
               any_is_null(castNode(OpExpr, expression)->args);
    case T_FuncExpr:
        return func_strict(castNode(FuncExpr, expression)->funcid) && !castNode(FuncExpr, expression)->funcretset &&
               any_is_null(castNode(FuncExpr, expression)->args);
    default:
        return false;
    }
}

bool any_is_null(const List *expressions) {
    ListCell *lc;
    foreach (lc, expressions)
        if (is_always_null(static_cast<Node *>(lfirst(lc))))
            return true;
    return false;
}

} // namespace

bool is_never_true(Node *condition) {
    const Const *constant = IsA(condition, Const) ? castNode(Const, condition) : nullptr;
    return constant != nullptr && !constant->constisnull ? !DatumGetBool(constant->constvalue)
                                                         : is_always_null(condition);
}

} // namespace upkeep::analysis
