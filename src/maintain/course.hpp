// How a refresh brings a deferred view to its snapshot: by following the change, or by computing it anew.
#pragma once
#include "maintain/run.hpp"

namespace upkeep::maintain {

/// `alone`: the view without its states, which are owed from then on.
enum class Course : uint8 { follow, rebuild, alone };

/// What it is estimated to cost to compute a view anew, in the planner's units.
struct RebuildCost {
    double whole = 0;            // with its states
    std::optional<double> alone; // the view without them, where that is possible and they take most of it
    double least() const { return alone ? *alone : whole; }
    Course course() const { return alone ? Course::alone : Course::rebuild; }
};

/// What was estimated for a view's last refreshes, in the planner's units; 0: nothing yet. For this backend, whatever
/// becomes of programs meanwhile.
struct Estimates {
    double whole = 0, alone = 0;    // computing it anew, and without its states
    double following = 0, rows = 0; // following a change of so many rows of the log
    double asked = 0;               // rows of the log, when it was last asked whether they are too many
};
Estimates &estimates_of(Oid view);

RebuildCost rebuild_cost(Run &run);
RebuildCost rebuild_cost(Program *program);

/// What it is estimated to cost to follow the change that has been read.
double follow_cost(Run &run);

/// What it costs to read so many rows of a log.
double reading_cost(int64 rows);

/// Whether to read a change of so many rows, and to follow it if its rows are as those of the last one, is estimated to
/// cost more than computing the view anew.
bool is_too_much(Oid view, int64 rows);

/// Whether a rebuild at this cost takes long: half a second or so.
bool is_long(double cost);

/// The course for a change that has been read. Of few rows it is followed unweighed, if the states are there.
Course choose_course(Run &run);

/// The course where it is not known what has changed.
Course choose_rebuild(Program *program);

/// Computes the view anew at the snapshot. Returns the rows written.
int64 rebuild_on(Course course, Program *program, WrittenRows *written, Snapshot at);

} // namespace upkeep::maintain
