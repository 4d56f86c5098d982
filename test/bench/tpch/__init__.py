"""The tables and queries of TPC-H, its refresh functions, and changes of every table beyond them."""

import os

from .data import Data, money, order_key, retail_price
from .words import BRANDS, COLORS, CONTAINERS, INSTRUCTIONS, MODES, NATIONS, PRIORITIES, REGIONS, SEGMENTS, TYPES

# Values that the queries look for: changes choose them half of the time.
WANTED = {
    "brand": ("Brand#45", "Brand#23", "Brand#12", "Brand#34"), "container": ("MED BOX", "SM CASE", "LG PKG", "MED BAG"),
    "type": ("ECONOMY ANODIZED STEEL", "SMALL PLATED BRASS", "MEDIUM POLISHED TIN", "PROMO BRUSHED NICKEL"),
    "size": (15, 49, 14, 23, 3, 9, 5), "name": ("forest green ghost rose lace", "khaki green tan sky navy"),
    "nation": (2, 3, 6, 7, 20, 8, 9), "date": ("1994-05-01", "1993-08-15", "1993-10-02", "1995-03-14", "1996-02-01"),
    "ship": ("1994-06-01", "1995-03-16", "1995-09-15", "1996-01-01", "1998-09-02", "1998-09-03"),
    "segment": ("BUILDING",), "phone": ("13-555-100-1000", "31-555-100-1000", "17-555-100-1000"),
    "mode": ("MAIL", "SHIP", "AIR"), "instruct": ("DELIVER IN PERSON",), "priority": ("1-URGENT", "2-HIGH"),
    "comment": ("carefully special pending requests", "Customer slyly Complaints", "quickly final"),
}


def literal(value):
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def insert(table, rows):
    return f"INSERT INTO {table} VALUES " + ", ".join("(" + ", ".join(map(literal, row)) + ")" for row in rows)


class Load:
    small, small_changes = 0.002, 70
    may_rebuild = ()

    def __init__(self, scale, seed):
        self.scale = scale
        self.data = Data(scale, seed)
        self.random = self.data.stream("changes")
        self.directory = os.path.dirname(os.path.abspath(__file__))
        self.variables = {"fraction": f"{0.0001 / scale:.8f}"}
        self.added = 0
        self.keys = []

    def batches(self):
        return self.data.batches()

    # One change: the order and its lines, as a shop would write them.

    def one_change(self):
        """(name, statements that make it, statements that take it back)"""
        order, lines = self.new_order()
        return [insert("orders", [order]), insert("lineitem", lines)], \
               [f"DELETE FROM lineitem WHERE l_orderkey = {order[0]}", f"DELETE FROM orders WHERE o_orderkey = {order[0]}"]

    # One change of a part of orders and lineitem.

    def make_fraction(self, server, fraction):
        """In one transaction. Of the orders that change, with their lines, a third each is new, goes, and gets other values."""
        if not self.keys:
            self.keys = [row[0] for row in server.run("SELECT o_orderkey FROM orders ORDER BY 1")]
        count = max(round(self.data.orders * fraction / 3), 1)
        new = [self.data.order_rows(self.random, order_key(self.added + n + 1) + 8) for n in range(count)]
        self.added += count
        chosen = self.random.sample(self.keys, min(2 * count, len(self.keys)))
        gone, changed = chosen[:len(chosen) // 2], chosen[len(chosen) // 2:]
        server.run("BEGIN")
        server.run("CREATE TEMP TABLE changed (key bigint PRIMARY KEY) ON COMMIT DROP")
        for keys, statements in (
                (gone, ["DELETE FROM lineitem WHERE l_orderkey IN (TABLE changed)",
                        "DELETE FROM orders WHERE o_orderkey IN (TABLE changed)"]),
                (changed, ["UPDATE orders SET o_orderdate = o_orderdate + 1, o_totalprice = o_totalprice + 1, "
                           "o_orderpriority = CASE o_orderpriority WHEN '2-HIGH' THEN '3-MEDIUM' ELSE '2-HIGH' END "
                           "WHERE o_orderkey IN (TABLE changed)",
                           "UPDATE lineitem SET l_quantity = l_quantity % 50 + 1, l_extendedprice = l_extendedprice + 1, "
                           "l_shipdate = l_shipdate + 1, l_receiptdate = l_receiptdate + 2 "
                           "WHERE l_orderkey IN (TABLE changed)"])):
            server.run("DELETE FROM changed")
            server.copy("changed", [(key,) for key in keys])
            server.run("ANALYZE changed")
            for statement in statements:
                server.run(statement)
        server.copy("orders", [order for order, _ in new])
        server.copy("lineitem", [line for _, lines in new for line in lines])
        server.run("COMMIT")
        gone = set(gone)
        self.keys = [key for key in self.keys if key not in gone] + [order[0] for order, _ in new]

    def new_order(self):
        """Of a customer, and lines of parts and suppliers, that changes have left there."""
        self.added += 1
        order, lines = self.data.order_rows(self.random, order_key(self.added) + 8)
        pairs = ", ".join(f"({line[1]}, {line[2]})" for line in lines)
        there = set(self.server.run(f"SELECT ps_partkey, ps_suppkey FROM partsupp WHERE (ps_partkey, ps_suppkey) IN ({pairs})"))
        if len(there) < len(lines):
            other = self.server.run("SELECT ps_partkey, ps_suppkey FROM partsupp LIMIT 1")[0]
            lines = [line if line[1:3] in there else line[:1] + other + line[3:] for line in lines]
        if not self.server.run(f"SELECT 1 FROM customer WHERE c_custkey = {order[1]}"):
            order = order[:1] + self.server.run("SELECT max(c_custkey) FROM customer")[0] + order[2:]
        return order, lines

    def changes(self, server):
        """Endless (label, statements of one transaction); every kind of change comes once in each round."""
        self.server = server
        kinds = [getattr(self, name) for name in sorted(dir(self)) if name.startswith("change_")]
        while True:
            self.random.shuffle(kinds)
            for kind in kinds:
                yield kind.__name__.removeprefix("change_"), kind()

    def wanted(self, name, others):
        return self.random.choice(WANTED[name] if self.random.random() < 0.5 else tuple(others))

    def pick(self, table, key, count=1, where="true"):
        """Keys of some rows, as SQL literals."""
        return [row[0] for row in self.server.run(
            f"SELECT {key} FROM {table} WHERE {where} ORDER BY md5({key}::text || '{self.random.random()}') LIMIT {count}")]

    def some(self, table, key, count):
        return ", ".join(map(str, self.pick(table, key, count))) or "NULL"

    def one(self, table, key):
        return self.pick(table, key)[0]

    def change_refresh_1(self):
        orders, lines = [], []
        for _ in range(max(round(1500 * self.scale), 3)):
            order, its_lines = self.new_order()
            orders.append(order)
            lines += its_lines
        return [insert("orders", orders), insert("lineitem", lines)]

    def change_refresh_2(self):
        keys = self.some("orders", "o_orderkey", max(round(1500 * self.scale), 3))
        return [f"DELETE FROM lineitem WHERE l_orderkey IN ({keys})", f"DELETE FROM orders WHERE o_orderkey IN ({keys})"]

    def change_order_in_one_statement(self):
        order, lines = self.new_order()
        return [f"WITH o AS ({insert('orders', [order])} RETURNING 1) {insert('lineitem', lines)}"]

    def change_order_deleted(self):
        return [f"DELETE FROM orders WHERE o_orderkey IN ({self.some('orders', 'o_orderkey', 2)})"]

    def change_order_updated(self):
        keys = self.some("orders", "o_orderkey", 3)
        return [f"UPDATE orders SET o_orderdate = {literal(self.wanted('date', ['1997-01-01']))}, "
                f"o_orderpriority = {literal(self.wanted('priority', PRIORITIES))}, "
                f"o_comment = {literal(self.wanted('comment', ['nothing']))}, "
                f"o_orderstatus = {literal(self.random.choice('FOP'))} WHERE o_orderkey IN ({keys})"]

    def change_order_moved(self):
        return [f"UPDATE orders SET o_custkey = {self.one('customer', 'c_custkey')}, o_totalprice = o_totalprice + 0.01 "
                f"WHERE o_orderkey IN ({self.some('orders', 'o_orderkey', 2)})"]

    def change_large_order(self):
        """An order of more than 300 pieces, which Q18 looks for."""
        key = self.one("orders", "o_orderkey")
        part = self.one("part", "p_partkey")
        rows = [(key, part, self.data.supplier_of(part, 0), 20 + n, 50, money(50 * retail_price(part)), "0.06", "0.01", "R",
                 "F", "1994-03-01", "1994-03-20", "1994-03-25", "DELIVER IN PERSON", "MAIL", "large") for n in range(7)]
        if not self.pick("partsupp", "ps_partkey", 1, f"ps_partkey = {part} AND ps_suppkey = {self.data.supplier_of(part, 0)}"):
            return []
        return [f"DELETE FROM lineitem WHERE l_orderkey = {key} AND l_linenumber >= 20", insert("lineitem", rows)]

    def change_line_updated(self):
        keys = self.some("orders", "o_orderkey", 4)
        return [f"UPDATE lineitem SET l_quantity = {self.random.choice((1, 2, 11, 23, 24, 50))}, "
                f"l_discount = {self.random.choice(('0.05', '0.06', '0.07', '0.00'))}, "
                f"l_shipdate = {literal(self.wanted('ship', ['1992-02-02']))}, "
                f"l_shipmode = {literal(self.wanted('mode', MODES))}, "
                f"l_shipinstruct = {literal(self.wanted('instruct', INSTRUCTIONS))}, "
                f"l_returnflag = {literal(self.random.choice('RAN'))} WHERE l_orderkey IN ({keys}) AND l_linenumber <= 2"]

    def change_line_dates(self):
        return [f"UPDATE lineitem SET l_commitdate = l_receiptdate + {self.random.randint(-2, 2)} "
                f"WHERE l_orderkey IN ({self.some('orders', 'o_orderkey', 5)})"]

    def change_line_other_supplier(self):
        """Between the suppliers of its part."""
        return ["UPDATE lineitem SET l_suppkey = (SELECT max(ps_suppkey) FROM partsupp WHERE ps_partkey = l_partkey) "
                f"WHERE l_orderkey IN ({self.some('orders', 'o_orderkey', 4)})"]

    def change_line_deleted(self):
        return [f"DELETE FROM lineitem WHERE l_linenumber = 1 AND l_orderkey IN ({self.some('orders', 'o_orderkey', 4)})"]

    def change_customer_updated(self):
        nation = self.wanted("nation", range(25))
        return [f"UPDATE customer SET c_acctbal = c_acctbal + {self.random.randint(-5000, 5000)}, c_nationkey = {nation}, "
                f"c_phone = {literal(self.wanted('phone', [self.data.phone(self.random, nation)]))}, "
                f"c_mktsegment = {literal(self.wanted('segment', SEGMENTS))} "
                f"WHERE c_custkey IN ({self.some('customer', 'c_custkey', 3)})"]

    def change_customer_new(self):
        self.added += 1
        key = self.data.customers + self.added
        order, lines = self.new_order()
        return [insert("customer", [self.data.customer_row(self.random, key)]),
                insert("orders", [(order[0], key) + order[2:]])]

    def change_customer_deleted(self):
        return [f"DELETE FROM customer WHERE c_custkey = {self.one('customer', 'c_custkey')}"]

    def change_part_updated(self):
        return [f"UPDATE part SET p_brand = {literal(self.wanted('brand', BRANDS))}, "
                f"p_container = {literal(self.wanted('container', CONTAINERS))}, "
                f"p_type = {literal(self.wanted('type', TYPES))}, p_size = {self.wanted('size', range(1, 51))}, "
                f"p_name = {literal(self.wanted('name', [' '.join(self.random.sample(COLORS, 5))]))} "
                f"WHERE p_partkey IN ({self.some('part', 'p_partkey', 6)})"]

    def change_part_new(self):
        self.added += 1
        key = self.data.parts + self.added
        suppliers = self.pick("supplier", "s_suppkey", 4)
        return [insert("part", [self.data.part_row(self.random, key)]),
                insert("partsupp", [(key, s, self.random.randint(1, 99), self.random.randint(1, 99), "new") for s in suppliers])]

    def change_part_deleted(self):
        return [f"DELETE FROM part WHERE p_partkey = {self.one('part', 'p_partkey')}"]

    def change_partsupp_updated(self):
        return [f"UPDATE partsupp SET ps_supplycost = {self.random.randint(1, 1000)}, "
                f"ps_availqty = {self.random.choice((1, 20, 100, 9999))} "
                f"WHERE ps_partkey IN ({self.some('part', 'p_partkey', 5)})"]

    def change_partsupp_deleted(self):
        return [f"DELETE FROM partsupp WHERE ps_partkey = {self.one('part', 'p_partkey')} "
                f"AND ps_suppkey = {self.one('supplier', 's_suppkey')}"]

    def change_supplier_updated(self):
        return [f"UPDATE supplier SET s_nationkey = {self.wanted('nation', range(25))}, s_acctbal = s_acctbal + 1, "
                f"s_comment = {literal(self.wanted('comment', ['silent']))} "
                f"WHERE s_suppkey IN ({self.some('supplier', 's_suppkey', 2)})"]

    def change_supplier_new_and_deleted(self):
        self.added += 1
        key = self.data.suppliers + self.added
        return [insert("supplier", [(key, f"Supplier#{key:09d}", "here", 3, "13-100-100-1000", "1.00", "new")]),
                f"UPDATE partsupp SET ps_suppkey = {key} WHERE (ps_partkey, ps_suppkey) IN "
                "(SELECT ps_partkey, min(ps_suppkey) FROM partsupp p WHERE NOT EXISTS (SELECT FROM lineitem WHERE "
                "l_partkey = ps_partkey AND l_suppkey = ps_suppkey) GROUP BY 1 ORDER BY 1 LIMIT 2)",
                f"DELETE FROM supplier WHERE s_suppkey = {self.one('supplier', 's_suppkey')}"]

    def change_nation_renamed(self):
        """Two nations change their names with each other, and one its region."""
        a, b = self.wanted("nation", range(25)), self.wanted("nation", range(25))
        return [f"UPDATE nation x SET n_name = y.n_name FROM nation y WHERE (x.n_nationkey, y.n_nationkey) IN (({a}, {b}), ({b}, {a}))",
                f"UPDATE nation SET n_regionkey = {self.random.randrange(5)} WHERE n_nationkey = {a}"]

    def change_nation_new_and_deleted(self):
        return [insert("nation", [(90, "ATLANTIS", 3, "new")]),
                f"UPDATE customer SET c_nationkey = 90 WHERE c_custkey IN ({self.some('customer', 'c_custkey', 4)})",
                f"UPDATE supplier SET s_nationkey = 90 WHERE s_suppkey = {self.one('supplier', 's_suppkey')}",
                f"UPDATE customer SET c_nationkey = {self.wanted('nation', range(25))} WHERE c_nationkey = 90",
                f"UPDATE supplier SET s_nationkey = {self.wanted('nation', range(25))} WHERE s_nationkey = 90",
                "DELETE FROM nation WHERE n_nationkey = 90"]

    def change_region(self):
        a, b = self.random.sample(range(5), 2)
        return [f"UPDATE region x SET r_name = y.r_name FROM region y WHERE (x.r_regionkey, y.r_regionkey) IN (({a}, {b}), ({b}, {a}))",
                insert("region", [(9, "EUROPE", "another")]), "UPDATE nation SET n_regionkey = 9 WHERE n_nationkey = 7",
                f"UPDATE nation SET n_regionkey = {b} WHERE n_regionkey = 9", "DELETE FROM region WHERE r_regionkey = 9"]

    def change_several_tables_at_once(self):
        """One statement that changes both sides of most joins."""
        return ["WITH c AS (UPDATE customer SET c_acctbal = -c_acctbal WHERE c_custkey "
                f"IN ({self.some('customer', 'c_custkey', 3)}) RETURNING 1), "
                "p AS (UPDATE part SET p_brand = 'Brand#23', p_container = 'MED BOX', p_name = 'forest green' "
                f"WHERE p_partkey IN ({self.some('part', 'p_partkey', 3)}) RETURNING 1), "
                f"d AS (DELETE FROM lineitem WHERE l_orderkey IN ({self.some('orders', 'o_orderkey', 2)}) RETURNING 1), "
                "s AS (UPDATE partsupp SET ps_supplycost = ps_supplycost / 2 WHERE ps_partkey "
                f"IN ({self.some('part', 'p_partkey', 4)}) RETURNING 1) "
                "UPDATE orders SET o_orderdate = o_orderdate + 30 WHERE o_orderkey "
                f"IN ({self.some('orders', 'o_orderkey', 4)})"]
