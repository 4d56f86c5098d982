"""Rows of the eight tables, by the rules of the specification, from a seed: the same rows for the same scale and seed."""

import datetime
import random

from .words import (BRANDS, COLORS, CONTAINERS, INSTRUCTIONS, MODES, NATIONS, PRIORITIES, REGIONS, SEGMENTS, TYPES,
                    text_pool)

START = datetime.date(1992, 1, 1)
CURRENT = (datetime.date(1995, 6, 17) - START).days
LAST_ORDER = (datetime.date(1998, 12, 31) - START).days - 151
DAYS = [(START + datetime.timedelta(day)).isoformat() for day in range(LAST_ORDER + 151 + 1)]
ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz, ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def order_key(number):
    """Sparse: of every 32 keys the first 8 are used; those of RF1 are in the second 8."""
    return number // 8 * 32 + number % 8 + 1


def money(cents):
    return f"-{-cents // 100}.{-cents % 100:02d}" if cents < 0 else f"{cents // 100}.{cents % 100:02d}"


def retail_price(part):
    """In cents."""
    return 90000 + part // 10 % 20001 + 100 * (part % 1000)


class Data:
    def __init__(self, scale, seed):
        self.seed = seed
        self.suppliers = max(round(10_000 * scale), 8)
        self.parts = max(round(200_000 * scale), 40)
        self.customers = max(round(150_000 * scale), 30)
        self.orders = max(round(1_500_000 * scale), 300)
        self.clerks = max(round(1_000 * scale), 2)
        self.pool = text_pool(random.Random(f"{seed} text"))

    def stream(self, name):
        return random.Random(f"{self.seed} {name}")

    def text(self, r, shortest, longest):
        length = shortest + int(r.random() * (longest - shortest + 1))
        at = int(r.random() * (len(self.pool) - length))
        return self.pool[at:at + length]

    @staticmethod
    def address(r):
        return "".join(r.choices(ALPHABET, k=r.randint(10, 40)))

    @staticmethod
    def phone(r, nation):
        return f"{nation + 10}-{r.randint(100, 999)}-{r.randint(100, 999)}-{r.randint(1000, 9999)}"

    def supplier_of(self, part, i):
        """The i-th of the four suppliers of a part; with few suppliers the specification's formula would name one twice."""
        s = self.suppliers
        shift = (part - 1) // s if s > 240 else (part - 1) // s % max(s // 12, 1)
        return (part + i * (s // 4 + shift)) % s + 1

    def region(self):
        r = self.stream("region")
        for key, name in enumerate(REGIONS):
            yield key, name, self.text(r, 31, 115)

    def nation(self):
        r = self.stream("nation")
        for key, (name, region) in enumerate(NATIONS):
            yield key, name, region, self.text(r, 31, 114)

    def supplier(self):
        r = self.stream("supplier")
        # 5 of 10,000 suppliers have complaints and 5 recommendations; at least one of each.
        special = r.sample(range(1, self.suppliers + 1), 2 * max(self.suppliers // 2000, 1))
        for key in range(1, self.suppliers + 1):
            nation = r.randrange(25)
            comment = self.text(r, 25, 100)
            if key in special:
                kind = "Complaints" if special.index(key) % 2 == 0 else "Recommends"
                comment = f"{comment[:30]}Customer{comment[30:40]}{kind}{comment[40:70]}"
            yield (key, f"Supplier#{key:09d}", self.address(r), nation, self.phone(r, nation),
                   money(r.randint(-99999, 999999)), comment)

    def part_row(self, r, key):
        brand = r.choice(BRANDS)
        return (key, " ".join(r.sample(COLORS, 5)), f"Manufacturer#{brand[6]}", brand, r.choice(TYPES), r.randint(1, 50),
                r.choice(CONTAINERS), money(retail_price(key)), self.text(r, 5, 22))

    def part(self):
        r = self.stream("part")
        for key in range(1, self.parts + 1):
            yield self.part_row(r, key)

    def partsupp(self):
        r = self.stream("partsupp")
        for part in range(1, self.parts + 1):
            for i in range(4):
                yield (part, self.supplier_of(part, i), r.randint(1, 9999), money(r.randint(100, 100000)),
                       self.text(r, 49, 198))

    def customer_row(self, r, key):
        nation = r.randrange(25)
        return (key, f"Customer#{key:09d}", self.address(r), nation, self.phone(r, nation),
                money(r.randint(-99999, 999999)), r.choice(SEGMENTS), self.text(r, 29, 116))

    def customer(self):
        r = self.stream("customer")
        for key in range(1, self.customers + 1):
            yield self.customer_row(r, key)

    def order_rows(self, r, key):
        """A row of orders and its rows of lineitem. Every third customer has no orders."""
        customer = int(r.random() * self.customers) + 1
        while customer % 3 == 0:
            customer = int(r.random() * self.customers) + 1
        day = int(r.random() * (LAST_ORDER + 1))
        lines, total, shipped = [], 0, 0
        count = int(r.random() * 7) + 1
        for number in range(1, count + 1):
            part = int(r.random() * self.parts) + 1
            quantity = int(r.random() * 50) + 1
            price = quantity * retail_price(part)
            discount, tax = int(r.random() * 11), int(r.random() * 9)
            ship = day + 1 + int(r.random() * 121)
            receipt = ship + 1 + int(r.random() * 30)
            returned = ("R" if r.random() < 0.5 else "A") if receipt <= CURRENT else "N"
            shipped += ship <= CURRENT
            total += price * (100 + tax) * (100 - discount)
            lines.append((key, part, self.supplier_of(part, int(r.random() * 4)), number, quantity, money(price),
                          f"0.{discount:02d}", f"0.{tax:02d}", returned, "F" if ship <= CURRENT else "O", DAYS[ship],
                          DAYS[day + 30 + int(r.random() * 61)], DAYS[receipt], r.choice(INSTRUCTIONS), r.choice(MODES),
                          self.text(r, 10, 43)))
        status = "F" if shipped == count else "O" if shipped == 0 else "P"
        order = (key, customer, status, money(total // 10000), DAYS[day], r.choice(PRIORITIES),
                 f"Clerk#{int(r.random() * self.clerks) + 1:09d}", 0, self.text(r, 19, 78))
        return order, lines

    def order_batches(self):
        """Rows of orders and of lineitem, some thousand orders at a time."""
        r = self.stream("orders")
        for first in range(0, self.orders, 5000):
            orders, lines = [], []
            for number in range(first, min(first + 5000, self.orders)):
                order, its_lines = self.order_rows(r, order_key(number))
                orders.append(order)
                lines += its_lines
            yield orders, lines

    def batches(self):
        """(table, rows) in an order that can be loaded."""
        for table in ("region", "nation", "supplier", "part", "partsupp", "customer"):
            yield table, getattr(self, table)()
        for orders, lines in self.order_batches():
            yield "orders", orders
            yield "lineitem", lines
