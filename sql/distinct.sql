-- DISTINCT: of a table, of joins, with NULLs, of types whose equal values differ in form, below and above other steps.
SET client_min_messages = warning;
CREATE SCHEMA distincts;
SET search_path = distincts, public;
-- Rows that a view of this schema has and should not have, or the reverse; views that are no longer maintained.
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'distincts'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";

CREATE TABLE t (a int, b text, n numeric, f float8);
CREATE TABLE u (a int, c text);
INSERT INTO t VALUES (1, 'x', 1, 0), (1, 'x', 1, 0), (2, NULL, 2, 1), (NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL);
INSERT INTO u VALUES (1, 'p'), (1, 'p'), (2, 'q');
CREATE MATERIALIZED VIEW ab AS SELECT DISTINCT a, b FROM t;
CREATE MATERIALIZED VIEW computed AS SELECT DISTINCT a % 2 AS odd, upper(b) AS b FROM t WHERE a IS NOT NULL;
CREATE MATERIALIZED VIEW one AS SELECT DISTINCT 1 AS one FROM t;
CREATE MATERIALIZED VIEW joined AS SELECT DISTINCT t.b, u.c FROM t JOIN u USING (a);
CREATE MATERIALIZED VIEW self AS SELECT DISTINCT x.a FROM t x JOIN t y ON x.a = y.a AND x.b = y.b;
CREATE MATERIALIZED VIEW counted AS SELECT b, count(*) AS n FROM (SELECT DISTINCT a, b FROM t) d GROUP BY b;
CREATE MATERIALIZED VIEW filtered AS SELECT a FROM (SELECT DISTINCT a, b FROM t) d WHERE b = 'x';
CREATE MATERIALIZED VIEW of_groups AS SELECT DISTINCT count(*) AS n FROM t GROUP BY a;
CREATE MATERIALIZED VIEW of_numeric AS SELECT DISTINCT n FROM t;
CREATE MATERIALIZED VIEW of_float AS SELECT DISTINCT f FROM t;
CREATE MATERIALIZED VIEW of_union AS SELECT DISTINCT x FROM (SELECT a AS x FROM t UNION ALL SELECT a FROM u) w;
CREATE MATERIALIZED VIEW twice AS SELECT DISTINCT a FROM (SELECT DISTINCT a, b FROM t) d;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'distincts'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
CREATE TEMP TABLE built AS SELECT view, last_maintenance FROM upkeep.views;
TABLE wrong;
INSERT INTO t VALUES (1, 'x', 1.0, -0.0), (3, 'y', 1.00, 'NaN'), (4, 'X', 2.0, 1), (NULL, 'x', NULL, 'Infinity');
TABLE wrong;
SELECT * FROM ab ORDER BY a, b COLLATE "C";
SELECT * FROM computed ORDER BY 1, 2;
SELECT * FROM joined ORDER BY 1, 2;
SELECT * FROM counted ORDER BY b COLLATE "C";
SELECT * FROM of_groups ORDER BY 1;
INSERT INTO u VALUES (3, 'p'), (4, NULL), (NULL, 'n');
TABLE wrong;
-- All but one copy go, then the last.
DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE a = 1);
SELECT * FROM ab ORDER BY a, b COLLATE "C";
TABLE wrong;
DELETE FROM t WHERE a = 1 AND scale(n) = 0;
SELECT trim_scale(n) AS n FROM of_numeric ORDER BY 1;
TABLE wrong;
DELETE FROM t WHERE a = 1;
SELECT * FROM ab ORDER BY a, b COLLATE "C";
SELECT trim_scale(n) AS n FROM of_numeric ORDER BY 1;
SELECT f + 0 AS f FROM of_float ORDER BY 1;
TABLE wrong;
UPDATE t SET a = coalesce(a, 0) + 1, b = 'same';
SELECT * FROM ab ORDER BY a, b COLLATE "C";
SELECT * FROM joined ORDER BY 1, 2;
TABLE wrong;
UPDATE t SET a = 6 - a;
UPDATE u SET a = 6 - a, c = 'r';
SELECT * FROM of_union ORDER BY 1;
TABLE wrong;
DELETE FROM t;
SELECT * FROM one;
SELECT * FROM counted;
TABLE wrong;
INSERT INTO t SELECT i % 7, 'b' || i % 3, i % 2, 0 FROM generate_series(1, 1000) i;
DELETE FROM t WHERE a = 3;
SELECT count(*) FROM ab;
SELECT * FROM of_groups ORDER BY 1;
TABLE wrong;

-- None of this was a rebuild.
SELECT v.view FROM upkeep.views v JOIN built b ON b.view = v.view WHERE v.last_maintenance <> b.last_maintenance ORDER BY 1;
DROP TABLE built;
DROP SCHEMA distincts CASCADE;
