// One pass: every view that a set of changes concerns, once, each after all views that it reads. What a run writes to a
// view is a change like that of a base table, for the views above it.
#include "maintain/pass.hpp"

#include "capture/callbacks.hpp"
#include "capture/nesting.hpp"
#include "capture/pending.hpp"
#include "catalog/registration.hpp"
#include "maintain/maintain.hpp"
#include "pg/names.hpp"

namespace upkeep::maintain {

using capture::Scope;

namespace {

struct Place {
    int depth;
    Oid view;
    bool follows_views_only; // it has had the changes of the tables in another scope
};

class Pass {
  public:
    /// Of what is pending in a scope. Immediate views have had all of it when the transaction's pass begins, but what
    /// that writes.
    explicit Pass(Scope scope)
        : scope_(scope), holds_(scope == Scope::statement), changes_(capture::take_changes(scope)),
          before_(capture::old_state_command()), before_views_(present_command()) {
        for (const capture::TableChange &change : changes_)
            await(readers(change.relid, mode()), false);
    }

    /// Of what the caller adds: changes of views that he has made after this command.
    explicit Pass(CommandId before) : Pass(Scope::statement) { before_ = before; }

    /// Of changes that no statement made. Views of mode commit do not wait, unless changes of theirs wait already.
    Pass(const pg::Vector<Oid> &views, const pg::Vector<capture::TableChange> &changes) : Pass(present_command()) {
        holds_ = capture::find_pending(Scope::transaction) != nullptr;
        for (const capture::TableChange &change : changes)
            changes_.push_back(change);
        await(views, false);
    }

    void run() {
        while (!waiting_.empty()) {
            const Place place = waiting_.front();
            waiting_.erase(waiting_.begin());
            auto *written = new (palloc(sizeof(WrittenRows))) WrittenRows();
            const bool late = place.follows_views_only;
            const auto &changes = late ? view_changes_ : changes_;
            switch (maintain_view(place.view, changes, written, late ? before_views_ : before_)) {
            case Outcome::followed:
                add_written(place.view, written);
                break;
            case Outcome::repaired:
            case Outcome::built:
                add_unknown(place.view);
                break;
            case Outcome::stale:
                leave_above(place.view);
                break;
            }
        }
        for (WrittenRows *rows : written_)
            for (Tuplestorestate *store : {rows->left, rows->came})
                if (store != nullptr)
                    tuplestore_end(store); // it may have a file
        capture::release_changes();
    }

    /// What a run has written to a view is the view's change. Deferred views that read it find it in its log, unless
    /// they have it already.
    void add_written(Oid view, WrittenRows *rows, bool log = true) {
        if (rows->desc == nullptr)
            return;
        written_.push_back(rows);
        capture::TableChange change{view, false, nullptr, {}};
        if (rows->left != nullptr)
            change.batches.push_back({rows->left, rows->desc, -1});
        if (rows->came != nullptr)
            change.batches.push_back({rows->came, rows->desc, +1});
        if (holds_)
            capture::hold_written(view, rows->left, rows->came);
        if (log)
            capture::log_written(view, rows->left, rows->came);
        add_change(change);
    }

    /// A repaired view: what the views above it hold is not known to be what it said before.
    void add_unknown(Oid view, bool log = true) {
        constexpr const char *why = "it was repaired";
        if (holds_)
            capture::hold_unknown(view, why);
        if (log)
            capture::log_lost(view);
        add_change({view, true, why, {}});
    }

  private:
    catalog::Mode mode() const { return scope_ == Scope::statement ? catalog::Mode::immediate : catalog::Mode::commit; }

    /// Views of mode commit wait for the commit. When it comes, the immediate ones follow the views that it has
    /// changed.
    void add_change(const capture::TableChange &change) {
        changes_.push_back(change);
        view_changes_.push_back(change);
        await(readers(change.relid, mode()), false);
        if (scope_ == Scope::transaction)
            await(readers(change.relid, catalog::Mode::immediate), true);
        else if (!holds_)
            await(readers(change.relid, catalog::Mode::commit), false);
    }

    /// The order of depths, then of OIDs, is the same for all writers, and puts every view behind those that it reads.
    void await(const pg::Vector<Oid> &views, bool follows_views_only) {
        for (const Oid view : views) {
            const Place place{catalog::depth(view), view, follows_views_only};
            const auto at = std::lower_bound(waiting_.begin(), waiting_.end(), place, [](Place a, Place b) {
                return a.depth != b.depth ? a.depth < b.depth : a.view < b.view;
            });
            if (at == waiting_.end() || at->view != view)
                waiting_.insert(at, place);
        }
    }

    /// A copy: the cache's own may go while something is read.
    static pg::Vector<Oid> readers(Oid relid, catalog::Mode mode) {
        const catalog::TableEntry *table = catalog::find_table(relid);
        if (table == nullptr)
            return {};
        const catalog::Readers &readers = table->of(mode);
        return pg::Vector<Oid>(readers.views, readers.views + readers.nviews);
    }

    /// What reads a view that is not up to date is not, either.
    void leave_above(Oid view) {
        const char *name = pg::qualified_name(view);
        for (const catalog::Mode mode : {catalog::Mode::immediate, catalog::Mode::commit, catalog::Mode::deferred})
            for (const Oid above : readers(view, mode)) {
                waiting_.erase(
                    std::remove_if(waiting_.begin(), waiting_.end(), [=](Place p) { return p.view == above; }),
                    waiting_.end());
                catalog::mark_stale(above, psprintf("materialized view %s, which it reads, is stale", name));
                ereport(WARNING,
                        (errcode(ERRCODE_DATA_EXCEPTION),
                         errmsg("materialized view %s is stale from now on", pg::qualified_name(above)),
                         errdetail("Materialized view %s, which it reads, is stale.", name),
                         errhint("It follows when REFRESH MATERIALIZED VIEW has brought that one up to date.")));
                leave_above(above);
            }
    }

    Scope scope_;
    bool holds_; // changes of views, for those of mode commit
    pg::Vector<capture::TableChange> changes_;
    OldCommand before_;
    OldCommand before_views_;
    pg::Vector<capture::TableChange> view_changes_; // those that this pass has written
    pg::Vector<Place> waiting_;
    pg::Vector<WrittenRows *> written_;
};

} // namespace

void run_pending() {
    for (const Scope scope : {Scope::statement, Scope::transaction})
        if (capture::is_due(scope)) {
            Pass pass(scope);
            pass.run();
        }
}

void maintain_apart(const pg::Vector<Oid> &views, const pg::Vector<capture::TableChange> &changes) {
    Pass pass(views, changes);
    pass.run();
}

void follow_refreshed(const pg::Vector<RefreshedView> &views, CommandId before) {
    Pass pass(before);
    for (const RefreshedView &view : views) {
        if (view.unknown)
            pass.add_unknown(view.view, false);
        pass.add_written(view.view, view.written, false);
    }
    pass.run();
}

int64 refresh_manual(Oid view) {
    LockRelationOid(view, ShareRowExclusiveLock);
    if (catalog::find_table(view) == nullptr)
        return rebuild_from_query(view);
    if (capture::is_statement_open() || capture::is_due(Scope::statement) || capture::is_taken())
        ereport(
            ERROR,
            (errcode(ERRCODE_OBJECT_IN_USE),
             errmsg("cannot refresh materialized view %s inside a statement on a base table", pg::qualified_name(view)),
             errdetail("Views that read it are maintained with it, which happens when that statement ends.")));
    Pass pass(present_command()); // taken by now: what this calls only adds to what is pending
    auto *written = new (palloc(sizeof(WrittenRows))) WrittenRows();
    const int64 changed = rebuild_from_query(view, written);
    pass.add_written(view, written);
    pass.run();
    return changed;
}

} // namespace upkeep::maintain
