"""What a refresh of deferred views costs after a part of orders and lineitem has changed, beside REFRESH of the same query."""

import os
import re
import statistics
import time
from collections import defaultdict

from server import created_name
from soak import definitions, plan_of, prepare, strategy_of

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "workloads.md")
TWIN = "twin_"  # the same query, not registered


def milliseconds(server, sql):
    start = time.perf_counter()
    server.run(sql)
    return (time.perf_counter() - start) * 1000


def percent(fraction):
    return f"{fraction:g} %"


class Refreshes:
    def __init__(self, server, name, load, options):
        self.server, self.name, self.load, self.options = server, name, load, options
        self.views, self.strategies = [], {}
        self.times = defaultdict(list)  # (view, fraction or None for REFRESH) -> milliseconds
        self.rebuilt = set()            # (view, fraction)
        self.wrong = []

    def go(self):
        start = time.monotonic()
        prepare(self.server, self.name, self.load)
        self.create()
        print(f"{self.name} at scale {self.load.scale:g}: {time.monotonic() - start:.0f} s to load and build", flush=True)
        for fraction in self.options.fractions:
            start = time.monotonic()
            for _ in range(self.options.rounds):
                self.round(fraction)
            self.verify(fraction)
            print(f"{percent(fraction)}: {time.monotonic() - start:.0f} s", flush=True)
        lines = self.table()
        print("\n".join([""] + lines), flush=True)
        if self.options.write:
            self.write(lines)
        self.server.run(f"DROP SCHEMA {self.name} CASCADE")
        return len(self.wrong)

    def create(self):
        for statement in definitions(self.load):
            view = created_name(statement)
            if view and self.options.views and view not in self.options.views:
                continue
            self.server.run(statement)
            if not view:
                continue
            self.server.run(statement.replace(f"VIEW {view}", f"VIEW {TWIN}{view}", 1))
            plan = plan_of(self.server, view)
            if plan[0] == "refused":
                continue
            self.server.run(f"SELECT upkeep.register('{view}', 'deferred')")
            self.strategies[view] = strategy_of(self.server, view, plan)
            self.views.append(view)
        self.index()
        self.server.run("SELECT upkeep.refresh()")
        self.server.run("VACUUM ANALYZE")

    def index(self):
        """What upkeep.explain wants, beside the primary and foreign keys."""
        for (wanted,) in {row for view in self.views for row in self.server.run(
                f"SELECT index_wanted FROM upkeep.explain('{view}') WHERE index_wanted LIKE 'CREATE INDEX%'")}:
            self.server.run(wanted)

    def last_rebuild(self, view):
        """upkeep.stat_views does not count those that a refresh chooses."""
        return self.server.run(f"SELECT last_rebuild FROM upkeep.activity WHERE view = '{view}'::regclass")[0][0]

    def round(self, fraction):
        """The two ways take turns, view by view, after one change."""
        self.load.make_fraction(self.server, fraction / 100)
        self.server.run("CHECKPOINT")
        for view in self.views:
            before = self.last_rebuild(view)
            self.times[view, fraction].append(milliseconds(self.server, f"SELECT upkeep.refresh('{view}')"))
            self.times[view, None].append(milliseconds(self.server, f"REFRESH MATERIALIZED VIEW {TWIN}{view}"))
            if self.last_rebuild(view) != before:
                self.rebuilt.add((view, fraction))

    def verify(self, fraction):
        for view in self.views:
            found = self.server.run(f"SELECT count(*) FROM upkeep.verify('{view}')")[0][0]
            if found:
                self.wrong.append(view)
                print(f"{view} is wrong after {percent(fraction)}: {found} rows", flush=True)

    def table(self):
        heads = ["query", "strategy", "REFRESH, ms"]
        for fraction in self.options.fractions:
            heads += [f"{percent(fraction)}, ms", "of REFRESH"]
        lines = ["| " + " | ".join(heads) + " |", "|---|---|" + "---:|" * (len(heads) - 2)]
        for view in self.views:
            whole = statistics.median(self.times[view, None])
            cells = [view, self.strategies[view], f"{whole:,.1f}"]
            for fraction in self.options.fractions:
                taken = statistics.median(self.times[view, fraction])
                cells += [f"{taken:,.1f}", f"{taken / whole:.3f}" + ("\\*" if (view, fraction) in self.rebuilt else "")]
            lines.append("| " + " | ".join(cells) + " |")
        return lines

    def write(self, lines):
        """Replaces the table of this scale factor in the page, or adds it."""
        heading = f"### A refresh beside REFRESH, scale factor {self.load.scale:g}"
        with open(PAGE, encoding="utf-8") as file:
            page = file.read()
        section = heading + "\n\n" + "\n".join(lines) + "\n"
        pattern = re.escape(heading) + r"\n\n(\|.*\n)+"
        if re.search(pattern, page):
            page = re.sub(pattern, lambda _: section, page)
        else:
            page = page.rstrip("\n") + "\n\n" + section
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(page)


def measure_refreshes(server, name, load, options):
    """Returns the number of views that were found wrong."""
    return Refreshes(server, name, load, options).go()
