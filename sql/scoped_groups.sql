-- Aggregates without an inverse: the touched groups are read again.
SET client_min_messages = warning;
CREATE SCHEMA rereading;
SET search_path = rereading, public;
-- Rows that a view of this schema has and should not have, or the reverse; views that are no longer maintained.
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'rereading'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";

CREATE TABLE t (id int PRIMARY KEY, k int, s text COLLATE "C", n numeric, j jsonb, f float8, d date);
INSERT INTO t SELECT i, i % 3, 's' || i % 4, i, jsonb_build_object('i', i), i, date '2024-01-01' + i FROM generate_series(1, 9) i;
CREATE TABLE u (k int, w text COLLATE "C");
INSERT INTO u VALUES (0, 'zero'), (1, 'one'), (1, 'uno');
CREATE AGGREGATE product(numeric) (sfunc = numeric_mul, stype = numeric);
CREATE MATERIALIZED VIEW ordered AS SELECT k, string_agg(s, ',' ORDER BY id) AS s, array_agg(n ORDER BY id DESC) AS a, jsonb_agg(j ORDER BY id) AS j, count(*) AS n FROM t GROUP BY k;
CREATE MATERIALIZED VIEW unordered AS SELECT k, string_agg(s, ',') AS s, array_agg(id) AS ids FROM t GROUP BY k;
CREATE MATERIALIZED VIEW distincts AS SELECT k, count(DISTINCT s) AS c, sum(DISTINCT n) AS sn, string_agg(DISTINCT s, '/') AS s, count(DISTINCT s) FILTER (WHERE n > 4) AS f FROM t GROUP BY k;
CREATE MATERIALIZED VIEW ranks AS SELECT k, percentile_disc(0.5) WITHIN GROUP (ORDER BY n) AS median, percentile_cont(0.5) WITHIN GROUP (ORDER BY f) AS middle, mode() WITHIN GROUP (ORDER BY s) AS often FROM t GROUP BY k;
CREATE MATERIALIZED VIEW bits AS SELECT k, bit_and(id) AS a, bit_or(id) AS o, bit_xor(id) AS x, product(n) AS p, range_agg(daterange(d, d + 2)) AS r FROM t GROUP BY k;
CREATE MATERIALIZED VIEW whole AS SELECT string_agg(s, ',' ORDER BY id) AS s, count(DISTINCT k) AS k, product(n) FILTER (WHERE k = 1) AS p FROM t;
CREATE MATERIALIZED VIEW mixed AS SELECT upper(s) AS key, sum(n) AS s, array_agg(k ORDER BY k, id) AS a, max(id) AS m FROM t GROUP BY upper(s) HAVING count(DISTINCT k) > 1;
CREATE MATERIALIZED VIEW joined AS SELECT u.w, string_agg(t.s, ',' ORDER BY t.id) AS s, json_agg(t.n ORDER BY t.id)::text AS j FROM t JOIN u USING (k) GROUP BY u.w;
CREATE MATERIALIZED VIEW unioned AS SELECT k, string_agg(x, ',' ORDER BY x) AS x FROM (SELECT k, s AS x FROM t UNION ALL SELECT k, w FROM u) z GROUP BY k;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'rereading'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
CREATE TEMP TABLE built AS SELECT view, last_maintenance FROM upkeep.views;
TABLE wrong;
SELECT view, strategy FROM upkeep.views WHERE view IN ('ordered'::regclass, 'bits'::regclass) ORDER BY 1;
INSERT INTO t (id, k, s, n) VALUES (10, NULL, 'a', 1), (11, NULL, NULL, NULL), (12, 7, NULL, 3), (0, 0, 's0', 2);
TABLE wrong;
SELECT * FROM ordered ORDER BY k;
SELECT * FROM distincts ORDER BY k;
SELECT * FROM ranks ORDER BY k;
SELECT * FROM bits ORDER BY k;
SELECT * FROM whole;
SELECT * FROM mixed ORDER BY key;
UPDATE t SET s = 'new' WHERE id IN (1, 2);
UPDATE t SET k = (k + 1) % 3;
TABLE wrong;
UPDATE t SET f = f + 1, n = n;
TABLE wrong;
UPDATE u SET w = w || '!';
INSERT INTO u VALUES (2, 'two'), (NULL, 'none');
SELECT * FROM joined ORDER BY w;
SELECT * FROM unioned ORDER BY k;
TABLE wrong;
WITH x AS (DELETE FROM t WHERE id < 4 RETURNING id, k) INSERT INTO u SELECT k, 'moved' || id FROM x;
TABLE wrong;
DELETE FROM t WHERE k = 1;
SELECT * FROM distincts ORDER BY k;
SELECT * FROM joined ORDER BY w;
TABLE wrong;
DELETE FROM t;
SELECT count(*) FROM ordered;
SELECT * FROM whole;
TABLE wrong;
INSERT INTO t SELECT i, i % 40, 's' || i % 7, i % 11 + 1, '1', i, '2024-01-01' FROM generate_series(1, 400) i;
UPDATE t SET n = n + 1 WHERE k % 2 = 0;
TABLE wrong;

-- None of this was a rebuild.
SELECT v.view FROM upkeep.views v JOIN built b ON b.view = v.view WHERE v.last_maintenance <> b.last_maintenance ORDER BY 1;
DROP TABLE built;
DROP SCHEMA rereading CASCADE;
