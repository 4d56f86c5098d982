"""How far deferred views lag behind commits while the background refreshes them, and what it costs when nothing happens."""

import contextlib
import statistics
import threading
import time

from measure import Failure, Server
from report import milliseconds, rate, table
from schemas import FRESHNESS

RATE = 1000
INSERT = ("\\set grp random(0, 999)\n\\set val random(1, 1000)\n"
          "INSERT INTO t (grp, val, at) VALUES (:grp, :val, clock_timestamp());\n")
# How long after its writing each row was seen that the last looks have not seen; concurrent ones commit in any order.
SEEN = "SELECT id, extract(epoch FROM clock_timestamp() - at)::float8 FROM v WHERE id > {floor}"
BEHIND = 2000
PROCESSES = "SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'upkeep %'"


def watch(done, delays):
    """Looks at the view every few milliseconds, on a connection of its own."""
    server = Server()
    server.run("SET search_path = fresh, public")
    last = server.run("SELECT coalesce(max(id), 0) FROM v")[0][0]
    seen = set()
    while not done.is_set():
        for id_, delay in server.run(SEEN.format(floor=max(last - BEHIND, 0))):
            if id_ not in seen:
                seen.add(id_)
                delays.append(delay * 1000)
        last = max(seen, default=last)
        time.sleep(0.002)


def percentile(values, part):
    return sorted(values)[min(int(len(values) * part), len(values) - 1)]


def processor_time(server):
    """Seconds of all background processes so far, and how often they have been awake."""
    spent, awake = 0.0, 0
    for (pid,) in server.run(PROCESSES):
        try:
            with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
                nanoseconds, _, slices = map(int, file.read().split())
        except FileNotFoundError:  # a builder that has just ended
            continue
        spent, awake = spent + nanoseconds / 1e9, awake + slices
    return spent, awake


def used(server, action):
    """The background's processor time and periods awake, per second of the action."""
    before, start = processor_time(server), time.monotonic()
    action()
    after, elapsed = processor_time(server), time.monotonic() - start
    return (after[0] - before[0]) / elapsed, (after[1] - before[1]) / elapsed


def run_freshness(server, staleness, seconds):
    server.run(FRESHNESS.format(staleness=staleness))
    server.run("SELECT upkeep.wait('fresh.v', '60 s'), upkeep.wait('fresh.totals', '60 s')")
    delays, done = [], threading.Event()
    watcher = threading.Thread(target=watch, args=(done, delays))
    watcher.start()
    busy, _ = used(server, lambda: server.pgbench("fresh", INSERT, ["-T", str(seconds), "-R", str(RATE)], clients=4))
    server.run("SELECT upkeep.wait('fresh.v', '60 s')")
    time.sleep(0.05)
    done.set()
    watcher.join()
    written = server.run("SELECT count(*) FROM fresh.t")[0][0]
    for view in ("fresh.v", "fresh.totals"):
        server.run(f"SELECT upkeep.wait('{view}', '60 s')")
        if server.run(f"SELECT * FROM upkeep.verify('{view}') LIMIT 1"):
            raise Failure(f"{view} is not what its query says")
    # The first rows may be there before the watcher is.
    if len(delays) < written - BEHIND:
        raise Failure(f"{len(delays)} of {written} rows were seen in fresh.v")
    time.sleep(2)
    idle, awake = used(server, lambda: time.sleep(seconds))
    server.run("DROP SCHEMA fresh CASCADE")
    return delays, written / seconds, busy, idle, awake


@contextlib.contextmanager
def background(server):
    """Everything else is measured without it."""
    server.run("ALTER SYSTEM SET upkeep.paused = off")
    server.run("SELECT pg_reload_conf()")
    yield
    server.run("ALTER SYSTEM RESET upkeep.paused")
    server.run("SELECT pg_reload_conf()")


def freshness(server, options):
    """1,000 transactions a second of four connections, each a single-row INSERT, below two deferred views (one by row, one by
    group) that the background refreshes. A row's age when it is first seen in the view, by somebody who looks every 2 ms; then what
    the background takes of one processor, and the same while nobody writes."""
    rows = []
    for staleness, title in (("'0'", "0"), ("'100 ms'", "100 ms"), ("'1 s'", "1 s")):
        with background(server):
            delays, per_second, busy, idle, awake = run_freshness(server, staleness, options.seconds * 10)
        rows.append([title, rate(per_second), milliseconds(statistics.median(delays)), milliseconds(percentile(delays, 0.99)),
                     milliseconds(max(delays)), f"{busy * 100:.1f} %", f"{idle * 100:.3f} %", f"{awake:.1f}"])
    return table(["max_staleness", "transactions per second", "median, ms", "99 %, ms", "longest, ms", "processor",
                  "processor, idle", "awake per second, idle"], rows)
