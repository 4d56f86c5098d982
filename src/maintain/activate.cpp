// Activation: everything that a registered view needs is made, and what it does not need any more goes.
#include "analysis/table_members.hpp"
#include "catalog/registration.hpp"
#include "catalog/subscriptions.hpp"
#include "maintain/identity.hpp"
#include "maintain/maintain.hpp"
#include "maintain/records.hpp"
#include "maintain/run.hpp"
#include "maintain/sources.hpp"
#include "maintain/state_index.hpp"
#include "maintain/tally.hpp"
#include "observe/progress.hpp"
#include "pg/names.hpp"
#include "pg/run_as.hpp"

extern "C" {
#include "commands/matview.h"
}

namespace upkeep::maintain {

namespace {

/// In the names of the indexes that are made as identities.
constexpr const char *kIdentityName = "_upkeep_key";

/// Whether the owner can read the state tables that statements of the maintenance read.
bool can_read_states(const Program &p) {
    for (const catalog::StateTable &table : catalog::state_tables(p.view))
        if (p.nodes[static_cast<size_t>(table.node)].result_column != nullptr &&
            pg_class_aclcheck(table.relid, p.owner, ACL_SELECT) != ACLCHECK_OK)
            return false;
    return true;
}

/// State tables and identities as the design lays them out. Existing ones are made anew when the layout has changed.
Oid make_storage(Design *design, bool same_layout) {
    Program *p = design->program;
    Relation rel = table_open(p->view, NoLock);
    const char *name = psprintf("%s%s", RelationGetRelationName(rel), kIdentityName);
    table_close(rel, NoLock);
    const Identity identity =
        create_identity(p->view, design->view_kind, {design->view_key.data(), design->view_key.size()},
                        design->key_equality(), design->key_collation(), name);
    if (!same_layout || !can_read_states(*p))
        catalog::drop_state_tables(p->view);
    pg::Vector<catalog::StateTable> tables = catalog::state_tables(p->view);
    for (NodeProgram &node : p->nodes) {
        bool there = node.in_view || node.derived;
        for (const catalog::StateTable &table : tables)
            there |= table.node == node.number;
        if (there)
            continue;
        const Oid relid =
            catalog::create_state_table(p->view, node.number, design->state_columns[static_cast<size_t>(node.number)]);
        if (node.result_column != nullptr)
            catalog::grant_state_table(relid, p->owner);
        const int nkeys = node.node->nkeys();
        Relation state = table_open(relid, NoLock);
        std::span<AttrNumber> columns{node.key_column, static_cast<size_t>(nkeys)};
        const bool bag = node.node->kind == analysis::NodeKind::fixpoint && nkeys == 0;
        const bool partition = node.node->kind == analysis::NodeKind::partition;
        const IdentityKind kind = bag                                                     ? IdentityKind::image_hash
                                  : partition                                             ? IdentityKind::key_hash
                                  : nkeys == 0                                            ? IdentityKind::single_row
                                  : is_fixed_length_key(RelationGetDescr(state), columns) ? IdentityKind::unique_columns
                                                                                          : IdentityKind::key_hash;
        table_close(state, NoLock);
        auto *equality = pg::create_array<Oid>(static_cast<size_t>(nkeys));
        auto *collations = pg::create_array<Oid>(static_cast<size_t>(nkeys));
        for (int k = 0; k < nkeys; k++) {
            equality[k] = node.node->keys[k].equality;
            collations[k] = node.node->keys[k].collation;
        }
        Oid index = InvalidOid;
        if (has_identity(*node.node)) {
            pg::RunAs as(catalog::extension_owner(), pg::RunAs::Path::fixed);
            index = create_identity(relid, kind, columns, equality, collations, psprintf("%s_key", get_rel_name(relid)))
                        .index;
        }
        if (node.result_column != nullptr)
            index_tied_columns(*p, node, relid, kind);
        tables.push_back({node.number, relid, index});
    }
    catalog::set_state_tables(p->view, tables.data(), static_cast<int>(tables.size()));
    return identity.index;
}

void set_populated(Oid view) {
    Relation rel = table_open(view, ShareRowExclusiveLock);
    if (!RelationIsPopulated(rel))
        SetMatViewPopulatedState(rel, true);
    table_close(rel, NoLock);
    CommandCounterIncrement();
}

/// REFRESH … WITH NO DATA suspends a view.
bool is_stale(Oid view) {
    catalog::Registration registration;
    if (!catalog::find_registration(view, &registration) || registration.state != catalog::State::stale)
        return false;
    Relation rel = table_open(view, NoLock);
    const bool populated = RelationIsPopulated(rel);
    table_close(rel, NoLock);
    return populated;
}

/// A manual view has no state, no identity index and no triggers.
void set_manual(catalog::Registration *registration) {
    registration->active = true;
    registration->state = catalog::State::active;
    registration->strategy = "rebuild";
    registration->layout = "manual";
    registration->identity_index = InvalidOid;
    registration->why = nullptr;
    catalog::update_registration(*registration);
}

/// An index that was made as the identity and is it no more: a unique one may forbid what the view has to hold now.
void drop_former_identity(Oid former, Oid present) {
    if (!OidIsValid(former) || former == present || get_rel_relkind(former) != RELKIND_INDEX ||
        strstr(get_rel_name(former), kIdentityName) == nullptr)
        return; // or the user's own
    const ObjectAddress index{RelationRelationId, former, 0};
    performDeletion(&index, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
    CommandCounterIncrement();
}

} // namespace

int64 activate(Oid view, WrittenRows *written, Build build) {
    catalog::Registration registration;
    if (!catalog::find_registration(view, &registration))
        return 0;
    const observe::Building building(view);
    if (registration.mode == catalog::Mode::manual) {
        set_manual(&registration);
        return rebuild_from_query(view, written);
    }
    catalog::OwnDdl own_ddl;
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "upkeep activation", ALLOCSET_DEFAULT_SIZES);
    pg::InContext in(context);
    Relation rel = table_open(view, AccessShareLock);
    const Oid owner = rel->rd_rel->relowner;
    const Query *query = view_query(rel);
    const pg::Refusal *refusal = nullptr;
    Design *design;
    {
        pg::RunAs as(owner, pg::RunAs::Path::fixed);
        design = design_view(view, registration.mode, query, owner, &refusal);
    }
    table_close(rel, NoLock);
    if (design == nullptr)
        raise_refusal(view, *refusal);
    lock_for_building(&registration, *design);
    if (build == Build::if_stale && !is_stale(view)) {
        MemoryContextSwitchTo(context);
        return 0;
    }
    const bool deferred = registration.mode == catalog::Mode::deferred;
    if (deferred)
        require_logs(*design->program->query);
    else
        set_populated(view);
    const Oid former_identity = registration.identity_index;
    const bool same_layout = registration.active && strcmp(registration.layout, design->program->layout) == 0;
    {
        pg::RunAs as(owner, pg::RunAs::Path::fixed);
        registration.identity_index = make_storage(design, same_layout);
    }
    drop_former_identity(former_identity, registration.identity_index);
    const pg::Vector<Oid> sources_before = catalog::sources(view);
    record_sources(*design);
    drop_unused_triggers(sources_before);
    record_facts(*design);
    record_settings(*design, registration.active);
    registration.active = true;
    registration.state = deferred ? catalog::State::building : catalog::State::active;
    registration.strategy = design->program->scoped ? "scoped" : "incremental";
    registration.layout = design->program->layout;
    registration.why = nullptr;
    catalog::remove_frontier(view);
    catalog::update_registration(registration);
    drop_unused_logs(sources_before);
    forget_program(view);
    CommandCounterIncrement();
    if (build == Build::later) {
        MemoryContextSwitchTo(context);
        return 0;
    }
    const char *why = nullptr;
    if (!bind_design(design, &why))
        elog(ERROR, "could not use what was just made for %s: %s", pg::qualified_name(view), why);
    const int64 changed = deferred ? build_deferred(design->program, written) : rebuild_with(design->program, written);
    MemoryContextSwitchTo(context);
    return changed;
}

int64 rebuild(Oid view, WrittenRows *written) {
    const char *why = nullptr;
    Program *program = find_program(view, &why);
    if (program == nullptr)
        return activate(view, written);
    catalog::Registration registration;
    if (catalog::find_registration(view, &registration) && registration.mode == catalog::Mode::deferred)
        return build_deferred(program, written);
    return rebuild_with(program, written);
}

/// What a first build waits for: half of a table shows nothing that its publisher has ever held. Else nullptr.
static const char *why_not_yet(const catalog::Registration &registration, const pg::Vector<Oid> &sources) {
    if (registration.state != catalog::State::building)
        return nullptr;
    for (Oid relid : sources)
        if (catalog::is_being_copied(relid)) {
            const char *name = pg::qualified_name(relid);
            ereport(NOTICE,
                    (errmsg("materialized view %s is not built yet", pg::qualified_name(registration.view)),
                     errdetail("The initial copy of table %s by its subscription is not finished.", name)));
            return psprintf("the initial copy of table %s is not finished", name);
        }
    return nullptr;
}

int64 build_deferred(Program *program, WrittenRows *written) {
    const Oid view = program->view;
    const observe::Building building(view);
    const pg::Vector<Oid> sources = catalog::sources(view);
    lock_logs(sources);
    LockRelationOid(view, ShareRowExclusiveLock);
    catalog::Registration registration;
    if (!catalog::find_registration(view, &registration))
        return 0;
    registration.why = why_not_yet(registration, sources);
    const bool written_to = std::any_of(sources.begin(), sources.end(), capture::has_logged);
    if (written_to || registration.why != nullptr) {
        registration.state = catalog::State::building;
        catalog::remove_frontier(view);
        catalog::update_registration(registration);
        return 0;
    }
    CommandCounterIncrement();
    Snapshot at = RegisterSnapshot(GetLatestSnapshot());
    set_populated(view);
    const int64 changed = rebuild_with(program, written, at);
    catalog::set_frontier(view, catalog::frontier_of(at));
    UnregisterSnapshot(at);
    catalog::mark_built(view);
    return changed;
}

int64 rebuild_from_query(Oid view, WrittenRows *written) {
    LockRelationOid(view, ShareRowExclusiveLock);
    set_populated(view);
    const int64 changed = replace_contents(view, kNoIdentity, nullptr, written);
    catalog::note_rebuild(view);
    return changed;
}

void deactivate(Oid view, bool view_exists) {
    catalog::OwnDdl own_ddl;
    const pg::Vector<Oid> sources = catalog::sources(view);
    if (view_exists)
        lock_for_removal(view, sources);
    catalog::Registration registration{};
    if (!catalog::find_registration(view, &registration))
        return;
    catalog::drop_state_tables(view);
    catalog::delete_registration(view);
    forget_program(view);
    CommandCounterIncrement();
    drop_unused_triggers(sources);
    drop_unused_logs(sources);
    if (!view_exists || !OidIsValid(registration.identity_index))
        return;
    // The index stays with the view, unless it calls a function of ours.
    const std::optional<Identity> identity = load_identity(registration.identity_index);
    if (identity && uses_own_function(*identity)) {
        const ObjectAddress index{RelationRelationId, registration.identity_index, 0};
        performDeletion(&index, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
    }
}

bool layout_still_fits(Oid view, const pg::Refusal **refusal) {
    *refusal = nullptr;
    catalog::Registration registration;
    if (!catalog::find_registration(view, &registration) || !registration.active)
        return false;
    Relation rel = table_open(view, AccessShareLock);
    const Oid owner = rel->rd_rel->relowner;
    Design *design;
    {
        pg::RunAs as(owner, pg::RunAs::Path::fixed);
        design = design_view(view, registration.mode, view_query(rel), owner, refusal);
    }
    table_close(rel, NoLock);
    return design != nullptr && strcmp(design->program->layout, registration.layout) == 0;
}

} // namespace upkeep::maintain
