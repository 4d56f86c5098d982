"""The schemas that are compared: each has the same base tables, so that the same statements run in all of them."""

# Groups of the aggregate view's table; rows are spread evenly.
GROUPS = 1000

# The grouped column's values and the type of the column that is summed, by name of the variant of the table.
VALUE_TYPES = {"int": "integer", "num": "numeric(12,2)"}


def aggregate_rows(first, last):
    return f"SELECT i, i % {GROUPS}, (i * 7919 % 100000)::numeric / 100 FROM generate_series({first}::bigint, {last}) i"


def aggregate_table(value_type, rows):
    return f"""
CREATE TABLE t (id bigint PRIMARY KEY, grp integer NOT NULL, val {value_type} NOT NULL);
CREATE SEQUENCE t_id;
INSERT INTO t {aggregate_rows(1, rows)};
SELECT setval('t_id', {rows});
ALTER TABLE t ALTER id SET DEFAULT nextval('t_id');
-- One row and one transaction at a time, asynchronously committed.
CREATE PROCEDURE insert_singly(n integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..n LOOP
        INSERT INTO t (grp, val) VALUES (i::bigint * 7919 % {GROUPS}, i % 1000);
        COMMIT;
    END LOOP;
END $$;
"""


AGGREGATE_QUERY = "SELECT grp, count(*) AS n, sum(val) AS total FROM t GROUP BY grp"

# What one writes by hand: a summary table, one statement trigger for each kind of change, transition tables, one
# statement for all groups, in the order of the groups so that two writers do not deadlock.
AGGREGATE_BY_HAND = """
CREATE TABLE v AS {query};
ALTER TABLE v ADD PRIMARY KEY (grp);

CREATE FUNCTION t_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO v AS s SELECT grp, count(*), sum(val) FROM added GROUP BY grp ORDER BY grp
    ON CONFLICT (grp) DO UPDATE SET n = s.n + excluded.n, total = s.total + excluded.total;
    RETURN NULL;
END $$;

CREATE FUNCTION t_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO v AS s
        SELECT grp, sum(n), sum(val)
        FROM (SELECT grp, 1 AS n, val FROM added UNION ALL SELECT grp, -1, -val FROM removed) c
        GROUP BY grp HAVING sum(n) <> 0 OR sum(val) <> 0 ORDER BY grp
    ON CONFLICT (grp) DO UPDATE SET n = s.n + excluded.n, total = s.total + excluded.total;
    DELETE FROM v WHERE n = 0 AND grp IN (SELECT grp FROM removed);
    RETURN NULL;
END $$;

CREATE FUNCTION t_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO v AS s SELECT grp, -count(*), -sum(val) FROM removed GROUP BY grp ORDER BY grp
    ON CONFLICT (grp) DO UPDATE SET n = s.n + excluded.n, total = s.total + excluded.total;
    DELETE FROM v WHERE n = 0 AND grp IN (SELECT grp FROM removed);
    RETURN NULL;
END $$;

CREATE TRIGGER t_inserted AFTER INSERT ON t REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION t_inserted();
CREATE TRIGGER t_updated AFTER UPDATE ON t REFERENCING NEW TABLE AS added OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION t_updated();
CREATE TRIGGER t_deleted AFTER DELETE ON t REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION t_deleted();
""".format(query=AGGREGATE_QUERY)

# Triggers that see what those above see, and do nothing. The function is one in C that comes with the server and returns false,
# which is no row and no NULL. (Those of the server itself are looked up by name among some thousand, at each statement.)
EMPTY_TRIGGERS = """
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE c AS '$libdir/isn', 'weak_input_status';
CREATE TRIGGER t_inserted AFTER INSERT ON t REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION nothing();
CREATE TRIGGER t_updated AFTER UPDATE ON t REFERENCING NEW TABLE AS added OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION nothing();
CREATE TRIGGER t_deleted AFTER DELETE ON t REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION nothing();
"""


def fact_rows(first, last, facts):
    return (f"SELECT i, i * 7919 % {customers(facts)} + 1, i * 6607 % {PRODUCTS} + 1, i % 9 + 1 "
            f"FROM generate_series({first}::bigint, {last}) i")


def shop_tables(facts):
    return f"""
CREATE TABLE customers (id integer PRIMARY KEY, name text NOT NULL, region integer NOT NULL);
CREATE TABLE products (id integer PRIMARY KEY, category integer NOT NULL, price numeric(10,2) NOT NULL);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id integer NOT NULL, product_id integer NOT NULL,
                     quantity integer NOT NULL);
CREATE SEQUENCE orders_id;
INSERT INTO customers SELECT i, 'customer ' || i, i % 20 FROM generate_series(1, {customers(facts)}) i;
INSERT INTO products SELECT i, i % 25, i + 0.99 FROM generate_series(1, {PRODUCTS}) i;
INSERT INTO orders {fact_rows(1, facts, facts)};
SELECT setval('orders_id', {facts});
ALTER TABLE orders ALTER id SET DEFAULT nextval('orders_id');
CREATE INDEX ON orders (customer_id);
CREATE INDEX ON orders (product_id);
"""


PRODUCTS = 1000


def customers(facts):
    """Each customer has 30 orders."""
    return max(facts // 30, 1)


JOIN_QUERY = """SELECT o.id, o.quantity, c.id AS customer_id, c.name, c.region, p.category, p.price
FROM orders o JOIN customers c ON c.id = o.customer_id JOIN products p ON p.id = o.product_id"""

JOIN_BY_HAND = f"""
CREATE TABLE v AS {JOIN_QUERY};
ALTER TABLE v ADD PRIMARY KEY (id);
CREATE INDEX ON v (customer_id);

CREATE FUNCTION orders_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM v USING removed WHERE v.id = removed.id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO v {JOIN_QUERY.replace('FROM orders', 'FROM added')};
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION customers_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE v SET name = added.name, region = added.region FROM added WHERE v.customer_id = added.id;
    RETURN NULL;
END $$;

CREATE TRIGGER orders_inserted AFTER INSERT ON orders REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION orders_changed();
CREATE TRIGGER orders_updated AFTER UPDATE ON orders REFERENCING NEW TABLE AS added OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION orders_changed();
CREATE TRIGGER orders_deleted AFTER DELETE ON orders REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION orders_changed();
CREATE TRIGGER customers_updated AFTER UPDATE ON customers REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION customers_updated();
"""

GROUPED_QUERY = """SELECT c.region, p.category, count(*) AS n, sum(o.quantity * p.price) AS revenue
FROM orders o JOIN customers c ON c.id = o.customer_id JOIN products p ON p.id = o.product_id
GROUP BY c.region, p.category"""

_CHANGES = """
    INSERT INTO v AS s
        SELECT region, category, sum(n), sum(revenue) FROM ({changes}) c
        GROUP BY region, category HAVING sum(n) <> 0 OR sum(revenue) <> 0 ORDER BY region, category
    ON CONFLICT (region, category) DO UPDATE SET n = s.n + excluded.n, revenue = s.revenue + excluded.revenue;
    DELETE FROM v WHERE n = 0;
    RETURN NULL;
"""


def _signed(orders, customers_, sign):
    return f"""SELECT c.region, c_p.category, {sign}1 AS n, {sign}(o.quantity * c_p.price) AS revenue
        FROM {orders} o JOIN {customers_} c ON c.id = o.customer_id JOIN products c_p ON c_p.id = o.product_id"""


def _function(name, changes):
    return f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN" \
        + _CHANGES.format(changes=changes) + "END $$;\n"


GROUPED_BY_HAND = f"""
CREATE TABLE v AS {GROUPED_QUERY};
ALTER TABLE v ADD PRIMARY KEY (region, category);
""" + _function("orders_inserted", _signed("added", "customers", "")) \
    + _function("orders_deleted", _signed("removed", "customers", "-")) \
    + _function("orders_updated", _signed("added", "customers", "") + " UNION ALL "
                + _signed("removed", "customers", "-")) \
    + _function("customers_updated", _signed("orders", "added", "") + " UNION ALL "
                + _signed("orders", "removed", "-")) + """
CREATE TRIGGER orders_inserted AFTER INSERT ON orders REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION orders_inserted();
CREATE TRIGGER orders_updated AFTER UPDATE ON orders REFERENCING NEW TABLE AS added OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION orders_updated();
CREATE TRIGGER orders_deleted AFTER DELETE ON orders REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION orders_deleted();
CREATE TRIGGER customers_updated AFTER UPDATE ON customers REFERENCING NEW TABLE AS added OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION customers_updated();
"""


# Deferred views are refreshed when a part asks for it, since the server pauses the background: what is measured is writers, or
# one refresh at a time.
MODES = ("immediate", "commit", "deferred")


def materialized(query, mode):
    return f"CREATE MATERIALIZED VIEW v AS {query}; SELECT upkeep.register('v', '{mode}');"


# Schema, base tables (by family), query, and what keeps it: nothing, triggers, upkeep in one of its modes.
VIEWS = {
    "int": (AGGREGATE_QUERY, AGGREGATE_BY_HAND),
    "num": (AGGREGATE_QUERY, AGGREGATE_BY_HAND),
    "join": (JOIN_QUERY, JOIN_BY_HAND),
    "grouped": (GROUPED_QUERY, GROUPED_BY_HAND),
}
KEEPERS = ("none", "hand", *MODES)


# What is watched for freshness: each row is in the view under its own key, with the time at which it was written.
FRESHNESS = """
CREATE SCHEMA fresh; SET search_path = fresh, public;
CREATE TABLE t (id bigserial PRIMARY KEY, grp integer NOT NULL, val integer NOT NULL, at timestamptz NOT NULL);
CREATE MATERIALIZED VIEW v AS SELECT id, at FROM t;
CREATE MATERIALIZED VIEW totals AS SELECT grp, count(*) AS n, sum(val) AS total FROM t GROUP BY grp;
SELECT upkeep.register('v', 'deferred', max_staleness => {staleness}), upkeep.register('totals', 'deferred', max_staleness => {staleness});
RESET search_path;
"""


def script(view, keeper, rows, facts):
    """The statements that make the schema `<view>_<keeper>`; `rows` and `facts` are numbers of rows."""
    query, by_hand = VIEWS[view]
    tables = aggregate_table(VALUE_TYPES[view], rows) if view in VALUE_TYPES else shop_tables(facts)
    keep = {"none": "", "hand": by_hand, "empty": EMPTY_TRIGGERS}.get(keeper) if keeper not in MODES else materialized(query, keeper)
    schema = f"{view}_{keeper}"
    return f"CREATE SCHEMA {schema}; SET search_path = {schema}, public;\n{tables}{keep}\nRESET search_path;"
