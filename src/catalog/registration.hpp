// What is stored about registered views, and the per-backend cache of it.
#pragma once
#include "pg/memory.hpp"

namespace upkeep::catalog {

enum class Mode : uint8 { immediate, manual };
enum class State : uint8 { active, building, stale, failed };

/// One registered view as stored. Strings palloc'd in the current context.
struct Registration {
  Oid view;
  Mode mode;
  State state;
  bool active;          // false: restored from a dump and not yet re-activated
  const char *strategy; // "incremental", "scoped" or "rebuild"
  const char *layout;   // how the rows of this view are stored (a text that analysis computes): a plan made later must agree
  Oid identity_index;   // of the view
};

/// Where state tables of a view are kept.
struct StateTable {
  int node;
  Oid relid;
  Oid index;
};

// --- writing (register, unregister, refresh, events). Each sends the invalidations that make every backend reload. ---
void insert_registration(const Registration &r, const char *max_staleness, const char *every);
void update_registration(const Registration &r);
void delete_registration(Oid view);                 // and all that hangs on it, except state tables
void set_sources(Oid view, const Oid *relids, Bitmapset *const *used, int n); // used: attnos offset by FirstLowInvalidHeapAttributeNumber
void set_state_tables(Oid view, const StateTable *tables, int n);
/// Facts that the plan relies on besides PostgreSQL's own dependencies; watched by the DDL events.
struct Fact {
  Oid classid, objid;
  int32 subid;
  const char *kind;        // "not-null", "key", "foreign-key", "function", "enum", "view", "table"
  const char *fingerprint; // text that changes when the fact changes
};
void set_facts(Oid view, const Fact *facts, int n);
/// Settings that can change a result (TimeZone, DateStyle, ...) as they were at registration: only those that the view uses.
struct Setting { const char *name; const char *value; };
void set_settings(Oid view, const Setting *settings, int n);

/// Marks a view stale with a reason (WARNING is the caller's). Written with heap access, legal in any trigger.
void mark_stale(Oid view, const char *why);

// --- reading: latest committed state plus our own, whatever the transaction's snapshot; results in the current context ---
bool find_registration(Oid view, Registration *out);
pg::Vector<Registration> all_registrations();
pg::Vector<StateTable> state_tables(Oid view);
pg::Vector<Setting> settings(Oid view);
pg::Vector<Oid> sources(Oid view);
pg::Vector<Oid> views_of(Oid relid);                // registered views that read this base table

// --- cached for the hot path ---
/// What capture and maintenance need to know of a base table. Cached per backend, dropped by relcache invalidation.
struct TableEntry {
  Oid relid;
  int nviews;             // registered, active, mode immediate, state active
  const Oid *views;       // ascending by OID
  const Bitmapset *used;  // union of used columns (offset by FirstLowInvalidHeapAttributeNumber)
};
/// nullptr when no active immediate view reads the table (triggers left without registration do nothing).
const TableEntry *find_table(Oid relid);
/// A counter that grows with every invalidation of `view`'s registration (for program caches).
uint64 registration_generation();

/// State tables: CREATE TABLE in schema upkeep_data, owned by the extension's owner, member of the extension.
/// `columns_sql` e.g. "k1 integer, n bigint"; returns its OID.
Oid create_state_table(Oid view, int node, const char *columns_sql);
void drop_state_tables(Oid view);
Oid extension_owner();

} // namespace upkeep::catalog
