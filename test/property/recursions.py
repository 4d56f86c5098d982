"""WITH RECURSIVE: pairs of numbers that a graph leads to, with its cycles, and walks of bounded length."""
from expressions import comparable
from model import Column
from values import SPARE_KINDS


class Recursions:
    """What Sources adds to the sources of a FROM clause where `rich` is set."""

    def recursive(self, limit, depth):
        """A recursive query as one source."""
        rng = self.rng
        form = rng.choices(["cte", "subquery", "view"], [70, 18, 12])[0]
        if form == "cte":
            name, body, columns = self.recursion(depth)
            self.ctes.append(f"{name} {body}")
            self.shared_ctes.append((name, columns))
            return self.source(name, name, columns), 1
        held, self.ctes = self.ctes, []
        shared, self.shared_ctes = self.shared_ctes, []
        name, body, columns = self.recursion(depth)
        text = (f"WITH RECURSIVE {', '.join(self.ctes + [f'{name} {body}'])} "
                f"SELECT {', '.join(c.name for c in columns)} FROM {name}")
        self.ctes, self.shared_ctes = held, shared
        if form == "subquery":
            alias = self.fresh("sub")
            return self.source(f"({text}) AS {alias}", alias, columns), 1
        alias = self.fresh("ordinary")
        self.helpers.append(f"CREATE VIEW {alias} AS {text}")
        return self.source(alias, alias, columns), 1

    def recursion(self, depth):
        """Returns (name, what stands behind it in WITH, columns). All values but the counter come from the rows that the
        terms read, so that UNION ends; UNION ALL ends by the counter."""
        rng = self.rng
        counted = rng.random() < 0.45
        name = self.fresh("recursive")
        text, refs, where = self.clause(1, depth + 1)
        step, step_refs, step_where = self.clause(1, depth + 1)
        if rng.random() < 0.5:
            step, step_refs, step_where = text, refs, where
        start = self.term([self.number(refs), self.number(refs)] + ["0"] * counted, text, where, refs)
        if rng.random() < 0.2:
            other, other_refs, other_where = self.clause(1, 2)
            more = self.term([self.number(other_refs), "1"] + ["0"] * counted, other, other_where, other_refs)
            start = f"({start} {rng.choice(['UNION ALL', 'UNION', 'EXCEPT'])} {more})"
        again = self.step(name, counted, step, step_refs, list(step_where))
        wide = any(r.wide for r in refs + step_refs)
        columns = [Column("p", "int", wide), Column("q", "int", wide)] + [Column("n", "int")] * counted
        body = f"({', '.join(c.name for c in columns)}) AS ({start} UNION {'ALL ' * counted}{again})"
        if counted and rng.random() < 0.15:
            self.note("cycle clause")
            columns = columns + [Column("again", "bool")]
            body += " CYCLE q SET again USING way"
        self.note("recursive, union all" if counted else "recursive, union")
        return name, body, columns

    def number(self, refs):
        return f"({self.typed(refs, 'int')})::int"

    def term(self, items, text, where, refs):
        if self.rng.random() < 0.3:
            where = where + [self.one_sided(refs)]
        return f"SELECT {', '.join(items)} FROM {text}" + (f" WHERE {' AND '.join(where)}" if where else "")

    def step(self, name, counted, text, refs, where):
        """The recursive term: the rows of `text` that continue a row of the recursion."""
        rng = self.rng
        ends = [r.sql for r in refs if comparable(r.kind, "int") and r.kind not in SPARE_KINDS]
        end = rng.choice(ends) if ends else "1"
        tie = rng.choice([f"{end} = {name}.q"] * 4 + [f"{name}.q = {end}", f"{name}.q IS NOT DISTINCT FROM {end}"])
        first = rng.choice([f"{name}.p"] * 4 + [f"{name}.q", self.number(refs), f"greatest(least({name}.p, 2), 0) + 1"])
        items = [first, self.number(refs)] + [f"{name}.n + 1"] * counted
        steps = rng.choice([1, 2, 2, 3])
        if "recursive" in text:  # walks over walks: a dozen rows become millions
            steps = 1
        conditions = [f"{name}.n < {steps}"] * counted
        if rng.random() < 0.25:
            conditions.append(rng.choice([f"{name}.p <> {name}.q", f"{name}.q < 3", self.one_sided(refs)]))
        if rng.random() < 0.15:
            self.note("subquery in a recursive term")
            conditions.append(self.existence(refs, 1))
        roll = rng.random()
        if roll < 0.15 and not where:
            self.note("outer join in a recursive term")
            source = f"{name} LEFT JOIN {text} ON {tie}"
        elif roll < 0.6:
            source, conditions = f"{name} JOIN {text} ON {tie}", conditions + where
        else:
            source, conditions = rng.choice([f"{name}, {text}", f"{text}, {name}"]), conditions + where + [tie]
        rng.shuffle(conditions)
        head = "SELECT DISTINCT" if rng.random() < 0.12 else "SELECT"
        return f"{head} {', '.join(items)} FROM {source}" + (f" WHERE {' AND '.join(conditions)}" if conditions else "")
