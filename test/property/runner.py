"""Runs one case and says whether the view stayed right."""
from dataclasses import dataclass, field

import psycopg2

from engines import differences
from generate import prepare
from modes import OtherModes


REFRESH_LIMIT = "200ms"    # a hundredth of statement_timeout: a join of which n inputs change at once has 2^n - 1 terms


@dataclass
class Outcome:
    """`status`: passed, refused, slow, failed or skipped."""
    status: str
    what: str = ""                  # strategy, reason of refusal, or kind of failure
    detail: str = ""
    log: list = field(default_factory=list)
    rejected: int = 0
    statements: int = 0


@dataclass
class Done:
    """One executed step: its SQLSTATE (None: succeeded) and row count."""
    step: object
    state: str = None
    rows: int = -1
    message: str = ""


class Failure(Exception):
    def __init__(self, what, detail):
        super().__init__(what)
        self.what, self.detail = what, detail


class Slow(Failure):
    """A statement took too long though a REFRESH does not, before it or after it. States in between, which its triggers and
    functions see, may be the reason, and nothing shows that."""


class Lost(Failure):
    """The server went away."""


class Runner:
    """Runs cases on one server. `twin_every`: share of seeds compared with a twin even without an error; `modes_every`:
    share of seeds whose first view is maintained in all modes beside each other, 0 for none."""

    def __init__(self, server, engine, modes_every=0, twin_every=8, oracle_every=2):
        self.server = server
        self.engine = engine
        self.modes_every = modes_every
        self.others = None
        self.twin_every = twin_every
        self.oracle_every = oracle_every

    def run(self, case, prepared_schema=False):
        """Runs `case`; its tables may exist already."""
        server = self.server
        log = []
        try:
            try:
                if not prepared_schema:
                    server.fresh_schema()
                    prepare(server, case)
                strategies, refusal = self.start(case)
            except psycopg2.Error as error:
                if case.fallible and (error.pgcode or "")[:2] == "22" and not self.server.lost:
                    # A state is computed whole, also where no row of the other side of a join asks for it.
                    return Outcome("refused", f"{error.pgcode}: what no row asks for")
                raise self.failure("setup or register", error)
            if refusal:
                return Outcome("refused", refusal)
            self.script(case, log)
            self.leave(case)
            errors = any(d.state for d in log)
            if errors or case.seed % self.twin_every == 0:
                self.twin(case, log)
        except Failure as failure:
            return Outcome("slow" if isinstance(failure, Slow) else "failed", failure.what, failure.detail, log)
        return Outcome("passed", strategies, log=log, statements=len(log))

    def failure(self, what, error):
        if self.server.lost:
            return Lost("connection lost", f"{what}: {error}")
        return Failure(f"{what} {error.pgcode}", str(error).strip())

    def start(self, case):
        """Creates and registers the views. Returns (strategy, None) or (None, reason)."""
        strategy = None
        self.others = None
        for index, view in enumerate(case.views):
            late = case.seed % 2 == 0
            for statement in view.helpers + [view.create()] + ([] if late else view.indexes):
                self.server.execute(statement)
            found, refusal = self.engine.register(self.server, view)
            if refusal and view.name == "v":
                return None, refusal
            if refusal:
                self.server.execute(f"DROP MATERIALIZED VIEW {view.name}")
                case.views = case.views[:index]
                break
            strategy = strategy or found
            for statement in view.indexes if late else []:
                self.server.execute(statement)
        if self.modes_every and case.seed % self.modes_every == 0:
            self.others = OtherModes(case.views[0], self.engine.mode_of(case.views[0]))
            self.others.start(self.server)
        self.check(case, None)
        return strategy, None

    def check(self, case, step, last=False):
        """Raises Failure if a view is wrong. Returns False where its query cannot be evaluated at all."""
        for view in case.views:
            try:
                inside = self.server.in_transaction
                settled = self.engine.is_right_inside(view) if inside else self.engine.is_settled(view, last)
                if view is case.views[0]:
                    self.settled = settled
                if settled:
                    self.engine.settle(self.server, view)
                    wrong = self.engine.check(self.server, view)
                    if not wrong and case.seed % self.oracle_every == 0 and not self.shifted:
                        wrong = [(f"oracle: {side}", text) for side, text in differences(self.server, view)]
                else:
                    wrong = []
            except psycopg2.Error as error:
                if self.server.lost:
                    raise self.failure("verify", error)
                if self.server.in_transaction:
                    return False if self.blind(case, view, error) else self.raise_verify(error)
                if self.blind(case, view, error):
                    return False
                self.raise_verify(error)
            if wrong:
                lines = "\n".join(f"  {side}: {text}" for side, text in wrong[:12])
                after = step.script() if step else "register"
                raise Failure("wrong", f"{view.name} after {after}\n{lines}")
        return self.agree(case, step, last)

    def agree(self, case, step, last):
        """Raises Failure if modes disagree; as check otherwise."""
        # Not where the main view was left alone: it shows what was before.
        if self.others is None or self.server.in_transaction or not self.settled:
            return True
        try:
            found = self.others.check(self.server, last)
        except psycopg2.Error as error:
            if not self.server.lost and self.blind(case, case.views[0], error):
                return False
            raise self.failure("another mode", error)
        if found:
            lines = "\n".join(f"  {side}: {text}" for side, text in found[1][:12])
            raise Failure("modes disagree", f"{found[0]} after {step.script() if step else 'register'}\n{lines}")
        return True

    def raise_verify(self, error):
        raise self.failure("verify", error)

    def blind(self, case, view, error):
        """Is the view's own query impossible on the present rows, or the statement too slow to judge?"""
        return case.fallible and error.pgcode[:2] == "22" or error.pgcode == "57014" or self.engine.mode == "self-test"

    shifted = False
    settled = False

    def script(self, case, log):
        for steps in case.transactions:
            self.transaction(case, steps, log)
        if self.server.in_transaction:
            self.apply("ROLLBACK", log)
        self.shifted = False
        self.check(case, None, last=True)

    def transaction(self, case, steps, log):
        savepoints = []
        self.shifted = False
        for step in steps:
            done = self.step(step, log)
            if step.kind == "set" and not step.sql.startswith(("DECLARE", "FETCH")):
                self.shifted = True
            if done.state is None:
                self.track(step, savepoints)
                if step.kind in ("end", "prepared"):
                    self.shifted = False
                good = True
                if step.kind in ("dml", "back", "end", "prepared") and not step.sql.startswith("PREPARE"):
                    good = self.check(case, step)
                if good:
                    continue
            if not self.recover(savepoints, log):
                return
            if not self.check(case, step):
                self.apply("ROLLBACK", log)
                return

    def recover(self, savepoints, log):
        """After an error: back to the last savepoint (True), or out of the transaction (False)."""
        if not self.server.in_transaction:
            return False
        if savepoints:
            return self.apply(f"ROLLBACK TO {savepoints[-1]}", log).state is None
        self.apply("ROLLBACK", log)
        return False

    @staticmethod
    def track(step, savepoints):
        word = step.sql.split()[-1]
        if step.kind == "savepoint":
            savepoints.append(word)
        elif step.kind == "back" and word in savepoints:
            del savepoints[savepoints.index(word) + 1:]
        elif step.kind == "release" and word in savepoints:
            del savepoints[savepoints.index(word):]
        elif step.kind == "end":
            savepoints.clear()

    def apply(self, sql, log):
        from model import Step
        return self.step(Step(sql, "forced"), log)

    def step(self, step, log):
        done = execute(self.server, step)
        log.append(done)
        if done.state == "lost":
            raise Lost("connection lost", f"{step.script()}\n{done.message}")
        if done.state and done.state.startswith("XX"):
            raise Failure(f"error {done.state}", f"{step.script()}\n{done.message}")
        return done

    def leave(self, case):
        """Now and then drops the views and looks whether something of theirs stayed behind."""
        self.shifted = False
        if case.seed % 16 or self.engine.mode == "self-test":
            return
        try:
            names = ", ".join([v.name for v in case.views] + list(self.others.engines if self.others else []))
            oids = [r[0] for r in self.server.rows(
                f"SELECT oid FROM pg_class WHERE relkind = 'm' AND relnamespace = '{self.server.schema}'::regnamespace")]
            self.server.execute(f"DROP MATERIALIZED VIEW {names} CASCADE")   # ordinary views between them too
            listed = ", ".join(map(str, oids))
            rest = self.server.rows(
                f"SELECT 'registration ' || view::oid FROM upkeep.views WHERE view::oid IN ({listed}) "
                "UNION ALL SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('upkeep_data') "
                f"AND relkind = 'r' AND relname ~ '{'|'.join(f'_{o}_' for o in oids)}' "
                "UNION ALL SELECT tgname FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid "
                f"WHERE relnamespace = '{self.server.schema}'::regnamespace AND NOT tgisinternal "
                "AND tgname NOT IN ('user_row', 'zz_user', 'aa_user')")
            if rest:
                raise Failure("left behind", ", ".join(r[0] for r in rest))
        except psycopg2.Error as error:
            raise self.failure("drop", error)

    def twin(self, case, log):
        """Replays the log where no view is registered, and compares SQLSTATEs, row counts and final contents."""
        server = self.server
        tables = [t.sql() for t in case.tables]
        try:
            kept = [contents(server, t) for t in tables]
            server.fresh_schema()
            prepare(server, case)
            for view in case.views:
                for statement in view.helpers + [view.create()]:
                    server.execute(statement)
        except psycopg2.Error as error:
            raise self.failure("twin", error)
        for done in log:
            slow = done.state == "57014" and self.query_fails(case, done)    # with the rows that it takes away
            again = execute(server, done.step)
            if again.state == "lost":
                raise Lost("connection lost", f"in the twin: {done.step.script()}")
            if again.state == done.state:
                if done.step.kind == "dml" and again.rows != done.rows and not case.fallible:
                    raise Failure("row count", f"{done.step.script()}\nwithout upkeep {again.rows}, with {done.rows}")
                continue
            if again.state is None and done.state and (slow or self.query_fails(case, done)):
                if not server.in_transaction:
                    return
                continue
            if case.fallible and again.state and done.state and done.state[:2] in ("22", again.state[:2]):
                continue     # which error is first: the view's query may fail before the statement itself does
            if done.step.data is not None and (again.state or "")[:2] == (done.state or "")[:2] == "23":
                continue     # which of two bad rows COPY meets first: any trigger with a transition table changes that
            kind = Slow if done.state == "57014" and again.state is None else Failure
            raise kind(f"error {done.state}", f"{done.step.script()}\nwithout upkeep {again.state} {again.message}\n"
                                              f"with upkeep {done.state} {done.message}")
        if not case.fallible and [contents(server, t) for t in tables] != kept:
            raise Failure("base tables differ", "the script leaves other rows in the base tables with upkeep")

    def query_fails(self, case, done):
        """Does evaluating a view's query fail likewise after this statement in the twin? A statement that took too long
        is nothing to judge where a REFRESH takes long, too."""
        limit = REFRESH_LIMIT if done.state == "57014" else "20s"
        for view in case.views:
            try:
                self.server.execute("SAVEPOINT probe" if self.server.in_transaction else "SELECT 1")
                self.server.execute(f"SET statement_timeout = '{limit}'")
                self.server.execute(f"REFRESH MATERIALIZED VIEW {view.name}")    # read by the next
                self.server.execute("SET statement_timeout = '20s'")
            except psycopg2.Error as error:
                self.server.execute("ROLLBACK TO probe" if self.server.in_transaction else "SET statement_timeout = '20s'")
                if error.pgcode and error.pgcode[:2] == done.state[:2]:
                    return True
        return case.fallible and done.state[:2] == "22"


def contents(server, table):
    return server.rows(f"SELECT coalesce(md5(string_agg(r::text, E'\\n' ORDER BY r::text COLLATE \"C\")), '') "
                       f"FROM {table} r")


def execute(server, step):
    """Runs a step and says what came of it."""
    try:
        rows = server.execute(step.sql, step.data)
        return Done(step, rows=rows)
    except psycopg2.Error as error:
        if server.lost:
            return Done(step, "lost", message=str(error).strip())
        return Done(step, error.pgcode or "none", message=str(error).strip())
