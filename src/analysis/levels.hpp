// Walking the variables of an expression through the subqueries inside it, with the level of each.
#pragma once

#include "pg/memory.hpp"

extern "C" {
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
}

namespace upkeep::analysis {

namespace levels {

template <typename Visit> struct VisitContext {
    Visit *visit;
    int depth;
};

template <typename Visit> bool visit_walker(Node *node, void *context) {
    if (node == nullptr)
        return false;
    auto *c = static_cast<VisitContext<Visit> *>(context);
    if (IsA(node, Var)) {
        (*c->visit)(castNode(Var, node), c->depth);
        return false;
    }
    if (!IsA(node, Query))
        return pg::walk_tree(node, visit_walker<Visit>, context);
    c->depth++;
    pg::walk_query(castNode(Query, node), visit_walker<Visit>, context, QTW_IGNORE_JOINALIASES);
    c->depth--;
    return false;
}

template <typename Replace> struct ReplaceContext {
    Replace *replace;
    int depth;
};

template <typename Replace> Node *replace_mutator(Node *node, void *context) {
    if (node == nullptr)
        return nullptr;
    auto *c = static_cast<ReplaceContext<Replace> *>(context);
    if (IsA(node, Var))
        return (*c->replace)(castNode(Var, node), c->depth);
    if (!IsA(node, Query))
        return pg::mutate_tree(node, replace_mutator<Replace>, context);
    c->depth++;
    Query *query = pg::mutate_query(castNode(Query, node), replace_mutator<Replace>, context, 0);
    c->depth--;
    return reinterpret_cast<Node *>(query);
}

} // namespace levels

/// Calls visit(const Var *, depth) for every variable of the tree, those inside its subqueries too: `depth` is how many
/// queries below the tree's own level it stands, so that varlevelsup == depth means the tree's own level. Where the
/// tree itself is a Query, pass depth −1 to mean by "own level" that of the query, 0 for the level around it.
template <typename Visit> void for_each_var(Node *tree, Visit visit, int depth = 0) {
    levels::VisitContext<Visit> context{&visit, depth};
    levels::visit_walker<Visit>(tree, &context);
}

/// A copy of the tree with replace(const Var *, depth) in place of every variable; what it returns stands at that
/// depth.
template <typename Replace> Node *replace_vars(Node *tree, Replace replace, int depth = 0) {
    levels::ReplaceContext<Replace> context{&replace, depth};
    return levels::replace_mutator<Replace>(tree, &context);
}

} // namespace upkeep::analysis
