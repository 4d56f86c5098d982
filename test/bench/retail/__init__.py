"""A retail schema: sales through stores, the web and catalogs, returns, inventory; rows and changes from a seed."""

import datetime
import json
import os
import random

FIRST = datetime.date(2022, 1, 1)
DAYS = 3 * 365
BRANDS = tuple(f"brand {letter}" for letter in "abcdefghijkl")
COLOURS = ("red", "green", "blue", "black", "white")
CITIES = (("Fulda", "HE"), ("Kassel", "HE"), ("Jena", "TH"), ("Erfurt", "TH"), ("Kiel", "SH"))
TIERS = ("none", "bronze", "silver", "gold")
REASONS = ("broken", "too late", "wrong size", None)
TAGS = ("new", "sale", "eco", "heavy", "fragile")
CHANNELS = ("store", "web", "catalog")


def literal(value):
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, (int, float)) else "'" + str(value).replace("'", "''") + "'"


def insert(table, rows, columns=""):
    return f"INSERT INTO {table} {columns} VALUES " + ", ".join("(" + ", ".join(map(literal, row)) + ")" for row in rows)


def day(number):
    return (FIRST + datetime.timedelta(number)).isoformat()


class Load:
    small, small_changes = 0.002, 40
    may_rebuild = ("partition_comes_or_goes",)
    SALE = "(id, sold_on, store, customer, item, promotion, quantity, price)"

    def __init__(self, scale, seed):
        self.scale = scale
        self.random = random.Random(f"{seed} retail")
        self.directory = os.path.dirname(os.path.abspath(__file__))
        self.variables = {}
        self.stores = max(round(100 * scale), 5)
        self.categories = max(round(500 * scale), 12)
        self.items = max(round(10_000 * scale), 30)
        self.customers = max(round(50_000 * scale), 40)
        self.promotions = max(round(1_000 * scale), 10)
        self.sales = max(round(300_000 * scale), 100)
        self.last = {"store_sales": 0, "web_sales": 0, "catalog_sales": 0, "returns": 0}

    # Rows. Ids start at 1; `next_` rows have the next id of their table.

    def chance(self, part):
        return self.random.random() < part

    def price(self):
        return f"{self.random.randint(1, 90)}.{self.random.choice(('00', '50', '99'))}"

    def any_item(self):
        """Some items are sold far more often than others."""
        return 1 + int(self.random.random() ** 2 * self.items)

    def any_customer(self):
        return 1 + int(self.random.random() ** 1.5 * self.customers)

    def next(self, table):
        self.last[table] += 1
        return self.last[table]

    def item_row(self, key):
        r = self.random
        attributes = {"tags": r.sample(TAGS, r.randint(0, 3))}
        if self.chance(0.7):
            attributes["colour"] = r.choice(COLOURS)
        return (key, r.randint(1, self.categories) if self.chance(0.95) else None, r.choice(BRANDS), f"item {key % 97}",
                self.price(), f"{r.randint(1, 60)}.00", json.dumps(attributes), "t" if self.chance(0.9) else "f")

    def customer_row(self, key):
        r = self.random
        preferences = {"mail": r.choice((True, False)), "colour": r.choice(COLOURS)} if self.chance(0.8) else {}
        return (key, f"customer {key % 1009}", r.randint(1, self.customers) if self.chance(0.9) else None,
                f"c{key}@example.net" if self.chance(0.8) else None,
                day(-r.randint(7000, 25000)) if self.chance(0.9) else None, r.choice(TIERS), json.dumps(preferences))

    def address_row(self, key):
        city, state = self.random.choice(CITIES)
        return key, city, state, f"{self.random.randint(0, 99999):05d}", "DE" if self.chance(0.9) else None

    def promotion_row(self, key):
        start = self.random.randint(0, DAYS - 30)
        return (key, f"promotion {key}", self.any_item() if self.chance(0.9) else None, self.random.choice(CHANNELS),
                f"[{day(start)},{day(start + self.random.randint(1, 20))})", f"0.{self.random.randint(5, 40):02d}")

    def store_sale(self):
        r = self.random
        return (self.next("store_sales"), day(r.randrange(DAYS)), r.randint(1, self.stores),
                self.any_customer() if self.chance(0.9) else None, self.any_item(),
                r.randint(1, self.promotions) if self.chance(0.2) else None, r.randint(1, 6), self.price())

    def web_sale(self):
        r = self.random
        return (self.next("web_sales"), f"{day(r.randrange(DAYS))} {r.randint(0, 23):02d}:{r.choice((0, 15, 30)):02d}:00+00",
                r.choice(("main", "mobile")), self.any_customer(), self.any_item(),
                r.randint(1, self.promotions) if self.chance(0.2) else None,
                r.randint(1, self.customers) if self.chance(0.9) else None, r.randint(1, 6), self.price())

    def catalog_sale(self):
        r = self.random
        return (self.next("catalog_sales"), day(r.randrange(DAYS)), r.randint(1, 20) if self.chance(0.8) else None,
                self.any_customer(), self.any_item(), r.randint(1, 6), self.price(), round(r.random() * 20, 3))

    def return_row(self):
        r = self.random
        channel = r.choice(CHANNELS)
        return (self.next("returns"), channel, r.randint(1, max(self.last[channel + "_sales"], 1)) if self.chance(0.95) else None,
                self.any_customer() if self.chance(0.9) else None, self.any_item(), day(r.randrange(DAYS)), r.randint(1, 3),
                r.choice(REASONS))

    def batches(self):
        r = self.random
        yield "dates", ((day(n), *self.calendar(n)) for n in range(DAYS))
        yield "categories", ((n, r.randint(1, n - 1) if n > 3 else None, f"category {n}") for n in range(1, self.categories + 1))
        yield "stores", ((n, f"store {n}", "({},{})".format(*r.choice(CITIES)), day(-r.randint(0, 4000)),
                          f"{r.randint(500, 5000)}.5", "{" + ",".join(r.sample(TAGS, r.randint(0, 3))) + "}")
                         for n in range(1, self.stores + 1))
        yield "items", map(self.item_row, range(1, self.items + 1))
        yield "addresses", map(self.address_row, range(1, self.customers + 1))
        yield "customers", map(self.customer_row, range(1, self.customers + 1))
        yield "promotions", map(self.promotion_row, range(1, self.promotions + 1))
        yield f"store_sales {self.SALE}", (self.store_sale() for _ in range(self.sales))
        yield "web_sales", (self.web_sale() for _ in range(self.sales // 2))
        yield "catalog_sales", (self.catalog_sale() for _ in range(self.sales // 3))
        yield "returns", (self.return_row() for _ in range(self.sales // 6))
        yield "inventory", ((day(week * 28), store, item, r.randint(0, 50)) for week in range(6)
                            for store in range(1, min(self.stores, 8) + 1) for item in range(1, self.items + 1, 4))
        for table, last in (("feedback", ()), ("store_feedback", (1,)), ("web_feedback", ("main",))):
            yield table, ((self.any_customer(), self.any_item(), r.randint(1, 5), None) + last for _ in range(self.sales // 20))

    @staticmethod
    def calendar(number):
        date = FIRST + datetime.timedelta(number)
        _, week, weekday = date.isocalendar()
        return date.year, (date.month + 2) // 3, date.month, week, weekday, "t" if weekday == 7 or number % 50 == 0 else "f"

    # Changes.

    def one_change(self):
        sale = self.store_sale()
        return [insert("store_sales", [sale], self.SALE)], [f"DELETE FROM store_sales WHERE id = {sale[0]}"]

    def changes(self, server):
        self.server = server
        kinds = [getattr(self, name) for name in sorted(dir(self)) if name.startswith("change_")]
        while True:
            self.random.shuffle(kinds)
            for kind in kinds:
                yield kind.__name__.removeprefix("change_"), kind()

    def some(self, table, key="id", count=3):
        rows = self.server.run(
            f"SELECT {key} FROM {table} ORDER BY md5({key}::text || '{self.random.random()}') LIMIT {count}")
        return ", ".join(literal(row[0]) for row in rows) or "NULL"

    def change_store_sale(self):
        return [insert("store_sales", [self.store_sale() for _ in range(self.random.choice((1, 5)))], self.SALE)]

    def there(self, table, key):
        """That key or, where no such row is left, NULL."""
        return key if key and self.server.run(f"SELECT 1 FROM {table} WHERE id = {key}") else None

    def change_web_sale(self):
        rows = [self.web_sale() for _ in range(3)]
        return [insert("web_sales", [row[:5] + (self.there("promotions", row[5]),) + row[6:] for row in rows])]

    def change_catalog_sale(self):
        rows = [self.catalog_sale() for _ in range(5)]
        rows = [row for row in rows if self.there("customers", row[3])]
        return [insert("catalog_sales", rows)] if rows else []

    def change_return(self):
        return [insert("returns", [self.return_row() for _ in range(3)])]

    def change_store_sale_deleted(self):
        return [f"DELETE FROM store_sales WHERE id IN ({self.some('store_sales')})"]

    def change_web_sale_deleted(self):
        return [f"DELETE FROM web_sales WHERE id IN ({self.some('web_sales')})"]

    def change_catalog_sale_deleted(self):
        return [f"DELETE FROM catalog_sales WHERE id IN ({self.some('catalog_sales')})"]

    def change_return_deleted(self):
        return [f"DELETE FROM returns WHERE id IN ({self.some('returns')})"]

    def change_sale_moved(self):
        """Between partitions, and to another customer."""
        return [f"UPDATE store_sales SET sold_on = {literal(day(self.random.randrange(DAYS)))}, "
                f"customer = {self.any_customer()} WHERE id IN ({self.some('store_sales')})"]

    def change_sale_updated(self):
        return [f"UPDATE store_sales SET quantity = {self.random.randint(1, 9)}, item = {self.any_item()} "
                f"WHERE id IN ({self.some('store_sales')})",
                f"UPDATE store_sales SET customer = NULL WHERE id IN ({self.some('store_sales', count=1)})"]

    def change_partition(self):
        """Statements that name a partition."""
        return [f"UPDATE store_sales_2023b SET price = price + 1 WHERE id IN ({self.some('store_sales_2023b')})",
                f"DELETE FROM store_sales_2023 WHERE id IN ({self.some('store_sales_2023', count=1)})",
                insert("store_sales_2022", [(self.next("store_sales"), "2022-05-05", 1, 1, 1, None, 2, "3.00")], self.SALE)]

    def change_partition_comes_or_goes(self):
        """Attached with rows in it; the next time detached, or dropped with the rows."""
        if self.server.run("SELECT to_regclass('store_sales_2031') IS NOT NULL")[0][0]:
            return self.random.choice((["DROP TABLE store_sales_2031"],
                                       ["ALTER TABLE store_sales DETACH PARTITION store_sales_2031", "DROP TABLE store_sales_2031"]))
        rows = [(*self.store_sale()[:1], "2031-03-03", *self.store_sale()[2:]) for _ in range(3)]
        return ["CREATE TABLE store_sales_2031 (LIKE store_sales INCLUDING ALL)", insert("store_sales_2031", rows, self.SALE),
                "ALTER TABLE store_sales ATTACH PARTITION store_sales_2031 FOR VALUES FROM ('2031-01-01') TO ('2032-01-01')"]

    def change_web_sale_updated(self):
        return [f"UPDATE web_sales SET customer = {self.any_customer()}, sold_at = sold_at + interval '40 days' "
                f"WHERE id IN ({self.some('web_sales')})",
                f"UPDATE web_sales SET price = {self.price()}, item = {self.any_item()}, promotion = NULL "
                f"WHERE id IN ({self.some('web_sales')})"]

    def change_catalog_sale_updated(self):
        return [f"UPDATE catalog_sales SET weight = weight * 1.5, page = {self.random.randint(1, 20)}, quantity = quantity + 1 "
                f"WHERE id IN ({self.some('catalog_sales')})"]

    def change_return_updated(self):
        return [f"UPDATE returns SET reason = {literal(self.random.choice(REASONS))}, sale = "
                f"{self.random.choice(('NULL', 'sale + 1'))}, returned_on = returned_on + 3 WHERE id IN ({self.some('returns')})"]

    def change_item(self):
        keys = self.some("items")
        return [f"UPDATE items SET price = {self.price()}, active = NOT active WHERE id IN ({keys})",
                f"UPDATE items SET category = {self.random.choice(('NULL', str(self.random.randint(1, self.categories))))}, "
                f"brand = {literal(self.random.choice(BRANDS))} WHERE id IN ({self.some('items', count=1)})",
                "UPDATE items SET attributes = attributes || "
                f"{literal(json.dumps({'colour': self.random.choice(COLOURS), 'tags': ['new']}))} WHERE id IN ({keys})"]

    def change_item_new(self):
        self.items += 1
        return [insert("items", [self.item_row(self.items)]),
                insert("inventory", [("2024-01-01", 1, self.items, 5), ("2024-02-01", 1, self.items, 0)])]

    def change_item_deleted(self):
        return [f"DELETE FROM items WHERE id IN ({self.some('items', count=1)})"]

    def change_customer(self):
        return [f"UPDATE customers SET tier = {literal(self.random.choice(TIERS))}, address = "
                f"{self.random.choice(('NULL', self.some('addresses', count=1)))} WHERE id IN ({self.some('customers')})",
                f"UPDATE customers SET preferences = '{{\"mail\": true, \"colour\": \"red\"}}' "
                f"WHERE id IN ({self.some('customers')})"]

    def change_customer_new_and_deleted(self):
        """The deletion takes catalog sales along."""
        self.customers += 1
        return [insert("customers", [self.customer_row(1_000_000 + self.customers)[:2] + (1, None, None, "gold", "{}")]),
                f"DELETE FROM customers WHERE id IN ({self.some('customers', count=1)})"]

    def change_address(self):
        city, state = self.random.choice(CITIES)
        return [f"UPDATE addresses SET city = {literal(city)}, state = {literal(state)} WHERE id IN ({self.some('addresses')})",
                f"DELETE FROM addresses WHERE id IN ({self.some('addresses', count=1)})"]

    def change_store(self):
        city, state = self.random.choice(CITIES)
        return [f"UPDATE stores SET place = ROW({literal(city)}, {literal(state)})::place, tags = tags || '{{eco,eco}}' "
                f"WHERE id IN ({self.some('stores', count=2)})",
                f"UPDATE stores SET name = 'the store', tags = tags[:2] WHERE id IN ({self.some('stores', count=1)})"]

    def change_category_moved(self):
        """Below an older category or to the root, so that the tree stays one."""
        child = self.random.randint(2, self.categories)
        return [f"UPDATE categories SET parent = {self.random.choice(('NULL', str(self.random.randint(1, child - 1))))} "
                f"WHERE id = {child} AND EXISTS (SELECT FROM categories WHERE id < {child})"
                f" AND (SELECT count(*) FROM categories WHERE id IN (1, {child})) > 1",
                f"UPDATE categories SET name = name || '!' WHERE id IN ({self.some('categories', count=2)})"]

    def change_promotion(self):
        self.promotions += 1
        return [f"UPDATE promotions SET discount = 0.20, item = {self.random.choice(('NULL', str(self.any_item())))}, "
                f"valid = daterange(lower(valid), upper(valid) + 5) WHERE id IN ({self.some('promotions', count=2)})",
                insert("promotions", [self.promotion_row(self.promotions)]),
                f"DELETE FROM promotions WHERE id IN ({self.some('promotions', count=1)})"]

    def change_inventory(self):
        return [f"UPDATE inventory SET on_hand = on_hand + {self.random.randint(-3, 9)} WHERE item IN ({self.some('items')})",
                f"UPDATE inventory SET week = week + 1 WHERE item IN ({self.some('items', count=1)}) AND store = 1",
                f"DELETE FROM inventory WHERE item IN ({self.some('items', count=1)}) AND store = 2"]

    def change_dates(self):
        date = literal(day(self.random.randrange(DAYS)))
        return [f"UPDATE dates SET holiday = NOT holiday WHERE day BETWEEN {date} AND {date}::date + 5",
                f"DELETE FROM dates WHERE day = {date}::date + 9"]

    def change_feedback(self):
        return [insert("feedback", [(1, self.any_item(), 3, "so so")]), insert("store_feedback", [(2, self.any_item(), 5, None, 1)]),
                f"UPDATE feedback SET stars = 1 WHERE item = {self.any_item()}",
                f"DELETE FROM ONLY feedback WHERE item = {self.any_item()}",
                f"DELETE FROM web_feedback WHERE item = {self.any_item()}"]

    def change_both_sides(self):
        """One statement that changes several tables of a join."""
        return ["WITH i AS (UPDATE items SET price = price + 1, brand = 'brand a' WHERE id "
                f"IN ({self.some('items')}) RETURNING 1), "
                f"c AS (UPDATE customers SET tier = 'gold' WHERE id IN ({self.some('customers')}) RETURNING 1), "
                f"r AS (DELETE FROM returns WHERE id IN ({self.some('returns')}) RETURNING 1), "
                f"w AS (DELETE FROM web_sales WHERE id IN ({self.some('web_sales')}) RETURNING 1), "
                "n AS (" + insert("store_sales", [self.store_sale(), self.store_sale()], self.SALE) + " RETURNING 1) "
                f"UPDATE store_sales SET quantity = quantity + 1 WHERE id IN ({self.some('store_sales', count=4)})"]

    def change_back_and_forth(self):
        """Leaves everything as it was, partly through a savepoint."""
        keys = self.some("store_sales")
        sale = self.web_sale()[:5] + (None, None, 1, "5.00")
        return [f"UPDATE store_sales SET quantity = quantity + 1 WHERE id IN ({keys})", "SAVEPOINT s", insert("web_sales", [sale]),
                "ROLLBACK TO s", f"UPDATE store_sales SET quantity = quantity - 1 WHERE id IN ({keys})"]
