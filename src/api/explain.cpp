// upkeep.explain(what)
#include "lower/beside.hpp"
#include "lower/sql.hpp"
#include "maintain/program.hpp"
#include "pg/entry.hpp"
#include "pg/names.hpp"
#include "pg/run_as.hpp"

extern "C" {
#include "access/stratnum.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "commands/defrem.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/tcopprot.h"
#include "utils/varlena.h"
}

namespace upkeep::api {

namespace {

using analysis::Block;

struct Output {
    ReturnSetInfo *result;
    int step = 0;
    pg::Vector<int> step_of_node; // by number of the node: the step that changes its rows
};

void put_row(Output &out, std::initializer_list<const char *> texts) {
    Datum values[10];
    bool nulls[10];
    values[0] = Int32GetDatum(++out.step);
    nulls[0] = false;
    int i = 1;
    for (const char *text : texts) {
        nulls[i] = text == nullptr;
        values[i++] = text == nullptr ? Datum{0} : CStringGetTextDatum(text);
    }
    tuplestore_putvalues(out.result->setResult, out.result->setDesc, values, nulls);
}

void put_step(Output &out, const char *trigger, const char *op, const char *strategy, const char *sql,
              const char *index) {
    put_row(out, {trigger, op, strategy, sql, index, nullptr, nullptr, nullptr, nullptr});
}

void put_refusal(Output &out, const pg::Refusal &r) {
    put_row(out, {nullptr, nullptr, nullptr, nullptr, nullptr, r.code, r.what, r.why, r.hint});
}

/// Whether some valid index of the table begins with this column.
bool has_index_on(Oid relid, AttrNumber column) {
    Relation rel = table_open(relid, AccessShareLock);
    bool found = false;
    ListCell *lc;
    foreach (lc, RelationGetIndexList(rel)) {
        Relation index = index_open(lfirst_oid(lc), AccessShareLock);
        found |= index->rd_index->indisvalid && index->rd_index->indkey.values[0] == column;
        index_close(index, NoLock);
    }
    table_close(rel, NoLock);
    return found;
}

const char *index_command(Oid relid, AttrNumber column) {
    return psprintf("CREATE INDEX ON %s (%s)", pg::qualified_name(relid),
                    quote_identifier(get_attname(relid, column, false)));
}

/// The column of `input` in a plain equality that ties it to another input; nullptr: it does not.
const Var *tied_column(const Block &block, size_t qual, int input) {
    const algebra::Qual &shape = block.qual_shapes[qual];
    if (shape.left < 0 || (shape.left != input && shape.right != input))
        return nullptr;
    auto *op = castNode(OpExpr, list_nth(block.quals, static_cast<int>(qual)));
    for (int side = 0; side < 2; side++) {
        auto *arg = static_cast<Node *>(list_nth(op->args, side));
        while (IsA(arg, RelabelType))
            arg = reinterpret_cast<Node *>(castNode(RelabelType, arg)->arg);
        if (IsA(arg, Var) && castNode(Var, arg)->varno - 1 == input)
            return castNode(Var, arg);
    }
    return nullptr;
}

/// How rows of one table are found from changed rows of another input: nullptr if by an index, else the index that
/// would do, or that none does. Rows that a subquery reads are found by what ties them to its outer rows.
const char *wanted_of_table(const Block &block, int input, int changed) {
    const Oid relid = block.rtes[static_cast<size_t>(input)]->relid;
    const Var *first = nullptr;
    bool tied = false;
    for (size_t q = 0; q < block.qual_shapes.size(); q++) {
        const int watched = block.qual_shapes[q].watched;
        if (watched >= 0 && watched != changed && watched != input)
            continue;
        const Var *column = tied_column(block, q, input);
        if (column != nullptr && has_index_on(relid, column->varattno))
            return nullptr;
        first = first != nullptr ? first : column;
        tied |= algebra::has(block.qual_shapes[q].inputs, input) && algebra::size(block.qual_shapes[q].inputs) > 1;
    }
    if (first != nullptr)
        return index_command(relid, first->varattno);
    return psprintf(tied ? "every row of %s is read, unless an index serves its condition"
                         : "every row of %s is read: nothing ties it to the others",
                    pg::qualified_name(relid));
}

/// What a change of `changed` would look for in the other tables of the block, and does not find.
const char *wanted_by_join(const Block &block, int changed) {
    StringInfoData wanted;
    initStringInfo(&wanted);
    for (int i = 0; i < static_cast<int>(block.inputs.size()); i++) {
        if (i == changed || block.inputs[static_cast<size_t>(i)].kind != algebra::InputKind::table)
            continue;
        const char *one = wanted_of_table(block, i, changed);
        if (one != nullptr && strstr(wanted.data, one) == nullptr)
            appendStringInfo(&wanted, "%s%s", wanted.len > 0 ? "; " : "", one);
    }
    return wanted.len > 0 ? wanted.data : nullptr;
}

/// Reading a group again wants an index on a key column of some table.
const char *wanted_by_group(const analysis::GroupNode &node) {
    for (const Block *block : node.input.blocks) {
        const char *command = nullptr;
        bool served = node.nkeys() == 0;
        for (int k = 0; k < node.nkeys() && !served; k++) {
            auto *key = static_cast<Node *>(list_nth(block->outputs, k));
            served = !IsA(key, Var) && lower::is_indexed(*block, key);
            if (!IsA(key, Var))
                continue;
            const int input = castNode(Var, key)->varno - 1;
            const analysis::GroupNode *below = block->nodes[static_cast<size_t>(input)];
            // States are indexed by what they are read by.
            served = below != nullptr && below->kind != analysis::NodeKind::derived;
            if (block->inputs[static_cast<size_t>(input)].kind != algebra::InputKind::table)
                continue;
            const Oid relid = block->rtes[static_cast<size_t>(input)]->relid;
            served = has_index_on(relid, castNode(Var, key)->varattno);
            command = command != nullptr ? command : index_command(relid, castNode(Var, key)->varattno);
        }
        if (!served)
            return command != nullptr ? command : "an index on the grouping expression";
    }
    return nullptr;
}

/// What makes a step run: rows of a table that changed, or of a node below.
const char *trigger_of(const Output &out, const Block &block, size_t input) {
    const algebra::Input &in = block.inputs[input];
    if (in.kind == algebra::InputKind::table)
        return pg::qualified_name(block.rtes[input]->relid);
    return psprintf("rows of step %d", out.step_of_node[static_cast<size_t>(in.source)]);
}

const char *operator_of(const Block &block, const algebra::Input &changed) {
    if (changed.role == algebra::Role::watched)
        return "subquery";
    if (algebra::anti_inputs(block.shape()) != 0)
        return "anti join";
    return block.inputs.size() > 1 ? "join" : "scan";
}

/// A subquery is evaluated again for the rows that its change is tied to, or for all.
const char *strategy_of(const Block &block, int changed) {
    if (block.inputs[static_cast<size_t>(changed)].role != algebra::Role::watched)
        return "incremental";
    return std::any_of(
               block.qual_shapes.begin(), block.qual_shapes.end(),
               [&](const algebra::Qual &qual) { return qual.watched == changed && algebra::size(qual.inputs) > 1; })
               ? "scoped"
               : "whole view";
}

/// The statement that a change of one input runs; the first one where the old and new states are read one after the
/// other.
const char *term_of(const maintain::BlockProgram &b, int changed) {
    const algebra::InputSet watched = algebra::watched_inputs(b.block->shape());
    if (watched == 0)
        return lower::term_sql(*b.block, {algebra::only(changed), algebra::only(changed)}, b.wide);
    const char *sql = nullptr;
    delta::scope_terms(algebra::only(changed), watched, [&](const delta::ScopeTerm &term) {
        sql = sql != nullptr ? sql : lower::scope_sql(*b.block, term, b.wide);
    });
    return sql;
}

void explain_blocks(Output &out, const pg::Vector<maintain::BlockProgram> &blocks) {
    for (const maintain::BlockProgram &b : blocks)
        for (size_t i = 0; i < b.block->inputs.size(); i++) {
            const algebra::Input &input = b.block->inputs[i];
            if (input.kind != algebra::InputKind::table && input.kind != algebra::InputKind::node)
                continue;
            const char *trigger = trigger_of(out, *b.block, i);
            const char *op = operator_of(*b.block, input);
            if (b.direct)
                put_step(out, trigger, "scan", "incremental", nullptr, nullptr);
            else
                put_step(out, trigger, op, strategy_of(*b.block, static_cast<int>(i)), term_of(b, static_cast<int>(i)),
                         wanted_by_join(*b.block, static_cast<int>(i)));
        }
}

/// Whether some valid index of the table begins with this column, in this order or its reverse.
bool has_index_in_order(Oid relid, AttrNumber column, bool descending, bool nulls_first) {
    Relation rel = table_open(relid, AccessShareLock);
    bool found = false;
    ListCell *lc;
    foreach (lc, RelationGetIndexList(rel)) {
        Relation index = index_open(lfirst_oid(lc), AccessShareLock);
        const int16 option = index->rd_indoption[0];
        const bool other = descending != ((option & INDOPTION_DESC) != 0);
        found |= index->rd_index->indisvalid && index->rd_rel->relam == BTREE_AM_OID &&
                 index->rd_index->indkey.values[0] == column &&
                 other == (nulls_first != ((option & INDOPTION_NULLS_FIRST) != 0));
        index_close(index, NoLock);
    }
    table_close(rel, NoLock);
    return found;
}

/// Reading the first rows again wants an index in the order of ORDER BY, on its first column.
const char *wanted_by_limit(const analysis::GroupNode &node) {
    const Query *q = node.function;
    if (q->sortClause == NIL || q->windowClause != NIL)
        return nullptr;
    auto *clause = linitial_node(SortGroupClause, q->sortClause);
    Node *e = get_sortgroupclause_expr(clause, q->targetList);
    for (const Block *block : node.input.blocks) {
        auto *column = IsA(e, Var) ? static_cast<Node *>(list_nth(block->outputs, castNode(Var, e)->varattno - 1)) : e;
        if (!IsA(e, Var) || !IsA(column, Var))
            return "an index on the expression in ORDER BY";
        const int input = castNode(Var, column)->varno - 1;
        if (block->inputs[input].kind != algebra::InputKind::table)
            continue;
        const Oid relid = block->rtes[input]->relid;
        const AttrNumber attno = castNode(Var, column)->varattno;
        const bool descending =
            get_opfamily_member(get_opclass_family(GetDefaultOpClass(exprType(e), BTREE_AM_OID)), exprType(e),
                                exprType(e), BTGreaterStrategyNumber) == clause->sortop;
        if (!has_index_in_order(relid, attno, descending, clause->nulls_first))
            return psprintf("CREATE INDEX ON %s (%s%s%s)", pg::qualified_name(relid),
                            quote_identifier(get_attname(relid, attno, false)), descending ? " DESC" : "",
                            descending == clause->nulls_first ? ""
                            : descending                      ? " NULLS LAST"
                                                              : " NULLS FIRST");
    }
    return nullptr;
}

/// A query over the rows of each key that a change touches; over all rows where there is no key.
void explain_partition(Output &out, const maintain::NodeProgram &node, const char *trigger,
                       const analysis::ViewQuery &query) {
    const bool keyed = node.node->nkeys() > 0;
    put_step(out, trigger, node.node->function_name, keyed ? "scoped" : "whole view",
             lower::partition_sql(*node.node, 0), keyed ? wanted_by_group(*node.node) : wanted_by_limit(*node.node));
    for (int t = -1; (t = bms_next_member(node.node->tables, t)) >= 0;)
        put_step(out, pg::qualified_name(query.tables[static_cast<size_t>(t)].relid), node.node->function_name,
                 "whole view", lower::partition_sql(*node.node, 0), nullptr);
}

void explain_recursion(Output &out, const maintain::NodeProgram &node, const analysis::ViewQuery &query) {
    for (int t = -1; (t = bms_next_member(node.node->tables, t)) >= 0;)
        put_step(out, pg::qualified_name(query.tables[static_cast<size_t>(t)].relid), node.node->function_name,
                 "whole view", lower::query_sql(node.node->query), nullptr);
    explain_blocks(out, node.blocks);
    for (const maintain::BlockProgram &b : node.blocks)
        for (int i = 0; i < static_cast<int>(b.block->inputs.size()); i++)
            if (b.block->nodes[static_cast<size_t>(i)] == node.node)
                put_step(out, "rows that come or go, round by round", "recursion", "incremental",
                         b.direct ? nullptr : lower::term_sql(*b.block, {algebra::only(i), algebra::only(i)}, b.wide),
                         wanted_by_join(*b.block, i));
    if (node.node->nkeys() > 0 && !node.blocks.empty())
        put_step(out, "rows that lost a derivation", "recursion", "scoped",
                 lower::groups_sql(*node.node, lower::Groups::listed, {}), wanted_by_group(*node.node));
}

/// The distinct values that some calls of a group step add up.
void explain_tallies(Output &out, const maintain::NodeProgram &node, const maintain::Program &program) {
    const char *trigger =
        psprintf("change of the input of step %d", out.step_of_node[static_cast<size_t>(node.number)]);
    for (int number : node.node->tallies) {
        const maintain::NodeProgram &tally = program.nodes[static_cast<size_t>(number)];
        put_step(out, trigger, "distinct", "incremental", nullptr, nullptr);
        if (tally.ambiguous_keys)
            put_step(out, "the shown form of a value leaves its group", "distinct", "scoped",
                     lower::representative_sql(*tally.node, 0), wanted_by_group(*tally.node));
    }
}

void explain_node(Output &out, const maintain::NodeProgram &node, const maintain::Program &program) {
    if (node.node->kind == analysis::NodeKind::tally) // with its group
        return;
    int &step = out.step_of_node[static_cast<size_t>(node.number)];
    step = out.step + 1;
    if (node.node->kind == analysis::NodeKind::fixpoint && node.node->query == nullptr) { // stored as they are
        explain_blocks(out, node.blocks);
        step = out.step + 1;
        put_step(out, psprintf("change of the input of step %d", step), node.node->function_name, "incremental",
                 nullptr, nullptr);
        return;
    }
    if (node.node->kind == analysis::NodeKind::fixpoint) {
        explain_recursion(out, node, *program.query);
        return;
    }
    explain_blocks(out, node.blocks);
    if (node.derived)
        return;
    step = out.step + 1;
    const char *trigger = psprintf("change of the input of step %d", out.step + 1);
    if (node.node->kind == analysis::NodeKind::partition) {
        explain_partition(out, node, trigger, *program.query);
        return;
    }
    put_step(out, trigger, node.naggs == 0 ? "distinct" : "group", "incremental", nullptr, nullptr);
    explain_tallies(out, node, program);
    pg::Vector<int> always, extremes;
    for (int a = 0; a < node.naggs; a++)
        if (maintain::is_read_again_kind(node.specs[a].kind))
            (node.specs[a].kind == maintain::AggKind::recompute ? always : extremes).push_back(a);
    if (!always.empty())
        put_step(out, "any change of a group", "group", "scoped",
                 lower::group_sql(*node.node, 0, {always.data(), always.size()}), wanted_by_group(*node.node));
    if (!extremes.empty())
        put_step(out, "the shown minimum or maximum of a group leaves it", "group", "scoped",
                 lower::group_sql(*node.node, 0, {extremes.data(), extremes.size()}), wanted_by_group(*node.node));
    if (node.ambiguous_keys)
        put_step(out, "the shown form of a key leaves its group", "group", "scoped",
                 lower::representative_sql(*node.node, 0), wanted_by_group(*node.node));
}

/// The view that a text names, or InvalidOid.
Oid find_view(const char *what) {
    List *names;
    if (!SplitIdentifierString(pstrdup(what), '.', &names) || names == NIL || list_length(names) > 3)
        return InvalidOid;
    List *values = NIL;
    ListCell *lc;
    foreach (lc, names)
        values = lappend(values, makeString(static_cast<char *>(lfirst(lc))));
    const Oid relid = RangeVarGetRelid(makeRangeVarFromNameList(values), AccessShareLock, true);
    const char relkind = OidIsValid(relid) ? get_rel_relkind(relid) : '\0';
    if (relkind == RELKIND_MATVIEW || relkind == RELKIND_VIEW)
        return relid;
    if (OidIsValid(relid))
        ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is not a view or materialized view", what)));
    return InvalidOid;
}

/// The analysed query of a text.
const Query *parse(const char *sql) {
    List *statements = pg_parse_query(sql);
    if (list_length(statements) != 1)
        ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("a single query is expected")));
    Query *query = parse_analyze_fixedparams(linitial_node(RawStmt, statements), sql, nullptr, 0, nullptr);
    if (query->commandType != CMD_SELECT || query->utilityStmt != nullptr)
        ereport(ERROR,
                (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("a SELECT is expected"),
                 errhint("Give the name of a materialized view, or a query as CREATE MATERIALIZED VIEW takes it.")));
    return query;
}

/// The mode to explain it in: what can be maintained at all can be so in immediate mode, unless it is registered.
catalog::Mode mode_of(Oid view) {
    catalog::Registration registration;
    return OidIsValid(view) && catalog::find_registration(view, &registration) ? registration.mode
                                                                               : catalog::Mode::immediate;
}

} // namespace

UPKEEP_FUNCTION(upkeep_explain) {
    const char *what = text_to_cstring(PG_GETARG_TEXT_PP(0));
    InitMaterializedSRF(fcinfo, 0);
    Output out{reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo)};
    const Oid view = find_view(what);
    Oid owner = GetUserId();
    bool materialized = false;
    const Query *query;
    if (OidIsValid(view)) {
        Relation rel = table_open(view, AccessShareLock);
        materialized = rel->rd_rel->relkind == RELKIND_MATVIEW;
        owner = rel->rd_rel->relowner;
        query = static_cast<Query *>(copyObjectImpl(materialized ? maintain::view_query(rel) : get_view_query(rel)));
        table_close(rel, NoLock);
    } else {
        query = parse(what);
    }
    pg::RunAs as(owner, pg::RunAs::Path::fixed);
    const pg::Refusal *refusal = nullptr;
    const maintain::Design *design =
        maintain::design_view(materialized ? view : InvalidOid, mode_of(view), query, owner, &refusal);
    if (design == nullptr) {
        put_refusal(out, *refusal);
        return Datum{0};
    }
    out.step_of_node.resize(design->program->nodes.size());
    for (const maintain::NodeProgram &node : design->program->nodes)
        explain_node(out, node, *design->program);
    if (!design->program->output_in_node)
        explain_blocks(out, design->program->output.blocks);
    put_step(out, "change of the rows above", "apply to the view", "incremental", nullptr, nullptr);
    return Datum{0};
}

} // namespace upkeep::api
