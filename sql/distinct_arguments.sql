-- DISTINCT inside aggregates that have an inverse: the values of each group are counted, and a value that has come or
-- gone is added or taken out. No group is read again.
SET client_min_messages = warning;
CREATE SCHEMA tallies;
SET search_path = tallies, public;
-- Rows that a view of this schema has and should not have, or the reverse; views that are no longer maintained.
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'tallies'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";

CREATE TABLE t (id int PRIMARY KEY, k int, s text COLLATE "C", i int, b bigint, n numeric, m numeric(8,2), f float8, r real, v interval, c money, a int[]);
INSERT INTO t SELECT i, i % 3, 's' || i % 4, i % 5, i % 2, i % 4, i % 3, i % 3, i % 2, '1 day', i % 3, ARRAY[i % 2] FROM generate_series(1, 12) i;
CREATE TABLE u (k int, w text COLLATE "C");
INSERT INTO u VALUES (0, 'zero'), (1, 'one'), (1, 'uno');
-- In the view itself, and in a state table.
CREATE MATERIALIZED VIEW counts AS SELECT k, count(*) AS n, count(DISTINCT i) AS i, sum(DISTINCT i) AS si, count(DISTINCT s) AS s FROM t GROUP BY k;
CREATE MATERIALIZED VIEW plain AS SELECT k, count(DISTINCT i) AS di, count(i) AS i, sum(i) AS s, min(i) AS lo, max(DISTINCT i) AS hi FROM t GROUP BY k;
CREATE MATERIALIZED VIEW sums AS SELECT k, sum(DISTINCT i) AS i, sum(DISTINCT b) AS b, sum(DISTINCT m) AS m, sum(DISTINCT c) AS c, avg(DISTINCT i) AS ai, avg(DISTINCT b) AS ab, avg(DISTINCT m) AS am FROM t GROUP BY k;
CREATE MATERIALIZED VIEW spreads AS SELECT k, variance(DISTINCT i) AS vi, stddev_pop(DISTINCT m) AS sm, var_pop(DISTINCT f) AS vf, sum(DISTINCT r) AS r, avg(DISTINCT f) AS f FROM t GROUP BY k;
-- Types whose equal values have several forms.
CREATE MATERIALIZED VIEW forms AS SELECT k, count(DISTINCT n) AS n, count(DISTINCT f) AS f, count(DISTINCT v) AS v, count(DISTINCT a) AS a FROM t GROUP BY k;
CREATE MATERIALIZED VIEW shown AS SELECT k, sum(DISTINCT n) AS n, avg(DISTINCT n) AS an, variance(DISTINCT n) AS vn, sum(DISTINCT f) AS f FROM t GROUP BY k;
CREATE MATERIALIZED VIEW spans AS SELECT k, sum(DISTINCT v) AS v FROM t GROUP BY k;
-- FILTER: another set of values each; the same set for two calls.
CREATE MATERIALIZED VIEW filtered AS SELECT k, count(DISTINCT i) AS i, count(DISTINCT i) FILTER (WHERE n > 1) AS p, sum(DISTINCT i) FILTER (WHERE n > 1) AS sp, count(DISTINCT i) FILTER (WHERE s = 's1') AS q FROM t GROUP BY k;
CREATE MATERIALIZED VIEW whole AS SELECT count(DISTINCT k) AS k, count(DISTINCT s) AS s, sum(DISTINCT b) AS b, count(*) AS n FROM t;
CREATE MATERIALIZED VIEW numeric_keys AS SELECT n, count(DISTINCT i) AS i, count(DISTINCT n) AS one FROM t GROUP BY n;
CREATE MATERIALIZED VIEW having AS SELECT s FROM t GROUP BY s HAVING count(DISTINCT k) > 1;
CREATE MATERIALIZED VIEW computed AS SELECT k % 2 AS odd, count(DISTINCT s || i) * 10 AS c, round(avg(DISTINCT i + b), 3) AS a FROM t GROUP BY k % 2;
CREATE MATERIALIZED VIEW sets AS SELECT k, s, count(DISTINCT i) AS i, grouping(k, s) AS g FROM t GROUP BY CUBE (k, s);
CREATE MATERIALIZED VIEW joined AS SELECT u.w, count(DISTINCT t.s) AS s, sum(DISTINCT t.i) AS i, count(DISTINCT t.k + t.i) AS ki FROM t JOIN u USING (k) GROUP BY u.w;
CREATE MATERIALIZED VIEW outer_joined AS SELECT u.w, count(DISTINCT t.s) AS s FROM u LEFT JOIN t USING (k) GROUP BY u.w;
CREATE MATERIALIZED VIEW unioned AS SELECT k, count(DISTINCT x) AS x FROM (SELECT k, s AS x FROM t UNION ALL SELECT k, w FROM u) z GROUP BY k;
CREATE MATERIALIZED VIEW above AS SELECT c, count(*) AS n, count(DISTINCT s) AS s FROM (SELECT k, count(DISTINCT i) AS c, sum(DISTINCT i) AS s FROM t GROUP BY k) q GROUP BY c;
CREATE MATERIALIZED VIEW beside AS SELECT t.id, q.c FROM t JOIN (SELECT k, count(DISTINCT s) AS c FROM t GROUP BY k) q USING (k);
CREATE MATERIALIZED VIEW correlated AS SELECT u.w, (SELECT count(DISTINCT t.s) FROM t WHERE t.k = u.k) AS s FROM u;
-- Where another aggregate reads the groups again, the calls with DISTINCT are read with it.
CREATE MATERIALIZED VIEW lists AS SELECT k, string_agg(s, ',' ORDER BY id) AS l, count(DISTINCT s) AS s FROM t GROUP BY k;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'tallies'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
SELECT view::text COLLATE "C" AS view, strategy FROM upkeep.views v JOIN pg_class c ON c.oid = v.view WHERE relnamespace = 'tallies'::regnamespace AND strategy <> 'incremental' ORDER BY 1;
CREATE TEMP TABLE built AS SELECT view, last_maintenance FROM upkeep.views;
TABLE wrong;
SELECT * FROM counts ORDER BY k;
SELECT * FROM filtered ORDER BY k;
-- Another copy of a value, a new value, NULLs, a new group.
INSERT INTO t (id, k, s, i, b, n, m, f, r) VALUES (20, 0, 's0', 0, 0, 0, 0, 0, 0), (21, 0, 'new', 99, 9, 9, 9.5, 9, 9), (22, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (23, NULL, 'x', 1, 1, 1, 1, 1, 1), (24, 7, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
TABLE wrong;
SELECT * FROM counts ORDER BY k;
-- The last copy of a value leaves, and one that is not the last.
DELETE FROM t WHERE id IN (20, 21);
TABLE wrong;
UPDATE t SET i = i + 1;
TABLE wrong;
UPDATE t SET i = 5 - i, s = upper(s), n = 3 - n;
TABLE wrong;
UPDATE t SET k = (k + 1) % 3;
TABLE wrong;
UPDATE t SET i = i, s = s;
TABLE wrong;
-- Equal values of several forms: any of those that are there is added up, in the scale that it has.
UPDATE t SET n = 2.0 WHERE id = 1;
UPDATE t SET n = 2.000, k = 1 WHERE id = 4;
INSERT INTO t (id, k, n, f, v) VALUES (30, 1, 2, 0, '1 mon'), (31, 1, 2.00, '-0', '30 days'), (32, 1, 'NaN', 'NaN', '720 hours');
SELECT n FROM forms WHERE k = 1;
-- Sums of intervals are read again, and of several forms any.
UPDATE t SET v = '1 mon' WHERE id IN (31, 32);
TABLE wrong;
DELETE FROM t WHERE id IN (4, 32);
TABLE wrong;
DELETE FROM t WHERE id = 30;
TABLE wrong;
DELETE FROM t WHERE n = 2 AND id <> 31;
SELECT sum(DISTINCT n) = (SELECT n FROM shown WHERE k = 1) AS same FROM t WHERE k = 1;
TABLE wrong;
-- Only the other side of a join changes.
UPDATE u SET w = w || '!';
INSERT INTO u VALUES (2, 'two'), (NULL, 'none'), (0, 'one!');
DELETE FROM u WHERE w = 'uno!';
TABLE wrong;
SELECT * FROM joined ORDER BY w;
-- Both sides, and a writable CTE; a change that is taken back.
WITH x AS (DELETE FROM t WHERE id < 4 RETURNING id, k) INSERT INTO u SELECT k, 'moved' || id FROM x;
TABLE wrong;
BEGIN;
SAVEPOINT a;
UPDATE t SET s = 'gone', i = 1000;
ROLLBACK TO a;
INSERT INTO t (id, k, s, i) VALUES (40, 0, 'last', 3), (41, 0, 'last', 4);
DELETE FROM t WHERE id = 40;
COMMIT;
TABLE wrong;
-- Many groups and values at once.
INSERT INTO t SELECT i, i % 40, 's' || i % 7, i % 11, i % 3, i % 5, i % 6, i % 4, i % 3, make_interval(days => i % 3), i % 4, ARRAY[i % 2, NULL] FROM generate_series(100, 900) i;
TABLE wrong;
UPDATE t SET i = i % 4, s = s || k % 2 WHERE k % 3 = 0;
TABLE wrong;
DELETE FROM t WHERE id % 3 > 0;
TABLE wrong;
DELETE FROM t;
SELECT * FROM whole;
SELECT count(*) FROM counts;
TABLE wrong;
-- Nothing is left of the values, and none of this was a rebuild.
SELECT sum((xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM %s', c.oid::regclass), false, true, '')))[1]::text::int) AS left
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'upkeep_data' AND c.relkind = 'r'
    AND EXISTS (SELECT FROM upkeep.views v WHERE c.relname LIKE 'view_' || v.view::oid || '_%' AND v.view IN ('counts'::regclass, 'sums'::regclass, 'sets'::regclass));
SELECT v.view FROM upkeep.views v JOIN built b ON b.view = v.view WHERE v.last_maintenance <> b.last_maintenance ORDER BY 1;
-- A state that is wrong is found, and mended.
INSERT INTO t SELECT i, i % 3, 's', i % 2, 1, 1, 1, 1, 1, NULL, 1, NULL FROM generate_series(1, 12) i;
TRUNCATE t;
TABLE wrong;
INSERT INTO t (id, k, s, i) VALUES (1, 1, 'a', 1), (2, 1, 'a', 2), (3, 2, 'b', 1);
TABLE wrong;
SELECT * FROM counts ORDER BY k;
SELECT trigger, operator, strategy FROM upkeep.explain('tallies.filtered');
DROP TABLE built;
DROP SCHEMA tallies CASCADE;
