"""Registers the views of a set, changes its tables, and verifies every view after every transaction."""

import glob
import os
import re
import time
from collections import Counter

import psycopg2

from server import created_name, statements


def prepare(server, name, load):
    """Tables and rows, in a schema of the set's name."""
    server.run(f"DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}; SET search_path = {name}")
    for statement in statements(os.path.join(load.directory, "schema.sql")):
        server.run(statement)
    for table, rows in load.batches():
        server.copy(table, rows)
    for statement in statements(os.path.join(load.directory, "keys.sql")):
        server.run(statement)
    server.run("VACUUM ANALYZE")


def definitions(load):
    """The statements of views.sql, or of views_1.sql and so on."""
    files = sorted(glob.glob(os.path.join(load.directory, "views*.sql")))
    return [statement for file in files for statement in statements(file, load.variables)]


def plan_of(server, view):
    """('refused', code, what, why) or (strategy of the view, number of steps, number of `whole view` steps)"""
    rows = server.run(f"SELECT strategy, code, what, why FROM upkeep.explain('{view}')")
    if rows[0][1] is not None:
        return ("refused",) + rows[0][1:]
    kinds = {row[0] for row in rows}
    strategy = next((kind for kind in ("whole view", "rebuild", "scoped") if kind in kinds), "incremental")
    return strategy, len(rows), sum(row[0] == "whole view" for row in rows)


def strategy_of(server, view, plan):
    """What upkeep.views says of a registered view; `whole view` if some step reads all rows of its input."""
    return plan[0] if plan[2] else server.run(f"SELECT strategy FROM upkeep.views WHERE view = '{view}'::regclass")[0][0]


class Soak:
    def __init__(self, server, name, load, options):
        self.server, self.name, self.load, self.options = server, name, load, options
        self.passed = self.failed = 0
        self.views = []       # registered, and right so far
        self.plans = {}       # view -> plan
        self.rebuilds = {}

    def fail(self, text):
        self.failed += 1
        print(f"{self.name}: {text}", flush=True)

    def go(self):
        start = time.monotonic()
        prepare(self.server, self.name, self.load)
        self.create()
        self.compare_strategies()
        loaded = time.monotonic()
        count = self.options.changes if self.options.changes is not None else self.load.small_changes
        self.verify("registration", [])
        done = 0
        for label, transaction in self.load.changes(self.server):
            if done >= count:
                break
            if transaction:
                done += 1
                self.change(label, transaction)
        if self.options.times:
            self.show_times()
        kinds = Counter(plan[0] for plan in self.plans.values())
        shown = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        print(f"{self.name}: {len(self.plans)} views: {shown}; {done} transactions; {loaded - start:.0f} s to load and register, "
              f"{time.monotonic() - loaded:.0f} s to change and verify", flush=True)
        self.server.run(f"DROP SCHEMA {self.name} CASCADE")

    def create(self):
        """Views are created and registered in the order of the file, so that one may read another."""
        for statement in definitions(self.load):
            view = created_name(statement)
            if view and self.options.views and view not in self.options.views:
                continue
            try:
                self.server.run(statement)
            except psycopg2.Error as error:
                self.fail(f"cannot create {statement[:60]!r}: {error}")
                continue
            if view:
                self.register(view)

    def register(self, view):
        self.plans[view] = ("failed",)
        try:
            self.plans[view] = plan = plan_of(self.server, view)
            if plan[0] == "refused":
                return
            self.server.run(f"SELECT upkeep.register('{view}', '{self.options.mode}')")
        except psycopg2.Error as error:
            self.fail(f"cannot register {view}: {error}")
            return
        self.plans[view] = (strategy_of(self.server, view, plan),) + plan[1:]
        self.views.append(view)

    def compare_strategies(self):
        """The file says which views are refused today, and why: it must change as soon as that does."""
        path = os.path.join(self.load.directory, "strategies.txt")
        found = {view: " ".join(plan[:2]) if plan[0] == "refused" else plan[0] for view, plan in self.plans.items()}
        if self.options.refusals:
            with open(self.options.refusals, "a", encoding="utf-8") as file:
                for view, plan in self.plans.items():
                    if plan[0] == "refused":
                        file.write(f"{self.name}.{view}\t{plan[1]}\t{plan[2]}\t{plan[3]}\n")
        if self.options.accept:
            with open(path, "w", encoding="utf-8") as file:
                file.writelines(f"{view} {plan}\n" for view, plan in found.items())
            return
        with open(path, encoding="utf-8") as file:
            expected = dict(line.strip().split(" ", 1) for line in file)
        differing = 0
        for view, plan in found.items():
            if expected.get(view) == plan:
                self.passed += 1
            else:
                differing += 1
                self.fail(f"{view} is {plan}, strategies.txt says {expected.get(view)}")
        if differing:
            print(f"{self.name}: if that is meant, test/loads/run --loads {self.name} --accept writes strategies.txt", flush=True)

    def change(self, label, transaction):
        """A transaction that fails because of a view is tried again without that view."""
        while True:
            try:
                self.server.transaction(transaction)
                break
            except psycopg2.Error as error:
                found = re.search(r'while maintaining materialized view "(?:\w+\.)?(\w+)"', str(error))
                self.fail(f"{label} failed: {error}")
                self.show(transaction)
                if self.server.connection.closed:
                    raise
                if not found or found[1] not in self.views:
                    return
                self.give_up(found[1])
        self.verify(label, transaction)

    def show(self, transaction):
        for statement in transaction:
            print(f"    {statement[:4000]};")

    def give_up(self, view):
        self.views.remove(view)
        self.server.run(f"SELECT upkeep.unregister('{view}')")

    def verify(self, label, transaction):
        self.check_rebuilds(label)
        warned = self.server.warnings()
        if warned:
            self.fail(f"warned after {label}: {warned}")
            self.show(transaction)
        wrong = []
        for view in list(self.views):
            try:
                rows = self.server.run(f"SELECT side, contents FROM upkeep.verify('{view}')")
            except psycopg2.Error as error:
                rows = [("error", str(error))]
            if not rows:
                self.passed += 1
                continue
            wrong.append(view)
            self.fail(f"{view} is wrong after {label}, {len(rows)} rows:")
            for side, contents in rows[:6]:
                print(f"    {side}: {contents[:300]}")
            self.give_up(view)
        if wrong:
            self.show(transaction)
        for view, state, why in self.server.run("SELECT view::text, state, why FROM upkeep.views WHERE state <> 'active'"):
            self.fail(f"{view} is {state} after {label}: {why}")
            self.give_up(view)

    def check_rebuilds(self, label):
        """Nothing but what a load names in `may_rebuild`, such as DDL, may compute a whole view again."""
        found = dict(self.server.run("SELECT view::text, rebuilds FROM upkeep.stat_views WHERE rebuilds > 0"))
        for view, rebuilds in found.items():
            if rebuilds > self.rebuilds.get(view, 0) and label not in self.load.may_rebuild:
                self.fail(f"{view} was rebuilt after {label}")
        self.rebuilds = found

    def show_times(self):
        """Maintenance beside REFRESH, for each view; a view that no change has reached shows a gap of the changes."""
        print("view: runs, rows written, mean and longest run, REFRESH (ms), rows of the view")
        for view, calls, changed, mean, longest in self.server.run(
                "SELECT view::text, calls, rows_changed, mean_time, max_time FROM upkeep.stat_views ORDER BY max_time DESC"):
            rows = self.server.run(f"SELECT count(*) FROM {view}")[0][0]
            start = time.monotonic()
            self.server.run(f"REFRESH MATERIALIZED VIEW {view}")
            print(f"{view}: {calls}, {changed}, {mean:.2f}, {longest:.1f}, {(time.monotonic() - start) * 1000:.1f}, {rows}")
