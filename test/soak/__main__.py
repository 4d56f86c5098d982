"""Writers, DDL and refreshes at random, for a while; then every view must be right."""
import argparse
import random
import re
import sys
import threading
import time
import traceback

import schema
from connection import EXPECTED, Connection
from others import Ddl, Ender, Refresher, Verifier
from writer import Writer

# Why a view may be stale in the end: DDL that was to build it anew, and could not.
EXPLAINED = re.compile("lock timeout|has just ceased to be kept|is still being built|is stale|not active")


def options():
    parser = argparse.ArgumentParser(prog="test/soak/run", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--writers", type=int, default=5)
    given = parser.parse_args()
    if given.minutes is not None:
        given.seconds = 60 * given.minutes
    if given.seed is None:
        given.seed = random.randrange(10 ** 6) if given.minutes else 1
    return given


class Soak:
    def __init__(self, given):
        self.given = given
        self.stop, self.quiet = threading.Event(), threading.Lock()
        self.passed = self.failed = 0
        self.main = Connection("main")

    def check(self, right, what):
        if right:
            self.passed += 1
        else:
            self.failed += 1
            print(f"seed {self.given.seed}: {what}", flush=True)

    def guarded(self, work):
        """An error of one ends all."""
        try:
            work.run()
        except Exception:
            self.check(False, traceback.format_exc())
            self.stop.set()

    def go(self):
        seed = self.given.seed
        schema.create(self.main)
        writers = [Writer(Connection(f"writer{i}"), seed, self.stop) for i in range(self.given.writers)]
        ddl = Ddl(Connection("ddl", "SET lock_timeout = '700ms'"), seed, self.stop, self.quiet)
        refreshers = [Refresher(Connection(f"refresher{i}"), seed, self.stop) for i in range(2)]
        verifier = Verifier(Connection("verifier"), seed, self.stop, self.quiet)
        all_work = writers + refreshers + [ddl, verifier]
        threads = [threading.Thread(target=self.guarded, args=(work,)) for work in all_work]
        ender = Ender(Connection("ender"), seed, threading.Event())
        ending = threading.Thread(target=self.guarded, args=(ender,))
        for thread in threads + [ending]:
            thread.start()
        self.stop.wait(self.given.seconds)
        self.stop.set()
        for thread in threads:
            thread.join()
        ender.stop.set()
        ending.join()
        ender.end_all()
        self.report(writers, ddl, refreshers, verifier, all_work)
        self.check(verifier.verified > 0 and not verifier.wrong, "\n".join(verifier.wrong) or "nothing was verified")
        self.settle()

    def report(self, writers, ddl, refreshers, verifier, all_work):
        errors = {}
        for work in all_work:
            for state, count in work.connection.counts.items():
                errors[state] = errors.get(state, 0) + count
        named = ", ".join(f"{count} {EXPECTED.get(state, state)}" for state, count in sorted(errors.items()))
        done = ", ".join(f"{count} {kind}" for kind, count in sorted(ddl.done.items()))
        print(f"{sum(w.transactions for w in writers)} transactions ({sum(w.prepared for w in writers)} prepared); "
              f"{done}; {verifier.verified} verifications; errors: {named}", flush=True)

    def settle(self):
        """All are brought up to date and verified."""
        for view, state, why in self.main.rows("SELECT view::text, state, why FROM upkeep.views WHERE state IN ('stale', 'failed')"):
            self.check(EXPLAINED.search(why or ""), f"{view} is {state}: {why}")
            print(f"{view} was {state}: {why}")
            self.main.attempt(f"REFRESH MATERIALIZED VIEW {view}")
        for _ in range(5):      # what reads a view that is written follows with the next refresh
            self.main.rows("SELECT upkeep.refresh()")
        for view, state, why in self.main.rows("SELECT view::text, state, why FROM upkeep.views WHERE state <> 'active'"):
            self.check(False, f"{view} is {state} after the last refresh: {why}")
        for name, _, _ in schema.VIEWS:
            rows = self.main.rows(f"SELECT side, contents FROM upkeep.verify('{name}')")
            registered = self.main.rows(f"SELECT 1 FROM upkeep.views WHERE view = '{name}'::regclass")
            self.check(not rows or not registered, f"{name} is wrong in the end, {len(rows)} rows: {rows[:5]}")


given = options()
print(f"soak: seed {given.seed}, {given.seconds:g} s", flush=True)
soak = Soak(given)
start = time.monotonic()
try:
    soak.go()
except Exception:
    soak.check(False, traceback.format_exc())
print(f"{time.monotonic() - start:.0f} s")
print(f"{soak.passed} passed, {soak.failed} failed")
sys.exit(soak.failed > 0)
