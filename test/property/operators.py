"""Outer joins, subqueries in conditions, grouped and DISTINCT subqueries, set operations, CTEs that are read twice."""
from collections import Counter

from expressions import AMBIGUOUS, Aggregate, SUMMABLE, comparable
from model import Column, Item, Select, Union
from values import SPARE_KINDS, beside, eighths

CLEAR = {"int", "bigint", "smallint", "text", "date", "timestamptz", "mood", "bool", "money"}
EXTREMES = CLEAR - {"bool"}


class Operators:
    """What Sources adds to a FROM clause where `rich` is set. `features` counts what was used."""

    rich = False

    def __init__(self):
        self.features = Counter()
        self.shared_ctes = []
        self.inside = 0        # depth of EXISTS and IN subqueries

    def note(self, feature):
        self.features[feature] += 1

    # Outer joins

    def outer(self, left, right, left_text, right_text):
        """Returns the text of an outer join of two groups of sources, or None where no equality ties them."""
        rng = self.rng
        if rng.random() < 0.15:
            return self.loose_outer(left, right, left_text, right_text)
        ties = self.ties([r for s in left for r in s.refs()], [r for s in right for r in s.refs()])
        if not ties:
            return None
        kind = rng.choices(["LEFT", "RIGHT", "FULL"], [55, 25, 20])[0]
        kind = "FULL" if self.full else kind
        self.note(f"{kind.lower()} join")
        word = f"{kind} {rng.choice(['', 'OUTER '])}JOIN"
        merged = self.shared(left, right)
        if merged and rng.random() < 0.2:
            return f"{left_text} {word} {right_text} USING ({', '.join(self.quoted(merged))})"
        if len(left) == len(right) == 1 and self.natural(left[0], right[0]) and rng.random() < 0.1:
            return f"{left_text} NATURAL {word} {right_text}"
        condition = ties
        for side in (left, right):
            if rng.random() < 0.22:
                condition = condition + [self.one_sided([r for s in side for r in s.refs()])]
        rng.shuffle(condition)
        if kind != "FULL" and rng.random() < 0.03:
            condition = [c for c in condition if c not in ties] or ["true"]
        return f"{left_text} {word} {right_text} ON {' AND '.join(condition)}"

    def one_sided(self, refs):
        return self.expressions.predicate([r for r in refs if r.kind not in SPARE_KINDS], 1)

    def ties(self, outside, inside):
        """One or two equalities between columns, or expressions, of two lists of refs."""
        rng = self.rng
        pairs = [(x, y) for x in outside for y in inside if comparable(x.kind, y.kind)]
        same = [(x, y) for x, y in pairs if x.kind == y.kind]
        out = []
        for _ in range(rng.choices([1, 2], [78, 22])[0] if pairs else 0):
            x, y = rng.choice(same if same and rng.random() < 0.85 else pairs)
            a, b = self.varied(x), self.varied(y)
            with beside(rng):
                if rng.random() < 0.12:
                    a = self.combined(x, outside)
            out.append(f"{a} = {b}" if rng.random() < 0.6 else f"{b} = {a}")
        return out

    def varied(self, ref):
        """The column, or now and then an expression of it that has the same kind."""
        if self.rng.random() < 0.85 or ref.wide:
            return ref.sql
        if ref.kind == "int":
            return self.rng.choice([f"({ref.sql} + 1)", f"abs({ref.sql})", f"coalesce({ref.sql}, 1)", f"({ref.sql} % 2)"])
        if ref.kind == "text":
            return self.rng.choice([f"lower({ref.sql})", f"coalesce({ref.sql}, 'a')", f"left({ref.sql}, 1)"])
        return ref.sql

    def combined(self, ref, refs):
        """An expression of the column and another one of its kind, if there is one; NULL where both are, at the least."""
        others = [r.sql for r in refs if r.kind == ref.kind and r is not ref and not r.wide]
        if not others or ref.wide:
            return ref.sql
        a, b = ref.sql, self.rng.choice(others)
        forms = [f"coalesce({a}, {b})", f"nullif({a}, {b})", f"least({a}, {b})", f"CASE WHEN {b} IS NOT NULL THEN {a} END"]
        if ref.kind == "int":
            forms += [f"({a} # {b})", f"({a} > {b})::int", f"abs({a} # {b})"]
        if ref.kind == "text":
            forms += [f"({a} || {b})", f"left({a} || {b}, 1)"]
        return self.rng.choice(forms)

    def rows_of(self, refs):
        """A set-returning expression of kind int, for a select list."""
        rng = self.rng
        small = [r.sql for r in refs if r.kind == "int" and not r.wide] or ["2"]
        numbers = [r.sql for r in refs if r.kind == "int"] or ["1"]
        return rng.choice([f"generate_series(1, {rng.choice(small)})", f"generate_series({rng.choice(small)}, 2)",
                           f"unnest(array[{rng.choice(numbers)}, 7, NULL])", f"(unnest(array[{rng.choice(numbers)}, 1]) + 1)",
                           f"generate_series(1, generate_series(1, {rng.choice(small)}))"])

    # EXISTS and IN

    def existence(self, outside, depth=0):
        """Returns a conjunct with a subquery, correlated to `outside` by equalities or not at all."""
        rng = self.rng
        outside = [r for r in outside if r.kind not in SPARE_KINDS]
        self.inside += 1
        try:
            roll = rng.random()
            if roll < 0.3:
                return self.member(outside, depth)
            text, refs, where = self.clause(rng.choice([1, 1, 2]), depth + 1)
            ties = [] if roll > 0.9 else self.ties(outside, refs)
            where = where + ties
            if rng.random() < 0.4:
                where.append(self.one_sided(refs))
            if rng.random() < 0.12:
                where.append(self.one_sided(outside))
            if rng.random() < 0.12 and depth < 1:
                where.append(self.existence(refs, depth + 1))
            rng.shuffle(where)
            negated = rng.random() < 0.5
            self.note(("not " if negated else "") + "exists" + ("" if ties else ", uncorrelated"))
            shown = rng.choice(["SELECT 1", "SELECT", "SELECT NULL", f"SELECT {refs[0].sql}"])
            condition = f" WHERE {' AND '.join(where)}" if where else ""
            return f"{'NOT ' if negated else ''}EXISTS ({shown} FROM {text}{condition})"
        finally:
            self.inside -= 1

    def member(self, outside, depth):
        rng = self.rng
        if rng.random() < 0.3:
            select, columns = self.grouped_select(1, depth)
            refs = [Item(c.name, c.kind, c.name) for c in columns]
            found = [(x, y) for x in outside for y in refs if comparable(x.kind, y.kind)]
            if found:
                x, y = rng.choice(found)
                select.items = [i for i in select.items if i.name == y.name]
                self.note("in, grouped")
                return f"{self.varied(x)} IN ({select.render()})"
        text, refs, where = self.clause(rng.choice([1, 1, 2]), depth + 1)
        pairs = [(x, y) for x in outside for y in refs if comparable(x.kind, y.kind)]
        if not pairs:
            self.note("exists, uncorrelated")
            return f"EXISTS (SELECT 1 FROM {text}{' WHERE ' + ' AND '.join(where) if where else ''})"
        chosen = rng.sample(pairs, min(len(pairs), rng.choice([1, 1, 1, 2])))
        if rng.random() < 0.4:
            where = where + [self.one_sided(refs)]
        if rng.random() < 0.15:
            where = where + self.ties(outside, refs)
        left, right = [self.varied(x) for x, _ in chosen], [self.varied(y) for _, y in chosen]
        self.note("in")
        condition = f" WHERE {' AND '.join(where)}" if where else ""
        test = left[0] if len(left) == 1 else f"({', '.join(left)})"
        return f"{test} IN (SELECT {', '.join(right)} FROM {text}{condition})"

    def scalar(self, outside):
        """Returns (sql, kind) of a scalar subquery with an aggregate."""
        rng = self.rng
        outside = [r for r in outside if r.kind not in SPARE_KINDS]
        self.inside += 1
        try:
            text, refs, where = self.clause(rng.choice([1, 1, 2]), 1)
            ties = self.ties(outside, refs) if rng.random() < 0.75 else []
            where = where + ties
            if rng.random() < 0.3:
                where.append(self.one_sided(refs))
            if ties and rng.random() < 0.1:
                where.append(self.one_sided(outside))
            call = self.clear_aggregate(refs)
            self.note("scalar subquery" + ("" if ties else ", uncorrelated"))
            condition = f" WHERE {' AND '.join(where)}" if where else ""
            if call.kind == "bigint" and rng.random() < 0.2:
                call.sql = f"coalesce({call.sql}, 7::bigint)"
            return f"(SELECT {call.sql} FROM {text}{condition})", call.kind
        finally:
            self.inside -= 1

    def compared(self, outside):
        """A conjunct that compares a scalar subquery."""
        sql, kind = self.scalar(outside)
        same = [r.sql for r in outside if comparable(r.kind, kind)]
        if kind == "bool":
            return sql
        other = self.rng.choice(same) if same and self.rng.random() < 0.6 else self.expressions.literal(kind)
        return f"{other} {self.rng.choice(['=', '<=', '>=', '<>', '>', 'IS DISTINCT FROM'])} {sql}"

    # Grouped subqueries. Their values are always determined: no floats, no equal values with several texts.

    def grouped(self, limit, depth):
        """A grouped or DISTINCT subquery or CTE as one source."""
        rng = self.rng
        build = rng.choices([self.grouped_select, self.distinct_select, self.combined, self.windowed_select,
                             self.first_select], [42, 20, 14, 14, 10])[0]
        form = rng.choices(["subquery", "cte", "view"], [60, 30, 10])[0]
        if form == "view":
            held, self.ctes = self.ctes, []
            shared, self.shared_ctes = self.shared_ctes, []
        select, columns = build(limit, depth)
        name = self.fresh({"subquery": "sub", "cte": "cte", "view": "ordinary"}[form])
        words = {self.grouped_select: "grouped", self.distinct_select: "distinct", self.combined: "combined",
                 self.windowed_select: "windowed", self.first_select: "first rows"}
        self.note(f"{words[build]} {form}")
        if depth > 0:
            self.note("grouped below another operator")
        if form == "view":
            select.ctes, self.ctes, self.shared_ctes = self.ctes, held, shared
            self.helpers.append(f"CREATE VIEW {name} AS {select.render()}")
            return self.source(name, name, columns), limit
        if form == "cte":
            self.ctes.append(f"{name} AS {rng.choice(['', '', 'MATERIALIZED '])}({select.render()})")
            self.shared_ctes.append((name, columns))
            return self.source(name, name, columns), limit
        return self.source(f"({select.render()}) AS {name}", name, columns), limit

    def again(self):
        """A CTE that was read already."""
        name, columns = self.rng.choice(self.shared_ctes)
        alias = self.fresh("twice")
        self.note("cte read twice")
        return self.source(f"{name} AS {alias}", alias, columns)

    def clear_item(self, refs, name):
        rng = self.rng
        plain = [r for r in refs if r.kind in CLEAR]
        if plain and rng.random() < 0.8:
            ref = rng.choice(plain)
            return Item(ref.sql, ref.kind, name, ref.wide)
        kind = rng.choice(["int", "text"])
        sql = self.expressions.of(plain, kind, 1)
        return Item(sql, kind, name) if any(r.sql in sql for r in plain) or not plain else self.clear_item(refs, name)

    def distinct_select(self, limit, depth):
        text, refs, where = self.clause(limit, depth + 1)
        if self.rng.random() < 0.3:
            where = where + [self.expressions.predicate(refs, 1)]
        items = [self.clear_item(refs, f"s{i}") for i in range(self.rng.choice([1, 1, 2]))]
        return Select(items, text, distinct=True, where=where), self.columns_of(items)

    def combined(self, limit, depth):
        """INTERSECT, EXCEPT or UNION of two or three selects."""
        rng = self.rng
        kinds = [rng.choice(["int", "int", "text", "date", "bigint"]) for _ in range(rng.choice([1, 1, 2]))]
        arms = []
        for _ in range(rng.choice([2, 2, 3])):
            text, refs, where = self.clause(1, 2)
            items = [Item(self.typed(refs, k), k, f"s{i}") for i, k in enumerate(kinds)]
            if rng.random() < 0.3:
                where = where + [self.expressions.predicate(refs, 1)]
            arms.append(Select(items, text, where=where))
        query = Union(arms)
        query.operators = [self.operator() for _ in arms[1:]]
        return query, [Column(f"s{i}", k) for i, k in enumerate(kinds)]

    def operator(self):
        words = ["INTERSECT", "EXCEPT", "UNION", "UNION ALL", "INTERSECT ALL", "EXCEPT ALL"]
        word = self.rng.choices(words, [22, 26, 18, 10, 11, 13])[0]
        self.note(word.lower())
        return word

    def grouped_select(self, limit, depth):
        rng = self.rng
        text, refs, where = self.clause(limit, depth + 1)
        if rng.random() < 0.3:
            where = where + [self.expressions.predicate(refs, 1)]
        keys = [k for k in (self.clear_item(refs, f"s{i}") for i in range(rng.choices([0, 1, 2], [8, 70, 22])[0]))
                if any(r.sql in k.sql for r in refs)]
        calls = [self.clear_aggregate(refs) for _ in range(rng.choices([0, 1, 2], [8, 60, 32])[0] or (not keys))]
        items = keys + [Item(c.sql, c.kind, f"z{i}", wide=True) for i, c in enumerate(calls)]
        having = []
        if rng.random() < 0.2:
            having = [f"count(*) {rng.choice(['> 1', '>= 2', '< 3', '= 1'])}"]
        select = Select(items, text, where=where, group=[k.sql for k in keys], having=having)
        return select, self.columns_of(items)

    @staticmethod
    def columns_of(items):
        return [Column(i.name, i.kind, i.wide) for i in items]

    def clear_aggregate(self, refs):
        rng = self.rng
        numbers = [r for r in refs if r.kind in ("int", "bigint", "smallint", "numeric", "num82", "money")]
        extremes = [r for r in refs if r.kind in EXTREMES]
        plain = [r for r in refs if r.kind not in SPARE_KINDS]
        roll = rng.random()
        if roll < 0.35 and numbers:
            ref = rng.choice(numbers)
            call = Aggregate(f"sum({ref.sql})", SUMMABLE[ref.kind])
        elif roll < 0.55 and extremes:
            ref = rng.choice(extremes)
            call = Aggregate(f"{rng.choice(['min', 'max'])}({ref.sql})", ref.kind)
        elif roll < 0.62 and numbers and numbers[0].kind != "money":
            call = Aggregate(f"avg({numbers[0].sql})", "numeric")
        elif roll < 0.7 and plain:
            call = Aggregate(f"count({rng.choice(plain).sql})", "bigint")
        elif roll < 0.8 and plain:
            call = reread(self, refs)
        else:
            call = Aggregate("count(*)", "bigint")
        if rng.random() < 0.12:
            call.sql += f" FILTER (WHERE {self.expressions.predicate(plain, 1)})"
        return call


def statistic(sources, refs):
    """A statistic of two numbers, or a rank."""
    rng = sources.rng
    numbers = [r.sql for r in refs if r.kind in ("int", "bigint", "smallint", "numeric", "float8")] or ["1"]
    name = rng.choice(["corr", "covar_pop", "covar_samp", "regr_slope", "regr_r2", "regr_sxy", "rank", "cume_dist"])
    sources.note(f"aggregate {name}")
    if name in ("rank", "cume_dist"):
        sql = f"{name}({rng.choice(['1', '2', 'NULL'])}) WITHIN GROUP (ORDER BY {rng.choice(numbers)})"
        return Aggregate(sql, "bigint") if name == "rank" else Aggregate(eighths(sql), "float8")
    return Aggregate(f"{name}({rng.choice(numbers)}, {rng.choice(numbers)})", "float8", inexact=True)


def reread(sources, refs):
    """An aggregate that reads its groups again, with a determined result."""
    rng, expressions = sources.rng, sources.expressions

    def pick(kinds, otherwise="int"):
        found = [r for r in refs if r.kind in kinds]
        if found and rng.random() < 0.9:
            ref = rng.choice(found)
            return ref.sql, ref.kind
        return expressions.of([r for r in refs if r.kind not in AMBIGUOUS], otherwise, 1), otherwise
    family = rng.choice(["string_agg", "array_agg", "count", "sum", "percentile_disc", "mode", "bit_xor", "jsonb_agg"])
    sources.note(f"aggregate {family}")
    turn = rng.choice(["", "", " DESC", " NULLS FIRST"])
    if family == "string_agg":
        sql, _ = pick({"text"}, "text")
        distinct = rng.choice(["", "", "DISTINCT "])
        return Aggregate(f"string_agg({distinct}{sql}, ',' ORDER BY {sql}{turn})" if not distinct else
                         f"string_agg(DISTINCT {sql}, ',')", "text")
    if family == "array_agg":
        sql, kind = pick({"int"})
        return Aggregate(f"array_agg({sql} ORDER BY {sql}{turn})", "int[]")
    if family == "count":
        sql, _ = pick(CLEAR | {"numeric", "float8", "interval"})
        return Aggregate(f"count(DISTINCT {sql})", "bigint")
    if family == "sum":
        sql, kind = pick({"int", "bigint", "smallint"})
        return Aggregate(f"sum(DISTINCT {sql})", SUMMABLE[kind])
    if family == "percentile_disc":
        sql, kind = pick({"int", "text", "date", "bigint"})
        return Aggregate(f"percentile_disc({rng.choice(['0', '0.5', '1'])}) WITHIN GROUP (ORDER BY {sql}{turn})", kind)
    if family == "mode":
        sql, kind = pick({"int", "text", "date", "bool"})
        return Aggregate(f"mode() WITHIN GROUP (ORDER BY {sql}{turn})", kind)
    if family == "bit_xor":
        sql, kind = pick({"int", "bigint", "smallint"})
        return Aggregate(f"bit_xor({sql})", kind)
    sql, _ = pick({"int", "text", "date"})
    return Aggregate(f"jsonb_agg({sql} ORDER BY {sql}{turn})", "jsonb")
