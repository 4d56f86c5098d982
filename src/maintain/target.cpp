// Opening and closing a target, and its hashes. Lookups: target_find.cpp; writes: target_write.cpp.
#include "maintain/target_internal.hpp"

namespace upkeep::maintain {

namespace {

constexpr uint64 kSingleRowHash = 1;

// True when the index has exactly the identity's columns, in any order, and nothing else that it depends on.
bool has_identity_columns(const Identity &identity, const IndexInfo *info) {
    if (info->ii_Expressions != NIL || info->ii_Predicate != NIL || info->ii_NumIndexKeyAttrs != identity.nkeys) {
        return false;
    }
    auto *begin = info->ii_IndexAttrNumbers, *end = begin + info->ii_NumIndexKeyAttrs;
    return std::all_of(identity.attnos, identity.attnos + identity.nkeys,
                       [&](AttrNumber attno) { return std::find(begin, end, attno) != end; });
}

// True when an update that keeps the key cannot change what the index holds: the hint for the index that a new entry
// for the same value is a version, not a new row.
bool depends_on_identity_only(const Identity &identity, const IndexInfo *info) {
    return info->ii_Predicate == NIL &&
           std::all_of(info->ii_IndexAttrNumbers, info->ii_IndexAttrNumbers + info->ii_NumIndexKeyAttrs,
                       [&](AttrNumber attno) {
                           AttrNumber *end = identity.attnos + identity.nkeys;
                           return attno > 0 && std::find(identity.attnos, end, attno) != end;
                       });
}

void classify_index(Target *target, Relation index, IndexInfo *info) {
    const Identity &identity = *target->identity;
    const bool own = RelationGetRelid(index) == identity.index;
    info->ii_CheckedUnchanged = true;
    info->ii_IndexUnchanged = own || depends_on_identity_only(identity, info);
    if (own) {
        target->index = index;
    }
    const bool is_arbiter =
        index->rd_index->indisunique && index->rd_index->indimmediate &&
        (own || (identity.kind == IdentityKind::unique_columns && has_identity_columns(identity, info)));
    if (is_arbiter) {
        target->arbiters = lappend_oid(target->arbiters, RelationGetRelid(index));
    } else if (index->rd_index->indisunique || index->rd_index->indisexclusion) {
        target->other_unique = true;
    }
}

// It was valid when the run began. If REINDEX CONCURRENTLY has put another in its place since, it is not valid any more,
// but complete: it takes new entries until nobody uses the view who may know no other.
void require_identity_index(const Target *target) {
    if (target->identity->kind == IdentityKind::none)
        return;
    if (target->index == nullptr || !target->index->rd_index->indisready) {
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("index %u, which identifies the rows of \"%s\", is missing or not ready",
                               target->identity->index, RelationGetRelationName(target->relation))));
    }
}

} // namespace

Target *open_target(Oid relid, const Identity &identity) {
    Relation relation = table_open(relid, RowExclusiveLock);
    EState *estate = CreateExecutorState();
    MemoryContext saved = MemoryContextSwitchTo(estate->es_query_cxt);

    auto *target = static_cast<Target *>(palloc0(sizeof(Target)));
    target->identity = &identity;
    target->relation = relation;
    target->estate = estate;
    target->info = makeNode(ResultRelInfo);
    InitResultRelInfo(target->info, relation, 0, nullptr, 0);
    ExecOpenIndices(target->info, false);
    for (int i = 0; i < target->info->ri_NumIndices; i++) {
        classify_index(target, target->info->ri_IndexRelationDescs[i], target->info->ri_IndexRelationInfo[i]);
    }
    require_identity_index(target);

    MemoryContextSwitchTo(saved);
    return target;
}

void close_target(Target *target) {
    drop_snapshot(target);
    if (target->scan != nullptr) {
        index_endscan(target->scan);
    }
    ExecResetTupleTable(target->estate->es_tupleTable, false);
    ExecCloseIndices(target->info);
    table_close(target->relation, NoLock);
    FreeExecutorState(target->estate); // and the target with it
}

Relation target_relation(Target *target) {
    return target->relation;
}

TupleTableSlot *make_target_slot(Target *target) {
    MemoryContext saved = MemoryContextSwitchTo(target->estate->es_query_cxt);
    TupleTableSlot *slot = table_slot_create(target->relation, &target->estate->es_tupleTable);
    MemoryContextSwitchTo(saved);
    return slot;
}

uint64 identity_hash(Target *target, const Datum *key, const bool *nulls) {
    const Identity &identity = *target->identity;
    if (identity.kind == IdentityKind::single_row) {
        return kSingleRowHash;
    }
    pg::HashKind kind = identity.kind == IdentityKind::image_hash ? pg::HashKind::image : pg::HashKind::key;
    return pg::row_hash(kind, identity.columns, key, nulls, identity.nkeys);
}

bool has_other_unique_indexes(Target *target) {
    return target->other_unique;
}

int64 rows_written(Target *target) {
    return target->written;
}

void record_writes(Target *target, WrittenRows *rows) {
    target->recorded = rows;
}

} // namespace upkeep::maintain
