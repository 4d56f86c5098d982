// The capture triggers of a base table: which they are, whether they are there, creating and dropping them.
#include "capture/capture.hpp"
#include "capture/triggers.hpp"
#include "catalog/table_tree.hpp"

extern "C" {
#include "catalog/pg_authid.h"
#include "commands/tablecmds.h"
#include "parser/parse_func.h"
}

namespace upkeep::capture {

namespace {

struct Definition {
    const char *name; // sorts before what a user is likely to choose: triggers fire in the order of their names
    int16 timing;
    int16 events;
    const char *function; // in schema upkeep
    const char *old_table;
    const char *new_table;
    char enabled = TRIGGER_FIRES_ALWAYS;
};

constexpr int16 all_events = TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE | TRIGGER_TYPE_TRUNCATE;
constexpr const char *old_name = "upkeep_old_rows";
constexpr const char *new_name = "upkeep_new_rows";

constexpr int16 row_events = TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE;
constexpr const char *row_name = "00_upkeep_after_row";
constexpr int16 row_timing = TRIGGER_TYPE_AFTER | TRIGGER_TYPE_ROW;

// The last one sees the rows that an apply worker changes without a statement; it fires in replica role only, and leaves
// the rows of statements to their transition tables.
constexpr Definition definitions[] = {
    {"00_upkeep_before", TRIGGER_TYPE_BEFORE, all_events, "capture_before", nullptr, nullptr},
    {"00_upkeep_after_insert", TRIGGER_TYPE_AFTER, TRIGGER_TYPE_INSERT, "capture_after", nullptr, new_name},
    {"00_upkeep_after_update", TRIGGER_TYPE_AFTER, TRIGGER_TYPE_UPDATE, "capture_after", old_name, new_name},
    {"00_upkeep_after_delete", TRIGGER_TYPE_AFTER, TRIGGER_TYPE_DELETE, "capture_after", old_name, nullptr},
    {"00_upkeep_after_truncate", TRIGGER_TYPE_AFTER, TRIGGER_TYPE_TRUNCATE, "capture_after", nullptr, nullptr},
    {row_name, row_timing, row_events, "capture_row", nullptr, nullptr, TRIGGER_FIRES_ON_REPLICA},
};

// Of a table whose transition tables do not do: the rows come one by one, each to the trigger of its own table. The last
// one is never called; see catalog::loses_generated.
constexpr Definition row_definitions[] = {
    {"00_upkeep_before", TRIGGER_TYPE_BEFORE, all_events, "capture_before", nullptr, nullptr},
    {"00_upkeep_after_insert", TRIGGER_TYPE_AFTER, TRIGGER_TYPE_INSERT, "capture_after", nullptr, nullptr},
    {"00_upkeep_after_update", TRIGGER_TYPE_AFTER, TRIGGER_TYPE_UPDATE, "capture_after", nullptr, nullptr},
    {"00_upkeep_after_delete", TRIGGER_TYPE_AFTER, TRIGGER_TYPE_DELETE, "capture_after", nullptr, nullptr},
    {"00_upkeep_after_truncate", TRIGGER_TYPE_AFTER, TRIGGER_TYPE_TRUNCATE, "capture_after", nullptr, nullptr},
    {row_name, row_timing, row_events, "capture_row", nullptr, nullptr},
    {"00_upkeep_generated", TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_ROW, TRIGGER_TYPE_UPDATE, "capture_row", nullptr,
     nullptr, TRIGGER_DISABLED},
};

std::span<const Definition> definitions_for(Relation relation) {
    std::span<const Definition> all = definitions;
    if (catalog::is_captured_by_row(relation)) {
        all = row_definitions;
        all = all.first(all.size() - (catalog::loses_generated(relation) ? 0 : 1));
    }
    // A partitioned table has no rows, and its row trigger, the last, would be one of every partition.
    return all.first(all.size() - (relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ? 1 : 0));
}

Oid require_function(const char *name) {
    List *qualified = list_make2(makeString(pstrdup("upkeep")), makeString(pstrdup(name)));
    return LookupFuncName(qualified, 0, nullptr, false);
}

bool same_name(const char *a, const char *b) {
    return a == nullptr || b == nullptr ? a == b : std::strcmp(a, b) == 0;
}

// The table's trigger of that name, or nullptr.
const Trigger *find_trigger(Relation relation, const Definition &definition) {
    const TriggerDesc *triggers = relation->trigdesc;
    for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++) {
        if (std::strcmp(triggers->triggers[i].tgname, definition.name) == 0) {
            return &triggers->triggers[i];
        }
    }
    return nullptr;
}

bool is_right(Relation relation, const Definition &definition) {
    const Trigger *trigger = find_trigger(relation, definition);
    return trigger != nullptr && trigger->tgenabled == definition.enabled && !trigger->tgisinternal &&
           trigger->tgtype == (definition.timing | definition.events) && trigger->tgnattr == 0 &&
           trigger->tgqual == nullptr && same_name(trigger->tgoldtable, definition.old_table) &&
           same_name(trigger->tgnewtable, definition.new_table) &&
           trigger->tgfoid == require_function(definition.function);
}

bool are_right(Relation relation) {
    const std::span<const Definition> wanted = definitions_for(relation);
    return std::all_of(wanted.begin(), wanted.end(),
                       [relation](const Definition &definition) { return is_right(relation, definition); });
}

List *add_transition(List *list, const char *name, bool is_new) {
    if (name == nullptr) {
        return list;
    }
    TriggerTransition *transition = makeNode(TriggerTransition);
    transition->name = pstrdup(name);
    transition->isNew = is_new;
    transition->isTable = true;
    return lappend(list, transition);
}

void create_trigger(Oid relid, const Definition &definition) {
    CreateTrigStmt *statement = makeNode(CreateTrigStmt);
    statement->replace = true;
    statement->trigname = pstrdup(definition.name);
    statement->row = (definition.timing & TRIGGER_TYPE_ROW) != 0;
    statement->timing = static_cast<int16>(definition.timing & ~TRIGGER_TYPE_ROW);
    statement->events = definition.events;
    statement->transitionRels = add_transition(nullptr, definition.old_table, false);
    statement->transitionRels = add_transition(statement->transitionRels, definition.new_table, true);
    CreateTriggerFiringOn(statement, nullptr, relid, InvalidOid, InvalidOid, InvalidOid,
                          require_function(definition.function), InvalidOid, nullptr, false, false,
                          definition.enabled);
}

// The rows of a materialized view are written by its maintenance alone, which says what it writes.
bool needs_triggers(Relation relation) {
    return relation->rd_rel->relkind != RELKIND_MATVIEW;
}

bool is_in_use(Relation relation) {
    return relation->rd_refcnt != 1 || AfterTriggerPendingOnRel(RelationGetRelid(relation));
}

} // namespace

const Trigger *find_after_trigger(Relation relation, Operation operation) {
    const int16 event = operation == Operation::insert   ? TRIGGER_TYPE_INSERT
                        : operation == Operation::update ? TRIGGER_TYPE_UPDATE
                        : operation == Operation::remove ? TRIGGER_TYPE_DELETE
                                                         : TRIGGER_TYPE_TRUNCATE;
    for (const Definition &definition : definitions) {
        if (definition.timing == TRIGGER_TYPE_AFTER && definition.events == event) {
            return find_trigger(relation, definition);
        }
    }
    return nullptr;
}

bool has_triggers(Oid relid) {
    Relation relation = table_open(relid, AccessShareLock);
    const bool right = !needs_triggers(relation) || are_right(relation);
    table_close(relation, AccessShareLock);
    return right;
}

bool is_trigger_identity(const char *identity) {
    return std::any_of(std::begin(row_definitions), std::end(row_definitions), [identity](const Definition &own) {
        const std::string_view name = quote_identifier(own.name);
        return std::string_view(identity).substr(0, name.size()) == name;
    });
}

void require_quiet(Relation relation) {
    if (is_statement_open() || is_due(Scope::statement)) {
        // A view that is built now would get what is pending a second time.
        ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
                        errmsg("cannot capture changes of \"%s\" while a statement is changing a base table",
                               RelationGetRelationName(relation))));
    }
}

void create_triggers(Oid relid) {
    Relation relation = table_open(relid, ShareRowExclusiveLock);
    require_quiet(relation);
    if (!needs_triggers(relation)) {
        table_close(relation, NoLock);
        return;
    }
    if (!are_right(relation)) {
        CheckTableNotInUse(relation, "CREATE TRIGGER");
    }
    // The table's owner may be neither the caller nor the view's owner; an error restores the identity.
    Oid user;
    int context;
    GetUserIdAndSecContext(&user, &context);
    SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, context | SECURITY_LOCAL_USERID_CHANGE);
    for (const Definition &definition : definitions_for(relation)) {
        if (!is_right(relation, definition)) {
            create_trigger(relid, definition);
            CommandCounterIncrement();
        }
    }
    SetUserIdAndSecContext(user, context);
    table_close(relation, NoLock);
}

void drop_triggers(Oid relid) {
    if (get_rel_relkind(relid) == RELKIND_MATVIEW) {
        return;
    }
    if (!ConditionalLockRelationOid(relid, AccessExclusiveLock)) {
        return;
    }
    Relation relation = try_relation_open(relid, NoLock);
    if (relation == nullptr) {
        return;
    }
    ObjectAddresses *triggers = new_object_addresses();
    if (!is_in_use(relation)) {
        for (const Definition &definition : row_definitions) { // the names of all
            const Trigger *trigger = find_trigger(relation, definition);
            if (trigger != nullptr) {
                ObjectAddress address;
                ObjectAddressSet(address, TriggerRelationId, trigger->tgoid);
                add_exact_object_address(&address, triggers);
            }
        }
    }
    relation_close(relation, NoLock);
    performMultipleDeletions(triggers, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
    free_object_addresses(triggers);
    CommandCounterIncrement();
}

} // namespace upkeep::capture
