#include "maintain/course.hpp"

#include "catalog/log.hpp"

#include <cmath>

namespace upkeep::maintain {

namespace {

/// Changes of fewer rows are not weighed.
constexpr int64 kCompareCosts = 250;

int64 count_changed(const Run &run) {
    int64 rows = 0;
    for (const TableDelta &table : run.tables)
        rows += table.rows;
    return rows;
}

/// What following so many rows costs, judged by the last change. Larger ones cost less for each row.
double expected_of(const Estimates &last, double rows) {
    constexpr double kGrowth = 0.75;
    const double ratio = last.rows > 0 ? rows / last.rows : 0;
    return last.following * (ratio > 1 ? std::pow(ratio, kGrowth) : ratio);
}

/// While states are owed, nothing can be followed. They are worth to be built once the refreshes without them have cost
/// as much more than following their changes would have: then, whatever comes, all of them together have cost at most
/// twice what they must (the ski rental problem).
Course pay(Run &run, double owed, const RebuildCost &rebuild) {
    if (!rebuild.alone)
        return Course::rebuild;
    const double following = count_changed(run) < kCompareCosts ? 0 : follow_cost(run);
    elog(DEBUG1, "following costs %.0f, a rebuild %.0f, without states %.0f", following, rebuild.whole, *rebuild.alone);
    const double paid = owed + std::max(0.0, *rebuild.alone - following);
    if (paid >= rebuild.whole - *rebuild.alone)
        return Course::rebuild;
    if (paid > owed)
        catalog::set_owed_states(run.program->view, paid);
    return Course::alone;
}

} // namespace

Estimates &estimates_of(Oid view) {
    struct Entry {
        Oid view; // hash key
        Estimates estimates;
    };
    static HTAB *entries = nullptr; // a few words for each view that the backend has refreshed
    if (entries == nullptr) {
        HASHCTL control{};
        control.keysize = sizeof(Oid);
        control.entrysize = sizeof(Entry);
        control.hcxt = CacheMemoryContext;
        entries = hash_create("upkeep estimates", 32, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    }
    bool found;
    auto *entry = static_cast<Entry *>(hash_search(entries, &view, HASH_ENTER, &found));
    if (!found)
        entry->estimates = {};
    return entry->estimates;
}

bool is_too_much(Oid view, int64 rows) {
    const char *why = nullptr;
    Program *program = rows < kCompareCosts ? nullptr : find_program(view, &why);
    if (program == nullptr)
        return false;
    Estimates &estimated = estimates_of(view);
    estimated.asked = static_cast<double>(rows);
    const double following = reading_cost(rows) + expected_of(estimated, estimated.asked);
    return following > rebuild_cost(program).least();
}

bool is_long(double cost) {
    constexpr double kLong = 50000;
    return cost > kLong;
}

Course choose_course(Run &run) {
    const std::optional<double> owed = catalog::owed_states(run.program->view);
    if (!owed && count_changed(run) < kCompareCosts)
        return Course::follow;
    const RebuildCost rebuild = rebuild_cost(run);
    if (owed)
        return pay(run, *owed, rebuild);
    const double following = follow_cost(run);
    Estimates &estimated = estimates_of(run.program->view);
    estimated.following = following;
    estimated.rows = estimated.asked;
    elog(DEBUG1, "following costs %.0f, a rebuild %.0f", following, rebuild.least());
    return following > rebuild.least() ? rebuild.course() : Course::follow;
}

Course choose_rebuild(Program *program) {
    const RebuildCost rebuild = rebuild_cost(program);
    estimates_of(program->view).following /= 2; // rows that are not read may be others
    elog(DEBUG1, "a rebuild costs %.0f, without states %.0f", rebuild.whole, rebuild.least());
    return rebuild.course();
}

int64 rebuild_on(Course course, Program *program, WrittenRows *written, Snapshot at) {
    return course == Course::alone ? rebuild_contents(*program, written, at) : rebuild_with(program, written, at);
}

} // namespace upkeep::maintain
