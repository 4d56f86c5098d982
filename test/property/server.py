"""One connection: plain statements, no hidden transactions."""
import contextlib
import io
import threading
import time

import psycopg2


class Server:
    def __init__(self, dsn, schema="property_main"):
        self.dsn = dsn
        self.schema = schema
        self.connection = None
        self.cursor = None
        self.connect()

    def connect(self, patience=60.0):
        """(Re)connects; waits up to `patience` seconds for a server that recovers from a crash."""
        end = time.monotonic() + patience
        if self.connection is not None:
            time.sleep(0.5)      # a crashed server takes connections for a moment longer, and then drops them
        while True:
            try:
                self.connection = psycopg2.connect(self.dsn)
                break
            except psycopg2.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.3)
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.cursor.execute("SET statement_timeout = '20s'; SET client_min_messages = error; "
                            "SET TimeZone = 'America/New_York'; SET jit = off")

    @property
    def lost(self):
        return self.connection.closed != 0

    def execute(self, sql, data=None):
        """Runs a statement. Returns the number of rows; raises psycopg2.Error."""
        if data is None:
            self.cursor.execute(sql)
        else:
            self.cursor.copy_expert(sql, io.StringIO(data))
        return self.cursor.rowcount

    def rows(self, sql):
        self.cursor.execute(sql)
        return self.cursor.fetchall()

    def fresh_schema(self):
        """Empties this server's schema and leaves the search_path on it."""
        self.leave_transaction()
        for row in self.rows("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"):
            self.execute(f"ROLLBACK PREPARED '{row[0]}'")
        self.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE; CREATE SCHEMA {self.schema}; "
                     f"SET search_path = {self.schema}")

    def drop_schema(self):
        self.leave_transaction()
        self.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")

    def leave_transaction(self):
        if self.in_transaction:
            self.execute("ROLLBACK")

    @contextlib.contextmanager
    def watch(self, seconds):
        """Cancels what still runs after `seconds`: a COMMIT is not under statement_timeout."""
        timer = threading.Timer(seconds, self.cancel)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def cancel(self):
        try:
            self.connection.cancel()
        except psycopg2.Error:
            pass

    @property
    def in_transaction(self):
        return self.connection.info.transaction_status != psycopg2.extensions.TRANSACTION_STATUS_IDLE
