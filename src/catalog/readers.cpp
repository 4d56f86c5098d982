// Which registered views read which: PostgreSQL's own dependencies, followed upward. They are there in every state of a
// view, and reading them locks no relation.
#include "catalog/registration.hpp"

extern "C" {
#include "catalog/pg_depend.h"
#include "catalog/pg_rewrite.h"
}

namespace upkeep::catalog {

namespace {

// The view or materialized view whose rule this is, or InvalidOid.
Oid relation_of_rule(Oid rule) {
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_rewrite_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(rule));
    const Relation rules = table_open(RewriteRelationId, AccessShareLock);
    SysScanDesc scan = systable_beginscan(rules, RewriteOidIndexId, true, nullptr, 1, &key);
    const HeapTuple tuple = systable_getnext(scan);
    const Oid found =
        HeapTupleIsValid(tuple) ? reinterpret_cast<Form_pg_rewrite>(GETSTRUCT(tuple))->ev_class : InvalidOid;
    systable_endscan(scan);
    table_close(rules, AccessShareLock);
    return found;
}

void add_once(pg::Vector<Oid> *oids, Oid oid) {
    if (std::find(oids->begin(), oids->end(), oid) == oids->end()) {
        oids->push_back(oid);
    }
}

// Views and materialized views whose rules depend on the relation.
pg::Vector<Oid> dependent_views(Oid relid) {
    pg::Vector<Oid> views;
    ScanKeyData keys[2];
    ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
                ObjectIdGetDatum(RelationRelationId));
    ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
    const Relation dependencies = table_open(DependRelationId, AccessShareLock);
    SysScanDesc scan = systable_beginscan(dependencies, DependReferenceIndexId, true, nullptr, 2, keys);
    for (HeapTuple tuple; HeapTupleIsValid(tuple = systable_getnext(scan));) {
        const auto *form = reinterpret_cast<Form_pg_depend>(GETSTRUCT(tuple));
        const Oid view = form->classid == RewriteRelationId ? relation_of_rule(form->objid) : InvalidOid;
        if (OidIsValid(view) && view != relid) {
            add_once(&views, view);
        }
    }
    systable_endscan(scan);
    table_close(dependencies, AccessShareLock);
    return views;
}

// Materialized views that read the relation, through ordinary views too.
void add_materialized(Oid relid, pg::Vector<Oid> *seen, pg::Vector<Oid> *found) {
    check_stack_depth();
    for (const Oid view : dependent_views(relid)) {
        if (std::find(seen->begin(), seen->end(), view) != seen->end()) {
            continue;
        }
        seen->push_back(view);
        if (get_rel_relkind(view) == RELKIND_MATVIEW) {
            found->push_back(view);
        } else {
            add_materialized(view, seen, found);
        }
    }
}

pg::Vector<Oid> materialized_readers(Oid relid) {
    pg::Vector<Oid> seen, found;
    add_materialized(relid, &seen, &found);
    std::sort(found.begin(), found.end());
    return found;
}

// Appends what is above, and then the view itself: the reverse of this is the order of reading.
template <typename Above> void visit(Oid view, Above above, pg::Vector<Oid> *visited, pg::Vector<Oid> *done) {
    check_stack_depth();
    visited->push_back(view);
    const pg::Vector<Oid> readers = above(view);
    for (auto reader = readers.rbegin(); reader != readers.rend(); ++reader) { // those of the lowest OID come first
        if (std::find(visited->begin(), visited->end(), *reader) == visited->end()) {
            visit(*reader, above, visited, done);
        }
    }
    done->push_back(view);
}

} // namespace

pg::Vector<Oid> readers(Oid view) {
    pg::Vector<Oid> found;
    for (const Oid reader : materialized_readers(view)) {
        Registration registration;
        if (find_registration(reader, &registration) && registration.active && registration.mode != Mode::manual) {
            found.push_back(reader);
        }
    }
    return found;
}

pg::Vector<Oid> views_above(Oid view) {
    pg::Vector<Oid> visited, done;
    visit(view, readers, &visited, &done);
    done.pop_back(); // the view itself
    std::reverse(done.begin(), done.end());
    return done;
}

pg::Vector<Registration> in_order_of_reading(const pg::Vector<Registration> &views) {
    pg::Vector<Oid> visited, done;
    for (auto view = views.rbegin(); view != views.rend(); ++view) {
        if (std::find(visited.begin(), visited.end(), view->view) == visited.end()) {
            visit(view->view, materialized_readers, &visited, &done);
        }
    }
    pg::Vector<Registration> ordered;
    for (auto oid = done.rbegin(); oid != done.rend(); ++oid) {
        for (const Registration &view : views) {
            if (view.view == *oid) {
                ordered.push_back(view);
            }
        }
    }
    return ordered;
}

} // namespace upkeep::catalog
