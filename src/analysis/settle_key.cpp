// Whether rows of a query level can be copies of each other.
#include "analysis/settle_internal.hpp"

extern "C" {
#include "catalog/pg_constraint.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
}

namespace upkeep::analysis {

bool tells_rows_apart(Query *q, List *expressions) {
    List *parts = castNode(List, flatten_join_alias_vars(q, reinterpret_cast<Node *>(expressions)));
    if (q->groupingSets != NIL)
        return false;
    if (q->groupClause != NIL || q->hasAggs) {
        List *keys = get_sortgrouplist_exprs(q->groupClause, q->targetList);
        return list_difference(castNode(List, flatten_join_alias_vars(q, reinterpret_cast<Node *>(keys))), parts) ==
               NIL;
    }
    for (int i = 1; i <= list_length(q->rtable); i++) {
        const RangeTblEntry *entry = rt_fetch(i, q->rtable);
        if (entry->rtekind == RTE_JOIN)
            continue;
        Oid constraint;
        Bitmapset *key =
            entry->rtekind == RTE_RELATION ? get_primary_key_attnos(entry->relid, false, &constraint) : nullptr;
        if (key == nullptr)
            return false;
        for (int x = -1; (x = bms_next_member(key, x)) >= 0;) {
            bool shown = false;
            ListCell *cell;
            foreach (cell, parts) {
                const auto *var = static_cast<const Var *>(lfirst(cell));
                shown |= IsA(var, Var) && var->varno == i && var->varlevelsup == 0 &&
                         var->varattno == x + FirstLowInvalidHeapAttributeNumber;
            }
            if (!shown)
                return false;
        }
    }
    return true;
}

} // namespace upkeep::analysis
