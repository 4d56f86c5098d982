#include "maintain/tally.hpp"

namespace upkeep::maintain {

using analysis::AggCall;
using analysis::Block;
using analysis::GroupNode;

namespace {

/// The kind that a call with DISTINCT has over the values of a tally; recompute: it cannot do with them.
AggKind tallied_kind(const AggCall &call) {
    if (!call.plain || call.args.size() != 1 || classify_aggregate(call.aggref->aggfnoid, true) != AggKind::recompute)
        return AggKind::recompute;
    return classify_aggregate(call.aggref->aggfnoid, false);
}

bool has_one_form(const GroupNode &node, const AggCall &call, Oid equality) {
    const analysis::ColumnType &t = node.input.columns[call.args[0]];
    return call.constant_scale >= 0 || pg::prepare_column_ops(t.type, t.collation, equality).image_equality;
}

Oid distinct_equality(const AggCall &call) {
    return linitial_node(SortGroupClause, call.aggref->aggdistinct)->eqop;
}

/// Sums of intervals show more of the form than verify() could tell from an error: '1 mon' is '30 days'.
bool can_be_tallied(const GroupNode &node, const AggCall &call) {
    if (call.aggref->aggdistinct == NIL)
        return false;
    const AggKind kind = tallied_kind(call);
    if (is_read_again_kind(kind) || get_typtype(node.input.columns[call.args[0]].type) == TYPTYPE_PSEUDO)
        return false;
    return (kind != AggKind::sum_interval && kind != AggKind::avg_interval) ||
           has_one_form(node, call, distinct_equality(call));
}

/// Whether some call needs every touched group read again, which then serves all of them.
bool is_read_again(const GroupNode &node) {
    return std::any_of(node.aggs.begin(), node.aggs.end(), [&](const AggCall &call) {
        const AggKind kind = call.plain ? classify_aggregate(call.aggref->aggfnoid, call.aggref->aggdistinct != NIL)
                                        : AggKind::recompute;
        return kind == AggKind::recompute && !can_be_tallied(node, call);
    });
}

/// The block with these of its outputs.
const Block *narrowed(const Block &block, const pg::Vector<int> &columns) {
    auto *result = new (palloc(sizeof(Block))) Block(block);
    result->outputs = NIL;
    for (int column : columns)
        result->outputs = lappend(result->outputs, list_nth(block.outputs, column));
    return result;
}

/// The tally of a call's values. Its blocks are only for reading a form again; their last column is the filter, if
/// there is one.
GroupNode *make_tally(const GroupNode &node, const AggCall &call) {
    auto *tally = new (palloc(sizeof(GroupNode))) GroupNode();
    tally->kind = analysis::NodeKind::tally;
    tally->argument = call.args[0];
    tally->filter = call.filter;
    tally->keys = node.keys;
    tally->keys.push_back({distinct_equality(call), node.input.columns[call.args[0]].collation});
    pg::Vector<int> columns;
    for (int k = 0; k < node.nkeys(); k++)
        columns.push_back(k);
    columns.push_back(call.args[0]);
    for (int column : columns)
        tally->columns.push_back(node.input.columns[column]);
    tally->input.columns = tally->columns;
    if (call.filter >= 0) {
        columns.push_back(call.filter);
        tally->input.columns.push_back(node.input.columns[call.filter]);
    }
    for (const Block *block : node.input.blocks)
        tally->input.blocks.push_back(const_cast<Block *>(narrowed(*block, columns)));
    return tally;
}

/// Whether the tally holds the values of this call: the same argument and filter in every block.
bool serves(const GroupNode &tally, const GroupNode &node, const AggCall &call) {
    const auto same = [&](int a, int b) {
        return a == b || (a >= 0 && b >= 0 &&
                          std::all_of(node.input.blocks.begin(), node.input.blocks.end(), [&](const Block *block) {
                              return equal(list_nth(block->outputs, a), list_nth(block->outputs, b));
                          }));
    };
    return same(tally.argument, call.args[0]) && same(tally.filter, call.filter) &&
           tally.keys.back().equality == distinct_equality(call);
}

void add_tally(analysis::ViewQuery *query, GroupNode *node, AggCall *call) {
    for (int number : node->tallies)
        if (serves(*query->nodes[number], *node, *call))
            call->tally = number;
    if (call->tally < 0) {
        call->tally = static_cast<int>(query->nodes.size());
        node->tallies.push_back(call->tally);
        query->nodes.push_back(make_tally(*node, *call));
    }
    query->nodes[call->tally]->shows_forms |=
        tallied_kind(*call) != AggKind::count_value && !has_one_form(*node, *call, distinct_equality(*call));
}

} // namespace

void add_tallies(analysis::ViewQuery *query) {
    for (size_t n = 0, all = query->nodes.size(); n < all; n++) {
        GroupNode *node = query->nodes[n];
        if (node->kind != analysis::NodeKind::group || is_read_again(*node))
            continue;
        for (AggCall &call : node->aggs)
            if (can_be_tallied(*node, call))
                add_tally(query, node, &call);
    }
}

TalliedGroups::TalliedGroups(Run &run, NodeProgram &node, GroupTable &groups)
    : run_(run), node_(node), groups_(groups) {
    for (int number : node.node->tallies) {
        NodeProgram &tally = run.program->nodes[number];
        tallies_.push_back({&tally, new (palloc(sizeof(GroupTable))) GroupTable(tally, run.memory)});
    }
    row_ = pg::create_array<Datum>(node.key_ops.size() + 1);
    row_nulls_ = pg::create_array<bool>(node.key_ops.size() + 1);
}

void TalliedGroups::add(const Datum *values, const bool *nulls, int64 weight) {
    groups_.add(values, nulls, weight);
    if (tallies_.empty())
        return;
    const size_t nkeys = node_.key_ops.size();
    std::copy(values, values + nkeys, row_);
    std::copy(nulls, nulls + nkeys, row_nulls_);
    for (const Tally &tally : tallies_) {
        const GroupNode &node = *tally.node->node;
        if (nulls[node.argument] || (node.filter >= 0 && (nulls[node.filter] || !DatumGetBool(values[node.filter]))))
            continue;
        row_[nkeys] = values[node.argument];
        tally.values->add(row_, row_nulls_, weight);
    }
}

void TalliedGroups::take_report(const Tally &tally) {
    if (ZSet *report = run_.node_deltas[tally.node->number])
        groups_.add_distinct(tally.node->number, *report);
}

bool TalliedGroups::apply_tallies() {
    if (tallies_.empty() || groups_.is_empty())
        return true;
    lock_groups(run_, node_, groups_);
    for (const Tally &tally : tallies_) {
        if (!apply_groups(run_, *tally.node, *tally.values))
            return false;
        take_report(tally);
    }
    return true;
}

} // namespace upkeep::maintain
