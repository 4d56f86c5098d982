"""Tables of bounded size, and views of every mode over them and over each other."""

CUSTOMERS, ORDERS, VALUES, KINDS = 60, 600, 120, 5

TABLES = f"""
DROP SCHEMA IF EXISTS soak CASCADE;
CREATE EXTENSION IF NOT EXISTS upkeep;
CREATE SCHEMA soak;
SET search_path = soak;
CREATE TABLE customers (id int PRIMARY KEY, region int, name text);
CREATE TABLE orders (id int PRIMARY KEY, customer int, day int, amount numeric, qty int NOT NULL, note text);
CREATE TABLE items (order_id int REFERENCES orders ON DELETE CASCADE, line int, sku text, price float8,
                    PRIMARY KEY (order_id, line));
CREATE TABLE events (kind int, value int, at int) PARTITION BY LIST (kind);
CREATE TABLE events_0 PARTITION OF events FOR VALUES IN (0);
CREATE TABLE events_1 PARTITION OF events FOR VALUES IN (1);
CREATE TABLE events_2 PARTITION OF events FOR VALUES IN (2);
CREATE TABLE events_3 PARTITION OF events FOR VALUES IN (3, 4);
CREATE INDEX ON orders (customer);
CREATE INDEX ON customers (region);
-- a nested statement on another base table
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE soak.orders SET qty = qty + 1 WHERE id = NEW.order_id;
    RETURN NULL;
END $$;
CREATE TRIGGER touch AFTER INSERT ON items FOR EACH ROW WHEN (NEW.line = 0) EXECUTE FUNCTION touch();
INSERT INTO customers SELECT i, i % 7, 'c' || i % 20 FROM generate_series(1, {CUSTOMERS}, 2) i;
INSERT INTO orders SELECT i, i % {CUSTOMERS}, i % 30, i % 100 + 0.5, i % 9, 'n' || i FROM generate_series(1, {ORDERS}, 3) i;
INSERT INTO items SELECT o.id, l, 's' || (o.id + l) % 40, o.id / 8.0 FROM orders o, generate_series(0, 2) l;
INSERT INTO events SELECT i % {KINDS}, i % {VALUES}, i FROM generate_series(1, 900) i;
"""

# (name, mode, query); a view comes after those that it reads.
VIEWS = [
    ("by_region", "immediate", "SELECT c.region, count(*) AS n, sum(o.amount) AS amount, avg(o.qty) AS qty "
                               "FROM orders o JOIN customers c ON c.id = o.customer GROUP BY c.region"),
    ("by_day", "commit", "SELECT day, count(*) AS n, max(amount) AS most, avg(amount) AS mean FROM orders GROUP BY day"),
    ("order_list", "deferred", "SELECT o.id, o.amount, c.name FROM orders o LEFT JOIN customers c ON c.id = o.customer"),
    ("skus", "deferred", "SELECT sku, count(*) AS n, sum(price) AS price, min(order_id) AS first FROM items GROUP BY sku"),
    ("buyers", "immediate", "SELECT id, name FROM customers c WHERE EXISTS (SELECT FROM orders o WHERE o.customer = c.id)"),
    ("idle", "commit", "SELECT id, region FROM customers c WHERE NOT EXISTS (SELECT FROM orders o WHERE o.customer = c.id)"),
    ("names", "immediate", "SELECT DISTINCT name, region FROM customers"),
    ("kinds", "immediate", "SELECT kind, count(*) AS n, sum(value) AS value FROM events GROUP BY kind"),
    ("last_event", "deferred", "SELECT DISTINCT ON (value) value, at, kind FROM events ORDER BY value, at DESC, kind"),
    ("lines", "commit", "SELECT o.day, i.sku, count(*) AS n FROM orders o JOIN items i ON i.order_id = o.id "
                        "GROUP BY o.day, i.sku HAVING count(*) > 1"),
    ("ranks", "immediate", "SELECT id, customer, rank() OVER (PARTITION BY customer ORDER BY amount DESC, id) AS place FROM orders"),
    ("totals", "manual", "SELECT count(*) AS n, sum(amount) AS amount, string_agg(note, ',' ORDER BY id) AS notes FROM orders"),
    ("large_regions", "immediate", "SELECT region, amount FROM by_region WHERE n > 3"),
    ("names_of_buyers", "immediate", "SELECT b.name, count(*) AS n, count(l.region) AS regions FROM buyers b "
                                     "LEFT JOIN names l ON l.name = b.name GROUP BY b.name"),
    ("busy_days", "deferred", "SELECT n, count(*) AS days, sum(most) AS most FROM by_day GROUP BY n"),
]
MODES = ("immediate", "commit", "deferred", "manual")


def create(connection):
    connection.rows(TABLES)
    for name, mode, query in VIEWS:
        connection.rows(f"CREATE MATERIALIZED VIEW {name} AS {query}")
        connection.rows(f"SELECT upkeep.register('{name}', '{mode}')")
