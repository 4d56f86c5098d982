"""Subqueries of any form: under OR and NOT, in the select list, by inequalities, with LIMIT, in LATERAL."""
from expressions import comparable
from values import SPARE_KINDS

ORDERED = {"int", "bigint", "smallint", "text", "date"}


class Subqueries:
    """What Sources adds to conditions, select lists and FROM where `rich` is set."""

    def condition_with_subquery(self, outside, depth=0):
        """A conjunct with a subquery of some form."""
        roll = self.rng.random()
        if roll < 0.3 and not self.inside:
            return self.mixed(outside)
        return self.compared(outside) if roll < 0.5 else self.existence(outside, depth)

    def inner(self, outside, ties=0.8):
        """A FROM clause inside a subquery, tied to `outside` in some way: (text, refs, where)."""
        rng = self.rng
        text, refs, where = self.clause(rng.choice([1, 1, 1, 2]), 1)
        refs = [r for r in refs if r.kind not in SPARE_KINDS]
        if rng.random() < ties:
            where = where + self.loose_ties(outside, refs)
        if rng.random() < 0.35 and refs:
            where = where + [self.one_sided(refs)]
        return text, refs, where

    def loose_ties(self, outside, inside):
        """Equalities, comparisons, or a choice of them."""
        rng = self.rng
        pairs = [(x, y) for x in outside for y in inside if x.kind == y.kind and x.kind in ORDERED]
        if not pairs:
            return self.ties(outside, inside)
        x, y = rng.choice(pairs)
        u, v = rng.choice(pairs)
        self.note("tied by an inequality")
        return rng.choice([
            [f"{x.sql} = {y.sql}"], [f"{x.sql} = {y.sql}", f"{u.sql} <= {v.sql}"], [f"{x.sql} < {y.sql}"],
            [f"({x.sql} = {y.sql} OR {u.sql} = {v.sql})"], [f"{x.sql} IS NOT DISTINCT FROM {y.sql}"],
            [f"{y.sql} = {x.sql}", self.one_sided(outside)]])

    def within(self, build, *arguments):
        self.inside += 1
        try:
            return build(*arguments)
        finally:
            self.inside -= 1

    def test(self, outside):
        """A boolean expression with a subquery; it may be NULL."""
        return self.within(self.some_test, [r for r in outside if r.kind not in SPARE_KINDS])

    def some_test(self, outside):
        rng = self.rng
        text, refs, where = self.inner(outside)
        condition = f" WHERE {' AND '.join(where)}" if where else ""
        pairs = [(x, y) for x in outside for y in refs if x.kind == y.kind and x.kind in ORDERED]
        if not pairs or rng.random() < 0.4:
            self.note("exists anywhere")
            return f"EXISTS (SELECT FROM {text}{condition})"
        x, y = rng.choice(pairs)
        word = rng.choice(["IN", "NOT IN", "= ANY", "<> ALL", "> ANY", "<= ALL", "<> ANY", "= ALL"])
        self.note(word.lower())
        shown = rng.choice([f"SELECT {y.sql}", f"SELECT DISTINCT {y.sql}", f"SELECT {y.sql}"])
        if rng.random() < 0.15:
            shown = f"SELECT min({y.sql})"
        return f"{x.sql} {word} ({shown} FROM {text}{condition})"

    def mixed(self, outside):
        """A conjunct in which subqueries stand beside other conditions."""
        rng = self.rng
        plain = self.one_sided([r for r in outside if r.kind not in SPARE_KINDS])
        test = self.test(outside)
        self.note("subquery under OR or NOT")
        return rng.choice([f"({plain} OR {test})", f"NOT ({test} AND {plain})", f"({test}) IS NOT TRUE", test, test,
                           f"({test} OR {self.test(outside)})", f"CASE WHEN {plain} THEN {test} ELSE true END"])

    def value(self, outside):
        """Returns (sql, kind) of an expression of a subquery whose result is determined."""
        return self.within(self.some_value, [r for r in outside if r.kind not in SPARE_KINDS])

    def some_value(self, outside):
        rng = self.rng
        if rng.random() < 0.35:
            return self.some_test(outside), "bool"
        text, refs, where = self.inner(outside)
        condition = f" WHERE {' AND '.join(where)}" if where else ""
        found = [r for r in refs if r.kind in ORDERED]
        if not found or rng.random() < 0.3:
            call = self.clear_aggregate(refs)
            self.note("scalar subquery of any form")
            return f"(SELECT {call.sql} FROM {text}{condition})", call.kind
        ref = rng.choice(found)
        if rng.random() < 0.4:
            self.note("array subquery")
            return f"ARRAY(SELECT {ref.sql} FROM {text}{condition} ORDER BY 1)::text", "text"
        self.note("scalar subquery with limit")
        tail = rng.choice(["LIMIT 1", "OFFSET 1 LIMIT 1", "FETCH FIRST ROW ONLY"])
        return f"(SELECT {ref.sql} FROM {text}{condition} ORDER BY 1 {rng.choice(['', 'DESC'])} {tail})", ref.kind

    def lateral(self, outside, alone):
        """A LATERAL subquery that does not flatten, as text behind FROM, and its source; or None. `alone`: it can be
        joined to what is there."""
        self.alone = alone
        return self.within(self.some_lateral, [r for r in outside if r.kind not in SPARE_KINDS])

    def some_lateral(self, outside):
        rng = self.rng
        text, refs, where = self.inner(outside, 0.95)
        found = [r for r in refs if r.kind in ORDERED]
        if not found:
            return None
        condition = f" WHERE {' AND '.join(where)}" if where else ""
        items = [self.clear_item(found, f"s{i}") for i in range(rng.choice([1, 2]))]
        shown = ", ".join(f"{i.sql} AS {i.name}" for i in items)
        alias = self.fresh("lat")
        roll = rng.random()
        if roll < 0.5:
            self.note("lateral with limit")
            order = ", ".join(str(i + 1) for i in range(len(items)))
            body = f"SELECT {shown} FROM {text}{condition} ORDER BY {order} LIMIT {rng.choice([1, 2])}"
        elif roll < 0.75:
            self.note("lateral, grouped")
            body = (f"SELECT {items[0].sql} AS s0, count(*) AS s1 FROM {text}{condition} GROUP BY 1"
                    f"{rng.choice(['', ' HAVING count(*) > 1'])}")
            columns = self.columns_of(items[:1])
            columns.append(type(columns[0])("s1", "bigint", True))
            return self.joined(body, alias, columns)
        else:
            self.note("lateral, distinct")
            body = f"SELECT DISTINCT {shown} FROM {text}{condition}"
        return self.joined(body, alias, self.columns_of(items))

    def joined(self, body, alias, columns):
        word = self.rng.choice([", LATERAL", " CROSS JOIN LATERAL", " LEFT JOIN LATERAL"]) if self.alone else ", LATERAL"
        tail = " ON true" if "LEFT" in word else ""
        return f"{word} ({body}) AS {alias}{tail}", self.source("", alias, columns)

    def loose_outer(self, left, right, left_text, right_text):
        """An outer join by something else than equalities, or None."""
        outside, inside = [r for s in left for r in s.refs()], [r for s in right for r in s.refs()]
        pairs = [(x, y) for x in outside for y in inside if comparable(x.kind, y.kind) and x.kind in ORDERED]
        if not pairs:
            return None
        self.note("outer join by an inequality")
        condition = self.loose_ties([r for r in outside if r.kind not in SPARE_KINDS],
                                    [r for r in inside if r.kind not in SPARE_KINDS])
        word = self.rng.choice(["LEFT", "LEFT", "RIGHT"])
        return f"{left_text} {word} JOIN {right_text} ON {' AND '.join(condition) or 'true'}"
