#include "maintain/state_index.hpp"

#include "catalog/registration.hpp"
#include "pg/names.hpp"
#include "pg/run_as.hpp"

extern "C" {
#include "catalog/pg_am.h"
#include "commands/defrem.h"
}

namespace upkeep::maintain {

namespace {

/// Whether some of the node's groups or partitions may be read again by their keys.
bool reads_by_key(const NodeProgram &node) {
    if (node.node->kind == analysis::NodeKind::partition)
        return true;
    return node.node->kind == analysis::NodeKind::group &&
           (node.ambiguous_keys || std::any_of(node.specs, node.specs + node.naggs,
                                               [](const AggSpec &spec) { return is_read_again_kind(spec.kind); }));
}

/// By what one input is tied to another one, or by which keys it is read.
struct Tie {
    int other;
    AttrNumber column;
};

/// Columns that serve by an index of their own: not those beside the first one where that has an index.
void note_needed(const pg::Vector<Tie> &ties, bool first_is_indexed, Bitmapset **columns) {
    for (const Tie &tie : ties) {
        const bool served = first_is_indexed && std::any_of(ties.begin(), ties.end(), [&](const Tie &beside) {
                                return beside.other == tie.other && beside.column == 1;
                            });
        if (!served)
            *columns = bms_add_member(*columns, tie.column);
    }
}

bool is_of_node(const BlockProgram &b, int input, int number) {
    const algebra::Input &in = b.block->inputs[static_cast<size_t>(input)];
    return in.kind == algebra::InputKind::node && in.source == number;
}

/// The columns of node `number` by which a node above it reads its flow.
pg::Vector<Tie> keys_read(const NodeProgram &reader, const BlockProgram &b, int number) {
    pg::Vector<Tie> ties;
    for (int k = 0; k < reader.node->nkeys(); k++) {
        auto *key = static_cast<Node *>(list_nth(b.block->outputs, k));
        if (IsA(key, Var) && is_of_node(b, castNode(Var, key)->varno - 1, number))
            ties.push_back({-1, castNode(Var, key)->varattno});
    }
    return ties;
}

/// The columns of input `input` that others are tied to.
pg::Vector<Tie> ties_of(const BlockProgram &b, int input) {
    pg::Vector<Tie> ties;
    for (int q = 0; q < list_length(b.block->quals); q++) {
        const algebra::Qual &shape = b.block->qual_shapes[static_cast<size_t>(q)];
        if (shape.left < 0 || (shape.left != input && shape.right != input))
            continue;
        ListCell *lc;
        foreach (lc, castNode(OpExpr, list_nth(b.block->quals, q))->args) {
            auto *arg = static_cast<Node *>(lfirst(lc));
            while (IsA(arg, RelabelType))
                arg = reinterpret_cast<Node *>(castNode(RelabelType, arg)->arg);
            const Var *var = castNode(Var, arg);
            if (var->varno - 1 == input)
                ties.push_back({shape.left == input ? shape.right : shape.left, var->varattno});
        }
    }
    return ties;
}

/// The columns of a node's rows that want an index.
Bitmapset *tied_columns(const Program &p, int number, bool first_is_indexed) {
    Bitmapset *columns = nullptr;
    auto note = [&](const pg::Vector<BlockProgram> &blocks) {
        for (const BlockProgram &b : blocks)
            for (int i = 0; i < static_cast<int>(b.block->inputs.size()); i++)
                if (is_of_node(b, i, number))
                    note_needed(ties_of(b, i), first_is_indexed, &columns);
    };
    for (const NodeProgram &node : p.nodes) {
        note(node.blocks);
        if (reads_by_key(node))
            for (const BlockProgram &b : node.blocks)
                note_needed(keys_read(node, b, number), first_is_indexed, &columns);
    }
    note(p.output.blocks);
    return columns;
}

} // namespace

void index_tied_columns(const Program &p, const NodeProgram &node, Oid relid, IdentityKind kind) {
    const bool first_is_indexed = kind == IdentityKind::unique_columns;
    Bitmapset *columns = tied_columns(p, node.number, first_is_indexed);
    pg::RunAs as(catalog::extension_owner(), pg::RunAs::Path::fixed);
    for (int column = -1; (column = bms_next_member(columns, column)) >= 0;) {
        if (first_is_indexed && column == 1)
            continue;
        const AttrNumber attno = stored_column(node, column);
        const Oid type = node.node->columns[static_cast<size_t>(column - 1)].type;
        const bool btree = get_typlen(type) > 0 && OidIsValid(GetDefaultOpClass(type, BTREE_AM_OID));
        if (!btree && !OidIsValid(GetDefaultOpClass(type, HASH_AM_OID)))
            continue;
        const char *sql = psprintf("CREATE INDEX ON %s USING %s (%s)", pg::qualified_name(relid),
                                   btree ? "btree" : "hash", quote_identifier(get_attname(relid, attno, false)));
        if (SPI_connect() != SPI_OK_CONNECT || SPI_execute(sql, false, 0) != SPI_OK_UTILITY)
            elog(ERROR, "could not execute \"%s\"", sql);
        SPI_finish();
    }
}

} // namespace upkeep::maintain
