-- Which columns identify the rows of a view over a join: the keys that the rest follows from.
CREATE SCHEMA identity;
SET search_path = identity, public;

CREATE TABLE customers (id int PRIMARY KEY, name text, region int);
CREATE TABLE prices (product int, valid int, price numeric, PRIMARY KEY (product, valid));
CREATE TABLE orders (id int PRIMARY KEY, customer int, product int, valid int);
INSERT INTO customers SELECT i, 'c' || i, i % 2 FROM generate_series(1, 4) i;
INSERT INTO prices SELECT i, j, 10 * i + j FROM generate_series(1, 3) i, generate_series(1, 2) j;
INSERT INTO orders SELECT i, i % 5 + 1, i % 3 + 1, i % 2 + 1 FROM generate_series(1, 12) i;

-- A whole key is tied to the order's columns: the order alone identifies.
CREATE MATERIALIZED VIEW whole AS
    SELECT o.id, c.name, p.price FROM orders o JOIN customers c ON c.id = o.customer
        JOIN prices p ON p.product = o.product AND p.valid = o.valid;
-- Half a key is tied: several prices for an order.
CREATE MATERIALIZED VIEW half AS
    SELECT o.id, c.name, p.price FROM orders o JOIN customers c ON o.customer = c.id JOIN prices p USING (product);
-- The same with the rest of that key.
CREATE MATERIALIZED VIEW rest AS
    SELECT p.valid AS v, o.id, p.product, c.name FROM orders o JOIN customers c ON o.customer = c.id
        JOIN prices p USING (product);
-- A comparison by another operator ties nothing.
CREATE MATERIALIZED VIEW less AS SELECT o.id, c.name FROM orders o JOIN customers c ON c.id < o.customer;
-- A chain, from its far end: a customer's namesake of a smaller number.
CREATE MATERIALIZED VIEW chain AS
    SELECT o.id AS "order", d.name FROM customers d, customers c, orders o WHERE d.id = c.region AND o.customer = c.id;

SELECT upkeep.register(v) FROM unnest('{whole,half,rest,less,chain}'::regclass[]) v;

SELECT indrelid::regclass AS view, indisunique AS unique, pg_get_indexdef(indexrelid, n, true) AS identified_by
FROM pg_index, generate_series(1, indnkeyatts) n
WHERE indrelid IN ('whole'::regclass, 'half'::regclass, 'rest'::regclass, 'less'::regclass, 'chain'::regclass)
ORDER BY indrelid, n;

CREATE VIEW wrong AS
    SELECT v, d.* FROM unnest('{whole,half,rest,less,chain}'::regclass[]) v, upkeep.verify(v) d;

UPDATE customers SET name = name || '!', region = 1 - region WHERE id < 3;
TABLE wrong;
UPDATE customers SET id = 7 - id WHERE id = 2;
TABLE wrong;
UPDATE orders SET customer = customer % 5 + 1, valid = 3 - valid;
TABLE wrong;
UPDATE orders SET id = id + 100 WHERE id < 6;
TABLE wrong;
UPDATE prices SET valid = valid + 1 WHERE product = 1 AND valid = 2;
TABLE wrong;
DELETE FROM customers WHERE id = 1;
TABLE wrong;
INSERT INTO customers VALUES (1, 'back', 3);
INSERT INTO prices VALUES (1, 2, 0);
TABLE wrong;
-- Both sides in one statement.
WITH c AS (UPDATE customers SET name = 'x', id = id + 10 WHERE id = 3 RETURNING id)
UPDATE orders SET customer = 13 FROM c WHERE orders.customer IN (3, 4);
TABLE wrong;
SELECT * FROM whole ORDER BY id LIMIT 4;

-- Different keys with one hash: that of numerics leaves the sign out.
CREATE TABLE signs (k numeric, v int);
INSERT INTO signs SELECT k, 1 FROM generate_series(-20, 20) k;
CREATE MATERIALIZED VIEW by_sign AS SELECT k, sum(v) + 0 AS total FROM signs GROUP BY k;
SELECT upkeep.register('by_sign');
UPDATE signs SET v = v + 1;
SELECT * FROM upkeep.verify('by_sign');
CREATE UNIQUE INDEX ON by_sign (total, k);
UPDATE signs SET v = v + k;
SELECT * FROM upkeep.verify('by_sign');

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA identity CASCADE;
