// Maintenance: from pending changes to the view.
#pragma once
#include "catalog/registration.hpp"
#include "pg/memory.hpp"
#include "pg/refusal.hpp"

namespace upkeep::maintain {

struct WrittenRows;

/// Maintains every active view that changes touch which are due (capture::is_due), and the views that read those.
/// Called when the outermost statement has ended, by its trigger or without it, and before the transaction commits.
void run_pending();

/// Computes a manual view again, and maintains the views that read it. Returns the rows of the view that were written.
/// Raises object_in_use if there are such views and a statement on a base table is open.
int64 refresh_manual(Oid view);

/// Makes a registered view right again whatever its state: (re)compiles its program, re-creates what the program's
/// layout needs (state tables, identity index, triggers, sources, facts, settings), then rebuilds state and view by
/// difference at a fresh snapshot and marks it active. Needs the caller's right checked already. Returns the rows
/// written. Used by register(), by REFRESH, after a dump was restored, and when a fact that the plan relied on has
/// changed. Views that read it have to follow: from what is left in `written`, or by a rebuild of their own.
///
/// A deferred view can be left to be built later: it is `building` then, and its changes are logged from now on. Who acts
/// on what he has seen before asks for a view that is still stale, and not suspended, once it is locked.
enum class Build : uint8 { now, later, if_stale };
int64 activate(Oid view, WrittenRows *written = nullptr, Build build = Build::now);

/// Gives an active view another mode (none of them manual) without computing it: what is pending is caught up with while
/// writers are held off. False: it has to be activated, because this transaction has changed its tables, or what is
/// stored does not fit.
bool switch_mode(Oid view, catalog::Mode mode);

/// Brings deferred views up to date, and those that read them, together, at one snapshot, from the change logs of their
/// tables; builds those that were not built yet. Returns the number of change rows consumed. Views that are not deferred
/// are passed over. Raises object_not_in_prerequisite_state where this transaction has changed a base table.
int64 refresh_deferred(const pg::Vector<Oid> &views);

/// Whether it is estimated that a refresh of this deferred view computes it anew, and takes long for that (half a second
/// or so).
bool takes_long(Oid view);

/// Those of these views that can be refreshed though this transaction has built views: neither they nor the views that
/// are refreshed with them read one of those. The others follow with the next refresh.
pg::Vector<Oid> apart_from_built(const pg::Vector<Oid> &views);

/// Rebuild of state and view by difference only (after TRUNCATE): activates it again if the layout is not right any
/// more. `written` as for activate.
int64 rebuild(Oid view, WrittenRows *written = nullptr);

/// Rebuild by difference with the view's own query, whatever it is (manual mode): no state, no identity index.
/// `written` as for activate.
int64 rebuild_from_query(Oid view, WrittenRows *written = nullptr);

/// Drops state tables, triggers that no other view needs, and the catalog rows. `view_exists` false in sql_drop.
void deactivate(Oid view, bool view_exists);

/// After partitions or children came or went: captures these tables, or no longer, and maintains the views with their
/// rows, all in one pass: a view may read a table and another view of it. Returns those for which that was done. Others
/// have to be activated: the layout has changed, a table is gone with its rows, or some changes are pending.
pg::Vector<Oid> follow_members(const pg::Vector<Oid> &views);

/// Compiles the view's query and says whether the stored layout still fits (facts changed in a way that matters:
/// false), or why it is refused now. Used by the DDL events.
bool layout_still_fits(Oid view, const pg::Refusal **refusal);

} // namespace upkeep::maintain
