"""Nexmark: persons, auctions and bids of an auction site, as a stream of events from a seed; of 50 events 1 is a person,
3 are auctions and 46 bids. The stream goes on in batches, and late corrections change and delete what came before."""

import datetime
import os
import random

FIRST = datetime.datetime(2024, 1, 1)
STATES = ("AZ", "CA", "ID", "OR", "WA", "WY")
CITIES = ("Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne")
NAMES = ("Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter")
SURNAMES = ("Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris")
HOT_CHANNELS = ("Google", "Facebook", "Baidu", "Apple")
MILLISECONDS = 200      # between two events


def literal(value):
    return str(value) if isinstance(value, int) else f"'{value}'"


def insert(table, rows):
    return f"INSERT INTO {table} VALUES " + ", ".join("(" + ", ".join(map(literal, row)) + ")" for row in rows)


class Load:
    small, small_changes = 0.002, 40
    may_rebuild = ()

    def __init__(self, scale, seed):
        self.scale = scale
        self.random = random.Random(f"{seed} nexmark")
        self.directory = os.path.dirname(os.path.abspath(__file__))
        self.variables = {}
        self.events = max(round(1_000_000 * scale), 500)
        self.event = 0
        self.persons = self.auctions = 0

    def time(self, seconds=0):
        return (FIRST + datetime.timedelta(milliseconds=self.event * MILLISECONDS, seconds=seconds)).isoformat(" ", "milliseconds")

    def letters(self, least, most):
        return "".join(self.random.choices("abcdefghijklmnopqrstuvwxyz ", k=self.random.randint(least, most)))

    def price(self):
        """From 100 to 100 million, each order of magnitude as often as another."""
        return round(100 * 10 ** (self.random.random() * 6))

    def recent(self, count, active, hot):
        """One of the last ids; most of the time the hot one."""
        first = max(count - active, 0)
        if hot and self.random.random() < 0.5:
            return 1 + (count - 1) // hot * hot
        return 1 + first + int(self.random.random() * (count - first))

    def person(self):
        r = self.random
        self.persons += 1
        return (self.persons, f"{r.choice(NAMES)} {r.choice(SURNAMES)}", self.letters(5, 8) + "@" + self.letters(4, 5) + ".com",
                " ".join(f"{r.randrange(10000):04d}" for _ in range(4)), r.choice(CITIES), r.choice(STATES), self.time(),
                self.letters(5, 20))

    def new_auction(self):
        self.auctions += 1
        price = self.price()
        return (self.auctions, self.letters(5, 20), self.letters(10, 60), price, price + self.price(), self.time(),
                self.time(self.random.randint(5, 120)), self.recent(self.persons, 100, 20), self.random.randint(10, 14),
                self.letters(5, 20))

    def new_bid(self):
        r = self.random
        channel = r.choice(HOT_CHANNELS) if r.random() < 0.5 else f"channel-{r.randrange(1000)}"
        url = "https://www.nexmark.com/" + "/".join(self.letters(3, 5).replace(" ", "_") for _ in range(3)) + "/item.htm?query=1"
        if r.random() < 0.9:
            url += f"&channel_id={r.randrange(1 << 20)}"
        return (self.recent(self.auctions, 100, 25), self.recent(self.persons, 200, 40), self.price(), channel, url, self.time(),
                self.letters(5, 30))

    def next(self, count):
        """Rows of the next events, by table."""
        rows = {"person": [], "auction": [], "bid": []}
        for _ in range(count):
            place = self.event % 50
            if place == 0:
                rows["person"].append(self.person())
            elif place <= 3:
                rows["auction"].append(self.new_auction())
            else:
                rows["bid"].append(self.new_bid())
            self.event += 1
        return rows

    def batches(self):
        yield "side_input", ((key, f"value {key}") for key in range(0, 10000, 3))
        while self.event < self.events:
            yield from self.next(min(20_000, self.events - self.event)).items()

    def one_change(self):
        self.event += 1
        bid = self.new_bid()
        return [insert("bid", [bid])], [f"DELETE FROM bid WHERE auction = {bid[0]} AND date_time = '{bid[5]}'"]

    def changes(self, server):
        while True:
            for count in (1, 10, 50, 100):
                yield "events", [insert(table, rows) for table, rows in self.next(count).items() if rows]
                yield self.correction()

    def correction(self):
        r = self.random
        auctions = ", ".join(str(self.recent(self.auctions, 100, 25)) for _ in range(3))
        persons = ", ".join(str(self.recent(self.persons, 100, 20)) for _ in range(3))
        at = self.time(-r.randint(0, 60))
        return r.choice((
            ("bid withdrawn", [f"DELETE FROM bid WHERE auction IN ({auctions}) AND bidder IN ({persons})"]),
            ("bid corrected", [f"UPDATE bid SET price = price * 3 WHERE auction IN ({auctions}) AND price < 10000"]),
            ("bid late", [f"UPDATE bid SET date_time = date_time + interval '7 seconds' WHERE auction IN ({auctions}) "
                          f"AND date_time BETWEEN timestamp '{at}' - interval '1 minute' AND '{at}'"]),
            ("bid doubled", [f"INSERT INTO bid SELECT * FROM bid WHERE auction IN ({auctions}) AND price > 1000000"]),
            ("auction longer", [f"UPDATE auction SET expires = expires + interval '20 seconds', category = {r.randint(10, 14)} "
                                f"WHERE id IN ({auctions})"]),
            ("auction deleted", [f"DELETE FROM bid WHERE auction IN ({auctions})", f"DELETE FROM auction WHERE id IN ({auctions})"]),
            ("person moved", [f"UPDATE person SET state = '{r.choice(STATES)}', city = 'Bend' WHERE id IN ({persons})"]),
            ("person deleted", [f"DELETE FROM person WHERE id IN ({persons})",
                                f"UPDATE auction SET seller = {self.recent(self.persons, 100, 20)} WHERE seller IN ({persons})"]),
            ("side input", [f"UPDATE side_input SET value = value || '!' WHERE key IN ({auctions})",
                            f"DELETE FROM side_input WHERE key = {3 * r.randrange(20)}"]),
            ("both sides", [f"WITH a AS (UPDATE auction SET category = 10 WHERE id IN ({auctions}) RETURNING 1), "
                            f"p AS (UPDATE person SET state = 'OR' WHERE id IN ({persons}) RETURNING 1) "
                            f"UPDATE bid SET price = price + 1 WHERE auction IN ({auctions})"]),
        ))
