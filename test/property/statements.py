"""Random DML statements over a schema."""
import trees
from expressions import Expressions, comparable, refs_of
from model import Step, quote
from values import copy_text, literal

WEIGHTS = {"insert": 24, "insert_select": 9, "conflict": 8, "update": 18, "update_same": 4, "update_spare": 4,
           "update_from": 5, "delete": 9, "delete_using": 3, "truncate": 3, "merge": 8, "writable_cte": 8, "copy": 6,
           "copy_freeze": 1, "caught_block": 4, "caught_select": 4, "caught_rows": 5, "current_of": 3,
           "block": 3, "update_key": 4, "several": 2, "error": 2}
MEMBERLESS = ("copy_freeze",)


class Statements:
    """Writes statements; every one is legal SQL, though some fail on some data."""

    def __init__(self, rng, schema):
        self.rng = rng
        self.schema = schema
        self.expressions = Expressions(rng, schema.rough)
        self.focus = []          # tables that the views read: most changes go there
        self.counter = 0

    def steps(self):
        """Returns the Steps of one random change."""
        kind = self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        table = self.target()
        if table.tree and self.schema.tree_rng.random() < 0.08:
            return trees.change(self.schema.tree_rng, self, table)
        if table.tree and kind not in MEMBERLESS and self.schema.tree_rng.random() < 0.35:
            table = self.schema.tree_rng.choice(table.tree.members)
        made = getattr(self, kind)(table)
        return made if isinstance(made, list) else [Step(made)]

    def target(self):
        if self.focus and self.rng.random() < 0.75:
            return self.rng.choice(self.focus)
        return self.rng.choice(self.schema.tables)

    def plain(self, table):
        """A simple statement for a function's body."""
        kind = self.rng.choice(["insert", "update", "delete", "update", "insert"])
        return getattr(self, kind)(table)

    def refs(self, table, prefix=None):
        return refs_of(table.columns, prefix or table.sql(), quote)

    def where(self, table, prefix=None, always=0.15):
        if self.rng.random() < always:
            return ""
        return " WHERE " + self.expressions.predicate(self.refs(table, prefix), 1)

    def insert(self, table):
        text = self.schema.insert_row(table, self.rng.choice([1, 1, 1, 2, 3]))
        return text + (" ON CONFLICT DO NOTHING" if table.key and self.rng.random() < 0.3 else "")

    def insert_select(self, table):
        rng = self.rng
        source = rng.choice(self.schema.tables)
        columns = [c for c in table.columns if not c.generated]
        # Which row comes first by itself depends on what has been read, since reading prunes pages.
        order = f"ORDER BY {quote(source.name)}::text"
        cells = []
        for column in columns:
            same = [quote(c.name) for c in source.columns if comparable(c.kind, column.kind) and not c.wide]
            if column.name in table.key and column.kind == "int" and rng.random() < 0.7:
                cells.append(f"(SELECT coalesce(max(id), 0) FROM {table.sql()}) + (row_number() OVER ({order}))::int"
                             if table.key == ["id"] else literal(rng, "int"))
            elif same and rng.random() < 0.7 and column.name not in table.key:
                cells.append(rng.choice(same))
            else:
                cells.append(self.schema.value(table, column))
        names = ", ".join(quote(c.name) for c in columns)
        tail = rng.choice(["", " LIMIT 3", " LIMIT 2"])
        conflict = " ON CONFLICT DO NOTHING" if table.key and rng.random() < 0.6 else ""
        return (f"INSERT INTO {table.sql()} ({names}) SELECT {', '.join(cells)} FROM {source.sql()}"
                f"{self.where(source)} {order}{tail}{conflict}")

    def conflict(self, table):
        if not table.key:
            return self.insert(table)
        others = [c for c in table.columns if c.name not in table.key and not c.generated]
        key = ", ".join(map(quote, table.key))
        text = self.schema.insert_row(table, self.rng.choice([1, 2]))
        if not others or self.rng.random() < 0.2:
            return f"{text} ON CONFLICT ({key}) DO NOTHING"
        column = self.rng.choice(others)
        value = self.rng.choice([f"EXCLUDED.{quote(column.name)}", self.schema.value(table, column)])
        return f"{text} ON CONFLICT ({key}) DO UPDATE SET {quote(column.name)} = {value}"

    def assignment(self, table, column):
        rng = self.rng
        name = quote(column.name)
        roll = rng.random()
        if column.name not in table.key and not column.wide and roll < 0.3 and column.kind in ("int", "bigint",
                                                                                             "smallint"):
            return f"{name} = ({name} + 1) % 4"
        if roll < 0.4 and column.kind == "numeric":
            return f"{name} = {name} * 1.0"
        same = [c for c in table.columns if c.kind == column.kind and c is not column and not c.wide]
        if same and roll < 0.55 and column.name not in table.key:
            return f"{name} = {quote(rng.choice(same).name)}"
        if roll < 0.62:
            return f"{name} = {name}"
        return f"{name} = {self.schema.value(table, column)}"

    def settable(self, table):
        free = [c for c in table.columns if c.name not in table.key and not c.generated]
        return free or [c for c in table.writable()]

    def update(self, table):
        chosen = self.rng.sample(self.settable(table), min(len(self.settable(table)), self.rng.choice([1, 1, 2])))
        return (f"UPDATE {self.only(table)}{table.sql()} SET {', '.join(self.assignment(table, c) for c in chosen)}"
                f"{self.where(table)}")

    def update_key(self, table):
        if not table.key:
            return self.update(table)
        column = next(c for c in table.columns if c.name == table.key[0])
        if column.kind in ("int", "numeric", "bigint"):
            change = self.rng.choice([f"{quote(column.name)} + 100", f"- {quote(column.name)}", quote(column.name)])
        else:
            change = f"{quote(column.name)} || 'z'"
        return f"UPDATE {table.sql()} SET {quote(column.name)} = {change}{self.where(table)}"

    def update_same(self, table):
        column = self.rng.choice(self.settable(table))
        return f"UPDATE {table.sql()} SET {quote(column.name)} = {quote(column.name)}{self.where(table, always=0.5)}"

    def update_spare(self, table):
        if not table.spare:
            return self.update(table)
        column = self.rng.choice(table.spare)
        return f"UPDATE {table.sql()} SET {quote(column.name)} = {literal(self.rng, column.kind)}{self.where(table)}"

    def update_from(self, table):
        other = self.rng.choice(self.schema.tables)
        column = self.rng.choice(self.settable(table))
        tie = self.expressions.compare(self.refs(table, "z1") + self.refs(other, "z2"), 0)
        return (f"UPDATE {table.sql()} z1 SET {quote(column.name)} = {self.schema.value(table, column)} "
                f"FROM {other.sql()} z2 WHERE {tie}")

    def delete(self, table):
        return f"DELETE FROM {self.only(table)}{table.sql()}{self.where(table, always=0.03)}"

    def only(self, table):
        if table.tree and table.tree.method == "inherit" and self.schema.tree_rng.random() < 0.25:
            return "ONLY "
        return ""

    def delete_using(self, table):
        other = self.rng.choice(self.schema.tables)
        tie = self.expressions.compare(self.refs(table, "z1") + self.refs(other, "z2"), 0)
        return f"DELETE FROM {table.sql()} z1 USING {other.sql()} z2 WHERE {tie}"

    def truncate(self, table):
        more = [t for t in self.schema.tables if t is not table and self.rng.random() < 0.2]
        names = ", ".join(t.sql() for t in [table] + more)
        cascade = " CASCADE" if any(t.parent for t in self.schema.tables) else ""
        steps = [Step(f"TRUNCATE {names}{cascade}")]
        if self.rng.random() < 0.8:
            steps += [Step(self.insert(table)), Step(self.insert(self.rng.choice(self.schema.tables)))]
        return steps

    def merge(self, table):
        rng = self.rng
        other = rng.choice(self.schema.tables)
        pairs = [(a, b) for a in table.columns for b in other.columns if comparable(a.kind, b.kind)]
        a, b = rng.choice(pairs) if pairs else (None, None)
        tie = f"z1.{quote(a.name)} = z2.{quote(b.name)}" if pairs else "false"
        source = rng.choice([other.sql(), f"(SELECT DISTINCT ON ({quote(b.name)}) * FROM {other.sql()})"
                             if b else other.sql()])
        parts = []
        column = rng.choice(self.settable(table))
        if rng.random() < 0.8:
            extra = f" AND {self.expressions.predicate(self.refs(table, 'z1'), 1)}" if rng.random() < 0.5 else ""
            action = rng.choice([f"UPDATE SET {quote(column.name)} = {self.schema.value(table, column)}", "DELETE",
                                 f"UPDATE SET {quote(column.name)} = z1.{quote(column.name)}", "DO NOTHING"])
            parts.append(f"WHEN MATCHED{extra} THEN {action}")
        if rng.random() < 0.6 or not parts:
            columns = [c for c in table.columns if not c.generated]
            names = ", ".join(quote(c.name) for c in columns)
            values = ", ".join(self.schema.value(table, c) for c in columns)
            parts.append(f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})")
        return f"MERGE INTO {table.sql()} z1 USING {source} z2 ON {tie} {' '.join(parts)}"

    def writable_cte(self, table):
        rng = self.rng
        other = rng.choice([t for t in self.schema.tables if t is not table] or [table])
        first = rng.choice([self.update(other), self.delete(other), self.insert(other)])
        if rng.random() < 0.3:
            second = rng.choice([self.update, self.delete])(table)
            return f"WITH z AS ({first} RETURNING 1 AS one), y AS ({second} RETURNING 1 AS one) SELECT count(*) FROM z, y"
        if rng.random() < 0.5:
            columns = [c for c in table.columns if not c.generated]
            names = ", ".join(quote(c.name) for c in columns)
            values = ", ".join(self.schema.value(table, c) for c in columns)
            return (f"WITH z AS ({first} RETURNING *) INSERT INTO {table.sql()} ({names}) SELECT {values} FROM z "
                    f"LIMIT {rng.choice([1, 1, 2])}")
        second = rng.choice([self.update, self.delete])(table)
        return f"WITH z AS ({first} RETURNING 1) {second}"

    def copy(self, table, options=""):
        rng = self.rng
        columns = table.writable()
        lines = []
        for _ in range(rng.randint(1, 3)):
            cells = []
            for column in columns:
                if column.name in table.key and column.kind == "int":
                    self.schema.next_key += 1
                    cells.append(str(self.schema.next_key))
                elif table.parent and column.name == table.parent[0]:
                    cells.append("\\N")
                elif not column.not_null and rng.random() < 0.2:
                    cells.append("\\N")
                else:
                    cells.append(copy_text(rng, column.kind, rough=self.schema.rough))
            lines.append("\t".join(cells) + "\n")
        names = ", ".join(quote(c.name) for c in columns)
        return [Step(f"COPY {table.sql()} ({names}) FROM stdin{options}", data="".join(lines))]

    def copy_freeze(self, table):
        if any(t.parent and t.parent[1] is table for t in self.schema.tables):
            return self.copy(table)
        return [Step(f"TRUNCATE {table.sql()}")] + self.copy(table, " (FREEZE)")

    def caught_block(self, table):
        calls = " ".join(f"PERFORM {self.rng.choice(['caught', 'caught_deep'])}({self.rng.choice([0, 1, 2])});"
                         for _ in range(self.rng.choice([1, 2])))
        return f"DO $$ BEGIN {calls} END $$"

    def caught_select(self, table):
        return f"SELECT {self.rng.choice(['caught', 'caught_deep'])}({self.rng.choice([0, 1, 2])})"

    def caught_rows(self, table):
        """DML that calls, row by row, a function whose inner DML may be undone."""
        rng = self.rng
        name = rng.choice(["caught", "caught_deep"])
        free = [c for c in self.settable(table) if c.kind == "int" and c.name not in table.key]
        if not free or rng.random() < 0.3:
            return f"DELETE FROM {table.sql()} WHERE {name}({rng.choice([0, 1, 2])}) = {rng.choice([1, 2])}"
        target = rng.choice(free)
        if rng.random() < 0.4:
            return (f"UPDATE {table.sql()} SET {quote(target.name)} = {name}({quote(target.name)}) "
                    f"WHERE {quote(target.name)} IN (0, 1, 2)")
        needed = [c for c in table.columns if (c.not_null or c.name in table.key) and c is not target]
        names = ", ".join(quote(c.name) for c in [target] + needed)
        cells = ", ".join([f"{name}(g)"] + [self.schema.value(table, c) for c in needed])
        return f"INSERT INTO {table.sql()} ({names}) SELECT {cells} FROM generate_series(0, {rng.choice([0, 1, 2])}) g"

    def current_of(self, table):
        self.counter += 1
        name = f"cursor_{self.counter}"
        column = self.rng.choice(self.settable(table))
        change = (f"UPDATE {table.sql()} SET {quote(column.name)} = {self.schema.value(table, column)}"
                  if self.rng.random() < 0.6 else f"DELETE FROM {table.sql()}")
        # In an order, as above.
        return [Step(f"DO $$ DECLARE z refcursor; BEGIN OPEN z FOR SELECT * FROM {table.sql()} ORDER BY {quote(table.name)}::text FOR UPDATE; "
                     f"MOVE NEXT IN z; IF FOUND THEN {change} WHERE CURRENT OF z; END IF; CLOSE z; END $$")]

    def block(self, table):
        """Several statements in one DO block, one of them caught."""
        rng = self.rng
        lead = self.plain(table)
        inner = self.plain(rng.choice(self.schema.tables))
        fail = rng.choice(["PERFORM 1 / 0;", "RAISE EXCEPTION 'caught';", ""])
        return (f"DO $$ DECLARE r record; BEGIN {lead}; BEGIN {inner}; {fail} EXCEPTION WHEN OTHERS THEN NULL; END; "
                f"{self.plain(table)}; END $$")

    def several(self, table):
        """A statement that ends early: two rows come back where one was asked for, and that is caught."""
        column = self.rng.choice(self.settable(table))
        return (f"DO $$ DECLARE r record; BEGIN BEGIN UPDATE {table.sql()} SET {quote(column.name)} = "
                f"{self.schema.value(table, column)} RETURNING 1 INTO r; EXCEPTION WHEN OTHERS THEN NULL; END; END $$")

    def error(self, table):
        """A statement that changes rows and then fails."""
        column = self.rng.choice(self.settable(table))
        name = quote(column.name)
        return self.rng.choice([
            f"WITH z AS ({self.update(table)} RETURNING 1 AS one) SELECT 1 / (count(*) * 0) FROM z",
            f"DO $$ BEGIN {self.plain(table)}; RAISE EXCEPTION 'wanted'; END $$",
            f"UPDATE {table.sql()} SET {name} = {name} WHERE 1 / (length({name}::text) * 0) = 1"])
