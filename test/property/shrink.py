"""Makes a failing case small, and prints it as plain SQL."""
import copy
import time


class Shrinker:
    """Tries smaller cases with `run(case) -> Outcome` until none fails in the same way."""

    def __init__(self, run, engine, runs=300, seconds=60.0):
        self.run = run
        self.engine = engine
        self.runs = runs
        self.end = time.monotonic() + seconds

    def shrink(self, case, outcome):
        """Returns (case, outcome): the smallest that was found."""
        self.case, self.outcome = case, outcome
        before = None
        while before != self.size() and self.open():
            before = self.size()
            self.views()
            self.sequence(lambda c: c.transactions)
            for index in range(len(self.case.transactions) - 1, -1, -1):
                if index < len(self.case.transactions):
                    self.sequence(lambda c, i=index: c.transactions[i])
            self.sequence(lambda c: c.optional)
            self.sequence(lambda c: c.setup)
            for number in range(len(self.case.views)):
                self.query(number)
        return self.case, self.outcome

    def open(self):
        return self.runs > 0 and time.monotonic() < self.end

    def size(self):
        return len(sql(self.case, self.outcome, self.engine))

    def attempt(self, change):
        """Applies `change` to a copy; keeps the copy if it still fails likewise."""
        if not self.open():
            return False
        case = copy.deepcopy(self.case)
        if change(case) is False or any(not v.query.items for v in case.views):
            return False
        self.runs -= 1
        outcome = self.run(case)
        if outcome.status == "failed" and outcome.what == self.outcome.what:
            self.case, self.outcome = case, outcome
            return True
        return False

    def sequence(self, of):
        """Drops parts of a list, in halves first, from the end."""
        if not of(self.case):
            return
        width = max(1, len(of(self.case)) // 2)
        while width >= 1:
            start = len(of(self.case)) - width
            while start > -width and self.open():
                low = max(start, 0)

                def cut(case, low=low, high=start + width):
                    del of(case)[low:high]
                self.attempt(cut)
                start -= width
            width //= 2

    def views(self):
        if len(self.case.views) > 1:
            self.attempt(lambda c: c.views.pop()) or self.attempt(lambda c: c.views.pop(0) and False)
        for number, view in enumerate(self.case.views):
            if view.indexes:
                self.sequence(lambda c, n=number: c.views[n].indexes)

    def query(self, number):
        """Drops conditions and columns of a view."""
        arms = getattr(self.case.views[number].query, "arms", None)
        for index in range(len(arms) - 1, -1, -1) if arms else []:
            self.attempt(lambda c, i=index: len(c.views[number].query.arms) > 1 and c.views[number].query.arms.pop(i))
        count = len(arms) if arms else 1

        def arm(case, index):
            query = case.views[number].query
            return query.arms[index] if hasattr(query, "arms") else query
        for index in range(count):
            if arms and index >= len(self.case.views[number].query.arms):
                break
            for part in ("where", "having"):
                self.sequence(lambda c, i=index, p=part: getattr(arm(c, i), p))
        if not arms:
            self.sequence(lambda c: c.views[number].query.items)
            self.sequence(lambda c: c.views[number].query.group)

        def plain(case):
            case.views[number].query.order = ""
        if self.case.views[number].query.order:
            self.attempt(plain)


def sql(case, outcome, engine, others=None):
    """The case as a script for psql. Statements that fail are meant to."""
    lines = [f"-- seed {case.seed}: {outcome.what}"]
    lines += ["--   " + line for line in outcome.detail.splitlines()[:30]]
    lines += ["\\set ON_ERROR_STOP 0", "DROP SCHEMA IF EXISTS property_main CASCADE; CREATE SCHEMA property_main;",
              "SET search_path = property_main; SET TimeZone = 'America/New_York';"]
    lines += [s + ";" for s in case.setup + case.optional]
    for view in case.views:
        lines += [s + ";" for s in view.helpers + [view.create()] + (view.indexes if case.seed % 2 else [])]
        lines.append(f"SELECT upkeep.register('{view.name}', '{engine.mode_of(view)}');")
        lines += [s + ";" for s in (view.indexes if case.seed % 2 == 0 else [])]
    lines += [s + ";" for s in others.statements()] if others else []
    for done in outcome.log:
        note = f"  -- fails: {done.state}" if done.state else ""
        lines.append(done.step.script() + (note if done.step.data is None else ""))
    names = [v.name for v in case.views] + (list(others.engines) if others else [])
    lines += [f"SELECT * FROM upkeep.verify('{name}');" for name in names]
    return "\n".join(lines) + "\n"
