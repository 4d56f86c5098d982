"""One connection in autocommit, and SQL files split into statements."""

import io
import re

import psycopg2


class Server:
    def __init__(self):
        self.connection = psycopg2.connect(dbname="postgres")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.run("SET client_min_messages = warning; SET statement_timeout = '600s'")

    def run(self, sql):
        self.cursor.execute(sql)
        return self.cursor.fetchall() if self.cursor.description else []

    def transaction(self, statements):
        """One transaction; if it fails it is rolled back and the error raised."""
        try:
            self.run("BEGIN")
            for statement in statements:
                self.run(statement)
            self.run("COMMIT")
        except psycopg2.Error:
            if not self.connection.closed:
                self.run("ROLLBACK")
            raise

    def copy(self, table, rows):
        """Loads an iterable of tuples; None is NULL."""
        batch = []
        for row in rows:
            batch.append("\t".join("\\N" if value is None else str(value).replace("\\", "\\\\") for value in row))
            if len(batch) == 50_000:
                self.copy_lines(table, batch)
                batch = []
        self.copy_lines(table, batch)

    def copy_lines(self, table, lines):
        if lines:
            self.cursor.copy_expert(f"COPY {table} FROM STDIN", io.StringIO("\n".join(lines) + "\n"))

    def warnings(self):
        """What the server said since the last call, and forgets it."""
        said = "".join(self.connection.notices)
        del self.connection.notices[:]
        return said


def statements(path, variables=None):
    """The statements of a file whose last line ends with a semicolon, with :name replaced by its value."""
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"^--.*\n", "", file.read(), flags=re.M)
    for name, value in (variables or {}).items():
        text = re.sub(rf"(?<!:):{name}\b", value, text)
    return [part.strip() for part in re.split(r";[ \t]*\n", text) if part.strip()]


def created_name(statement):
    """The name of a materialized view that the statement creates, or None."""
    found = re.match(r"CREATE MATERIALIZED VIEW (\w+)", statement)
    return found[1] if found else None
