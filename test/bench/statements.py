"""The statements that the parts measure, and what brings the schemas into the same state before them."""

from schemas import GROUPS, KEEPERS, aggregate_rows, fact_rows


def keepers_of(view):
    return [f"{view}_{keeper}" for keeper in KEEPERS]


# How many rows single-row statements have deleted since the last round, the first ones of the table, by schema and table.
deleted = {}


def prepare(server, options, schemas):
    """Brings every schema into the same state before a round: all rows there, no dead ones, nothing left to write or to refresh."""
    for schema in schemas:
        server.run(f"SET search_path = {schema}, public")
        if n := deleted.pop((schema, "t"), 0):
            server.run(f"INSERT INTO t {aggregate_rows(1, n)}")
        if n := deleted.pop((schema, "orders"), 0):
            server.run(f"INSERT INTO orders {fact_rows(1, n, options.facts)}")
        if schema.endswith("_deferred"):
            server.run(f"SELECT upkeep.refresh('{schema}.v')")
    server.run("RESET search_path")
    server.run("VACUUM ANALYZE")
    server.run("CHECKPOINT")


INSERT = "\\set grp random(0, {last})\n\\set val random(1, 1000)\nINSERT INTO t (grp, val) VALUES (:grp, :val);\n"
UPDATE = "\\set id random({first}, {rows})\n\\set by random(1, 1000)\nUPDATE t SET val = val + :by WHERE id = :id;\n"
DELETE = "\\set next :next + :clients\n\\set id :next + :client_id\nDELETE FROM {table} WHERE id = :id;\n"


def delete_run(server, schema, relation, each, clients):
    """Deletes rows that are there: each client `each` of its own, in ascending order."""
    before = deleted.get((schema, relation), 0)
    # The script adds the number of clients before it deletes.
    variables = [("next", before + 1 - clients), ("clients", clients)]
    deleted[schema, relation] = before + each * clients
    return server.pgbench(schema, DELETE.format(table=relation), clients=clients, variables=variables,
                          options=["-t", str(each)])


OPERATIONS = ("INSERT", "UPDATE", "DELETE")


def single_row(server, options, schema, operation, clients):
    """Transactions per second of single-row statements on the aggregated table."""
    if operation == "DELETE":
        # Few enough that the rows of a round's runs are in the half of the table that no UPDATE touches.
        return delete_run(server, schema, "t", options.rows // 50, clients)
    script = INSERT.format(last=GROUPS - 1) if operation == "INSERT" else \
        UPDATE.format(first=options.rows // 2 + 1, rows=options.rows)
    return server.pgbench(schema, script, clients=clients, options=["-T", str(options.seconds)])


def bulk_statements(view, options, number):
    """One statement of each kind over options.bulk rows; what is inserted is what is updated and then deleted."""
    first = 10_000_000 + number * options.bulk
    last = first + options.bulk - 1
    if view == "int":
        return [("INSERT", f"INSERT INTO t SELECT i, i % {GROUPS}, i % 977 FROM generate_series({first}, {last}) i"),
                ("UPDATE", f"UPDATE t SET val = val + 1 WHERE id BETWEEN {first} AND {last}"),
                ("DELETE", f"DELETE FROM t WHERE id BETWEEN {first} AND {last}")]
    return [("INSERT", f"INSERT INTO orders {fact_rows(first, last, options.facts)}"),
            ("UPDATE", f"UPDATE orders SET quantity = quantity + 1 WHERE id BETWEEN {first} AND {last}"),
            ("DELETE", f"DELETE FROM orders WHERE id BETWEEN {first} AND {last}")]
