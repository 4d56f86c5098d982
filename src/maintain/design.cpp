// From an analysed query to a program: expressions compiled, states laid out.
#include "analysis/expressions.hpp"
#include "maintain/identity.hpp"
#include "maintain/program.hpp"
#include "maintain/sources.hpp"
#include "maintain/tally.hpp"
#include "maintain/view_identity.hpp"
#include "pg/names.hpp"

extern "C" {
#include "access/transam.h"
#include "catalog/pg_constraint.h"
#include "rewrite/rewriteHandler.h"
}

namespace upkeep::maintain {

using analysis::AggCall;
using analysis::Block;
using analysis::GroupNode;

namespace {

BlockProgram make_block(const Block &block) {
    BlockProgram p{};
    p.block = &block;
    p.direct = block.inputs.size() == 1 && block.inputs[0].source >= 0;
    if (p.direct) {
        p.input_evaluator = Evaluator::over_input(block);
        if (block.inputs[0].kind == algebra::InputKind::node)
            return p;
    }
    p.wide = lower::wide_columns(block);
    p.wide_desc = CreateTemplateTupleDesc(static_cast<int>(p.wide.size()));
    pg::Vector<analysis::ColumnType> types;
    for (size_t i = 0; i < p.wide.size(); i++) {
        const analysis::ColumnType &t = p.wide[i].type;
        const auto attno = static_cast<AttrNumber>(i + 1);
        TupleDescInitEntry(p.wide_desc, attno, psprintf("c%zu", i + 1), t.type, t.typmod, 0);
        TupleDescInitEntryCollation(p.wide_desc, attno, t.collation);
        types.push_back(t);
    }
    p.wide_ops = column_ops(types);
    p.wide_outputs = Evaluator::over_wide(block, p.wide, false);
    p.wide_all = Evaluator::over_wide(block, p.wide, true);
    return p;
}

AggSpec make_spec(const GroupNode &node, const AggCall &call) {
    AggSpec spec{};
    const Aggref *a = call.aggref;
    spec.kind =
        call.plain ? classify_aggregate(a->aggfnoid, a->aggdistinct != NIL && call.tally < 0) : AggKind::recompute;
    spec.aggfnoid = a->aggfnoid;
    spec.argtypmod = -1;
    if (!call.args.empty()) {
        const analysis::ColumnType &t = node.input.columns[call.args[0]];
        spec.argtype = t.type;
        spec.argtypmod = t.typmod;
        spec.argcollation = t.collation;
    }
    spec.resulttype = a->aggtype;
    spec.inputcollation = a->inputcollid;
    spec.constant_scale = call.constant_scale;
    prepare_aggregate(&spec);
    return spec;
}

void lay_out_states(NodeProgram *p) {
    p->first_state = pg::create_array<int>(p->naggs);
    p->states_of = pg::create_array<int>(p->naggs);
    p->delta_offset = pg::create_array<Size>(p->naggs);
    p->nstates = 1;
    for (int a = 0; a < p->naggs; a++) {
        StateColumn columns[kMaxStateColumns];
        p->first_state[a] = p->nstates;
        p->states_of[a] = state_columns(p->specs[a], columns);
        p->nstates += p->states_of[a];
        p->delta_offset[a] = p->delta_size;
        p->delta_size += MAXALIGN(aggregate_delta_size(p->specs[a]));
        p->consolidates |= is_read_again_kind(p->specs[a].kind);
        p->reads_again |= p->specs[a].kind == AggKind::recompute;
    }
    p->key_column = pg::create_array<AttrNumber>(p->node->keys.size());
    p->state_place = pg::create_array<StatePlace>(static_cast<size_t>(p->nstates));
}

NodeProgram make_node(int number, const GroupNode &node) {
    NodeProgram p{};
    p.number = number;
    p.node = &node;
    p.derived = node.kind == analysis::NodeKind::derived;
    p.consolidates = node.kind == analysis::NodeKind::fixpoint && node.nkeys() > 0; // rows are derived again
    const bool tally = node.kind == analysis::NodeKind::tally;
    for (const Block *block : node.input.blocks)
        if (!tally) // fed by its group
            p.blocks.push_back(make_block(*block));
    p.flow_ops = column_ops(node.input.columns);
    p.row_ops = column_ops(node.columns);
    p.row_desc = CreateTemplateTupleDesc(static_cast<int>(node.columns.size()));
    for (size_t i = 0; i < node.columns.size(); i++) {
        TupleDescInitEntry(p.row_desc, static_cast<AttrNumber>(i + 1), psprintf("c%zu", i + 1), node.columns[i].type,
                           node.columns[i].typmod, 0);
        TupleDescInitEntryCollation(p.row_desc, static_cast<AttrNumber>(i + 1), node.columns[i].collation);
    }
    auto *keys = pg::create_array<pg::ColumnOps>(node.keys.size());
    for (int k = 0; k < node.nkeys(); k++) {
        keys[k] = pg::prepare_column_ops(node.columns[k].type, node.keys[k].collation, node.keys[k].equality);
        if (!tally || (node.shows_forms && k == node.nkeys() - 1)) // nobody sees the group's keys in a tally
            p.ambiguous_keys |= !keys[k].image_equality && keys[k].equal != nullptr;
    }
    p.key_ops = {keys, node.keys.size()};
    p.naggs = static_cast<int>(node.aggs.size());
    p.specs = pg::create_array<AggSpec>(node.aggs.size());
    for (int a = 0; a < p.naggs; a++)
        p.specs[a] = make_spec(node, node.aggs[a]);
    lay_out_states(&p);
    return p;
}

} // namespace

AttrNumber shown_as(const Block &top, int wanted) {
    for (int i = 0; i < list_length(top.outputs); i++) {
        auto *e = static_cast<Node *>(list_nth(top.outputs, i));
        if (IsA(e, Var) && castNode(Var, e)->varattno == wanted)
            return static_cast<AttrNumber>(i + 1);
    }
    return 0;
}

namespace {

/// Whether a kind's state follows from its shown value and the number of its non-null arguments.
bool is_visible_kind(const AggSpec &spec) {
    switch (spec.kind) {
    case AggKind::count_star:
    case AggKind::count_value:
    case AggKind::sum_int:
    case AggKind::sum_int8:
    case AggKind::sum_money:
    case AggKind::min:
    case AggKind::max:
    case AggKind::recompute:
        return true;
    case AggKind::sum_numeric:
        return spec.constant_scale >= 0;
    default:
        return false;
    }
}

/// The aggregate whose shown value counts the non-null arguments of call `a` (-1: the group's own count, -2: none).
int counted_by(const NodeProgram &p, const Block &top, int a) {
    const AggCall &call = p.node->aggs[a];
    if (call.filter < 0 && call.not_null && call.tally < 0)
        return -1;
    for (int b = 0; b < p.naggs; b++) {
        const AggCall &other = p.node->aggs[b];
        if (other.tally != call.tally)
            continue;
        if (call.tally >= 0 && p.specs[b].kind == AggKind::count_value && shown_as(top, p.node->nkeys() + b + 1) > 0)
            return b;
        if (p.specs[b].kind == AggKind::count_value && equal(other.aggref->args, call.aggref->args) &&
            equal(other.aggref->aggfilter, call.aggref->aggfilter) && shown_as(top, p.node->nkeys() + b + 1) > 0)
            return b;
        if (p.specs[b].kind == AggKind::count_star && call.not_null && call.tally < 0 &&
            equal(other.aggref->aggfilter, call.aggref->aggfilter) && shown_as(top, p.node->nkeys() + b + 1) > 0)
            return b;
    }
    return -2;
}

} // namespace

bool lay_into_view(NodeProgram *p, const Block &top) {
    const int nkeys = p->node->nkeys();
    for (int k = 0; k < nkeys; k++)
        if ((p->key_column[k] = shown_as(top, k + 1)) == 0)
            return false;
    AttrNumber group_count = 0;
    for (int a = 0; a < p->naggs; a++) {
        const AggCall &call = p->node->aggs[a];
        const bool counts_rows =
            call.filter < 0 && call.tally < 0 &&
            (p->specs[a].kind == AggKind::count_star || (p->specs[a].kind == AggKind::count_value && call.not_null));
        if (counts_rows && group_count == 0)
            group_count = shown_as(top, nkeys + a + 1);
    }
    if (group_count == 0)
        return false;
    p->state_place[0] = {group_count, -1};
    p->visible_count = pg::create_array<int>(p->node->aggs.size());
    for (int a = 0; a < p->naggs; a++) {
        const AttrNumber shown = shown_as(top, nkeys + a + 1);
        const int counter = counted_by(*p, top, a);
        const bool needs_count = !is_read_again_kind(p->specs[a].kind) && p->specs[a].kind != AggKind::count_star &&
                                 p->specs[a].kind != AggKind::count_value;
        if (shown == 0 || !is_visible_kind(p->specs[a]) || (needs_count && counter == -2))
            return false;
        p->visible_count[a] = !needs_count ? -1 : counter < 0 ? 0 : p->first_state[counter];
        for (int s = 0; s < p->states_of[a]; s++)
            p->state_place[p->first_state[a] + s] = {shown, -1};
    }
    return true;
}

namespace {

/// A column of a state table, with its collation.
void append_column(StringInfo sql, const char *name, const analysis::ColumnType &t) {
    appendStringInfo(sql, "%s %s", name, pg::type_name(t.type, -1));
    if (OidIsValid(t.collation) && t.collation != get_typcollation(t.type))
        appendStringInfo(sql, " COLLATE %s", pg::collation_name(t.collation));
}

/// Where a node's state is its rows.
const char *row_columns(NodeProgram *p) {
    StringInfoData sql;
    initStringInfo(&sql);
    for (size_t c = 0; c < p->node->columns.size(); c++) {
        appendStringInfoString(&sql, c > 0 ? ", " : "");
        append_column(&sql, psprintf("c%zu", c + 1), p->node->columns[c]);
    }
    for (int k = 0; k < p->node->nkeys(); k++)
        p->key_column[k] = static_cast<AttrNumber>(k + 1);
    return sql.data;
}

const char *state_table_columns(NodeProgram *p) {
    if (stores_rows(*p->node))
        return row_columns(p);
    StringInfoData sql;
    initStringInfo(&sql);
    AttrNumber column = 0;
    for (int k = 0; k < p->node->nkeys(); k++) {
        const analysis::ColumnType &t = p->node->columns[k];
        p->key_column[k] = ++column;
        append_column(&sql, psprintf("k%d", k + 1), t);
        appendStringInfoString(&sql, ", ");
    }
    appendStringInfoString(&sql, "n bigint NOT NULL");
    p->state_place[0] = {++column, -1};
    for (int a = 0; a < p->naggs; a++) {
        StateColumn columns[kMaxStateColumns];
        const int n = state_columns(p->specs[a], columns);
        for (int s = 0; s < n; s++) {
            appendStringInfo(&sql, ", a%d_%s %s", a + 1, columns[s].suffix, pg::type_name(columns[s].type, -1));
            p->state_place[p->first_state[a] + s] = {++column, -1};
        }
    }
    for (int a = 0; p->result_column != nullptr && a < p->naggs; a++) {
        const analysis::ColumnType &t = p->node->columns[static_cast<size_t>(p->node->nkeys() + a)];
        appendStringInfo(&sql, ", r%d %s", a + 1, pg::type_name(t.type, -1));
        p->result_column[a] = ++column;
    }
    return sql.data;
}

} // namespace

namespace {

const pg::Refusal *check_node(const NodeProgram &p) {
    for (size_t c = 0; stores_rows(*p.node) && c < p.node->columns.size(); c++)
        if (get_typtype(p.node->columns[c].type) == TYPTYPE_PSEUDO)
            return analysis::make_refusal(
                "unsupported-key", psprintf("a column of type %s", format_type_be(p.node->columns[c].type)),
                "Values of this type cannot be stored in a column.", "Use the fields of the row instead.");
    for (int k = 0; k < p.node->nkeys(); k++)
        if (get_typtype(p.node->columns[k].type) == TYPTYPE_PSEUDO ||
            (!OidIsValid(p.node->keys[k].equality) && !OidIsValid(get_array_type(p.node->columns[k].type))))
            return analysis::make_refusal(analysis::kNoRule,
                                          psprintf("grouping by type %s", format_type_be(p.node->columns[k].type)),
                                          "Values of this type cannot be stored in a column.", "");
    return nullptr;
}

/// Refused where a node cannot be stored.
const pg::Refusal *make_nodes(Program *program) {
    add_tallies(program->query);
    program->nodes.clear();
    const pg::Refusal *refusal = nullptr;
    for (size_t n = 0; refusal == nullptr && n < program->query->nodes.size(); n++) {
        program->nodes.push_back(make_node(static_cast<int>(n), *program->query->nodes[n]));
        refusal = check_node(program->nodes.back());
    }
    return refusal;
}

bool uses_user_function(const analysis::ViewQuery &query) {
    for (const analysis::Reliance &fact : query.facts)
        if (fact.classid == ProcedureRelationId)
            return true;
    return false;
}

/// The expression of an identity index is stored in one catalog row, which has room for about 650 columns.
constexpr int kMaxHashedColumns = 500;

const pg::Refusal *check_view(const Design &design) {
    const size_t hashed =
        design.view_kind == IdentityKind::image_hash ? design.program->output.ops.size() : design.view_key.size();
    if (hashed <= kMaxHashedColumns)
        return nullptr;
    return analysis::make_refusal(
        "too-many-columns", psprintf("more than %d columns without a key among them", kMaxHashedColumns),
        "An index over so many columns cannot be made.",
        "Select the primary keys of the base tables, or split the query into several materialized views.");
}

/// The view's own indexes call functions with every row that is written.
bool has_computed_index(Relation view) {
    bool computed = false;
    List *indexes = RelationGetIndexList(view);
    ListCell *cell;
    foreach (cell, indexes) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);
        computed |= index->rd_indextuple != nullptr &&
                    (!heap_attisnull(index->rd_indextuple, Anum_pg_index_indexprs, nullptr) ||
                     !heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr));
        index_close(index, NoLock);
    }
    list_free(indexes);
    return computed;
}

void describe_layout(Design *design) {
    StringInfoData text;
    initStringInfo(&text);
    appendStringInfo(&text, "1; view %d", static_cast<int>(design->view_kind));
    for (size_t i = 0; i < design->view_key.size(); i++)
        appendStringInfo(&text, "%c%d", i == 0 ? ' ' : ',', design->view_key[i]);
    for (size_t n = 0; n < design->state_columns.size(); n++)
        appendStringInfo(&text, "; node %zu %s", n,
                         design->program->nodes[n].derived     ? "derived"
                         : design->state_columns[n] == nullptr ? "in view"
                                                               : design->state_columns[n]);
    for (const NodeProgram &node : design->program->nodes)
        if (node.node->kind == analysis::NodeKind::fixpoint)
            appendStringInfo(&text, "; fixpoint %d of %d", node.node->nkeys(), static_cast<int>(node.blocks.size()));
    for (const NodeProgram &node : design->program->nodes)
        for (int a = 0; a < node.naggs; a++)
            appendStringInfo(&text, "; %d:%d:%d", static_cast<int>(node.specs[a].kind), node.specs[a].constant_scale,
                             node.visible_count != nullptr ? node.visible_count[a] : -2);
    design->program->layout = text.data;
}

} // namespace

const Query *view_query(Relation rel) {
    if (rel->rd_rel->relkind != RELKIND_MATVIEW || rel->rd_rules == nullptr || rel->rd_rules->numLocks != 1)
        return nullptr;
    return linitial_node(Query, rel->rd_rules->rules[0]->actions);
}

namespace {

void number_blocks(Program *program) {
    uint32 number = 0;
    for (NodeProgram &node : program->nodes)
        for (BlockProgram &block : node.blocks)
            block.number = number++;
    for (BlockProgram &block : program->output.blocks)
        block.number = number++;
}

/// Nodes that are joined, or below an aggregate that reads its groups again, are read by SQL: their state tables hold
/// the results too, and the view's owner must be able to read them.
void mark_nodes_read_by_sql(Design *design) {
    Program *program = design->program;
    auto mark = [&](const pg::Vector<BlockProgram> &blocks, bool read_again) {
        for (const BlockProgram &b : blocks)
            for (const algebra::Input &input : b.block->inputs)
                if (input.kind == algebra::InputKind::node && (read_again || !b.direct)) {
                    NodeProgram &node = program->nodes[input.source];
                    if (node.derived)
                        continue;
                    node.result_column = pg::create_array<AttrNumber>(static_cast<size_t>(node.naggs) + 1);
                }
    };
    for (const NodeProgram &node : program->nodes) {
        bool forms = node.ambiguous_keys;
        for (int tally : node.node->tallies)
            forms |= program->nodes[tally].ambiguous_keys;
        mark(node.blocks,
             node.consolidates || forms || node.node->kind == analysis::NodeKind::partition || node.derived);
    }
    mark(program->output.blocks, false);
    for (const NodeProgram &node : program->nodes)
        if (node.result_column != nullptr) {
            program->query->facts.push_back({RelationRelationId, program->view, 0, "owner"});
            break;
        }
}

} // namespace

Design *design_view(Oid view, catalog::Mode mode, const Query *query, Oid owner, const pg::Refusal **refusal) {
    analysis::ViewQuery *analysed = analysis::analyse(query, owner, refusal);
    if (analysed == nullptr)
        return nullptr;
    auto *design = new (palloc(sizeof(Design))) Design();
    auto *program = new (palloc(sizeof(Program))) Program();
    design->program = program;
    program->view = view;
    program->owner = owner;
    program->context = CurrentMemoryContext;
    program->query = analysed;
    if ((*refusal = make_nodes(program)) != nullptr) {
        program->query = analysed = analysis::analyse_whole(query, owner, refusal);
        if (analysed == nullptr || (*refusal = make_nodes(program)) != nullptr)
            return nullptr;
    }
    if (mode != catalog::Mode::deferred && (*refusal = check_feeds(*analysed)) != nullptr)
        return nullptr;
    for (const Block *block : analysed->output.blocks)
        program->output.blocks.push_back(make_block(*block));
    number_blocks(program);
    mark_nodes_read_by_sql(design);
    program->output.ops = column_ops(analysed->output.columns);
    if (OidIsValid(view)) {
        if ((*refusal = check_own_contents(view, *analysed)) != nullptr)
            return nullptr;
        Relation rel = table_open(view, AccessShareLock);
        choose_view_identity(design, rel);
        program->fixed_path = has_computed_index(rel);
        table_close(rel, NoLock);
        if ((*refusal = check_view(*design)) != nullptr)
            return nullptr;
    }
    program->fixed_path |= uses_user_function(*analysed);
    for (NodeProgram &node : program->nodes) {
        const bool recursive = node.node->kind == analysis::NodeKind::fixpoint;
        program->scoped |=
            node.reads_again || node.node->kind == analysis::NodeKind::partition || (recursive && node.blocks.empty());
        design->state_columns.push_back(node.in_view || node.derived ? nullptr : state_table_columns(&node));
        program->fixed_path |= stores_rows(*node.node);
        for (const BlockProgram &b : node.blocks)
            program->fixed_path |= !b.direct;
    }
    for (const BlockProgram &b : program->output.blocks)
        program->fixed_path |= !b.direct;
    for (const NodeProgram &node : program->nodes)
        for (const BlockProgram &b : node.blocks)
            program->watches |= algebra::watched_inputs(b.block->shape()) != 0;
    program->scoped |= program->watches;
    describe_layout(design);
    return design;
}

} // namespace upkeep::maintain
