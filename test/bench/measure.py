"""Ways to measure: pgbench for single statements, one connection for whole ones."""

import contextlib
import os
import re
import statistics
import subprocess
import tempfile
import time

import psycopg2


class Failure(Exception):
    """The benchmark cannot go on, or what it measured was wrong."""


class Server:
    """The server that the environment names; `connection` is in autocommit."""

    def __init__(self):
        self.connection = psycopg2.connect(dbname="postgres")
        self.connection.autocommit = True
        self.scripts = tempfile.TemporaryDirectory(prefix="upkeep-bench.")

    def run(self, sql):
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def timed(self, schema, sql):
        """Milliseconds of one statement in that schema."""
        self.run(f"SET search_path = {schema}, public")
        start = time.perf_counter()
        self.run(sql)
        return (time.perf_counter() - start) * 1000

    def pgbench(self, schema, script, options, clients=1, variables=()):
        """Transactions per second of a script of one statement; the options say for how long (-T) or how often (-t)."""
        path = os.path.join(self.scripts.name, "script.sql")
        with open(path, "w", encoding="utf-8") as file:
            file.write(script)
        command = ["pgbench", "-n", "-M", "prepared", "-f", path, "-c", str(clients), "-j", str(min(clients, 2)),
                   *options]
        for name, value in variables:
            command += ["-D", f"{name}={value}"]
        environment = dict(os.environ, PGOPTIONS=f"-c search_path={schema},public")
        done = subprocess.run(command + ["postgres"], env=environment, text=True, capture_output=True)
        tps = re.search(r"^tps = ([0-9.]+)", done.stdout, re.M)
        failed = re.search(r"^number of failed transactions: ([0-9]+)", done.stdout, re.M)
        if done.returncode != 0 or tps is None or (failed and int(failed[1]) > 0):
            raise Failure(f"pgbench in {schema} failed:\n{done.stdout}{done.stderr}")
        return float(tps[1])


class Samples:
    """Measured values by cell; what is reported is the median over the rounds."""

    def __init__(self):
        self.values = {}

    def add(self, *cell_and_value):
        *cell, value = cell_and_value
        self.values.setdefault(tuple(cell), []).append(value)

    def median(self, *cell):
        return statistics.median(self.values[cell])


@contextlib.contextmanager
def progress(text):
    start = time.monotonic()
    yield
    print(f"  {text}: {time.monotonic() - start:.0f} s", flush=True)
