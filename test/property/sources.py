"""The FROM clause: tables, derived tables, CTEs, functions, and the shapes that join them."""
from dataclasses import dataclass
from zlib import crc32

from expressions import comparable, refs_of
from model import Column, Item, Ref, Select, quote
from operators import Operators
from recursions import Recursions
from subqueries import Subqueries
from windows import Windows
from values import SPARE_KINDS

ALIASES = ["p", "q", "r", "s", "t", "u", "w", "x", "delta", "Old", "new"]


@dataclass
class Source:
    text: str
    alias: str
    columns: list

    def refs(self):
        return refs_of(self.columns, quote(self.alias), quote)


class Sources(Operators, Subqueries, Windows, Recursions):
    """Builds FROM clauses."""

    source = Source

    def __init__(self, rng, schema, expressions):
        super().__init__()
        self.rng = rng
        self.schema = schema
        self.expressions = expressions
        self.helpers = []
        self.ctes = []
        self.counter = 0
        self.used = set()
        self.determined = True
        self.full = False      # all outer joins are FULL

    def fresh(self, prefix):
        self.counter += 1
        return f"{prefix}{self.counter}"

    def clause(self, limit=4, depth=0):
        """Returns (text, refs, conditions): a FROM clause and what its WHERE should hold."""
        rng = self.rng
        widths = [50, 34, 11, 5] if depth == 0 else [75, 25, 0, 0]
        if self.rich:
            widths = [28, 54, 14, 4] if depth == 0 else [50, 50, 0, 0]
        wanted = rng.choices([1, 2, 3, 4], widths)[0]
        wanted = min(wanted, limit)
        sources = []
        share = limit
        for index in range(wanted):
            room = share - (wanted - index - 1)
            source, cost = self.one(room, depth, sources)
            sources.append(source)
            share -= cost
        text, where = self.arrange(sources)
        refs = [r for s in sources for r in s.refs()]
        if rng.random() < (0.09 if depth == 0 else 0.03):
            extra = self.function(refs)
            text += rng.choice([", ", " CROSS JOIN "]) + extra.text
            refs += extra.refs()
        elif self.rich and depth == 0 and not self.inside and rng.random() < 0.1:
            extra = self.lateral(refs, len(sources) == 1)
            if extra:
                text += extra[0]
                refs += extra[1].refs()
        return text, refs, where

    def one(self, room, depth, others):
        rng = self.rng
        kinds = ["table", "view", "subquery", "cte", "values", "pair"]
        weights = [74, 6, 9, 6, 3, 3] if depth < 2 else [95, 0, 0, 0, 5, 0]
        if self.rich and depth < 2:
            kinds, weights = kinds + ["grouped", "again"], weights + [[34, 20][depth], 25 if self.shared_ctes else 0]
            kinds, weights = kinds + ["recursive"], weights + [[14, 6][depth]]
        kind = rng.choices(kinds, weights)[0]
        if kind == "again":
            return self.again(), 1
        if kind == "values":
            return self.values(), 1
        if kind in ("view", "subquery", "cte", "grouped", "recursive"):
            return getattr(self, kind)(max(1, min(room, 2)), depth)
        if kind == "pair":
            return self.union(depth), 1
        return self.table(others), 1

    def table(self, others):
        rng = self.rng
        table = rng.choice(self.schema.tables)
        self.used.add(table.name)
        only = ""
        if table.tree:
            roll = self.schema.tree_rng.random()
            if roll < 0.25:
                table = self.schema.tree_rng.choice(table.tree.members)
            elif roll < (0.45 if table.tree.method == "inherit" else 0.27):
                only = "ONLY "
        alias = table.name
        if self.inside:                  # an inner name must not hide an outer one
            alias = self.fresh("e")
        elif any(s.alias == alias for s in others) or rng.random() < 0.5:
            taken = {s.alias for s in others}
            alias = rng.choice([a for a in ALIASES if a not in taken])
        columns = [c for c in table.columns]
        text = only + table.sql()
        text = text if alias == table.name else f"{text} {rng.choice(['', 'AS '])}{quote(alias)}"
        if alias != table.name and rng.random() < 0.06:
            columns = [Column(f"r{i}", c.kind, c.wide) for i, c in enumerate(table.columns)]
            text += "(" + ", ".join(c.name for c in columns) + ")"
        return Source(text, alias, columns)

    def flat(self, limit, depth):
        """A select without grouping, which a planner can flatten: (Select, columns)."""
        rng = self.rng
        text, refs, where = self.clause(limit, depth + 1)
        items = []
        for index in range(rng.randint(1, 4)):
            if rng.random() < 0.7 and any(r.kind not in SPARE_KINDS for r in refs):
                ref = rng.choice([r for r in refs if r.kind not in SPARE_KINDS])
                items.append(Item(ref.sql, ref.kind, f"s{index}", ref.wide))
            else:
                kind = rng.choice(self.expressions.kinds(refs))
                items.append(Item(self.expressions.of(refs, kind), kind, f"s{index}"))
        if rng.random() < 0.4:
            where = where + [self.expressions.predicate(refs)]
        if self.rich and depth == 0 and rng.random() < 0.15:
            where = where + [self.condition_with_subquery(refs, depth + 1)]
        columns = [Column(i.name, "numeric" if i.kind == "num82" and not i.sql.count(".") else i.kind, i.wide)
                   for i in items]
        return Select(items, text, where=where), columns

    def subquery(self, limit, depth):
        select, columns = self.flat(limit, depth)
        alias = self.fresh("sub")
        return Source(f"({select.render()}) AS {alias}", alias, columns), limit

    def cte(self, limit, depth):
        select, columns = self.flat(limit, depth)
        name = self.fresh("cte")
        hint = self.rng.choice(["", "", "NOT MATERIALIZED "])
        self.ctes.append(f"{name} AS {hint}({select.render()})")
        self.shared_ctes.append((name, columns))
        return Source(name, name, columns), limit

    def view(self, limit, depth):
        held, self.ctes = self.ctes, []
        shared, self.shared_ctes = self.shared_ctes, []
        select, columns = self.flat(limit, depth)
        select.ctes, self.ctes, self.shared_ctes = self.ctes, held, shared
        name = self.fresh("ordinary")
        self.helpers.append(f"CREATE VIEW {name} AS {select.render()}")
        return Source(name, name, columns), limit

    def union(self, depth):
        """A UNION ALL of two or three arms as one source."""
        rng = self.rng
        kinds = [self.rng.choice(["int", "text", self.some_kind()]) for _ in range(rng.randint(1, 3))]
        arms = []
        for _ in range(rng.choice([2, 2, 3])):
            text, refs, where = self.clause(1, 2)
            items = [Item(self.typed(refs, k), k, f"s{i}") for i, k in enumerate(kinds)]
            if rng.random() < 0.3:
                where = where + [self.expressions.predicate(refs, 1)]
            arms.append(Select(items, text, where=where))
        alias = self.fresh("all_")
        text = " UNION ALL ".join(a.render() for a in arms)
        # An expression among the arms has any number of digits, and so has their union.
        columns = [Column(f"s{i}", "numeric" if k == "num82" else k) for i, k in enumerate(kinds)]
        return Source(f"({text}) AS {alias}", alias, columns)

    def some_kind(self):
        return self.rng.choice([c.kind for t in self.schema.tables for c in t.columns])

    def typed(self, refs, kind):
        found = [r.sql for r in refs if r.kind == kind]
        if found and self.rng.random() < 0.8:
            return self.rng.choice(found)
        return self.expressions.of(refs, "numeric" if kind == "num82" else kind, 1)

    def values(self):
        rng = self.rng
        kinds = ["int", rng.choice(["text", "int", self.some_kind()])]
        rows = []
        for index in range(rng.randint(1, 3)):
            cells = [self.expressions.literal(k) if index == 0 or rng.random() < 0.8 else "NULL" for k in kinds]
            rows.append("(" + ", ".join(cells) + ")")
        alias = self.fresh("list")
        columns = [Column("m", kinds[0]), Column("n", kinds[1])]
        return Source(f"(VALUES {', '.join(rows)}) AS {alias}(m, n)", alias, columns)

    def function(self, refs):
        """A set-returning function or subquery over a row's columns."""
        rng = self.rng
        number = [r for r in refs if r.kind == "int"]
        small = [r.sql for r in number if not r.wide] or ["2"]
        alias = self.fresh("f")
        lateral = rng.choice(["", "LATERAL "])
        roll = rng.random()
        if roll < 0.4:
            text = f"generate_series(1, {rng.choice(small)})"
        elif roll < 0.5:
            return Source(f"{lateral}generate_series(1, {rng.choice(small)}) WITH ORDINALITY AS {alias}(e, o)", alias,
                          [Column("e", "int"), Column("o", "bigint")])
        elif roll < 0.85:
            cells = [rng.choice(number).sql if number else "1", rng.choice(small + ["NULL", "7"])]
            text = f"unnest(array[{', '.join(cells)}])"
        elif roll < 0.93:
            expr = self.expressions.of(refs, "int", 1)
            return Source(f"LATERAL (SELECT {expr} AS e) AS {alias}", alias, [Column("e", "int")])
        else:
            a, b = self.expressions.of(refs, "int", 1), self.expressions.of(refs, "int", 1)
            return Source(f"LATERAL (VALUES ({a}), ({b})) AS {alias}(e)", alias, [Column("e", "int")])
        return Source(f"{lateral}{text} AS {alias}(e)", alias, [Column("e", "int")])

    def arrange(self, sources):
        """Returns (text, conditions) for sources in a random FROM shape."""
        rng = self.rng
        if len(sources) == 1:
            return sources[0].text, []
        shape = rng.random()
        if self.rich:
            shape = 0.12 + 0.88 * shape
        if shape < 0.3:
            where = []
            for index in range(1, len(sources)):
                where += self.condition(sources[:index], sources[index:index + 1], forced=len(sources) > 2)
            return ", ".join(s.text for s in sources), where
        if shape < 0.42 and len(sources) > 2:
            cut = rng.randint(1, len(sources) - 1)
            left, right = self.tree(sources[:cut]), self.tree(sources[cut:])
            return f"{left}, {right}", self.condition(sources[:cut], sources[cut:], forced=True)
        # All joins that can be are FULL in one FROM of four, of three sources then, without a draw.
        turn = crc32("".join(s.text for s in sources).encode())
        self.full = self.rich and not self.inside and turn % 4 == 0
        while self.full and len(sources) < 3:
            table = self.schema.tables[turn // 4 % len(self.schema.tables)]
            alias = self.fresh("third")
            self.used.add(table.name)
            sources.append(Source(f"{table.sql()} AS {alias}", alias, list(table.columns)))
        text = (self.full_chain(sources) if self.full else None) or self.tree(sources)
        self.full = False
        return text, []

    def full_chain(self, sources):
        """FULL JOINs with USING over a column that all sources have, or None."""
        common = [c.name for c in sources[0].columns
                  if all([d.kind for d in s.columns if d.name == c.name] == [c.kind] for s in sources)]
        if not common or crc32(sources[-1].text.encode()) % 3 == 0:
            return None
        self.note("full join chain")
        return sources[0].text + "".join(f" FULL JOIN {s.text} USING ({quote(common[0])})" for s in sources[1:])

    def tree(self, sources):
        rng = self.rng
        if len(sources) == 1:
            return sources[0].text
        cut = len(sources) - 1 if rng.random() < 0.7 else rng.randint(1, len(sources) - 1)
        left, right = sources[:cut], sources[cut:]
        left_text = self.tree(left)
        right_text = self.tree(right)
        if len(right) > 1:
            right_text = f"({right_text})"
        if len(left) > 1 and rng.random() < 0.3:
            left_text = f"({left_text})"
        if self.rich and (rng.random() < 0.55 or self.full):
            text = self.outer(left, right, left_text, right_text)
            if text:
                return text
        merged = self.shared(left, right)
        roll = rng.random()
        if merged and roll < 0.25:
            return f"{left_text} JOIN {right_text} USING ({', '.join(map(quote, merged))})"
        if roll < 0.32 and len(sources) == 2 and self.natural(left[0], right[0]):
            return f"{left_text} NATURAL JOIN {right_text}"
        condition = self.condition(left, right, forced=len(sources) > 2)
        if not condition:
            return f"{left_text} CROSS JOIN {right_text}"
        if self.rich and rng.random() < 0.08:
            refs = [r for s in rng.choice([left, right, sources]) for r in s.refs()]
            self.note("subquery in ON")
            condition = condition + [self.condition_with_subquery(refs, 1)]
        return f"{left_text} {rng.choice(['', 'INNER '])}JOIN {right_text} ON {' AND '.join(condition)}"

    def shared(self, left, right):
        """One column name that USING could merge, as a list, or an empty list."""
        names = []
        left_columns = [c for s in left for c in s.columns]
        right_columns = [c for s in right for c in s.columns]
        for column in right_columns:
            twins = [c for c in left_columns if c.name == column.name]
            again = [c for c in right_columns if c.name == column.name]
            if len(twins) == 1 and len(again) == 1 and comparable(twins[0].kind, column.kind):
                names.append(column.name)
        return [self.rng.choice(names)] if names else []

    @staticmethod
    def quoted(names):
        return [quote(n) for n in names]

    @staticmethod
    def natural(left, right):
        kinds = {c.name: c.kind for c in left.columns}
        common = [c for c in right.columns if c.name in kinds]
        return bool(common) and all(comparable(kinds[c.name], c.kind) for c in common)

    def condition(self, left, right, forced=False):
        """Returns the conjuncts that tie two groups of sources; none for a cross join."""
        rng = self.rng
        a = [r for s in left for r in s.refs()]
        b = [r for s in right for r in s.refs()]
        pairs = [(x, y) for x in a for y in b if comparable(x.kind, y.kind)]
        same = [(x, y) for x, y in pairs if x.kind == y.kind]
        roll = rng.random()
        if not pairs or (roll < 0.08 and not forced):
            return []
        x, y = rng.choice(same if same and rng.random() < 0.8 else pairs)
        equal = f"{x.sql} = {y.sql}" if rng.random() < 0.7 else f"{y.sql} = {x.sql}"
        if roll < 0.6 or forced and roll < 0.9:
            out = [equal]
            if rng.random() < 0.2:
                x, y = rng.choice(pairs)
                out.append(f"{x.sql} {rng.choice(['=', '<=', '<>'])} {y.sql}")
            elif rng.random() < 0.15:
                out.append(self.expressions.predicate(a + b, 1))
            return out
        if roll < 0.7:
            return [f"{x.sql} {rng.choice(['<', '<=', '>', '<>'])} {y.sql}"]
        if roll < 0.78:
            return [f"{x.sql} IS NOT DISTINCT FROM {y.sql}"]
        if roll < 0.86 and x.kind == y.kind == "int" and not (x.wide or y.wide):
            return [f"{x.sql} = {y.sql} + 1"]
        if roll < 0.93:
            return [f"({equal} OR {self.expressions.predicate(a + b, 1)})"]
        return [self.expressions.predicate(a + b, 1)]


def spare_refs(schema, text):
    """Refs to json, xml and point columns of tables that `text` names plainly."""
    return [Ref(f"{t.sql()}.{quote(c.name)}", c.kind) for t in schema.tables for c in t.spare
            if text == t.sql()]
