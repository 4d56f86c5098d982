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
#endif

namespace upkeep::pg {

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
#else
inline bool walk_tree(Node *node, TreeWalker walker, void *context) { return expression_tree_walker(node, walker, context); }
inline Node *mutate_tree(Node *node, TreeMutator mutator, void *context) {
    return expression_tree_mutator(node, mutator, context);
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
