// What a view reads: in which order its sources are locked, whether their changes reach it.
#pragma once
#include "catalog/registration.hpp"
#include "maintain/program.hpp"

namespace upkeep::maintain {

/// Locks the sources of a view before its maintenance: base tables, then the views below it, in the order in which they
/// are maintained. Those are locked as their own maintenance locks them: whoever rebuilds one goes on with the views
/// above it, and must not do so between two statements of a writer that holds one of these.
void lock_sources(const pg::Vector<Oid> &relids);

/// Locks sources and view before the view is built, and creates the capture triggers of its base tables. Afterwards
/// `registration` is what is stored now. Raises object_in_use while a statement on a base table is open, and
/// feature_not_supported if a view below is not followed any more.
void lock_for_building(catalog::Registration *registration, const Design &design);

/// Waits for whoever changes the sources or maintains the view, and keeps them off to the end of the transaction. Creates
/// capture triggers that are missing.
void hold_off_writers(Oid view, const analysis::ViewQuery &query);

/// Locks sources and view before the view's triggers and state are dropped.
void lock_for_removal(Oid view, const pg::Vector<Oid> &sources);

/// Why a view cannot be maintained: its query would read what it holds itself, through the views below it. Else
/// nullptr.
const pg::Refusal *check_own_contents(Oid view, const analysis::ViewQuery &query);

/// Why the writers of its tables cannot maintain a view: an apply worker is one of them. Else nullptr.
const pg::Refusal *check_feeds(const analysis::ViewQuery &query);

[[noreturn]] void raise_refusal(Oid view, const pg::Refusal &refusal);

} // namespace upkeep::maintain
