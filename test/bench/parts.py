"""The parts of the benchmark: each measures its cells in interleaved rounds and returns the lines of its report."""

from capture import capture
from freshness import freshness
from measure import Samples
from report import factor, microseconds, milliseconds, part, rate, table
from schemas import GROUPS, MODES, PRODUCTS, customers, fact_rows
from statements import OPERATIONS, bulk_statements, delete_run, keepers_of, prepare, single_row


def sample_single_rows(server, options, cases):
    """Transactions per second by view, clients, operation and schema."""
    samples = Samples()
    for _ in range(options.rounds):
        for view, clients in cases:
            prepare(server, options, keepers_of(view))
            for operation in OPERATIONS:
                for schema in keepers_of(view):
                    tps = single_row(server, options, schema, operation, clients)
                    samples.add(view, clients, operation, schema, tps)
    return samples


def single_rows(server, options):
    """Single statements by pgbench, prepared, each a transaction of its own. Columns of a mode: its transactions per second as
    a part of those without a view; then what it adds to a statement, as a part of what the hand-written trigger adds."""
    cases = [("int", 1), ("int", 4), ("num", 1)]
    samples = sample_single_rows(server, options, cases)
    rows = []
    for view, clients in cases:
        for operation in OPERATIONS:
            none, hand, *modes = (samples.median(view, clients, operation, s) for s in keepers_of(view))
            # Time that each connection spends on a statement beyond what it spends without a view.
            by_hand, *by_modes = (clients * 1e6 * (1 / tps - 1 / none) for tps in (hand, *modes))
            rows.append(["integer" if view == "int" else "numeric", operation, clients, rate(none), factor(hand / none)]
                        + [factor(tps / none) for tps in modes] + [microseconds(by_hand)]
                        + [part(added, by_hand) for added in by_modes])
    return table(["sum of", "statement", "clients", "no view, per second", "by hand"] + list(MODES)
                 + ["added by hand, µs"] + [f"{mode} / by hand, added" for mode in MODES], rows)


DURABLE = ("fsync", "synchronous_commit", "full_page_writes")


def durable(server, options):
    """The same statements by four clients with the server's own settings, under which a commit waits for the disk (`fsync`,
    `synchronous_commit` and `full_page_writes` on): transactions per second as a part of those without a view."""
    for name in DURABLE:
        server.run(f"ALTER SYSTEM SET {name} = on")
    server.run("SELECT pg_reload_conf()")
    samples = sample_single_rows(server, options, [("int", 4)])
    for name in DURABLE:
        server.run(f"ALTER SYSTEM RESET {name}")
    server.run("SELECT pg_reload_conf()")
    rows = []
    for operation in OPERATIONS:
        none, *kept = (samples.median("int", 4, operation, s) for s in keepers_of("int"))
        rows.append([operation, rate(none)] + [factor(tps / none) for tps in kept])
    return table(["statement", "no view, per second", "by hand"] + list(MODES), rows)


def loop(server, options):
    """A procedure that inserts one row and commits, again and again: no client, no network, no parsing."""
    samples = Samples()
    rounds = options.rounds * 3
    n = options.loop
    for number in range(rounds):
        if number % 3 == 0:
            prepare(server, options, keepers_of("int"))
        for schema in keepers_of("int"):
            samples.add(schema, server.timed(schema, f"CALL insert_singly({n})") * 1000 / n)
    none, hand, *modes = (samples.median(s) for s in keepers_of("int"))
    return table(["per row", "no view", "by hand"] + list(MODES),
                 [["all, µs"] + [microseconds(time) for time in (none, hand, *modes)],
                  ["added by the view, µs", ""] + [microseconds(time - none) for time in (hand, *modes)],
                  ["added / added by hand", "", factor(1)] + [f"**{part(time - none, hand - none)}**" for time in modes]]) \
        + ["", f"Medians of {rounds} interleaved rounds of {n} rows."]


FACT_INSERT = ("\\set c random(1, {customers})\n\\set p random(1, {products})\n\\set q random(1, 9)\n"
               "INSERT INTO orders (customer_id, product_id, quantity) VALUES (:c, :p, :q);\n")
FACT_UPDATE = "\\set id random({first}, {facts})\n\\set q random(1, 9)\nUPDATE orders SET quantity = quantity % 9 + :q WHERE id = :id;\n"
DIMENSION_UPDATE = "\\set id random(1, {customers})\nUPDATE customers SET region = (region + 1) % 20 WHERE id = :id;\n"


def joins(server, options):
    """Single-row changes below a join of three tables, of the fact table and of a dimension."""
    samples = Samples()
    values = {"customers": customers(options.facts), "products": PRODUCTS, "facts": options.facts,
              "first": options.facts // 2 + 1}
    cases = [("fact INSERT", FACT_INSERT), ("fact UPDATE", FACT_UPDATE), ("fact DELETE", None),
             ("dimension UPDATE", DIMENSION_UPDATE)]
    for _ in range(options.rounds):
        for view in ("join", "grouped"):
            prepare(server, options, keepers_of(view))
            for name, script in cases:
                for schema in keepers_of(view):
                    if script is None:
                        tps = delete_run(server, schema, "orders", options.facts // 10, 1)
                    else:
                        tps = server.pgbench(schema, script.format(**values), ["-T", str(options.seconds)])
                    samples.add(view, name, schema, 1e6 / tps)
    rows = []
    for view in ("join", "grouped"):
        for name, _ in cases:
            none, hand, *modes = (samples.median(view, name, s) for s in keepers_of(view))
            rows.append(["with GROUP BY" if view == "grouped" else "without GROUP BY", name]
                        + [microseconds(time) for time in (none, hand, *modes)]
                        + [part(time - none, hand - none) for time in modes])
    return table(["view", "statement", "no view, µs", "by hand, µs"] + [f"{mode}, µs" for mode in MODES]
                 + [f"{mode} / by hand, added" for mode in MODES], rows)


BULK_VIEWS = {"int": "aggregate over one table", "join": "three-table join", "grouped": "three-table join, GROUP BY"}


def bulk(server, options):
    """One statement that changes many rows."""
    samples = Samples()
    for number in range(options.rounds):
        for view in BULK_VIEWS:
            prepare(server, options, keepers_of(view))
            for position, (name, _) in enumerate(bulk_statements(view, options, number)):
                for schema in keepers_of(view):
                    statement = bulk_statements(view, options, number)[position][1]
                    samples.add(view, name, schema, server.timed(schema, statement))
    rows = []
    for view, title in BULK_VIEWS.items():
        for name, _ in bulk_statements(view, options, 0):
            none, hand, *modes = (samples.median(view, name, s) for s in keepers_of(view))
            rows.append([title, name] + [milliseconds(time) for time in (none, hand, *modes)]
                        + [factor(time / none) for time in (hand, *modes)])
    return table(["view", "statement", "no view, ms", "by hand, ms"] + [f"{mode}, ms" for mode in MODES]
                 + [f"{keeper} / no view" for keeper in ("by hand", *MODES)], rows)


WINDOWS = (1_000, 100_000)


def window_statements(view, options, n, number):
    """Two statements that make windows of about n change rows: rows that come, and rows that change, each of which counts twice."""
    first = 20_000_000 + number * max(WINDOWS)
    spread = max(options.rows if view == "int" else options.facts, n) // n
    half = f"id % {2 * spread} = {number % (2 * spread)}"
    if view == "int":
        return [("INSERT", f"INSERT INTO t SELECT i, i % {GROUPS}, i % 977 FROM generate_series({first}, {first + n - 1}) i"),
                ("UPDATE", f"UPDATE t SET val = val + 1 WHERE id <= {options.rows} AND {half}")]
    return [("INSERT", f"INSERT INTO orders {fact_rows(first, first + n - 1, options.facts)}"),
            ("UPDATE", f"UPDATE orders SET quantity = quantity + 1 WHERE id <= {options.facts} AND {half}")]


def pay_states(server, schema, change):
    """After nearly everything has changed a refresh may leave the view's states behind; refreshes after it build them again."""
    for _ in range(20):
        if not server.run(f"SELECT 1 FROM upkeep.frontier WHERE view = '{schema}.v'::regclass AND owed IS NOT NULL"):
            return
        server.run(f"SET search_path = {schema}, public; {change}")
        server.run("SELECT upkeep.refresh('v')")


def consumption(server, options):
    """What `upkeep.refresh()` consumes of the log of a deferred view, by the number of change rows that wait for it. Before each round
    small refreshes build what states an earlier one has left behind."""
    samples = Samples()
    for number in range(options.rounds):
        for view in BULK_VIEWS:
            prepare(server, options, keepers_of(view))
            schema = f"{view}_deferred"
            pay_states(server, schema, "UPDATE t SET val = val + 1 WHERE id = 1" if view == "int" else
                       "UPDATE orders SET quantity = quantity % 9 + 1 WHERE id = 1")
            for n in WINDOWS:
                for name, statement in window_statements(view, options, n, number):
                    server.run(f"SET search_path = {schema}, public; {statement}")
                    waiting = server.run(f"SELECT pending FROM upkeep.views WHERE view = '{schema}.v'::regclass")[0][0]
                    time = server.timed(schema, "SELECT upkeep.refresh('v')")
                    samples.add(view, n, name, "rows", waiting)
                    samples.add(view, n, name, "time", time)
                server.run(f"DELETE FROM {'t' if view == 'int' else 'orders'} WHERE id >= 20000000")
                server.run("SELECT upkeep.refresh('v')")
    rows = []
    for view, title in BULK_VIEWS.items():
        for n in WINDOWS:
            for name in ("INSERT", "UPDATE"):
                waiting, time = samples.median(view, n, name, "rows"), samples.median(view, n, name, "time")
                rows.append([title, name, rate(waiting), milliseconds(time), rate(waiting / time * 1000)])
    return table(["view", "statement", "change rows", "refresh, ms", "change rows per second"], rows)


def refresh(server, options):
    """REFRESH of a view like the maintained ones, beside what one changed row costs there."""
    samples = Samples()
    changes = {"int": ("t", "val = val + 1"), "join": ("orders", "quantity = quantity % 9 + 1"),
               "grouped": ("orders", "quantity = quantity % 9 + 1")}
    queries = {view: server.run(f"SELECT pg_get_viewdef('{view}_immediate.v'::regclass)")[0][0].rstrip(";")
               for view in BULK_VIEWS}
    size = {"int": options.rows, "join": options.facts, "grouped": options.facts}
    for number in range(options.rounds):
        for view in BULK_VIEWS:
            none, upkeep = f"{view}_none", f"{view}_immediate"
            if number == 0:
                server.run(f"SET search_path = {none}, public; CREATE MATERIALIZED VIEW r AS "
                           + queries[view].replace(f"{upkeep}.", ""))
            samples.add(view, "refresh", server.timed(none, "REFRESH MATERIALIZED VIEW r"))
            relation, change = changes[view]
            script = f"\\set id random({size[view] // 2 + 1}, {size[view]})\nUPDATE {relation} SET {change} WHERE id = :id;\n"
            for schema in (none, upkeep):
                samples.add(view, schema, 1e3 / server.pgbench(schema, script, ["-T", str(options.seconds)]))
    rows = []
    for view, title in BULK_VIEWS.items():
        none, upkeep = f"{view}_none", f"{view}_immediate"
        whole, one = samples.median(view, "refresh"), samples.median(view, upkeep) - samples.median(view, none)
        rows.append([title, milliseconds(whole), microseconds(one * 1000), rate(whole / one) if one > 0 else "-"])
    return table(["view", "REFRESH, ms", "one changed row, µs", "REFRESH / one row"], rows)


PARTS = {
    "loop": ("Headline: what the view adds to a single-row INSERT", loop, ["int"]),
    "single": ("Single-row statements over one table", single_rows, ["int", "num"]),
    "durable": ("Single-row statements with durable commits", durable, ["int"]),
    "capture": ("Deferred capture beside a trigger that does nothing", capture, ["int"]),
    "joins": ("Single-row statements below a three-table join", joins, ["join", "grouped"]),
    "bulk": ("Bulk statements", bulk, ["int", "join", "grouped"]),
    "refresh": ("REFRESH beside one changed row", refresh, ["int", "join", "grouped"]),
    "consume": ("Refreshes of deferred views", consumption, ["int", "join", "grouped"]),
    "fresh": ("Freshness in the background", freshness, []),
}
