-- Expressions that the query evaluates for some rows only, because they would fail for others: FILTER, CASE, AND, OR,
-- COALESCE with subqueries.
SET client_min_messages = warning;
CREATE SCHEMA guarded;
SET search_path = guarded;
CREATE TABLE t (id int PRIMARY KEY, g int, x int, s text);
CREATE TABLE u (id int PRIMARY KEY, y int);
INSERT INTO t VALUES (1, 1, 2, '7'), (2, 1, 0, 'a'), (3, 2, 0, '1');
INSERT INTO u VALUES (1, 3), (2, 0), (3, 1);
CREATE VIEW wrong AS SELECT w.view, v.* FROM upkeep.views w, upkeep.verify(w.view) v;

-- The argument is read where the filter is true.
CREATE MATERIALIZED VIEW f1 AS SELECT g, sum(100 / x) FILTER (WHERE x <> 0) AS s, min(100 / x) FILTER (WHERE x <> 0) AS m FROM t GROUP BY g;
CREATE MATERIALIZED VIEW f2 AS
    SELECT g, string_agg((100 / x)::text, ',' ORDER BY 10 / x, s::int) FILTER (WHERE x <> 0 AND s <> 'a') AS a,
           count(DISTINCT 100 / x) FILTER (WHERE x <> 0) AS c, avg(s::numeric) FILTER (WHERE s <> 'a') AS v FROM t GROUP BY g;
CREATE MATERIALIZED VIEW f3 AS SELECT t.g, sum(100 / u.y) FILTER (WHERE u.y <> 0) AS s, max(100 / u.y) FILTER (WHERE u.y <> 0) AS m FROM t JOIN u USING (id) GROUP BY t.g;
CREATE MATERIALIZED VIEW f4 AS SELECT t.id, (SELECT sum(100 / u.y) FILTER (WHERE u.y <> 0) FROM u WHERE u.id = t.x) AS s FROM t;
CREATE MATERIALIZED VIEW f5 AS SELECT g, x, sum(100 / x) FILTER (WHERE x <> 0) AS s FROM t GROUP BY ROLLUP (g, x);
CREATE MATERIALIZED VIEW f6 AS
    SELECT sum(ln(x)) FILTER (WHERE x > 0) AS s, every(100 / x > 3) FILTER (WHERE x <> 0) AS e, stddev(1.0 / x) FILTER (WHERE x <> 0) AS d,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY 100 / x) FILTER (WHERE x <> 0) AS p FROM t;
CREATE MATERIALIZED VIEW f7 AS SELECT g, sum((SELECT max(100 / t.x + y) FROM u WHERE u.id = t.id)) FILTER (WHERE x <> 0) AS s FROM t GROUP BY g;

-- The subquery is evaluated where the expression around it wants it.
CREATE MATERIALIZED VIEW c1 AS SELECT id, CASE WHEN x <> 0 THEN (SELECT max(100 / t.x + y) FROM u WHERE u.id = t.id) END AS s FROM t;
CREATE MATERIALIZED VIEW c2 AS SELECT id, CASE WHEN x <> 0 THEN (SELECT 100 / t.x + y FROM u WHERE u.id = t.id) ELSE 0 END AS s FROM t;
CREATE MATERIALIZED VIEW c3 AS SELECT id FROM t WHERE x = 0 OR EXISTS (SELECT FROM u WHERE u.id = 10 / t.x);
CREATE MATERIALIZED VIEW c4 AS SELECT id, coalesce(nullif(x, 0), (SELECT y FROM u WHERE u.id > t.x LIMIT 1)) AS z, CASE WHEN x > 0 THEN ARRAY(SELECT y / t.x FROM u ORDER BY 1) END AS q FROM t;
CREATE MATERIALIZED VIEW c5 AS SELECT id, x <> 0 AND 10 / x IN (SELECT y FROM u) AS b, CASE WHEN x <> 0 THEN 10 / x NOT IN (SELECT y / x FROM u) END AS c FROM t;
CREATE MATERIALIZED VIEW c6 AS SELECT id, CASE WHEN x = 5 THEN (SELECT y FROM u WHERE u.id > 0) END AS c FROM t;
CREATE MATERIALIZED VIEW c7 AS SELECT id, CASE WHEN x <> 0 THEN (SELECT sum(y) FROM u WHERE u.id = 10 / t.x) END AS c FROM t;
CREATE MATERIALIZED VIEW c8 AS SELECT g, CASE WHEN min(x) <> 0 THEN (SELECT 100 / min(t.x) + y FROM u WHERE u.id = t.g) ELSE sum(x) END AS s FROM t GROUP BY g;
CREATE MATERIALIZED VIEW c9 AS SELECT t.id, u.y FROM t LEFT JOIN u ON u.id = t.id AND (t.x = 0 OR (SELECT 100 / t.x + y FROM u z WHERE z.id = u.id) > 1);

-- Subqueries beside and below windows.
CREATE MATERIALIZED VIEW w1 AS SELECT id, lag((SELECT y FROM u WHERE u.id = t.id)) OVER (ORDER BY id) AS s, rank() OVER (PARTITION BY (SELECT y FROM u WHERE u.id = t.id) ORDER BY x) AS r FROM t;
CREATE MATERIALIZED VIEW w2 AS SELECT id, (SELECT y FROM u WHERE u.id = t.id) + rank() OVER (ORDER BY id) AS s FROM t;
CREATE MATERIALIZED VIEW w3 AS SELECT id, lag(CASE WHEN x <> 0 THEN (SELECT 100 / t.x + y FROM u WHERE u.id = t.id) END) OVER (ORDER BY id) AS s FROM t;
CREATE MATERIALIZED VIEW w4 AS SELECT g, CASE WHEN min(x) <> 0 THEN (SELECT 100 / min(t.x) + y FROM u WHERE u.id = t.g) END AS s, sum(sum(x)) OVER () AS a FROM t GROUP BY g;
CREATE MATERIALIZED VIEW w5 AS SELECT id, CASE WHEN x <> 0 THEN (SELECT 100 / t.x + y FROM u WHERE u.id = t.id) ELSE sum(x) OVER (PARTITION BY g) END AS s FROM t;
\set VERBOSITY terse
SELECT upkeep.register(oid) FROM pg_class WHERE relnamespace = 'guarded'::regnamespace AND relkind = 'm' ORDER BY relname;
TABLE wrong;
INSERT INTO t VALUES (4, 1, 0, 'a'), (5, 3, 0, 'a');
UPDATE t SET x = 1, s = '4' WHERE id = 4;
TABLE wrong;
UPDATE t SET x = 0 WHERE id = 1;
TABLE wrong;
UPDATE u SET y = y + 1, id = id + 1000;
TABLE wrong;
UPDATE u SET y = y - 2, id = id - 1000;
INSERT INTO u VALUES (4, 0), (5, 1);
TABLE wrong;
WITH a AS (UPDATE u SET y = (y + 1) % 2 RETURNING 1), b AS (UPDATE t SET x = (x + 1) % 2, g = 1 RETURNING 1) SELECT count(*) FROM a, b;
TABLE wrong;
DELETE FROM t WHERE x = 0;
TABLE wrong;
INSERT INTO t SELECT i, i % 3, i % 3, 'a' FROM generate_series(10, 20) i;
TABLE wrong;

-- a choice among several conditions, with and without subqueries
CREATE MATERIALIZED VIEW choices AS
    SELECT id, CASE WHEN x > 15 THEN 'much' WHEN x > 12 THEN 'some' ELSE 'few' END AS a,
           CASE WHEN x < 0 THEN 0 WHEN x <> 0 AND (SELECT max(u.y + 100 / t.x) FROM u) > 7 THEN 1 ELSE 2 END AS b
    FROM t;
SELECT upkeep.register('choices');
UPDATE t SET x = 14 WHERE id = 15;
INSERT INTO t (id, g, x) VALUES (30, 1, 0);
SELECT * FROM upkeep.verify('choices');

-- LIMIT 1 behind an aggregate: it is evaluated for the rows that ask, and not kept for all its keys.
CREATE TABLE parts (thing int, weight int);
INSERT INTO parts SELECT id, 7 FROM t LIMIT 2;
INSERT INTO parts VALUES (-1, 0);
CREATE MATERIALIZED VIEW kept AS SELECT id, (SELECT max(100 / weight) FROM parts p WHERE p.thing = t.id) AS m FROM t;
CREATE MATERIALIZED VIEW asked AS SELECT id, (SELECT max(100 / weight) FROM parts p WHERE p.thing = t.id LIMIT 1) AS m FROM t;
\set VERBOSITY terse
SELECT upkeep.register('kept');
\set VERBOSITY default
SELECT upkeep.register('asked');
INSERT INTO parts VALUES (-2, 0), (15, 5);
SELECT * FROM upkeep.verify('asked');
DROP SCHEMA guarded CASCADE;
