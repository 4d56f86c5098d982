"""One connection in autocommit that comes back when it was terminated."""
import psycopg2

# What a session may meet when others write, alter tables and cancel it: none of these is a fault of upkeep's.
EXPECTED = {
    "40001": "serialization failure",
    "40P01": "deadlock",
    "55P03": "lock timeout",
    "57014": "canceled",
    "57P01": "terminated",
    "23503": "foreign key",
    "23505": "unique key",
    "23514": "no partition for the row",
}


class Unexpected(Exception):
    pass


class Connection:
    def __init__(self, name, settings=""):
        self.name, self.settings = name, settings
        self.counts = {}
        self.connect()

    def connect(self):
        self.connection = psycopg2.connect(dbname="postgres", application_name=self.name)
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.cursor.execute("SET client_min_messages = error; SET statement_timeout = '60s'; SET search_path = soak;"
                            + self.settings)

    def rows(self, sql):
        self.cursor.execute(sql)
        return self.cursor.fetchall() if self.cursor.description else []

    def attempt(self, sql, also=()):
        """Runs a statement. Returns None, or the SQLSTATE of an error that may happen; any other is Unexpected."""
        try:
            self.cursor.execute(sql)
            return None
        except psycopg2.Error as error:
            state = error.pgcode
            if state is None and self.connection.closed:
                state = "57P01"
            if state not in EXPECTED and state not in also:
                raise Unexpected(f"{self.name}: {sql}\n{state} {error}") from error
            self.counts[state] = self.counts.get(state, 0) + 1
            if self.connection.closed:
                self.connect()
            return state

    @property
    def in_transaction(self):
        return (not self.connection.closed and
                self.connection.info.transaction_status != psycopg2.extensions.TRANSACTION_STATUS_IDLE)

    def leave_transaction(self):
        if self.in_transaction:
            self.attempt("ROLLBACK")
