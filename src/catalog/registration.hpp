// What is stored about registered views, and the per-backend cache of it.
#pragma once
#include "pg/memory.hpp"

namespace upkeep::catalog {

enum class Mode : uint8 { immediate, commit, deferred, manual };
enum class State : uint8 { active, building, stale, failed };

/// One registered view as stored. Strings palloc'd in the current context.
struct Registration {
    Oid view;
    Mode mode;
    State state;
    bool active;          // false: no run-time state is stored (restored from a dump and not yet re-activated)
    const char *strategy; // "incremental", "scoped" or "rebuild"
    const char
        *layout; // how the rows of this view are stored (a text that analysis computes): a plan made later must agree
    Oid identity_index; // of the view; follows REINDEX CONCURRENTLY; InvalidOid when there is none
    bool identity_lost; // read only: an index was stored, and no such index exists any more
    const char *why;    // reason of a state other than active, or nullptr
};

/// What register() was given, in microseconds; a month counts 30 days. nullopt: NULL.
struct Timing {
    std::optional<int64> max_staleness;
    std::optional<int64> every;
};

/// Where state tables of a view are kept.
struct StateTable {
    int node;
    Oid relid;
    Oid index;
};

// --- writing (register, unregister, refresh, events). Each sends the invalidations that make every backend reload. ---
/// Adds the registration, or changes the mode and options of an existing one. Intervals as text, nullptr for NULL.
/// Run-time state is stored too when `r.active`.
void insert_registration(const Registration &r, const char *max_staleness, const char *every);
/// The intervals of a registration as text, nullptr for NULL.
struct Intervals {
    const char *max_staleness;
    const char *every;
};
Intervals intervals(Oid view);
/// Stores the mode and the run-time state (removes it when not `r.active`).
void update_registration(const Registration &r);
/// The whole view was just computed: remembers when. Other members of the registration stay.
void note_rebuild(Oid view);
void delete_registration(Oid view); // and all that hangs on it, except state tables
/// Registrations are dumped by qualified name. After a command that may have renamed views or schemas: stores the names
/// that changed. Of dropped views that were restored and never activated, only the name is left to forget them by.
void store_present_names();
void forget_restored(const char *qualified_name);
void set_sources(Oid view, const Oid *relids, Bitmapset *const *used,
                 int n); // used: attnos offset by FirstLowInvalidHeapAttributeNumber
void set_state_tables(Oid view, const StateTable *tables, int n);
/// Facts that the plan relies on besides PostgreSQL's own dependencies; watched by the DDL events.
struct Fact {
    Oid classid, objid;
    int32 subid;
    const char *kind;        // "not-null", "key", "foreign-key", "function", "enum", "view", "table", "row", "members",
                             // "feed" (which members and ancestors subscriptions feed), "bounds" (of a default
                             // partition), "owner"
    const char *fingerprint; // text that changes when the fact changes
};
void set_facts(Oid view, const Fact *facts, int n);
/// Settings that can change a result (TimeZone, DateStyle, ...) as they were at registration: only those that the view
/// uses.
struct Setting {
    const char *name;
    const char *value;
};
void set_settings(Oid view, const Setting *settings, int n);

/// What the fact is now, for Fact::fingerprint; "gone" when the object does not exist. Kinds and their objects:
/// not-null (pg_class, table, column), key (pg_constraint or the pg_class entry of an index), foreign-key
/// (pg_constraint), function (pg_proc), enum (pg_type), view, table, members and feed (pg_class). Raises for an unknown
/// kind.
const char *fact_fingerprint(const char *kind, Oid classid, Oid objid, int32 subid);
/// The tables that a fingerprint of kind members lists: those whose rows were read through the table.
pg::Vector<Oid> members_in(const char *fingerprint);
pg::Vector<Fact> facts(Oid view); // as stored
/// Stores what the facts of one kind are now.
void renew_facts(Oid view, const char *kind);

/// Remembers that the background could not bring a deferred view up to date, and why. What it holds is not to be gone
/// on from if nothing is logged for it at present: it is built anew, then. Nothing is written for a view that is not
/// active.
void mark_failed(Oid view, const char *why);

/// Whether this transaction has changed what is stored of any view; forgotten by the call.
bool take_changed();

/// Marks a view stale with a reason (WARNING is the caller's). Written with heap access, legal in any trigger.
/// Nothing is written for a view that is stale already (the first reason stays) or not active: false.
bool mark_stale(Oid view, const char *why);
/// A deferred view has been built: it is active now. Not if a writer has made it stale meanwhile: false.
bool mark_built(Oid view);

// --- reading: latest committed state plus our own, whatever the transaction's snapshot; results in the current context
// ---
bool find_registration(Oid view, Registration *out);
Timing timing(Oid view);
pg::Vector<Registration> all_registrations(); // by OID, without those that were restored and not yet activated
pg::Vector<StateTable> state_tables(Oid view);
pg::Vector<Setting> settings(Oid view);
pg::Vector<Oid> sources(Oid view);
/// The columns of a source that the view uses (offset by FirstLowInvalidHeapAttributeNumber).
Bitmapset *used_columns(Oid view, Oid relid);
pg::Vector<Oid> views_of(Oid relid); // registered views that read this base table or materialized view

// --- views of views, whatever their state: as pg_depend has them, through ordinary views ---
/// Active views whose queries read this materialized view, but for manual ones.
pg::Vector<Oid> readers(Oid view);
/// The same, and what reads those in turn: each after all of them that it reads.
pg::Vector<Oid> views_above(Oid view);
/// Each after those that its query reads.
pg::Vector<Registration> in_order_of_reading(const pg::Vector<Registration> &views);

// --- cached for the hot path ---
/// The views of one mode that read a base table: registered, active, state active.
struct Readers {
    int nviews = 0;
    const Oid *views = nullptr;      // ascending by OID
    const Bitmapset *used = nullptr; // union of used columns (offset by FirstLowInvalidHeapAttributeNumber)
};
/// What capture and maintenance need to know of a base table. Cached per backend, dropped by relcache invalidation.
/// Where writers of a base table log its changes; see catalog/log.hpp.
struct LogTarget {
    Oid segment = InvalidOid; // the current one
    int ncolumns = 0;
    const AttrNumber *columns = nullptr; // of the base table, in the order of the segment's columns
};
struct TableEntry {
    Oid relid;
    Readers immediate;
    Readers commit;
    Readers deferred; // also those that are being built or have failed: they want their changes
    LogTarget log;    // where `deferred` is not empty
    // What whoever reads the entry keeps with it, in `memory`, which goes when the entry does.
    MemoryContext memory = nullptr;
    mutable void *kept = nullptr;

    /// Of a mode other than manual.
    const Readers &of(Mode mode) const {
        return mode == Mode::immediate ? immediate : mode == Mode::commit ? commit : deferred;
    }
    bool has_readers() const { return immediate.nviews > 0 || commit.nviews > 0 || deferred.nviews > 0; }
};
/// nullptr when no view wants the table's changes (triggers left without registration do nothing).
/// The entry lives until the next call for the same table: copy what must outlive a statement.
const TableEntry *find_table(Oid relid);
/// 0 for what is no registered view of tables; else one more than the deepest source, so that a view is deeper than all
/// that it reads. Views are maintained in the order of depths. Cached.
int depth(Oid relid);
/// A counter that grows with every invalidation of `view`'s registration (for program caches).
uint64 registration_generation();

/// State tables: CREATE TABLE in schema upkeep_data, owned by the extension's owner, member of the extension.
/// `columns_sql` e.g. "k1 integer, n bigint" (no constraints; types qualified unless in pg_catalog); returns its OID.
/// Fires no event trigger. The caller records it with set_state_tables.
Oid create_state_table(Oid view, int node, const char *columns_sql);
/// The same for any table in schema upkeep_data; `options` are storage parameters.
Oid create_member_table(const char *name, const char *columns_sql, const char *options);
void drop_member_table(Oid relid);
/// The caller has it locked.
void truncate_member_table(Oid relid);
/// Lets a view's owner read a state table: statements of its maintenance run as that role.
void grant_state_table(Oid relid, Oid role);
void drop_state_tables(Oid view); // and forgets them
Oid extension_owner();

/// While one lives, DDL is our own: the event triggers let it pass. Ends with the scope or with the (sub)transaction.
class OwnDdl {
  public:
    OwnDdl();
    ~OwnDdl();
    OwnDdl(const OwnDdl &) = delete;
    OwnDdl &operator=(const OwnDdl &) = delete;

  private:
    int outer_level_;
};
bool in_own_ddl();

} // namespace upkeep::catalog
