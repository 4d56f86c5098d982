// upkeep.verify(view): is the view what its query returns?
//
// The query is the one in the view's own rule, planned and run as it is. Only when rows differ, and PostgreSQL itself
// is free in what it returns (analysis/free_choice.hpp), a copy of it with further columns tells the permitted rows.
// Where the freedom is about rows (LIMIT, the order among peers of a window), no row can be judged alone: the view must
// be the result of the original query, or that of the settled one (analysis/settle.hpp), which maintenance stores.

#include "analysis/free_choice.hpp"
#include "analysis/settle.hpp"
#include "analysis/simple_form.hpp"
#include "api/verify_match.hpp"
#include "catalog/registration.hpp"
#include "maintain/row_comparison.hpp"
#include "pg/entry.hpp"
#include "pg/run_as.hpp"

extern "C" {
#include "rewrite/prs2lock.h"
#include "utils/rls.h"
}

namespace upkeep::api {

using maintain::compare_rows;
using maintain::Difference;
using maintain::rewrite_query;
using maintain::Row;
namespace {

Relation open_view(Oid relid) {
    Relation view = relation_open(relid, AccessShareLock);
    const char *name = RelationGetRelationName(view);
    if (view->rd_rel->relkind != RELKIND_MATVIEW) {
        ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is not a materialized view", name)));
    }
    if (!RelationIsPopulated(view)) {
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("materialized view \"%s\" has not been populated", name),
                        errhint("Use the REFRESH MATERIALIZED VIEW command.")));
    }
    return view;
}

const Query *require_query(Relation view) {
    const RuleLock *rules = view->rd_rules;
    if (rules == nullptr || rules->numLocks != 1 || list_length(rules->rules[0]->actions) != 1) {
        elog(ERROR, "materialized view \"%s\" has no single rule", RelationGetRelationName(view));
    }
    return linitial_node(Query, rules->rules[0]->actions);
}

struct Reader {
    Oid user;
    Oid owner; // of the view
};

// The differences show rows of the base tables, so the caller must be one who may read them. Ordinary views on the way
// are not asked for: what is below them is.
void require_readable(Oid relid, const Reader &reader) {
    const char kind = get_rel_relkind(relid);
    if (kind == RELKIND_VIEW) {
        return;
    }
    const AclResult result = pg_class_aclcheck(relid, reader.user, ACL_SELECT);
    if (result != ACLCHECK_OK) {
        aclcheck_error(result, get_relkind_objtype(kind), get_rel_name(relid));
    }
    if (reader.user != reader.owner && check_enable_rls(relid, reader.user, true) == RLS_ENABLED) {
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                        errmsg("row-level security keeps rows of table \"%s\" from you", get_rel_name(relid)),
                        errhint("Let the owner of the materialized view call verify().")));
    }
}

bool require_readable_tables(Node *node, void *context) {
    if (node == nullptr) {
        return false;
    }
    if (IsA(node, RangeTblEntry)) {
        const auto *entry = castNode(RangeTblEntry, node);
        if (entry->rtekind == RTE_RELATION) {
            require_readable(entry->relid, *static_cast<const Reader *>(context));
        }
        return false;
    }
    const auto walker = [](Node *child, void *reader) {
        return pg::guard([&] { return require_readable_tables(child, reader); });
    };
    if (IsA(node, Query)) {
        return pg::walk_query(castNode(Query, node), walker, context, QTW_EXAMINE_RTES_BEFORE);
    }
    return pg::walk_tree(node, walker, context);
}

// Rows as text, while output functions still run as the view's owner.
void describe(Relation view, const char *side, const pg::Vector<Row> &rows, TupleDesc result_desc,
              Tuplestorestate *result) {
    MemoryContext per_row = AllocSetContextCreate(CurrentMemoryContext, "upkeep row", ALLOCSET_DEFAULT_SIZES);
    for (const Row &row : rows) {
        CHECK_FOR_INTERRUPTS();
        {
            pg::InContext in_row(per_row);
            HeapTuple tuple = heap_form_tuple(RelationGetDescr(view), row.values, row.nulls);
            const Datum composite = heap_copy_tuple_as_datum(tuple, RelationGetDescr(view));
            Datum values[] = {CStringGetTextDatum(side),
                              CStringGetTextDatum(OidOutputFunctionCall(F_RECORD_OUT, composite))};
            bool nulls[] = {false, false};
            tuplestore_putvalues(result, result_desc, values, nulls);
        }
        MemoryContextReset(per_row);
    }
    MemoryContextDelete(per_row);
}

// A registered view is maintained with the settings that it was registered with, so its query is run with them.
void apply_registered_settings(Oid view) {
    for (const catalog::Setting &setting : catalog::settings(view)) {
        set_config_option(setting.name, setting.value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    }
}

struct Surplus {
    pg::Vector<Row> view;
    pg::Vector<Row> query;
};

// First the query itself. If rows differ on both sides, each arm of a UNION ALL in turn takes from the view what it
// accounts for by image, and then, of what is left, what its freedoms permit.
Surplus find_surplus_of(Relation view, const Query *query) {
    const Difference original = compare_rows(view, query);
    if (original.view.empty() || original.query.empty()) {
        return Surplus{original.view, original.query};
    }
    const pg::Vector<Query *> arms = analysis::simple_form(query);
    pg::Vector<const analysis::FreeChoices *> choices;
    pg::Vector<Difference> differences;
    for (const Query *arm : arms) {
        choices.push_back(analysis::find_free_choices(arm));
        const Query *companion = choices.back()->companion;
        differences.push_back(differences.empty() ? compare_rows(view, companion)
                                                  : compare_rows(view, differences.back().view, companion));
    }
    Surplus surplus{differences.back().view, {}};
    for (std::size_t arm = 0; arm < arms.size(); arm++) {
        Difference *difference = &differences[arm];
        difference->view = surplus.view;
        remove_permitted(choices[arm], difference);
        surplus.view = difference->view;
        surplus.query.insert(surplus.query.end(), difference->query.begin(), difference->query.end());
    }
    return surplus;
}

// Of the results that may be stored the one that is nearest to the view: what is left then are the rows that are wrong.
Surplus find_surplus(Relation view, const Query *query) {
    Surplus nearest = find_surplus_of(view, query);
    const Query *tried = query;
    for (const analysis::Choices choices : {analysis::Choices::rows, analysis::Choices::subqueries}) {
        const std::size_t differing = nearest.view.size() + nearest.query.size();
        const Query *settled = analysis::settle(query, choices);
        if (differing == 0 || equal(tried, settled)) {
            continue;
        }
        const Surplus other = find_surplus_of(view, settled);
        if (other.view.size() + other.query.size() < differing) {
            nearest = other;
        }
        tried = settled;
    }
    return nearest;
}

void verify(Oid relid, TupleDesc result_desc, Tuplestorestate *result) {
    const Oid caller = GetUserId();
    Relation view = open_view(relid);
    const auto *query = static_cast<const Query *>(copyObjectImpl(require_query(view)));
    Reader reader{caller, view->rd_rel->relowner};
    require_readable(relid, reader);
    {
        pg::RunAs as_owner(reader.owner, pg::RunAs::Path::fixed);
        apply_registered_settings(relid);
        query = rewrite_query(query);
        require_readable_tables(reinterpret_cast<Node *>(const_cast<Query *>(query)), &reader);
        CommandCounterIncrement();
        PushActiveSnapshot(GetLatestSnapshot());
        const Surplus surplus = find_surplus(view, query);
        describe(view, "view", surplus.view, result_desc, result);
        describe(view, "query", surplus.query, result_desc, result);
        PopActiveSnapshot();
    }
    relation_close(view, NoLock);
}

} // namespace
} // namespace upkeep::api

UPKEEP_FUNCTION(upkeep_verify) {
    InitMaterializedSRF(fcinfo, 0);
    if (PG_ARGISNULL(0)) {
        return 0;
    }
    const auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "upkeep verify", ALLOCSET_DEFAULT_SIZES);
    {
        upkeep::pg::InContext in_work(work);
        upkeep::api::verify(PG_GETARG_OID(0), result->setDesc, result->setResult);
    }
    MemoryContextDelete(work);
    return 0;
}
