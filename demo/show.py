"""The story of the demonstration: load, create views, register them, let the world change, look at what it cost."""

import gzip
import os
import signal
import sys
import threading
import time

import psycopg2

from paper import Block, duration, number, say, table
from stream import DATA, LOADED_FLIGHTS, Stream

HERE = os.path.dirname(os.path.abspath(__file__))
VIEWS = ["delay_by_origin_day", "busiest_routes", "worst_airports", "distinct_routes", "late_long_flights"]
CONNECTIONS = 4
SECONDS_BEFORE, SECONDS_WITH = 4, 26


class Broken(Exception):
    """The demonstration shows what it must not show."""


def connect():
    connection = psycopg2.connect(dbname="postgres", application_name="demo")
    connection.autocommit = True
    return connection


def timed(cursor, statement, arguments=None):
    began = time.monotonic()
    cursor.execute(statement, arguments)
    return time.monotonic() - began


def value(cursor, query):
    cursor.execute(query)
    return cursor.fetchone()[0]


def run_file(cursor, name):
    with open(os.path.join(HERE, "sql", name), encoding="utf-8") as file:
        cursor.execute(file.read())


def verify(connection, view):
    """Seconds that it took to compare the view with its query, row by row, in one snapshot. Raises if they differ."""
    with connection.cursor() as cursor:
        began = time.monotonic()
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT side, contents FROM upkeep.verify(%s)", (view,))
        differences = cursor.fetchall()
        cursor.execute("COMMIT")
        if differences:
            examples = "\n".join(f"  {side}: {contents}" for side, contents in differences[:5])
            raise Broken(f"{view} differs from its query in {len(differences)} rows, such as\n{examples}")
        return time.monotonic() - began


def load(cursor):
    say("Real departures: 20,000 domestic flights in the United States, January to March 2001,")
    say("told again one week later, and again, until they are a million.")
    say()
    began = time.monotonic()
    run_file(cursor, "tables.sql")
    for name, target in (("airports", "airports"), ("flights", "record")):
        with gzip.open(os.path.join(DATA, f"{name}.csv.gz")) as file:
            cursor.copy_expert(f"COPY {target} FROM STDIN (FORMAT csv, HEADER)", file)
    run_file(cursor, "multiply.sql")
    cursor.execute("VACUUM ANALYZE flights")
    cursor.execute("VACUUM ANALYZE airports")
    flights, airports = value(cursor, "SELECT count(*) FROM flights"), value(cursor, "SELECT count(*) FROM airports")
    if flights != LOADED_FLIGHTS:
        raise Broken(f"{flights} flights were loaded instead of {LOADED_FLIGHTS}")
    say(f"  loaded {number(flights)} flights and {number(airports)} airports, indexes included: "
        f"{duration(time.monotonic() - began)}")


def create_views(cursor):
    began = time.monotonic()
    run_file(cursor, "views.sql")
    took = time.monotonic() - began
    cursor.execute("CREATE SCHEMA twin; SET search_path = twin, public")
    run_file(cursor, "views.sql")
    cursor.execute("RESET search_path")
    say(f"  created {len(VIEWS)} materialized views with CREATE MATERIALIZED VIEW: {duration(took)}")
    say()


def watch_until_done(stream, show):
    while stream.is_running():
        time.sleep(1)
        if stream.has_failed():
            break
        show()
    if stream.has_failed():
        raise Broken("the stream was broken off")


def stream_without(cursor):
    """The price of the same changes while the views are ordinary ones, which go stale."""
    say("Without upkeep")
    stream = Stream(CONNECTIONS, 0, SECONDS_BEFORE, with_airports=False)
    watch_until_done(stream, lambda: None)
    missing = value(cursor, "SELECT abs((SELECT count(*) FROM flights) - (SELECT sum(flights) FROM busiest_routes))")
    say(f"  {CONNECTIONS} connections made {number(stream.changes())} changes in {SECONDS_BEFORE} s, "
        f"{duration(stream.seconds_per_change())} each. The views know nothing of them:")
    say(f"  busiest_routes is {number(missing)} flights off, until somebody runs REFRESH.")
    say()
    return stream


def register(cursor):
    say("SELECT upkeep.register('...')")
    cursor.execute("CREATE EXTENSION upkeep")
    for view in VIEWS:
        took = timed(cursor, "SELECT upkeep.register(%s)", (view,))
        cursor.execute("SELECT strategy, state FROM upkeep.views WHERE view = %s::regclass", (view,))
        strategy, state = cursor.fetchone()
        if state != "active":
            raise Broken(f"{view} is {state} after it was registered")
        say(f"  {view:<20}  {strategy:<12} {duration(took):>8}")
    say()


def read_costs(cursor):
    """Seconds of maintenance of each view so far."""
    cursor.execute("SELECT view::regclass::text, total_time / 1000 FROM upkeep.stat_views")
    costs = dict(cursor.fetchall())
    if any(costs.get(view) is None for view in VIEWS):
        raise Broken("upkeep.stat_views has no times: is upkeep in shared_preload_libraries?")
    return costs


class Inspector(threading.Thread):
    """Compares each view with its query, and refreshes its unregistered twin, while the stream goes on.

    It begins a little later than the stream, which by then has run for as long, and as undisturbed, as without upkeep.
    """

    def __init__(self):
        super().__init__(daemon=True)
        self.verified, self.refreshed = {}, {}
        self.events = []
        self.error = None
        self.stopped = threading.Event()

    def run(self):
        try:
            connection = connect()
            self.stopped.wait(SECONDS_BEFORE)
            while not self.stopped.is_set():
                for view in VIEWS:
                    self.inspect(connection, view)
            connection.close()
        except Exception as error:
            self.error = error

    def inspect(self, connection, view):
        if self.stopped.wait(1):
            return
        verify(connection, view)
        self.verified[view] = time.monotonic()
        self.events.append(f"✓ {view} is what its query says")
        if self.stopped.wait(1):
            return
        with connection.cursor() as cursor:
            self.refreshed[view] = timed(cursor, f"REFRESH MATERIALIZED VIEW twin.{view}")
        self.events.append(f"a REFRESH of {view} just took {duration(self.refreshed[view])}")

    def finish(self):
        self.stopped.set()
        self.join(60)
        if self.error:
            raise self.error
        if self.is_alive():
            raise Broken("a check of a view has not come to an end for 60 s")


class Display:
    """What a person wants to see each second: a table in place on a terminal, else one line."""

    def __init__(self, cursor, stream, inspector):
        self.cursor, self.stream, self.inspector = cursor, stream, inspector
        self.before = read_costs(cursor)
        self.undisturbed = None
        self.block = Block() if sys.stdout.isatty() else None
        self.told = 0

    def headline(self):
        totals = self.stream.totals()
        return (f"  {self.stream.elapsed():4.0f} s   {number(totals['transactions'])} transactions   "
                f"{number(self.stream.changes())} rows changed   "
                f"{duration(self.stream.seconds_per_change())} each")

    def show(self):
        if self.inspector.error:
            raise self.inspector.error
        if self.undisturbed is None and self.stream.elapsed() >= SECONDS_BEFORE:
            self.undisturbed = self.stream.seconds_per_change()
        if self.block:
            self.block.show([self.headline(), ""] + self.rows())
        else:
            news = self.inspector.events[self.told:]
            self.told += len(news)
            say("   ".join([self.headline()] + news[-1:]))

    def rows(self):
        costs, changes = read_costs(self.cursor), max(1, self.stream.changes())
        now, rows = time.monotonic(), []
        for view in VIEWS:
            seen = self.inspector.verified.get(view)
            rows.append([view, duration((costs[view] - self.before[view]) / changes),
                         duration(self.inspector.refreshed.get(view)),
                         f"✓ {now - seen:.0f} s ago" if seen else ""])
        return table(["view", "added to a change", "a REFRESH now", "verified"], rows)


def stream_with(cursor):
    say(f"The same stream, with upkeep, for {SECONDS_WITH} s")
    before = read_costs(cursor)
    inspector = Inspector()
    stream = Stream(CONNECTIONS, 1, SECONDS_WITH, with_airports=True)
    inspector.start()
    display = Display(cursor, stream, inspector)
    watch_until_done(stream, display.show)
    inspector.finish()
    after = read_costs(cursor)
    totals = stream.totals()
    say()
    say(f"  {number(totals['inserted'])} departures, {number(totals['updated'])} corrections and "
        f"{number(totals['deleted'])} cancellations. Deadlocks met and retried: {number(totals['retries'])}.")
    say()
    return stream, {view: after[view] - before[view] for view in VIEWS}, display.undisturbed


def conclude(connection, stream, costs, without, undisturbed):
    changes, rows, refresh_total = stream.changes(), [], 0
    with connection.cursor() as cursor:
        for view in VIEWS:
            verify(connection, view)
            # Timed now that nothing else runs: what upkeep added was measured under load.
            refresh = min(timed(cursor, f"REFRESH MATERIALIZED VIEW twin.{view}") for _ in range(2))
            refresh_total += refresh
            cursor.execute("SELECT strategy FROM upkeep.views WHERE view = %s::regclass", (view,))
            strategy = cursor.fetchone()[0]
            added = costs[view] / changes
            rows.append([view, strategy, number(value(cursor, f"SELECT count(*) FROM {view}")), duration(added),
                         duration(refresh), number(refresh / max(added, 1e-9)), "✓"])
        say(f"What each view added to each of the {number(changes)} changes, and what one REFRESH of it takes:")
        say()
        for line in table(["view", "strategy", "rows", "a change", "REFRESH", "ratio", "verify"], rows, left=2):
            say(line)
        say()
        show_worst(cursor)
    added = sum(costs.values()) / changes
    say(f"A change took {duration(without.seconds_per_change())} while the views went stale, "
        f"{duration(undisturbed)} with all {len(VIEWS)} right after every statement;")
    say(f"one REFRESH of them takes {duration(refresh_total)}, "
        f"in which upkeep keeps up with {number(refresh_total / max(added, 1e-9))} changes.")


def show_worst(cursor):
    cursor.execute("SELECT name, city, average_delay, late_percent FROM worst_airports "
                   "ORDER BY average_delay DESC, iata LIMIT 3")
    say("Worst airports, read from the view a moment ago:")
    for name, city, delay, late in cursor.fetchall():
        say(f"  {name} ({city}): {delay} min late on average, {late} % of the flights late")
    say()


def tell():
    connection = connect()
    with connection.cursor() as cursor:
        load(cursor)
        create_views(cursor)
        without = stream_without(cursor)
        register(cursor)
        stream, costs, undisturbed = stream_with(cursor)
    conclude(connection, stream, costs, without, undisturbed)
    connection.close()


def leave_once():
    """A signal handler: ^C arrives twice, from the terminal and from with_server."""
    leaving = []

    def leave(signum, _frame):
        if not leaving:
            leaving.append(signum)
            sys.exit(128 + signum)

    return leave


def main():
    leave = leave_once()
    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)
    began = time.monotonic()
    say()
    try:
        tell()
    except (Broken, psycopg2.Error) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    say(f"(All this took {time.monotonic() - began:.0f} s; the demo's server is removed again.)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
