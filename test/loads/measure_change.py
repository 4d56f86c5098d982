"""What one change costs with one view registered, beside REFRESH of that view."""

import statistics
import time

from server import created_name
from soak import definitions, plan_of, prepare, strategy_of

WARM_UP = 3      # changes that are not counted: plans are made in them
REPEATED = 3     # each change is made and taken back so often


def milliseconds(server, what):
    start = time.perf_counter()
    server.transaction(what)
    return (time.perf_counter() - start) * 1000


def best_times(server, changes):
    """For each change, milliseconds of making it and of taking it back: the best of some times, as others use the machine too."""
    times = []
    for change, undo in changes:
        runs = [(milliseconds(server, change), milliseconds(server, undo)) for _ in range(REPEATED)]
        times.append([min(column) for column in zip(*runs)])
    return list(zip(*times[WARM_UP:]))


def refresh_time(server, view):
    taken = []
    while len(taken) < 3 and sum(taken) < 10_000:
        taken.append(milliseconds(server, [f"REFRESH MATERIALIZED VIEW {view}"]))
    return statistics.median(taken)


def line_of(server, view, plan, changes, options):
    before = best_times(server, changes)
    refresh = refresh_time(server, view)
    server.run(f"SELECT upkeep.register('{view}', '{options.mode}')")
    strategy = strategy_of(server, view, plan)
    tables = server.run(f"SELECT count(*) FROM upkeep.source WHERE view = '{view}'::regclass")[0][0]
    after = best_times(server, changes)
    wrong = server.run(f"SELECT count(*) FROM upkeep.verify('{view}')")[0][0]
    server.run(f"SELECT upkeep.unregister('{view}')")
    if wrong:
        print(f"{view} is wrong: {wrong} rows", flush=True)
    added = [[with_view - without for with_view, without in zip(*pair)] for pair in zip(after, before)]
    made, undone = (max(statistics.median(times), 0) for times in added)
    quotient = f"{refresh / made:,.0f}" if made >= 0.01 else ""
    return (f"| {view} | {strategy} | {tables} | {plan[2] or ''} | {made:.2f} | {max(added[0]):.2f} | {undone:.2f} "
            f"| {refresh:,.1f} | {quotient} |")


def measure(server, name, load, options):
    """Appends a table to the file of --measure: every view alone, the same changes for each."""
    start = time.monotonic()
    prepare(server, name, load)
    load.server = server
    changes = [load.one_change() for _ in range(WARM_UP + options.rounds)]
    print(f"{name} at scale {load.scale}: {time.monotonic() - start:.0f} s to load", flush=True)
    with open(options.measure, "a", encoding="utf-8") as file:
        file.write(f"\n### {name}, scale {load.scale:g}\n\n"
                   "| query | strategy | tables | whole view steps | median, ms | worst, ms | taken back, ms | REFRESH, ms "
                   "| REFRESH / median |\n|---|---|---:|---:|---:|---:|---:|---:|---:|\n")
        for statement in definitions(load):
            view = created_name(statement)
            if view and options.views and view not in options.views:
                continue
            server.run(statement)
            if not view:
                continue
            plan = plan_of(server, view)
            line = f"| {view} | refused: {plan[1]} | | | | | | {refresh_time(server, view):,.1f} | |"
            if plan[0] != "refused":
                line = line_of(server, view, plan, changes, options)
            file.write(line + "\n")
            file.flush()
            print(line, flush=True)
    server.run(f"DROP SCHEMA {name} CASCADE")
