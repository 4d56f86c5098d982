-- Subqueries that a window function decides about are evaluated above the window: only where PostgreSQL would.
SET client_min_messages = warning;
CREATE SCHEMA gw;
SET search_path = gw, public;
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'gw'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";
CREATE TABLE t (id int PRIMARY KEY, k int, v int);
INSERT INTO t VALUES (1, 1, 5), (2, 1, 0), (3, 2, 4), (4, 2, NULL), (5, NULL, 1);
CREATE TABLE u (k int, x int);
INSERT INTO u VALUES (1, 10), (1, 11), (2, 4), (2, 0), (3, 3);
CREATE TABLE defaults (name text PRIMARY KEY, n int);
INSERT INTO defaults VALUES ('lag', -1);
CREATE MATERIALIZED VIEW lagged AS
    SELECT id, coalesce(lag(v) OVER (PARTITION BY k ORDER BY id), (SELECT n FROM defaults WHERE name = 'lag')) AS l FROM t;
-- Two rows of u for the key 1 would fail, as would a zero.
CREATE MATERIALIZED VIEW first AS
    SELECT id, k, CASE WHEN row_number() OVER (PARTITION BY k ORDER BY id) = 2 AND k = 2 THEN (SELECT 100 / t.v FROM u WHERE u.k = t.k AND u.x = t.v) ELSE v END AS x FROM t;
CREATE MATERIALIZED VIEW ranked AS
    SELECT k, count(*) AS n, CASE WHEN rank() OVER (ORDER BY count(*), k) > 1 THEN (SELECT u.x + sum(t.v) FROM u WHERE u.k = t.k AND u.x > 3) END AS x FROM t WHERE k > 1 OR k IS NULL GROUP BY k;
CREATE MATERIALIZED VIEW filtered AS
    SELECT id, sum((SELECT u.x FROM u WHERE u.k = t.k AND u.x > 10)) FILTER (WHERE v > 3) OVER (PARTITION BY k) AS s, v FROM t;
CREATE MATERIALIZED VIEW shown AS
    SELECT to_jsonb(x) AS j, x::text AS s, row_number() OVER (PARTITION BY x.k ORDER BY x.id) AS n FROM (SELECT t.id, t.k, u.x FROM t LEFT JOIN u ON u.k = t.k AND u.x > 3) x;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'gw'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
CREATE TEMP TABLE built AS SELECT view, last_maintenance FROM upkeep.views;
TABLE wrong;
SELECT id, x FROM first ORDER BY id;
INSERT INTO t VALUES (6, 1, 4), (7, 2, 4), (8, 3, 0), (9, 3, 3);
TABLE wrong;
UPDATE u SET x = x + 1 WHERE k > 1;
TABLE wrong;
UPDATE defaults SET n = NULL;
TABLE wrong;
DELETE FROM defaults;
INSERT INTO u VALUES (NULL, 12), (3, NULL);
TABLE wrong;
UPDATE t SET k = 2, v = NULL WHERE id = 1;
UPDATE t SET k = 3 WHERE id IN (4, 5);
TABLE wrong;
DELETE FROM u WHERE k = 2;
DELETE FROM t WHERE id < 5;
TABLE wrong;
INSERT INTO defaults VALUES ('lag', 7);
DELETE FROM t;
TABLE wrong;
-- Where the query would fail, so does the statement.
INSERT INTO t VALUES (1, 2, 1), (2, 2, 0);
\set VERBOSITY terse
INSERT INTO u VALUES (2, 0);
UPDATE t SET v = 2 WHERE id = 2;
INSERT INTO u VALUES (2, 2);
TABLE wrong;
SELECT v.view FROM upkeep.views v JOIN built b ON b.view = v.view WHERE v.last_maintenance <> b.last_maintenance ORDER BY 1;
SELECT view::text, strategy FROM upkeep.views v JOIN pg_class c ON c.oid = v.view WHERE relnamespace = 'gw'::regnamespace ORDER BY view::text COLLATE "C";
DROP TABLE built;
DROP SCHEMA gw CASCADE;
