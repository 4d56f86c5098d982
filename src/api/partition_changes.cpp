#include "api/definition_changes.hpp"

#include "capture/capture.hpp"
#include "capture/pending.hpp"
#include "catalog/table_tree.hpp"

extern "C" {
#include "catalog/namespace.h"
}

namespace upkeep::api {

namespace {

Oid top_of(Oid relid) {
    const pg::Vector<Oid> above = catalog::ancestors(relid);
    return above.empty() ? relid : above[0];
}

/// The partition trees in which a command may add or take away partitions. `any`: it cannot be said which.
struct Trees {
    pg::Vector<Oid> tops;
    bool any = false;

    void add(const RangeVar *name) {
        const Oid relid = RangeVarGetRelid(name, NoLock, true);
        if (OidIsValid(relid))
            tops.push_back(top_of(relid));
    }
};

void add_altered(const AlterTableStmt *command, Trees *trees) {
    ListCell *cell;
    foreach (cell, command->cmds) {
        const AlterTableType type = lfirst_node(AlterTableCmd, cell)->subtype;
        if (type == AT_AttachPartition || type == AT_DetachPartition)
            trees->add(command->relation);
    }
}

void add_dropped(const DropStmt *command, Trees *trees) {
    ListCell *cell;
    if (command->removeType == OBJECT_TABLE)
        foreach (cell, command->objects)
            trees->add(makeRangeVarFromNameList(castNode(List, lfirst(cell))));
    trees->any |= command->removeType == OBJECT_SCHEMA || command->behavior == DROP_CASCADE;
}

Trees trees_of(const Node *command) {
    Trees trees;
    ListCell *cell;
    switch (nodeTag(command)) {
    case T_AlterTableStmt:
        add_altered(castNode(AlterTableStmt, command), &trees);
        break;
    case T_CreateStmt:
        if (castNode(CreateStmt, command)->partbound != nullptr)
            foreach (cell, castNode(CreateStmt, command)->inhRelations)
                trees.add(lfirst_node(RangeVar, cell));
        break;
    case T_DropStmt:
        add_dropped(castNode(DropStmt, command), &trees);
        break;
    case T_DropOwnedStmt:
    case T_CreateSchemaStmt: // with tables inside
        trees.any = true;
        break;
    default:
        break;
    }
    return trees;
}

} // namespace

void begin_partition_change(const Node *command) {
    const capture::Pending *pending = capture::find_pending(capture::Scope::transaction);
    if (pending == nullptr)
        return;
    const Trees trees = trees_of(command);
    pg::Vector<Oid> partitioned;
    for (const capture::PendingTable *table : pending->tables)
        if (get_rel_relkind(table->relid) == RELKIND_PARTITIONED_TABLE &&
            (trees.any || std::find(trees.tops.begin(), trees.tops.end(), top_of(table->relid)) != trees.tops.end()))
            partitioned.push_back(table->relid);
    for (const Oid relid : partitioned)
        capture::add_unknown(capture::Scope::transaction, relid, "its partitions have changed since");
}

} // namespace upkeep::api
