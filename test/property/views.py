"""Random views over the supported grammar."""

from expressions import AMBIGUOUS, Aggregates, Expressions
from model import Item, Ref, Select, Union, View, quote
from operators import CLEAR, EXTREMES, reread, statistic
from sources import Sources, spare_refs
from values import SPARE_KINDS, beside

OUTPUT_NAMES = ["g", "h", "total", "n", "w", "c1", "upkeep_d1", "select", "Odd name", "count", "sum", "k1", "a", "b",
                "v", "side", "contents", "weight"]
RICH = 0.45      # share of views with operators.py
SHAPES = [("bag", 19), ("distinct", 11), ("group", 41), ("scalar", 7), ("union", 9), ("window", 8), ("first", 5)]


class Views:
    """Grows one view from a seed's random stream."""

    def __init__(self, rng, schema):
        self.rng = rng
        self.schema = schema

    def grow(self, name="v"):
        rng = self.rng
        self.expressions = Expressions(rng, self.schema.rough)
        self.aggregates = Aggregates(rng, self.expressions)
        self.sources = Sources(rng, self.schema, self.expressions)
        self.sources.rich = rng.random() < RICH
        self.names = rng.sample(OUTPUT_NAMES, len(OUTPUT_NAMES))
        self.fallible = self.schema.fallible
        self.compare = "text"
        shape = rng.choices([s for s, _ in SHAPES], [w for _, w in SHAPES])[0]
        query = getattr(self, shape)()
        if not self.sources.used:        # constants only: nothing that could change
            return self.grow(name)
        self.finish(query, shape)
        if not self.sources.determined:
            self.weaken("none")
        helpers = self.sources.helpers
        view = View(name, query, helpers, shape, self.compare, self.sources.used, self.fallible)
        view.indexes = self.indexes(view)
        view.features = sorted(self.sources.features)
        return view

    def finish(self, query, shape):
        rng = self.rng
        if self.sources.ctes and isinstance(query, Select):
            query.ctes = self.sources.ctes
        elif self.sources.ctes and (query.operators or rng.random() < 0.5):
            query.ctes = self.sources.ctes
        elif self.sources.ctes:
            query.arms[0].ctes = self.sources.ctes
        sortable = [i for i, item in enumerate(query.items, 1) if item.kind not in SPARE_KINDS]
        if sortable and not query.limit and not getattr(query, "distinct_on", "") and rng.random() < 0.15:
            query.order = f"{rng.choice(sortable)} {rng.choice(['', 'DESC', 'DESC NULLS LAST', 'ASC NULLS FIRST'])}"

    def weaken(self, level):
        order = ["text", "equal", "none"]
        self.compare = order[max(order.index(self.compare), order.index(level))]

    def body(self, limit=4):
        """Returns (text, refs, where) with a WHERE clause now and then."""
        rng = self.rng
        text, refs, where = self.sources.clause(limit)
        if rng.random() < 0.35:
            where = where + [self.expressions.predicate(refs) for _ in range(rng.choice([1, 1, 2]))]
        if self.sources.rich and rng.random() < 0.33:
            where = where + [self.sources.condition_with_subquery(refs)]
            rng.shuffle(where)
        return text, refs, where

    def column(self, refs, index, expression_share=0.35):
        """One output column of a bag or DISTINCT."""
        rng = self.rng
        plain = [r for r in refs if r.kind not in SPARE_KINDS]
        if self.sources.rich and rng.random() < 0.07:
            sql, kind = self.sources.scalar(refs) if self.rng.random() < 0.5 else self.sources.value(refs)
            return Item(sql, kind, self.names[index])
        if self.sources.rich and rng.random() < 0.04 and plain:
            self.sources.note("whole row")
            alias = rng.choice(plain).sql.rsplit(".", 1)[0]
            return Item(rng.choice([f"({alias}.*)::text", f"({alias} IS NULL)::text", f"to_jsonb({alias})::text"]), "text",
                        self.names[index])
        if self.sources.rich and rng.random() < 0.05:
            self.sources.note("set in the select list")
            return Item(self.sources.rows_of(plain), "int", self.names[index])
        if plain and rng.random() > expression_share:
            ref = rng.choice(plain)
            return Item(ref.sql, ref.kind, self.names[index], ref.wide)
        if rng.random() < 0.03 and plain:
            guarded = [r.sql for r in plain if r.kind == "int"]
            if guarded:
                self.fallible = True
                return Item(f"(6 / {rng.choice(guarded)})", "int", self.names[index])
        kind = rng.choice(self.expressions.kinds(refs))
        if rng.random() < 0.12:
            return Item(self.expressions.predicate(refs), "bool", self.names[index])
        return Item(self.expressions.of(refs, kind), kind, self.names[index])

    def bag(self):
        text, refs, where = self.body()
        count = self.rng.choices([1, 2, 3, 4, 5], [15, 30, 25, 20, 10])[0]
        items = [self.column(refs, i) for i in range(count)]
        spare = spare_refs(self.schema, text)
        if spare and self.rng.random() < 0.25:
            ref = self.rng.choice(spare)
            items.append(Item(ref.sql, ref.kind, self.names[count]))
        select = Select(items, text, where=where)
        self.differences(select, refs)
        return select

    def differences(self, select, refs):
        """A quotient that is defined on every joined row, but not on phantom pairs."""
        numbers = [r for r in refs if r.kind == "int" and not r.wide]
        if len({r.sql.split(".")[0] for r in numbers}) > 1 and self.rng.random() < 0.1:
            a, b = self.rng.sample(numbers, 2)
            select.where.append(f"{a.sql} <> {b.sql}")
            select.items.append(Item(f"(100 / ({a.sql} - {b.sql}))", "int", self.names[-1]))

    def distinct(self):
        text, refs, where = self.body()
        count = self.rng.choices([1, 2, 3, 4], [35, 35, 20, 10])[0]
        items = [self.column(refs, i) for i in range(count)]
        if any(i.kind in AMBIGUOUS for i in items):
            self.weaken("equal")
        return Select(items, text, distinct=True, where=where)

    def union(self):
        rng = self.rng
        head_text, refs, where = self.body(2)
        count = rng.randint(1, 3)
        items = [self.column(refs, i) for i in range(count)]
        combined = self.sources.rich and rng.random() < 0.6
        if combined:
            items = [self.sources.clear_item(refs, self.names[i]) for i in range(count)]
        arms = [Select(items, head_text, where=where)]
        for _ in range(rng.choice([1, 1, 2])):
            text, refs, where = self.body(2)
            arms.append(Select([Item(self.sources.typed(refs, i.kind), i.kind, i.name) for i in items],
                               text, where=where))
        query = Union(arms)
        if combined:
            query.operators = [self.sources.operator() for _ in arms[1:]]
        return query

    def clear(self):
        """A bag or a grouping of kinds whose equal values look alike."""
        rng = self.rng
        text, refs, where = self.body()
        items = [self.sources.clear_item(refs, self.names[i]) for i in range(rng.choice([1, 2, 2, 3, 4]))]
        group = [i.sql for i in items if any(r.sql in i.sql for r in refs)]
        if group and rng.random() < 0.25:
            calls = [self.sources.clear_aggregate(refs) for _ in range(rng.choice([1, 2]))]
            items = [i for i in items if i.sql in group]
            items += [Item(c.sql, c.kind, self.names[6 + i], wide=True, aggregate=True) for i, c in enumerate(calls)]
            return Select(items, text, where=where, group=group)
        return Select(items, text, where=where, distinct=rng.random() < 0.06)

    def window(self):
        """Window functions over a bag or a grouping, perhaps filtered by one."""
        rng = self.rng
        select = self.clear()
        if not self.sources.lay_windows(select, rng.choice([1, 1, 2, 3]), tied=True):
            self.weaken("none")
        if not select.distinct and rng.random() < 0.3:
            return self.sources.top_per_group(select, self.names)
        if rng.random() < 0.1 and not self.sources.lay_limit(select, tied=True):
            self.weaken("none")
        return select

    def first(self):
        """DISTINCT ON or LIMIT over a bag, a grouping or a set operation."""
        rng = self.rng
        if rng.random() < 0.15:
            query = self.union()
            if all(i.kind in CLEAR for i in query.items):
                query.order = ", ".join(str(i) for i in range(1, len(query.items) + 1))
                query.limit = f"LIMIT {rng.randint(1, 5)}"
                self.sources.note("limit")
                return query
        select = self.clear()
        if not self.sources.lay_limit(select, tied=True):
            self.weaken("none")
        return select

    def input(self):
        """The input of a grouping: a FROM clause, or a UNION ALL below it."""
        if self.rng.random() < 0.1:
            source = self.sources.union(0)
            refs = source.refs()
            where = [self.expressions.predicate(refs)] if self.rng.random() < 0.3 else []
            return source.text, refs, where
        return self.body()

    def group(self):
        rng = self.rng
        text, refs, where = self.input()
        keys = [self.key(refs) for _ in range(rng.choices([1, 2, 3], [62, 30, 8])[0])]
        keys = list({k.sql: k for k in keys}.values())
        items, group = [], []
        for index, key in enumerate(keys):
            key.name = self.names[index]
            shown = rng.random() < 0.85
            if shown:
                items.append(key)
                if key.kind in AMBIGUOUS:
                    self.weaken("equal")
            use_ordinal = shown and rng.random() < 0.15
            group.append(str(len(items)) if use_ordinal else key.sql)
            if shown and key.kind not in AMBIGUOUS and key.kind in ("int", "text", "date") and rng.random() < 0.08:
                items.append(Item(f"(({key.sql})::text || '!')", "text", self.names[index + 3], bare=False))
        ordinals = any(g.isdigit() for g in group)
        if self.sources.rich and not ordinals and rng.random() < 0.2 and all(k.kind in CLEAR for k in keys):
            return self.grouping_sets(items, text, refs, where, keys)
        select = Select(items, text, where=where, group=group)
        self.add_aggregates(select, refs, rng.choices([0, 1, 2, 3, 4], [4, 40, 30, 16, 10])[0])
        if not ordinals:
            rng.shuffle(select.items)
        self.add_having(select, refs, 0.2)
        if not select.items:
            self.add_aggregates(select, refs, 1)
        with beside(rng):
            if self.sources.rich and not ordinals and rng.random() < 0.35:
                self.add_grouped_subquery(select, refs)
        return select

    def add_grouped_subquery(self, select, refs):
        """A subquery above the groups, tied to their keys and aggregates, or in an aggregate's argument."""
        rng = self.rng
        keys = [r for r in refs if r.sql in select.group and r.kind in CLEAR]
        largest = [Ref(f"max({r.sql})", r.kind) for r in refs if r.kind in EXTREMES and not r.wide]
        outside = keys + largest[:rng.choice([0, 0, 1])]
        place = rng.choice(["having", "having", "item", "argument"])
        if place == "having":
            self.sources.note("subquery in HAVING")
            select.having.append(self.sources.condition_with_subquery(outside, 1))
            return
        self.sources.note("scalar subquery of a group" if place == "item" else "scalar subquery in an aggregate")
        sql, kind = self.sources.scalar(outside if place == "item" else refs)
        if place == "argument":
            sql = rng.choice([f"count({sql})", f"count(DISTINCT {sql})", f"max(({sql})::text)"])
            kind = "text" if sql.startswith("max") else "bigint"
        select.items.append(Item(sql, kind, self.names[-2], bare=False, aggregate=True))

    def grouping_sets(self, items, text, refs, where, keys):
        """A grouping by several sets at once; its aggregates are determined."""
        rng = self.rng
        listed = ", ".join(k.sql for k in keys)
        forms = [f"ROLLUP ({listed})", f"CUBE ({listed})", f"GROUPING SETS (({listed}), ({keys[0].sql}), ())",
                 f"GROUPING SETS ({', '.join(f'({k.sql})' for k in keys)})"]
        if len(keys) > 1:
            forms.append(f"{keys[0].sql}, ROLLUP ({', '.join(k.sql for k in keys[1:])})")
        self.sources.note("grouping sets")
        calls = [self.sources.clear_aggregate(refs) for _ in range(rng.choice([1, 1, 2]))]
        items = items + [Item(c.sql, c.kind, self.names[6 + i], aggregate=True) for i, c in enumerate(calls)]
        if rng.random() < 0.3:
            items.append(Item(f"GROUPING({listed})", "int", self.names[9], aggregate=True))
        select = Select(items, text, where=where, group=[rng.choice(forms)])
        self.add_having(select, refs, 0.15)
        return select

    def key(self, refs):
        rng = self.rng
        plain = [r for r in refs if r.kind not in SPARE_KINDS]
        if plain and rng.random() < 0.75:
            ref = rng.choice(plain)
            return Item(ref.sql, ref.kind, "", ref.wide)
        roll = rng.random()
        if roll < 0.1:
            return Item(self.expressions.predicate(refs, 1), "bool", "")
        if self.sources.rich and roll < 0.2 and any(r.kind == "int" for r in plain):
            self.sources.note("set as a group key")
            return Item(self.sources.rows_of(plain), "int", "")
        kind = rng.choice(self.expressions.kinds(plain))
        sql = self.expressions.of(refs, kind)
        if not any(r.sql in sql for r in plain) and plain:
            return self.key(refs)
        return Item(sql, kind, "")

    def scalar(self):
        text, refs, where = self.input()
        select = Select([], text, where=where)
        self.add_aggregates(select, refs, self.rng.choices([1, 2, 3, 4], [40, 30, 20, 10])[0])
        self.add_having(select, refs, 0.15)
        return select

    def add_aggregates(self, select, refs, count):
        for index in range(count):
            if self.sources.rich and self.rng.random() < 0.06:
                call = statistic(self.sources, refs)
                item = Item(call.sql, call.kind, "", inexact=call.inexact, aggregate=True)
            elif self.sources.rich and self.rng.random() < 0.22:
                call = reread(self.sources, refs)
                item = Item(call.sql, call.kind, "", aggregate=True)
            else:
                call = self.aggregates.any(refs)
                item = self.wrap(call, refs)
            item.name = self.names[6 + index]
            select.items.append(item)
            if item.inexact:
                self.weaken("none")
            elif call.ambiguous or item.kind in AMBIGUOUS and not item.bare:
                self.weaken("equal")

    def wrap(self, call, refs):
        """An aggregate by itself, or an expression over it where its result is determined."""
        rng = self.rng
        if call.inexact or call.ambiguous or rng.random() < 0.7:
            return Item(call.sql, call.kind, "", inexact=call.inexact, aggregate=True)
        number = call.kind in ("bigint", "numeric")
        forms = [(f"({call.sql})::text", "text"), (f"({call.sql} IS NULL)", "bool")]
        if call.kind not in ("bool", "array"):
            forms.append((f"coalesce({call.sql}, {self.expressions.literal(call.kind)})", call.kind))
        if number:
            forms += [(f"coalesce({call.sql}, 0)", call.kind), (f"({call.sql} + count(*))", call.kind),
                      (f"CASE WHEN count(*) > 1 THEN {call.sql} END", call.kind),
                      (f"round({call.sql}, 2)", "numeric"), (f"({call.sql} * 1.5)", "numeric")]
            other = self.aggregates.any(refs)
            if other.kind in ("bigint", "numeric") and not other.ambiguous and not other.inexact:
                forms += [(f"({call.sql} / nullif({other.sql}, 0))", "numeric")] * 4
        sql, kind = rng.choice(forms)
        return Item(sql, kind, "", bare=False, aggregate=True)

    def add_having(self, select, refs, share):
        rng = self.rng
        if rng.random() > share:
            return
        for _ in range(rng.choice([1, 1, 2])):
            call = self.aggregates.any(refs)
            if call.inexact:
                call.sql, call.kind = "count(*)", "bigint"
            if call.kind == "bool":
                select.having.append(rng.choice([call.sql, f"({call.sql} IS NOT TRUE)"]))
            elif call.kind in ("bigint", "numeric"):
                select.having.append(f"({call.sql} {rng.choice(['>', '>=', '=', '<>', '<'])} {rng.choice([0, 1, 2])})")
            else:
                select.having.append(f"({call.sql} IS {rng.choice(['', 'NOT '])}NULL)")

    def indexes(self, view):
        """Non-unique user indexes on the view."""
        rng = self.rng
        if rng.random() > 0.15:
            return []
        usable = [i for i in view.query.items if i.kind not in SPARE_KINDS and not i.wide and i.kind != "text"]
        if not usable:
            return []
        name = quote(rng.choice(usable).name)
        form = rng.choice(["({0})", "({0}, {0})", "USING hash ({0})", "({0}) WHERE {0} IS NOT NULL", "(({0} IS NULL))"])
        if form.startswith("USING") and any(i.kind == "money" for i in usable):
            form = "({0})"
        return [f"CREATE INDEX ON {view.name} {form.format(name)}"]
