"""Random transactions on the tables of schema.py."""
import random
import time

from schema import CUSTOMERS, KINDS, ORDERS, VALUES


class Writer:
    def __init__(self, connection, seed, stop):
        self.connection, self.stop = connection, stop
        self.rng = random.Random(f"{seed} {connection.name}")
        self.transactions = self.prepared = 0

    def run(self):
        while not self.stop.is_set():
            self.transaction()
            self.transactions += 1

    # --- statements

    def customer(self):
        return self.rng.randint(1, CUSTOMERS)

    def order(self):
        return self.rng.randint(1, ORDERS)

    def interval(self, column, end, widest):
        low = self.rng.randint(1, end)
        return f"{column} BETWEEN {low} AND {low + self.rng.randint(0, widest)}"

    def values(self, low, high):
        """Rows of orders from a range of ids: few as a rule, now and then many."""
        step = self.rng.randint(1, 4)
        return (f"SELECT i, nullif(i * {self.rng.randint(1, 9)} % {CUSTOMERS + 3}, 0), i % 30, round(i / 7.0, {self.rng.randint(0, 3)}), "
                f"{self.rng.randint(0, 9)}, 'n' || i % 50 FROM generate_series({low}, {high}, {step}) i")

    def statement(self):
        rng = self.rng
        low = self.order()
        high = min(ORDERS, low + (200 if rng.random() < 0.05 else rng.randint(0, 6)))
        orders = self.interval("id", ORDERS, 150 if rng.random() < 0.05 else 4)
        value = rng.randint(0, VALUES - 1)
        return rng.choice([
            f"INSERT INTO orders {self.values(low, high)} ON CONFLICT DO NOTHING",
            f"INSERT INTO orders {self.values(low, high)} ON CONFLICT (id) DO UPDATE SET amount = excluded.amount, "
            f"customer = excluded.customer",
            f"INSERT INTO orders {self.values(low, low)}",
            f"UPDATE orders SET amount = amount + {rng.randint(-3, 3)}, qty = {rng.randint(0, 9)} WHERE {orders}",
            f"UPDATE orders SET customer = {self.customer()} WHERE {orders}",
            f"UPDATE orders SET day = (day + 1) % 30, amount = nullif(amount, {rng.randint(0, 50)}) WHERE {orders}",
            f"UPDATE orders SET qty = qty, note = note || 'x' WHERE {orders} AND length(note) < 9",
            f"DELETE FROM orders WHERE {orders}",
            f"DELETE FROM orders WHERE customer = {self.customer()}",
            f"MERGE INTO orders o USING (SELECT i FROM generate_series({low}, {low + 3}) i) s ON o.id = s.i "
            f"WHEN MATCHED AND qty > 5 THEN DELETE WHEN MATCHED THEN UPDATE SET qty = qty + 2 "
            f"WHEN NOT MATCHED AND s.i <= {ORDERS} THEN INSERT VALUES (s.i, {self.customer()}, 3, 4.25, 5, 'm')",
            f"INSERT INTO customers VALUES ({self.customer()}, {rng.randint(0, 6)}, 'c{rng.randint(0, 19)}') "
            f"ON CONFLICT (id) DO UPDATE SET region = excluded.region",
            f"UPDATE customers SET name = 'c{rng.randint(0, 19)}' WHERE {self.interval('id', CUSTOMERS, 3)}",
            f"UPDATE customers SET region = nullif({rng.randint(0, 7)}, 7) WHERE region = {rng.randint(0, 6)} AND id % 3 = 0",
            f"DELETE FROM customers WHERE id = {self.customer()}",
            f"INSERT INTO items SELECT id, {rng.randint(0, 3)}, 's{rng.randint(0, 39)}', {rng.random() * 10} FROM orders "
            f"WHERE {orders} ON CONFLICT DO NOTHING",
            f"UPDATE items SET price = price * {rng.choice(['1.5', '-1', '0'])}, sku = 's{rng.randint(0, 39)}' "
            f"WHERE {self.interval('order_id', ORDERS, 3)}",
            f"DELETE FROM items WHERE sku = 's{rng.randint(0, 39)}'",
            f"INSERT INTO events SELECT {rng.randint(0, KINDS - 1)}, {value}, {rng.randint(0, 999)} + i "
            f"FROM generate_series(1, {rng.randint(1, 15)}) i",
            f"UPDATE events SET kind = {rng.randint(0, KINDS - 1)}, at = at + 1 WHERE value = {value}",
            f"UPDATE events SET value = {value} WHERE value = {(value + 7) % VALUES}",
            f"DELETE FROM events WHERE value = {value}",
            f"DELETE FROM events_{rng.randint(0, 3)} WHERE at % 9 = {rng.randint(0, 8)}",
            f"WITH moved AS (DELETE FROM customers WHERE id = {self.customer()} RETURNING id) "
            f"UPDATE orders SET customer = {self.customer()} FROM moved WHERE customer = moved.id",
            f"DO $$ BEGIN UPDATE soak.orders SET qty = qty + 1 WHERE {orders}; "
            f"BEGIN DELETE FROM soak.orders WHERE {orders}; RAISE EXCEPTION 'x'; "
            f"EXCEPTION WHEN raise_exception THEN UPDATE soak.customers SET region = 5 WHERE id = {self.customer()}; END; END $$",
        ])

    # --- transactions

    def transaction(self):
        connection, rng = self.connection, self.rng
        if rng.random() < 0.3:
            connection.attempt(self.statement())
            return
        level = rng.choice(["", "", "", " ISOLATION LEVEL REPEATABLE READ", " ISOLATION LEVEL SERIALIZABLE"])
        connection.attempt("BEGIN" + level)
        pause = rng.random() * 0.3 if rng.random() < 0.1 else 0
        if not self.statements(pause):
            connection.leave_transaction()
            return
        end = rng.random()
        if end < 0.12:
            connection.attempt("ROLLBACK")
        elif end < 0.2:
            self.prepare()
        else:
            connection.attempt("COMMIT")
        connection.leave_transaction()

    def statements(self, pause):
        """False: the transaction failed."""
        connection, rng = self.connection, self.rng
        savepoints = 0
        for _ in range(rng.randint(1, 6)):
            if not connection.in_transaction:
                return False        # terminated and connected again
            if rng.random() < 0.3:
                savepoints += 1
                connection.attempt(f"SAVEPOINT s{savepoints}")
            failed = connection.attempt(self.statement())
            if not connection.in_transaction or failed and (not savepoints or failed[:2] == "40"):
                return False
            if savepoints and (failed or rng.random() < 0.25):
                if connection.attempt(f"ROLLBACK TO s{savepoints}"):
                    return False
                savepoints -= rng.random() < 0.5
            if pause:
                time.sleep(pause)
        return connection.in_transaction

    def prepare(self):
        """Another session ends it, now or later: see Ender."""
        self.prepared += 1
        name = f"{self.connection.name} {self.prepared}"
        if self.connection.attempt(f"PREPARE TRANSACTION '{name}'") or self.rng.random() < 0.3:
            return
        if self.rng.random() < 0.5:
            time.sleep(self.rng.random() * 0.3)
        end_prepared(self.connection, name, self.rng)


def end_prepared(connection, name, rng):
    verb = "COMMIT" if rng.random() < 0.7 else "ROLLBACK"
    # Somebody else may have been faster, or be at it.
    connection.attempt(f"{verb} PREPARED '{name}'", also=("42704", "55000"))
