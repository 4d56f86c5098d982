"""What happens at the airports: departures, corrections, cancellations and rebookings, from several connections."""

import csv
import datetime
import gzip
import math
import multiprocessing
import os
import random
import signal
import sys
import time

import psycopg2
from psycopg2 import errors

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
LOADED_FLIGHTS = 1_000_000
# The streamed departures begin on the day after the last loaded one; each stream has a period of its own.
FIRST_SHIFT = datetime.timedelta(weeks=62)
PERIOD = datetime.timedelta(weeks=13)
# Transactions a second of one connection, at most: the machine keeps a little time for whoever watches, and the time
# that a change takes is its own, not that of a queue for the processors.
PACE = 250
COUNTERS = ("transactions", "inserted", "updated", "deleted", "retries", "seconds")

# What reality brings in late: the states of airports that were loaded without, and a few new names.
AIRPORT_CORRECTIONS = [
    ("state", "BGM", "NY"), ("name", "CRW", "Yeager Airport"), ("state", "DRO", "CO"), ("state", "SUX", "IA"),
    ("name", "RAP", "Rapid City Regional Airport"), ("state", "BZN", "MT"), ("state", "TRI", "TN"),
    ("name", "FNT", "Bishop International Airport"), ("state", "FAY", "NC"), ("state", "MLB", "FL"),
    ("name", "BRO", "Brownsville/South Padre Island International"), ("state", "MOT", "ND"),
]


def read_records(name):
    with gzip.open(os.path.join(DATA, name), "rt", newline="") as file:
        return list(csv.DictReader(file))


def distance_in_miles(a, b):
    """The great-circle distance between two airports."""
    lat_a, lon_a, lat_b, lon_b = (
        math.radians(float(x)) for x in (a["latitude"], a["longitude"], b["latitude"], b["longitude"]))
    h = (math.sin((lat_b - lat_a) / 2) ** 2
         + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2)
    return round(3959 * 2 * math.asin(math.sqrt(h)))


class Traffic:
    """One connection's share of the day: no other connection changes the flights that it changes."""

    def __init__(self, share, shares, period, cursor, counters):
        self.share, self.shares = share, shares
        self.cursor, self.counters = cursor, counters
        self.random = random.Random(period * shares + share)
        shift = FIRST_SHIFT + period * PERIOD
        records = read_records("flights.csv.gz")[share::shares]
        self.departures = [(datetime.datetime.strptime(r["departed"], "%Y-%m-%d %H:%M") + shift, int(r["delay_min"]),
                            int(r["distance_mi"]), r["origin"], r["destination"]) for r in records]
        self.next_departure = 0
        served = {r["origin"] for r in records}
        self.airports = {a["iata"]: a for a in read_records("airports.csv.gz") if a["iata"] in served}
        self.recent = []

    def count(self, what, rows):
        self.counters[COUNTERS.index(what)] += rows

    def own_flight(self):
        """A recent departure mostly, else any flight of the past."""
        if self.recent and self.random.random() < 0.6:
            return self.random.choice(self.recent[-5000:])
        return self.random.randrange(LOADED_FLIGHTS // self.shares) * self.shares + self.share + 1

    def own_flights(self, most):
        return sorted({self.own_flight() for _ in range(self.random.randint(1, most))})

    def departure(self):
        flight = self.departures[self.next_departure % len(self.departures)]
        self.next_departure += 1
        if self.random.random() < 0.03:  # a new connection between two airports
            origin, destination = self.random.sample(sorted(self.airports), 2)
            return (*flight[:2], distance_in_miles(self.airports[origin], self.airports[destination]),
                    origin, destination)
        return flight

    def choose(self):
        """The next transaction: a method, and what it is to do. A retry does the same again."""
        dice = self.random.random()
        if dice < 0.55:
            return self.depart, [self.departure() for _ in range(self.random.randint(1, 4))]
        if dice < 0.85:
            return self.correct, (self.random.randint(-15, 20), self.own_flights(3))
        if dice < 0.95:
            return self.cancel, self.own_flights(2)
        return self.rebook, self.own_flight()

    def depart(self, flights):
        rows = b", ".join(self.cursor.mogrify("(%s, %s, %s, %s, %s)", f) for f in flights)
        self.cursor.execute(b"INSERT INTO flights (departed, delay_min, distance_mi, origin, destination) VALUES "
                            + rows + b" RETURNING id")
        ids = [row[0] for row in self.cursor.fetchall()]
        self.cursor.execute("COMMIT")
        self.recent += ids
        self.count("inserted", len(ids))

    def correct(self, what):
        self.cursor.execute("UPDATE flights SET delay_min = delay_min + %s WHERE id = ANY(%s)", what)
        rows = self.cursor.rowcount
        self.cursor.execute("COMMIT")
        self.count("updated", rows)

    def cancel(self, ids):
        self.cursor.execute("DELETE FROM flights WHERE id = ANY(%s)", (ids,))
        rows = self.cursor.rowcount
        self.cursor.execute("COMMIT")
        self.count("deleted", rows)

    def rebook(self, flight):
        """The flight is cancelled and leaves two hours later instead: two statements, one transaction."""
        self.cursor.execute("DELETE FROM flights WHERE id = %s "
                            "RETURNING departed + interval '2 hours', 0, distance_mi, origin, destination", (flight,))
        cancelled = self.cursor.fetchall()
        ids = []
        for row in cancelled:
            self.cursor.execute("INSERT INTO flights (departed, delay_min, distance_mi, origin, destination) "
                                "VALUES (%s, %s, %s, %s, %s) RETURNING id", row)
            ids += self.cursor.fetchone()
        self.cursor.execute("COMMIT")
        self.recent += ids
        self.count("deleted", len(cancelled))
        self.count("inserted", len(ids))

    def correct_airport(self, correction):
        column, iata, value = correction
        self.cursor.execute(f"UPDATE airports SET {column} = %s WHERE iata = %s", (value, iata))
        rows = self.cursor.rowcount
        self.cursor.execute("COMMIT")
        self.count("updated", rows)

    def transact(self, act, what):
        """Retries what another transaction stood in the way of, as any application does."""
        started = time.monotonic()
        while True:
            try:
                self.cursor.execute("BEGIN")
                act(what)
                break
            except (errors.DeadlockDetected, errors.SerializationFailure):
                self.cursor.execute("ROLLBACK")
                self.count("retries", 1)
        self.count("transactions", 1)
        self.count("seconds", time.monotonic() - started)


def run_share(share, shares, period, counters, start, seconds, corrections):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    connection = psycopg2.connect(dbname="postgres", application_name=f"demo stream {share + 1}")
    connection.autocommit = True
    traffic = Traffic(share, shares, period, connection.cursor(), counters)
    start.wait()
    began = time.monotonic()
    pending = list(corrections)
    for number in range(seconds * PACE):
        time.sleep(max(0, began + number / PACE - time.monotonic()))
        elapsed = time.monotonic() - began
        if elapsed >= seconds:
            break
        # The corrections of airports are spread over the first four fifths of the time.
        if pending and elapsed > seconds * 0.8 * (1 - len(pending) / len(corrections)):
            traffic.transact(traffic.correct_airport, pending.pop(0))
        else:
            traffic.transact(*traffic.choose())
    connection.close()


def run_reporting(*arguments):
    try:
        run_share(*arguments)
    except Exception as error:
        print(f"\ndemo: a connection of the stream failed: {error}", file=sys.stderr)
        sys.exit(1)


class Stream:
    """Several connections at work for `seconds`."""

    def __init__(self, shares, period, seconds, with_airports):
        self.shares = shares
        start = multiprocessing.Barrier(shares + 1)
        self.counters = [multiprocessing.Array("d", len(COUNTERS), lock=False) for _ in range(shares)]
        self.processes = [
            multiprocessing.Process(daemon=True, target=run_reporting, args=(
                share, shares, period, self.counters[share], start, seconds,
                AIRPORT_CORRECTIONS if with_airports and share == 0 else []))
            for share in range(shares)]
        for process in self.processes:
            process.start()
        start.wait(30)
        self.began = time.monotonic()

    def totals(self):
        return {name: sum(c[i] for c in self.counters) for i, name in enumerate(COUNTERS)}

    def changes(self):
        totals = self.totals()
        return int(totals["inserted"] + totals["updated"] + totals["deleted"])

    def seconds_per_change(self):
        return self.totals()["seconds"] / max(1, self.changes())

    def is_running(self):
        return any(p.is_alive() for p in self.processes)

    def has_failed(self):
        return any(p.exitcode not in (None, 0) for p in self.processes)

    def elapsed(self):
        return time.monotonic() - self.began
