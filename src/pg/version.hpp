// Every test of the server's version is here; the rest of the code is written against the newest signature.
// Included by pg/postgres.hpp, after the server's headers.

#pragma once

#if PG_VERSION_NUM < 150000
#error "upkeep needs PostgreSQL 15 or newer"
#endif

// Before 16 the server marks nothing as exported, and -fvisibility=hidden would hide even the magic function.
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#define rd_newRelfilelocatorSubid rd_newRelfilenodeSubid
#define rd_firstRelfilelocatorSubid rd_firstRelfilenodeSubid
#endif

// Before 17 only one mode could be asked for.
#if PG_VERSION_NUM < 170000
inline bool LockHeldByMe(const LOCKTAG *tag, LOCKMODE mode, bool or_stronger) {
    for (LOCKMODE held = mode; held <= (or_stronger ? AccessExclusiveLock : mode); held++) {
        if (LockHeldByMe(tag, held)) {
            return true;
        }
    }
    return false;
}
#endif

extern "C" {
#include "utils/wait_event.h"
}

namespace upkeep::pg {

// Before 17 all waits of extensions have one name.
#if PG_VERSION_NUM < 170000
inline uint32 wait_event(const char *) {
    return PG_WAIT_EXTENSION;
}
#else
inline uint32 wait_event(const char *name) {
    return WaitEventExtensionNew(name);
}
#endif

using TreeWalker = bool (*)(Node *, void *);
using TreeMutator = Node *(*)(Node *, void *);

// The tree walkers took functions without a prototype before 16.
#if PG_VERSION_NUM < 160000
inline bool walk_tree(Node *node, TreeWalker walker, void *context) {
    return expression_tree_walker(node, reinterpret_cast<bool (*)()>(reinterpret_cast<void *>(walker)), context);
}
inline Node *mutate_tree(Node *node, TreeMutator mutator, void *context) {
    return expression_tree_mutator(node, reinterpret_cast<Node *(*)()>(reinterpret_cast<void *>(mutator)), context);
}
inline bool walk_query(Query *query, TreeWalker walker, void *context, int flags) {
    return query_tree_walker(query, reinterpret_cast<bool (*)()>(reinterpret_cast<void *>(walker)), context, flags);
}
inline Query *mutate_query(Query *query, TreeMutator mutator, void *context, int flags) {
    return query_tree_mutator(query, reinterpret_cast<Node *(*)()>(reinterpret_cast<void *>(mutator)), context, flags);
}
#else
inline bool walk_tree(Node *node, TreeWalker walker, void *context) {
    return expression_tree_walker(node, walker, context);
}
inline Node *mutate_tree(Node *node, TreeMutator mutator, void *context) {
    return expression_tree_mutator(node, mutator, context);
}
inline bool walk_query(Query *query, TreeWalker walker, void *context, int flags) {
    return query_tree_walker(query, walker, context, flags);
}
inline Query *mutate_query(Query *query, TreeMutator mutator, void *context, int flags) {
    return query_tree_mutator(query, mutator, context, flags);
}
#endif

// 16: table_tuple_update says which indexes need an entry, and ExecInsertIndexTuples takes that.
#if PG_VERSION_NUM < 160000
enum TU_UpdateIndexes { TU_None, TU_All, TU_Summarizing };

inline TM_Result update_tuple(Relation rel, ItemPointer otid, TupleTableSlot *slot, CommandId cid, Snapshot snapshot,
                              Snapshot crosscheck, bool wait, TM_FailureData *tmfd, LockTupleMode *lockmode,
                              TU_UpdateIndexes *update_indexes) {
    bool all = false;
    TM_Result result = table_tuple_update(rel, otid, slot, cid, snapshot, crosscheck, wait, tmfd, lockmode, &all);
    *update_indexes = all ? TU_All : TU_None;
    return result;
}

inline List *insert_index_tuples(ResultRelInfo *info, TupleTableSlot *slot, EState *estate, bool update,
                                 bool no_dup_err, bool *conflict, List *arbiters, bool) {
    return ExecInsertIndexTuples(info, slot, estate, update, no_dup_err, conflict, arbiters);
}
#else
using ::TU_All;
using ::TU_None;
using ::TU_Summarizing;
using ::TU_UpdateIndexes;

inline TM_Result update_tuple(Relation rel, ItemPointer otid, TupleTableSlot *slot, CommandId cid, Snapshot snapshot,
                              Snapshot crosscheck, bool wait, TM_FailureData *tmfd, LockTupleMode *lockmode,
                              TU_UpdateIndexes *update_indexes) {
    return table_tuple_update(rel, otid, slot, cid, snapshot, crosscheck, wait, tmfd, lockmode, update_indexes);
}

inline List *insert_index_tuples(ResultRelInfo *info, TupleTableSlot *slot, EState *estate, bool update,
                                 bool no_dup_err, bool *conflict, List *arbiters, bool only_summarizing) {
    return ExecInsertIndexTuples(info, slot, estate, update, no_dup_err, conflict, arbiters, only_summarizing);
}
#endif

// 16: one function asks for the rights on any object.
#if PG_VERSION_NUM < 160000
inline bool may_execute(Oid function, Oid role) {
    return pg_proc_aclcheck(function, role, ACL_EXECUTE) == ACLCHECK_OK;
}
#else
inline bool may_execute(Oid function, Oid role) {
    return object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE) == ACLCHECK_OK;
}
#endif

// 18: an index scan can count for EXPLAIN, and a row can be excepted from its own constraint check.
#if PG_VERSION_NUM < 180000
inline IndexScanDesc begin_index_scan(Relation heap, Relation index, Snapshot snapshot, int nkeys) {
    return index_beginscan(heap, index, snapshot, nkeys, 0);
}

inline bool check_index_constraints(ResultRelInfo *info, TupleTableSlot *slot, EState *estate, ItemPointer conflict,
                                    List *arbiters) {
    return ExecCheckIndexConstraints(info, slot, estate, conflict, arbiters);
}
#else
inline IndexScanDesc begin_index_scan(Relation heap, Relation index, Snapshot snapshot, int nkeys) {
    return index_beginscan(heap, index, snapshot, nullptr, nkeys, 0);
}

inline bool check_index_constraints(ResultRelInfo *info, TupleTableSlot *slot, EState *estate, ItemPointer conflict,
                                    List *arbiters) {
    ItemPointerData none;
    ItemPointerSetInvalid(&none);
    return ExecCheckIndexConstraints(info, slot, estate, conflict, &none, arbiters);
}
#endif

} // namespace upkeep::pg

// Intervals are all finite before 17.
#if PG_VERSION_NUM < 170000
#define INTERVAL_IS_NOBEGIN(i) (static_cast<void>(i), false)
#define INTERVAL_IS_NOEND(i) (static_cast<void>(i), false)
#define INTERVAL_NOBEGIN(i) static_cast<void>(i)
#define INTERVAL_NOEND(i) static_cast<void>(i)
#define INTERVAL_NOT_FINITE(i) (static_cast<void>(i), false)
#endif
