-- Subqueries, CTEs and ordinary views in FROM; renamed columns; LATERAL.
SET client_min_messages = warning;
CREATE SCHEMA nested_from;
SET search_path = nested_from, public;
-- Rows that a view of this schema has and should not have, or the reverse; views that are no longer maintained.
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'nested_from'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";

CREATE TABLE o (id int PRIMARY KEY, customer int, amount numeric, at date);
CREATE TABLE l (o int, sku text, qty int);
INSERT INTO o SELECT i, i % 3, i * 1.5, date '2024-01-01' + i FROM generate_series(1, 6) i;
INSERT INTO l SELECT i % 7, 's' || i % 2, i FROM generate_series(1, 10) i;
CREATE VIEW big AS SELECT id, customer AS who, amount FROM o WHERE amount > 3;
CREATE VIEW lines (order_id, what, total) AS SELECT b.id, l.sku, l.qty * b.amount FROM big b JOIN l ON l.o = b.id;
CREATE VIEW per_customer AS SELECT customer, count(*) AS n, sum(amount) AS total FROM o GROUP BY customer;
CREATE MATERIALIZED VIEW subquery AS SELECT s.x, s.y + 1 AS y1 FROM (SELECT id AS x, customer AS y FROM o WHERE amount < 8) AS s (x, y) WHERE y > 0;
CREATE MATERIALIZED VIEW deep AS SELECT q.a, q.b FROM (SELECT p.id AS a, p.qty AS b FROM (SELECT o.id, l.qty, l.sku FROM o, l WHERE o.id = l.o) p WHERE p.sku = 's1') q WHERE q.b > 2;
CREATE MATERIALIZED VIEW cte AS WITH x AS (SELECT id, amount FROM o WHERE customer = 1), y AS (SELECT x.id, x.amount, l.sku FROM x JOIN l ON l.o = x.id) SELECT sku, amount FROM y;
CREATE MATERIALIZED VIEW cte_twice AS WITH x AS MATERIALIZED (SELECT id, customer FROM o WHERE amount > 2) SELECT a.id AS a, b.id AS b FROM x a JOIN x b USING (customer) WHERE a.id < b.id;
CREATE MATERIALIZED VIEW over_view AS SELECT what, total FROM lines WHERE total > 10;
CREATE MATERIALIZED VIEW over_views AS SELECT lines.order_id, big.who, sum(lines.total) AS s FROM lines JOIN big ON big.id = lines.order_id GROUP BY 1, 2;
CREATE MATERIALIZED VIEW over_grouped_view AS SELECT total / n AS mean, customer FROM per_customer WHERE n > 1;
CREATE MATERIALIZED VIEW grouped_cte AS WITH g AS (SELECT sku, sum(qty) AS q FROM l GROUP BY sku) SELECT upper(sku) AS sku, q * 2 AS twice FROM g WHERE q IS NOT NULL;
CREATE MATERIALIZED VIEW lateral_columns AS SELECT o.id, z.half, z.label FROM o, LATERAL (SELECT o.amount / 2 AS half, 'o' || o.id AS label) z WHERE z.half > 1;
CREATE MATERIALIZED VIEW lateral_join AS SELECT o.id, j.sku FROM o CROSS JOIN LATERAL (SELECT l.sku FROM l WHERE l.o = o.id AND l.qty > o.customer) j;
CREATE MATERIALIZED VIEW nested_with AS SELECT * FROM (WITH x AS (SELECT id FROM o) SELECT x.id, l.qty FROM x JOIN l ON l.o = x.id) AS n (oid, q);
CREATE MATERIALIZED VIEW shadow AS WITH o AS (SELECT id, amount FROM nested_from.o WHERE id > 1) SELECT id FROM o WHERE amount < 100;
CREATE MATERIALIZED VIEW values_cte AS WITH w (c, name) AS (VALUES (0, 'zero'), (1, 'one')) SELECT o.id, w.name FROM o JOIN w ON w.c = o.customer;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'nested_from'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
CREATE TEMP TABLE built AS SELECT view, last_maintenance FROM upkeep.views;
TABLE wrong;
INSERT INTO o VALUES (7, 1, 9, '2024-03-01'), (8, NULL, 4, NULL), (9, 1, NULL, NULL);
TABLE wrong;
INSERT INTO l VALUES (7, 's1', 5), (7, 's0', 1), (9, NULL, NULL);
TABLE wrong;
SELECT * FROM subquery ORDER BY 1;
SELECT * FROM deep ORDER BY 1, 2;
SELECT * FROM cte_twice ORDER BY 1, 2;
SELECT * FROM over_view ORDER BY over_view::text COLLATE "C";
SELECT order_id, who, s FROM over_views ORDER BY 1;
SELECT round(mean, 3) AS mean, customer FROM over_grouped_view ORDER BY 2;
SELECT * FROM grouped_cte ORDER BY 1 NULLS FIRST;
SELECT * FROM values_cte ORDER BY 1;
UPDATE o SET amount = amount + 1, customer = (customer + 1) % 3;
TABLE wrong;
UPDATE l SET qty = -qty WHERE sku = 's1';
TABLE wrong;
UPDATE o SET at = at + 1;
TABLE wrong;
WITH x AS (DELETE FROM l WHERE o < 3 RETURNING o) UPDATE o SET customer = 2 WHERE id IN (SELECT o FROM x);
TABLE wrong;
DELETE FROM o WHERE customer = 2;
SELECT * FROM lateral_join ORDER BY lateral_join::text COLLATE "C";
SELECT * FROM lateral_columns ORDER BY 1;
SELECT * FROM nested_with ORDER BY 1, 2;
SELECT * FROM shadow ORDER BY 1;
TABLE wrong;
DELETE FROM o;
SELECT count(*) FROM deep;
SELECT * FROM over_grouped_view;
TABLE wrong;

-- None of this was a rebuild.
SELECT v.view FROM upkeep.views v JOIN built b ON b.view = v.view WHERE v.last_maintenance <> b.last_maintenance ORDER BY 1;
DROP TABLE built;
DROP SCHEMA nested_from CASCADE;
