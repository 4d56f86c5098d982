-- GROUP BY: keys that are selected or not, expressions as keys, dependent columns, HAVING, FILTER, no GROUP BY, nesting.
SET client_min_messages = warning;
CREATE SCHEMA grouping;
SET search_path = grouping, public;
-- Rows that a view of this schema has and should not have, or the reverse; views that are no longer maintained.
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'grouping'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";

CREATE TABLE sale (id int PRIMARY KEY, region text, product int, amount numeric(8,2), qty int NOT NULL, ok boolean);
CREATE TABLE product (id int PRIMARY KEY, name text, price numeric, note json);
INSERT INTO product VALUES (1, 'pen', 1.5), (2, 'ink', 2), (3, 'ink', 7);
INSERT INTO sale SELECT i, nullif('r' || i % 3, 'r2'), i % 3 + 1, i * 1.25, i % 4, i % 2 = 0 FROM generate_series(1, 12) i;
CREATE MATERIALIZED VIEW plain AS SELECT region, count(*) AS n, sum(amount) AS s, count(amount) AS c FROM sale GROUP BY region;
CREATE MATERIALIZED VIEW two_keys AS SELECT product, region, sum(qty) AS q, count(*) AS n FROM sale GROUP BY region, product;
CREATE MATERIALIZED VIEW no_key_shown AS SELECT sum(amount) AS s FROM sale GROUP BY region, product;
CREATE MATERIALIZED VIEW part_shown AS SELECT region, max(qty) AS top FROM sale GROUP BY region, ok;
CREATE MATERIALIZED VIEW key_only AS SELECT region FROM sale GROUP BY region;
CREATE MATERIALIZED VIEW no_count AS SELECT region, sum(qty) AS q FROM sale GROUP BY region;
CREATE MATERIALIZED VIEW by_expression AS SELECT qty % 2 AS odd, upper(region) AS r, count(*) AS n FROM sale GROUP BY qty % 2, upper(region);
CREATE MATERIALIZED VIEW key_in_expression AS SELECT (qty % 2) * 10 + 1 AS x, 'of ' || region AS r, count(*) * 2 AS twice FROM sale GROUP BY qty % 2, region;
CREATE MATERIALIZED VIEW dependent AS SELECT p.name, p.price * 2 AS dear, count(*) AS n, sum(s.qty) AS q FROM product p JOIN sale s ON s.product = p.id GROUP BY p.id;
CREATE MATERIALIZED VIEW having_count AS SELECT region, count(*) AS n FROM sale GROUP BY region HAVING count(*) > 3;
CREATE MATERIALIZED VIEW having_hidden AS SELECT product FROM sale GROUP BY product HAVING sum(qty) > 4 AND (min(amount) < 10 OR product = 2);
CREATE MATERIALIZED VIEW having_alone AS SELECT 1 AS one FROM sale HAVING count(*) > 12;
CREATE MATERIALIZED VIEW filtered AS
    SELECT product, count(*) FILTER (WHERE ok) AS yes, sum(qty) FILTER (WHERE NOT ok AND qty > 1) AS big, max(amount) FILTER (WHERE region IS NULL) AS m,
           avg(qty) FILTER (WHERE ok) AS a FROM sale GROUP BY product;
CREATE MATERIALIZED VIEW expressions AS
    SELECT product, coalesce(sum(amount) FILTER (WHERE ok), 0) AS s, round(sum(amount) / nullif(sum(qty), 0), 3) AS ratio, count(*) + max(qty) AS odd,
           CASE WHEN bool_and(ok) THEN 'all' WHEN bool_or(ok) THEN 'some' ELSE 'none' END AS which FROM sale GROUP BY product;
CREATE MATERIALIZED VIEW scalar AS SELECT count(*) AS n, sum(qty) AS q, max(amount) AS m, avg(amount) AS a FROM sale WHERE ok;
CREATE MATERIALIZED VIEW scalar_having AS SELECT sum(qty) AS q FROM sale HAVING sum(qty) % 2 = 0;
CREATE MATERIALIZED VIEW distinct_groups AS SELECT DISTINCT sum(qty) AS q, ok FROM sale GROUP BY product, ok;
CREATE MATERIALIZED VIEW nested AS SELECT n, count(*) AS groups, sum(s) AS s FROM (SELECT product, region, count(*) AS n, sum(amount) AS s FROM sale GROUP BY 1, 2) g GROUP BY n;
CREATE MATERIALIZED VIEW nested_scalar AS SELECT count(*) AS groups, avg(n) AS mean FROM (SELECT product, count(*) AS n FROM sale GROUP BY product HAVING count(*) > 1) g;
CREATE MATERIALIZED VIEW same_call_twice AS SELECT product, sum(qty) AS a, sum(qty) AS b, sum(qty) + 0 AS c, product AS again FROM sale GROUP BY product;
CREATE MATERIALIZED VIEW constant_key AS SELECT 'all' AS what, count(*) AS n FROM sale GROUP BY 1;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'grouping'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
CREATE TEMP TABLE built AS SELECT view, last_maintenance FROM upkeep.views;
TABLE wrong;
INSERT INTO sale VALUES (20, 'new', 1, NULL, 0, NULL), (21, NULL, NULL, 3, 3, true), (22, 'r0', 2, 0.10, 5, false);
TABLE wrong;
SELECT * FROM plain ORDER BY plain::text COLLATE "C";
SELECT * FROM by_expression ORDER BY by_expression::text COLLATE "C";
SELECT * FROM dependent ORDER BY dependent::text COLLATE "C";
SELECT * FROM filtered ORDER BY product;
SELECT * FROM expressions ORDER BY product;
SELECT * FROM having_count ORDER BY n;
SELECT * FROM nested ORDER BY n;
-- Values move between groups, groups vanish and come back.
UPDATE sale SET region = CASE WHEN region = 'r0' THEN 'r1' WHEN region = 'r1' THEN NULL ELSE 'r0' END;
TABLE wrong;
UPDATE sale SET product = 4 - product, qty = qty + 1 WHERE ok;
TABLE wrong;
UPDATE sale SET qty = 4 - qty WHERE qty < 5;
UPDATE sale SET ok = NOT ok, amount = -amount;
TABLE wrong;
SELECT * FROM part_shown ORDER BY part_shown::text COLLATE "C";
SELECT * FROM having_hidden ORDER BY 1;
SELECT * FROM scalar;
SELECT * FROM distinct_groups ORDER BY 1, 2;
-- Dependent columns of a key: some change, one group stays.
UPDATE product SET name = name || '!', note = '{"a": 1}' WHERE id > 1;
UPDATE product SET note = '{"a": 2}', price = price + 0.5 WHERE id = 1;
TABLE wrong;
UPDATE product SET id = 9 WHERE id = 3;
UPDATE sale SET product = 9 WHERE product = 1;
SELECT * FROM dependent ORDER BY dependent::text COLLATE "C";
TABLE wrong;
DELETE FROM sale WHERE product IS NULL OR region = 'r0';
SELECT * FROM plain ORDER BY plain::text COLLATE "C";
SELECT * FROM expressions ORDER BY product;
SELECT * FROM nested_scalar;
TABLE wrong;
DELETE FROM sale;
SELECT * FROM plain;
SELECT * FROM scalar;
SELECT * FROM nested_scalar;
SELECT * FROM having_alone;
SELECT * FROM constant_key;
TABLE wrong;
INSERT INTO sale SELECT i, 'r' || i % 5, i % 3 + 1, i, i % 10, i % 7 = 0 FROM generate_series(1, 600) i;
DELETE FROM sale WHERE id % 5 = 2;
UPDATE sale SET amount = amount + 0.01 WHERE id % 50 = 0;
SELECT * FROM plain ORDER BY region COLLATE "C";
SELECT * FROM having_alone;
TABLE wrong;

-- None of this was a rebuild.
SELECT v.view FROM upkeep.views v JOIN built b ON b.view = v.view WHERE v.last_maintenance <> b.last_maintenance ORDER BY 1;
DROP TABLE built;
DROP SCHEMA grouping CASCADE;
