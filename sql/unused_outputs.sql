-- Columns of subqueries and ordinary views that the query around them does not read: as the server does not compute them, no state
-- is kept for them, and a change of what they read is none of the view.
SET client_min_messages = warning;
CREATE SCHEMA unused;
SET search_path = unused, public;
CREATE TABLE t (k int, a int, b int, c text);
INSERT INTO t SELECT i % 7, i, i % 3, 'x' || i % 5 FROM generate_series(1, 50) i;
CREATE VIEW wide AS SELECT k, count(*) AS n, sum(a) AS s, max(a) AS m, string_agg(c, ',' ORDER BY c, a) AS g, rank() OVER (ORDER BY count(*), k) AS r FROM t GROUP BY k;
CREATE MATERIALIZED VIEW narrow AS SELECT k, n FROM wide WHERE n > 1;
CREATE MATERIALIZED VIEW twice AS SELECT x.k, x.n, y.s FROM wide x JOIN wide y USING (k);
-- PostgreSQL would fail if it computed it.
CREATE MATERIALIZED VIEW fallible AS SELECT k FROM (SELECT k, b, count(*) AS n, 1 / (b - b) AS bad FROM t GROUP BY k, b) s WHERE b = 1;
CREATE MATERIALIZED VIEW joined AS SELECT k, (SELECT max(n) FROM wide w WHERE w.k = wide.k) FROM wide LEFT JOIN (SELECT k AS k2, sum(b) AS sb, count(a) FROM t GROUP BY 1) z ON k2 = k AND sb > 2;
CREATE MATERIALIZED VIEW none AS SELECT count(*) FROM wide;
CREATE MATERIALIZED VIEW whole AS SELECT wide FROM wide;
CREATE MATERIALIZED VIEW first AS SELECT k FROM (SELECT k, a, lag(a) OVER (PARTITION BY k ORDER BY c, a) AS l, row_number() OVER (PARTITION BY k ORDER BY b, a) AS rn FROM t) q WHERE rn = 1;
CREATE MATERIALIZED VIEW constant AS SELECT one FROM (SELECT count(*) AS c, sum(a) AS s, 1 AS one FROM t) q;
CREATE MATERIALIZED VIEW limited AS SELECT k FROM (SELECT k, a, c FROM t ORDER BY b, a LIMIT 5) q;
CREATE MATERIALIZED VIEW beside AS SELECT o.k, q.s FROM t o, LATERAL (SELECT sum(i.a) AS s, max(i.c) AS m, count(DISTINCT i.b) FROM t i WHERE i.k = o.b) q;
CREATE MATERIALIZED VIEW cte AS WITH a AS (SELECT k, sum(a) AS s, max(c) AS m FROM t GROUP BY k), b AS MATERIALIZED (SELECT k, sum(b) AS s, max(c) AS m FROM t GROUP BY k) SELECT a.k, b.s FROM a LEFT JOIN b ON a.k = b.k;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'unused'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
CREATE VIEW wrong AS SELECT v.view, v.state, d.side, d.contents FROM upkeep.views v LEFT JOIN LATERAL upkeep.verify(v.view) d ON true WHERE v.state <> 'active' OR d.side IS NOT NULL;
SELECT view::text, string_agg(e.operator, ', ' ORDER BY step) AS operators FROM upkeep.views v, upkeep.explain(view::text) e GROUP BY view ORDER BY view::text COLLATE "C";
UPDATE t SET a = a + 1, b = b + 1 WHERE a % 5 = 1;
TABLE wrong;
DELETE FROM t WHERE a % 7 = 1;
TABLE wrong;
INSERT INTO t SELECT i % 9, i, 1, 'q' FROM generate_series(1, 9) i;
UPDATE t SET c = c || 'z', k = k + 1 WHERE b = 1;
TABLE wrong;
-- The view that is read shows other columns.
CREATE OR REPLACE VIEW wide AS SELECT k, count(*) + 1 AS n, sum(b) AS s, max(a) AS m, string_agg(c, ',' ORDER BY c, a) AS g, rank() OVER (ORDER BY count(*), k) AS r, min(a) AS new FROM t GROUP BY k;
INSERT INTO t SELECT i % 9, i, 1, 'q' FROM generate_series(1, 9) i;
TABLE wrong;
TRUNCATE t;
TABLE wrong;
DROP SCHEMA unused CASCADE;
