"""Random base tables with their rows, indexes, foreign keys, triggers and rules."""
import random

import trees
from model import Column, Table, quote
from values import DOMAIN, KINDS, SPARE_KINDS, literal, type_name

NAMES = ["a", "b", "c", "k", "x", "y", "w", "c1", "n", "upkeep_d1", "Odd name", "select", "d", "ts", "value"]
TABLE_NAMES = ["t1", "t2", "t3", "t4", "order", "Table One", "w", "delta"]
SPARE_NAMES = ["payload", "doc", "loc", "extra"]
NUMBER_SHIFT = {"int": ["bigint", "smallint", "numeric"], "bigint": ["int"], "numeric": ["num82", "int"]}


class Schema:
    """The base tables of one seed, and the SQL that makes them."""

    def __init__(self, rng):
        self.rng = rng
        self.rough = rng.random() < 0.2
        self.wide_share = 0.25 if rng.random() < 0.2 else 0.0
        self.tables = []
        self.next_key = 1
        count = rng.choices([1, 2, 3, 4], [22, 46, 26, 6])[0]
        names = ["t1", "t2", "t3", "t4"] if rng.random() < 0.7 else rng.sample(TABLE_NAMES, 4)
        pool = rng.sample(NAMES, 6)
        kinds = {n: rng.choices([k for k, _ in KINDS], [w for _, w in KINDS])[0] for n in pool}
        kinds[pool[0]] = "int"
        for name in names[:count]:
            self.tables.append(self.table(name, pool, kinds))
        self.link()
        self.tree_rng = random.Random(repr(rng.getstate()[1][:8]))    # other seeds stay what they were
        for table in self.tables:
            base = next((c for c in table.columns if c.kind in ("int", "smallint") and not c.generated), None)
            table.generated = f"({quote(base.name)}::bigint * 2 % 5)::int" if base else "1"
            if self.tree_rng.random() < trees.SHARE:
                trees.plant(self.tree_rng, table)
        self.fallible = any(c.wide for t in self.tables for c in t.columns)

    def table(self, name, pool, kinds):
        rng = self.rng
        columns = []
        chosen = [pool[0]] + rng.sample(pool[1:], rng.randint(1, 3))
        rng.shuffle(chosen)
        for column in chosen:
            kind = kinds[column]
            if kind in NUMBER_SHIFT and rng.random() < 0.12:
                kind = rng.choice(NUMBER_SHIFT[kind])
            columns.append(Column(column, kind, wide=rng.random() < self.wide_share, not_null=rng.random() < 0.1))
        table = Table(name, columns, self.spare())
        roll = rng.random()
        if roll < 0.42:
            table.columns.insert(0, Column("id", "int", not_null=True))
            table.key = ["id"]
        elif roll < 0.5:
            table.columns.insert(0, Column("id", rng.choice(["text", "numeric", "bigint"]), not_null=True))
            table.key = ["id"]
        elif roll < 0.56:
            table.columns[:0] = [Column("k1", "int", not_null=True), Column("k2", "text", not_null=True)]
            table.key = ["k1", "k2"]
        if rng.random() < 0.06:
            table.columns.append(Column("twice", "int", generated=True))
        return table

    def spare(self):
        rng = self.rng
        if rng.random() > 0.3:
            return []
        return [Column(n, rng.choice(SPARE_KINDS)) for n in rng.sample(SPARE_NAMES, rng.randint(1, 2))]

    def link(self):
        """Gives some tables a foreign key to an earlier one."""
        for index, table in enumerate(self.tables[1:], 1):
            parents = [t for t in self.tables[:index] if t.key == ["id"]]
            if parents and self.rng.random() < 0.35:
                parent = self.rng.choice(parents)
                kind = next(c.kind for c in parent.columns if c.name == "id")
                table.columns.append(Column("parent", kind))
                table.parent = ("parent", parent)

    def definitions(self):
        """Returns the statements that create the types and tables."""
        out = ["CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')"]
        for table in self.tables:
            parts = []
            for column in table.columns + table.spare:
                text = f"{quote(column.name)} {type_name(column.kind)}"
                if column.generated:
                    text += f" GENERATED ALWAYS AS ({table.generated}) STORED"
                elif column.not_null:
                    text += " NOT NULL"
                elif self.rng.random() < 0.1 and column.kind in DOMAIN and column.kind != "xml":
                    text += f" DEFAULT {literal(self.rng, column.kind)}"
                parts.append(text)
            if table.key:
                parts.append("PRIMARY KEY (" + ", ".join(map(quote, table.key)) + ")")
            if table.parent:
                name, parent = table.parent
                action = self.rng.choice([" ON DELETE CASCADE", " ON DELETE SET NULL",
                                          " ON DELETE CASCADE ON UPDATE CASCADE", ""])
                parts.append(f"FOREIGN KEY ({name}) REFERENCES {parent.sql()}{action}")
            out.append(f"CREATE TABLE {table.sql()} (" + ", ".join(parts) + ")")
            if table.tree:
                out[-1] += table.tree.suffix
                out += table.tree.definitions
        return out

    def rows(self):
        """Returns one INSERT per initial row, and indexes on base tables."""
        rng = self.rng
        out = []
        for table in self.tables:
            for _ in range(rng.choice([0, 2, 3, 4, 5, 6, 7, 8])):
                out.append(self.insert_row(table) + " ON CONFLICT DO NOTHING")
        for table in self.tables:
            if rng.random() < 0.3:
                column = rng.choice([c for c in table.columns if not (c.wide and c.kind == "text")] or [None])
                if column:
                    out.append(f"CREATE INDEX ON {table.sql()} ({quote(column.name)})")
        if rng.random() < 0.2:
            out.append("ANALYZE " + ", ".join(t.sql() for t in self.tables))
        return out

    def value(self, table, column):
        """Returns SQL for a value to store in `column`."""
        rng = self.rng
        if column.name in table.key:
            if column.kind in ("int", "bigint", "numeric") and rng.random() < 0.75:
                self.next_key += 1
                return str(self.next_key)
            return literal(rng, column.kind)
        if table.parent and column.name == table.parent[0]:
            parent = table.parent[1].sql()
            return rng.choice(["NULL", f"(SELECT min(id) FROM {parent})", f"(SELECT max(id) FROM {parent})",
                               f"(SELECT max(id) FROM {parent})"])
        if rng.random() < (0.02 if column.not_null else 0.2):
            return "NULL"
        return literal(rng, column.kind, column.wide, self.rough)

    def insert_row(self, table, rows=1):
        columns = [c for c in table.writable() if c.name in table.key or c.not_null or self.rng.random() < 0.9]
        columns = columns or table.writable()[:1]
        names = ", ".join(quote(c.name) for c in columns)
        values = ", ".join("(" + ", ".join(self.value(table, c) for c in columns) + ")" for _ in range(rows))
        return f"INSERT INTO {table.sql()} ({names}) VALUES {values}"


def program(schema, statements):
    """Returns CREATE statements for the functions, triggers and rules of a seed."""
    rng = schema.rng
    fixed, optional = [], []
    fixed.append(caught_function("caught", statements))
    fixed.append(caught_function("caught_deep", statements, deep=True))
    if rng.random() < 0.25:
        optional.append(row_trigger(schema, statements))
    if rng.random() < 0.1:
        optional.append(statement_trigger(schema, statements))
    if not any("DEFERRABLE" in o for o in optional) and rng.random() < 0.04:
        table, other = rng.choice(schema.tables), rng.choice(schema.tables)
        if other is not table:
            optional.append(f"CREATE RULE also AS ON {rng.choice(['INSERT', 'DELETE', 'UPDATE'])} TO {table.sql()} "
                            f"DO ALSO {statements.plain(other)}")
    return fixed, optional


def caught_function(name, statements, deep=False):
    """A function whose inner DML may be undone by a caught exception."""
    rng = statements.rng
    table = rng.choice(statements.schema.tables)
    before, inner = statements.plain(table), statements.plain(rng.choice(statements.schema.tables))
    fail = rng.choice(["IF i > 1 THEN RAISE EXCEPTION 'caught'; END IF;", "RAISE EXCEPTION 'caught';",
                       "PERFORM 1 / (i - 1);", ""])
    block = f"BEGIN {inner}; {fail} EXCEPTION WHEN OTHERS THEN NULL; END;"
    if deep:
        more = statements.plain(rng.choice(statements.schema.tables))
        block = f"BEGIN {more}; {block} {fail} EXCEPTION WHEN OTHERS THEN NULL; END;"
    lead = f"{before}; " if rng.random() < 0.4 else ""
    return (f"CREATE FUNCTION {name}(i int) RETURNS int LANGUAGE plpgsql AS $f$ BEGIN {lead}{block} "
            f"RETURN i; END $f$")


def row_trigger(schema, statements):
    rng = schema.rng
    table = rng.choice(schema.tables)
    other = rng.choice([t for t in schema.tables if t is not table] or schema.tables)
    body = statements.plain(other)
    if rng.random() < 0.4:
        fail = rng.choice(["RAISE EXCEPTION 'caught';", "PERFORM 1 / 0;", ""])
        body = f"BEGIN {body}; {fail} EXCEPTION WHEN OTHERS THEN NULL; END"
    when = rng.choice(["BEFORE", "AFTER", "AFTER"])
    events = rng.choice(["INSERT", "UPDATE", "DELETE", "INSERT OR UPDATE OR DELETE", "INSERT OR UPDATE"])
    # A statement for each row whose own rows fire it again doubles the table each time: a view that joins it to itself
    # never ends.
    function = (f"CREATE FUNCTION on_row() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN "
                f"IF pg_trigger_depth() < 2 AND (SELECT count(*) < 100 FROM {table.sql()}) THEN {body}; END IF; "
                f"IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $f$")
    apart = other is not table and not any(t.parent for t in schema.tables)
    if when == "AFTER" and apart and rng.random() < 0.3:     # deferred: a cycle would never end at commit
        trigger = (f"CREATE CONSTRAINT TRIGGER user_row AFTER {events} ON {table.sql()} DEFERRABLE INITIALLY DEFERRED "
                   f"FOR EACH ROW EXECUTE FUNCTION on_row()")
    else:
        trigger = f"CREATE TRIGGER user_row {when} {events} ON {table.sql()} FOR EACH ROW EXECUTE FUNCTION on_row()"
    return function + ";\n" + trigger


def statement_trigger(schema, statements):
    rng = schema.rng
    table = rng.choice(schema.tables)
    body = statements.plain(rng.choice(schema.tables))
    name = rng.choice(["zz_user", "aa_user"])
    event = rng.choice(["INSERT", "UPDATE", "DELETE"])
    return (f"CREATE FUNCTION on_statement() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN "
            f"IF pg_trigger_depth() < 2 THEN {body}; END IF; RETURN NULL; END $f$;\n"
            f"CREATE TRIGGER {name} AFTER {event} ON {table.sql()} FOR EACH STATEMENT EXECUTE FUNCTION on_statement()")
