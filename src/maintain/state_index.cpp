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

/// The columns of node `number` by which a node above it reads its flow.
void note_keys_read(const NodeProgram &reader, int number, Bitmapset **columns) {
    for (const BlockProgram &b : reader.blocks)
        for (int k = 0; k < reader.node->nkeys(); k++) {
            auto *key = static_cast<Node *>(list_nth(b.block->outputs, k));
            if (!IsA(key, Var))
                continue;
            const algebra::Input &input = b.block->inputs[static_cast<size_t>(castNode(Var, key)->varno - 1)];
            if (input.kind == algebra::InputKind::node && input.source == number)
                *columns = bms_add_member(*columns, castNode(Var, key)->varattno);
        }
}

/// The columns of a node's rows that other inputs of some block are tied to.
Bitmapset *tied_columns(const Program &p, int number) {
    Bitmapset *columns = nullptr;
    auto note = [&](const pg::Vector<BlockProgram> &blocks) {
        for (const BlockProgram &b : blocks)
            for (int q = 0; q < list_length(b.block->quals); q++) {
                const algebra::Qual &shape = b.block->qual_shapes[static_cast<size_t>(q)];
                if (shape.left < 0)
                    continue;
                ListCell *lc;
                foreach (lc, castNode(OpExpr, list_nth(b.block->quals, q))->args) {
                    auto *arg = static_cast<Node *>(lfirst(lc));
                    while (IsA(arg, RelabelType))
                        arg = reinterpret_cast<Node *>(castNode(RelabelType, arg)->arg);
                    const Var *var = castNode(Var, arg);
                    const algebra::Input &input = b.block->inputs[static_cast<size_t>(var->varno - 1)];
                    if (input.kind == algebra::InputKind::node && input.source == number)
                        columns = bms_add_member(columns, var->varattno);
                }
            }
    };
    for (const NodeProgram &node : p.nodes) {
        note(node.blocks);
        if (reads_by_key(node))
            note_keys_read(node, number, &columns);
    }
    note(p.output.blocks);
    return columns;
}

} // namespace

void index_tied_columns(const Program &p, const NodeProgram &node, Oid relid, IdentityKind kind) {
    Bitmapset *columns = tied_columns(p, node.number);
    pg::RunAs as(catalog::extension_owner(), pg::RunAs::Path::fixed);
    for (int column = -1; (column = bms_next_member(columns, column)) >= 0;) {
        if (kind == IdentityKind::unique_columns && column == 1)
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
