"""Those who do not write: DDL, refreshes, and verification while all of it goes on."""
import random
import time

from schema import MODES, VIEWS
from writer import end_prepared

# Refusals of register and unregister that depend on the modes of other views; DDL on what the DDL before left.
REFUSED = ("0A000", "2BP01", "55006", "55000", "42P07", "42701", "42703", "42P01", "42704", "42P17", "42P16")


class Ddl:
    """One command after the other. `quiet` is held meanwhile: DDL is not seen by snapshots as rows are, so that nobody
    can verify beside it."""

    def __init__(self, connection, seed, stop, quiet):
        self.connection, self.stop, self.quiet = connection, stop, quiet
        self.rng = random.Random(f"{seed} ddl")
        self.done = {}
        self.detached = False

    def run(self):
        while not self.stop.is_set():
            time.sleep(self.rng.random() * 0.5)
            kind = self.rng.choice([self.column, self.index, self.partition, self.refresh, self.mode, self.mode,
                                    self.leave, self.truncate, self.cancel, self.vacuum])
            with self.quiet:
                if kind() is None:
                    self.done[kind.__name__] = self.done.get(kind.__name__, 0) + 1
            self.connection.leave_transaction()
        if self.detached:
            self.partition()

    def attempt(self, sql):
        return self.connection.attempt(sql, also=REFUSED)

    def view(self):
        return self.rng.choice(VIEWS)[0]

    def column(self):
        # A partition that is detached must have the same columns when it comes back.
        table = self.rng.choice(["orders", "customers", "items", "orders" if self.detached else "events"])
        verb = self.rng.choice(["ADD COLUMN spare int", "ADD COLUMN spare text DEFAULT 'x'", "DROP COLUMN spare"])
        return self.attempt(f"ALTER TABLE {table} {verb}")

    def index(self):
        return self.attempt(self.rng.choice([
            "CREATE INDEX spare ON orders (day, qty)", "CREATE INDEX spare ON by_region (n)",
            "CREATE INDEX CONCURRENTLY spare ON items (sku)", "DROP INDEX spare", "REINDEX TABLE orders",
            f"REINDEX TABLE CONCURRENTLY {self.view()}"]))

    def partition(self):
        """While it is detached its rows change unseen."""
        if not self.detached:
            failed = self.attempt("ALTER TABLE events DETACH PARTITION events_2")
        else:
            self.attempt("INSERT INTO events_2 SELECT 2, i, i FROM generate_series(1, 20) i; DELETE FROM events_2 WHERE value % 5 = 0")
            failed = self.attempt("ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES IN (2)")
        self.detached ^= failed is None
        return failed

    def refresh(self):
        return self.attempt(f"REFRESH MATERIALIZED VIEW {self.view()}")

    def mode(self):
        name, usual, _ = self.rng.choice(VIEWS)
        mode = usual if self.rng.random() < 0.6 else self.rng.choice(MODES)
        if self.rng.random() < 0.5:
            return self.attempt(f"ALTER MATERIALIZED VIEW {name} SET (upkeep.mode = {mode})")
        return self.attempt(f"SELECT upkeep.register('{name}', '{mode}')")

    def leave(self):
        """With all that changes meanwhile."""
        name, mode, _ = self.rng.choice(VIEWS)
        failed = self.attempt(f"SELECT upkeep.unregister('{name}')")
        if failed is None:
            time.sleep(self.rng.random() * 0.2)
            self.attempt(f"SELECT upkeep.register('{name}', '{mode}')")
        return failed

    def truncate(self):
        return self.attempt(self.rng.choice(["TRUNCATE items", "TRUNCATE events_1", "TRUNCATE items"]))

    def cancel(self):
        verb = "pg_terminate_backend" if self.rng.random() < 0.2 else "pg_cancel_backend"
        return self.attempt(f"SELECT {verb}(pid) FROM pg_stat_activity WHERE application_name ~ 'writer|refresher' "
                            f"AND state <> 'idle' ORDER BY random() LIMIT 1")

    def vacuum(self):
        return self.attempt(f"VACUUM ANALYZE {self.rng.choice(['orders', 'items', self.view()])}")


class Ender:
    """Ends what writers have left prepared, until nobody waits for it any more."""

    def __init__(self, connection, seed, stop):
        self.connection, self.stop = connection, stop
        self.rng = random.Random(f"{seed} ender")

    def run(self):
        while not self.stop.is_set():
            time.sleep(self.rng.random() * 0.3)
            self.end_all()

    def end_all(self):
        for (name,) in self.connection.rows("SELECT gid FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared"):
            end_prepared(self.connection, name, self.rng)


class Refresher:
    def __init__(self, connection, seed, stop):
        self.connection, self.stop = connection, stop
        self.rng = random.Random(f"{seed} {connection.name}")
        self.rows = 0

    def run(self):
        while not self.stop.is_set():
            time.sleep(self.rng.random() * 0.4)
            name = self.rng.choice(VIEWS)[0]
            self.connection.attempt(self.rng.choice([
                "SELECT upkeep.refresh()", "SELECT upkeep.refresh()", f"SELECT upkeep.refresh('{name}')",
                f"SELECT upkeep.wait('{name}', '100 ms')", f"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT upkeep.refresh('{name}'); COMMIT"]),
                also=REFUSED)
            self.connection.leave_transaction()


class Verifier:
    """Views of mode immediate and commit are right at any moment."""

    def __init__(self, connection, seed, stop, quiet):
        self.connection, self.stop, self.quiet = connection, stop, quiet
        self.rng = random.Random(f"{seed} verifier")
        self.verified = 0
        self.wrong = []

    def run(self):
        while not self.stop.is_set():
            time.sleep(self.rng.random() * 0.2)
            name = self.rng.choice(VIEWS)[0]
            with self.quiet:
                kept = self.connection.rows(f"SELECT 1 FROM upkeep.views WHERE view = '{name}'::regclass AND state = 'active' "
                                            f"AND mode IN ('immediate', 'commit')")
                if not kept:
                    continue
                rows = self.connection.rows(f"SELECT side, contents FROM upkeep.verify('{name}')")
                kept = self.connection.rows(f"SELECT 1 FROM upkeep.views WHERE view = '{name}'::regclass AND state = 'active'")
            self.verified += 1
            if rows and kept:
                self.wrong.append(f"{name} was wrong while others wrote: {rows[:5]}")
