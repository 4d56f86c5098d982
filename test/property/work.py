"""What one job does with one seed."""
import os

import psycopg2

from engines import Refresh, Upkeep
from generate import NoView, make
from runner import Lost, Outcome, Runner
from server import Server
from shrink import Shrinker, sql

SHRINK_AT_MOST = 4      # per job: shrinking costs as much as hundreds of seeds

FRESH = 150             # seeds per connection: PostgreSQL keeps the functions of dropped schemas in memory
SLOW = 40.0             # seconds that one script may take


class Job:
    """Holds a job's connection. Picklable settings come in, picklable results go out."""

    def __init__(self, dsn, mode, failures, shrink=True, alone=True, modes_every=0):
        self.mode, self.failures, self.alone, self.modes_every = mode, failures, alone, modes_every
        self.seeds = 0
        self.shrinks = SHRINK_AT_MOST if shrink else 0
        self.server = Server(dsn)
        self.choose_engine(0)
        setting = self.server.rows("SHOW max_prepared_transactions")[0][0]
        self.prepared = int(setting) > 0 and mode != "self-test"

    def choose_engine(self, seed):
        mode = self.mode
        if mode == "mixed":
            mode = ("immediate", "commit", "immediate", "deferred")[seed % 4]
        self.engine = Refresh() if mode == "self-test" else Upkeep(mode)
        self.runner = Runner(self.server, self.engine, self.modes_every)

    def seed(self, seed):
        """Returns (seed, status, what, detail, rejected views, statements, shape, features)."""
        self.seeds += 1
        self.choose_engine(seed)
        if self.seeds % FRESH == 0:
            self.server.connection.close()
        case, outcome = self.attempt(seed)
        if outcome.status == "failed" and outcome.what == "connection lost":
            case, outcome = self.again(seed, outcome)
        path = ""
        if outcome.status == "failed" and case:
            path = self.keep(case, outcome)
        if not self.server.lost:
            self.clean()
        detail = outcome.detail + (f"\n  script: {path}" if path else "")
        shape = case.views[0].shape if case and case.views else ""
        features = case.views[0].features if case and case.views else []
        return seed, outcome.status, outcome.what, detail, outcome.rejected, outcome.statements, shape, features

    def attempt(self, seed):
        """Returns (case or None, Outcome)."""
        if self.server.lost:
            self.server.connect()
        try:
            self.server.fresh_schema()
            case, rejected = make(seed, self.server, self.prepared)
        except NoView as none:
            return None, Outcome("skipped", "no view", str(none))
        except psycopg2.Error as error:
            what = "connection lost" if self.server.lost else f"setup {error.pgcode}"
            return None, Outcome("failed", what, str(error))
        with self.server.watch(SLOW):
            outcome = self.runner.run(case, prepared_schema=True)
        outcome.rejected = rejected
        return case, outcome

    def again(self, seed, first):
        """A crash takes the other jobs' connections with it: a lost connection is this seed's fault if it is lost
        again at the same place. Returns (case, Outcome)."""
        for _ in range(3):
            case, outcome = self.attempt(seed)
            if outcome.what != "connection lost":
                if self.alone:
                    first.what += " (not repeated)"
                    return case, first
                return case, outcome
            if head(outcome) == head(first):
                break
            first = outcome
        return case, outcome

    def rerun(self, case):
        """For the shrinker: runs a case from nothing, on a new connection where the last was lost."""
        if self.server.lost:
            self.server.connect()
        with self.server.watch(SLOW):
            outcome = self.runner.run(case)
        if outcome.status == "failed" and "another server process" in outcome.detail:
            self.server.connect()
            with self.server.watch(SLOW):
                outcome = self.runner.run(case)
        return outcome

    def keep(self, case, outcome):
        """Shrinks a failure and writes it as SQL. Returns the path."""
        if self.shrinks > 0:
            self.shrinks -= 1
            runs = 25 if outcome.what.startswith("connection") else 300
            case, outcome = Shrinker(self.rerun, self.engine, runs).shrink(case, outcome)
            if self.server.lost:
                self.server.connect()
        os.makedirs(self.failures, exist_ok=True)
        path = os.path.join(self.failures, f"seed-{case.seed}.sql")
        with open(path, "w") as out:
            out.write(sql(case, outcome, self.engine, self.runner.others))
        return path

    def clean(self):
        try:
            self.server.drop_schema()
        except psycopg2.Error:
            pass


def head(outcome):
    return outcome.detail.split("\n")[0][:60]


JOB = None


def start(databases, mode, failures, shrink, alone, modes_every):
    """Makes this process's Job, on a database of its own."""
    global JOB
    JOB = Job(databases.get(), mode, failures, shrink, alone, modes_every)


def work(seed):
    try:
        return JOB.seed(seed)
    except Lost as lost:
        return seed, "failed", lost.what, lost.detail, 0, 0, "", []
    except Exception as error:             # a mistake in the generator must show as one
        import traceback
        JOB.server.connect()
        return seed, "failed", f"generator: {type(error).__name__}", traceback.format_exc(), 0, 0, "", []
