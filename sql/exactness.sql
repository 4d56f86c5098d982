-- Exactness: what recomputation would show, to the last digit, whatever came in and went out before.
SET lc_monetary = 'C';
SET client_min_messages = warning;
CREATE SCHEMA exact;
SET search_path = exact, public;
-- Rows that a view of this schema has and should not have, or the reverse; views that are no longer maintained.
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'exact'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";

-- The scale of numeric sums and averages: that of the rows that are left.
CREATE TABLE num (id int, k int, n numeric);
CREATE MATERIALIZED VIEW nums AS SELECT k, sum(n) AS s, avg(n) AS a, min(n) AS lo, max(n) AS hi, variance(n) AS v, sum(n) FILTER (WHERE id > 1) AS f FROM num GROUP BY k;
-- Integers whose sums, or whose squares, do not fit.
CREATE TABLE ints (id int, a int2, b int4, c int8);
CREATE MATERIALIZED VIEW int_sums AS SELECT sum(a) AS a, sum(b) AS b, sum(c) AS c, avg(b) AS ab, avg(c) AS ac, var_pop(c) AS vc, stddev(b) AS db, min(c) AS lo, max(c) AS hi FROM ints;
-- Floats: an accumulator that forgets nothing, specials counted apart.
CREATE TABLE fl (id int, k int, x float8, y float4);
CREATE MATERIALIZED VIEW floats AS SELECT k, sum(x) AS s, avg(x) AS a, sum(y) AS sy, var_pop(x) AS v, min(x) AS lo, max(x) AS hi FROM fl GROUP BY k;
-- Intervals and money.
CREATE TABLE spans (id int, i interval, m money);
CREATE MATERIALIZED VIEW span_sums AS SELECT sum(i) AS s, avg(i) AS a, min(i) AS lo, max(i) AS hi, sum(m)::text AS m, min(m)::text AS mlo FROM spans;
-- Keys whose equal values differ in form.
CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE keys (id int, n numeric, i interval, j jsonb, c text COLLATE caseless, f float8, a numeric[], r numrange, v varbit, y bpchar);
CREATE MATERIALIZED VIEW by_n AS SELECT n, count(*) AS c FROM keys GROUP BY n;
CREATE MATERIALIZED VIEW by_i AS SELECT i, count(*) AS c FROM keys GROUP BY i;
CREATE MATERIALIZED VIEW by_j AS SELECT j, count(*) AS c, sum(id) AS s FROM keys GROUP BY j;
CREATE MATERIALIZED VIEW by_c AS SELECT c, count(*) AS n, max(c) AS top FROM keys GROUP BY c;
CREATE MATERIALIZED VIEW by_f AS SELECT f, count(*) AS n FROM keys GROUP BY f;
CREATE MATERIALIZED VIEW by_a AS SELECT a, r, count(*) AS n FROM keys GROUP BY a, r;
CREATE MATERIALIZED VIEW by_y AS SELECT y, count(*) AS n FROM keys GROUP BY y;
CREATE MATERIALIZED VIEW distinct_n AS SELECT DISTINCT n, i FROM keys;
CREATE MATERIALIZED VIEW by_many AS SELECT n + 0 AS n, c, id % 2 AS odd FROM keys GROUP BY n + 0, c, id % 2;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'exact'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
CREATE TEMP TABLE built AS SELECT view, last_maintenance FROM upkeep.views;
TABLE wrong;
INSERT INTO num VALUES (1, 1, 1.0), (2, 1, 1.00), (3, 1, 1.000), (4, NULL, 5), (5, 2, NULL), (6, 3, 1e-20), (7, 3, 1e30);
SELECT k, s, a, v, f FROM nums ORDER BY k;
TABLE wrong;
DELETE FROM num WHERE id = 3;
SELECT k, s, a, f FROM nums WHERE k = 1;
TABLE wrong;
DELETE FROM num WHERE id = 2;
SELECT k, s, a, f FROM nums WHERE k = 1;
UPDATE num SET n = NULL WHERE id IN (4, 6);
SELECT k, s, a, v FROM nums ORDER BY k;
TABLE wrong;
INSERT INTO num VALUES (10, 1, 'NaN'), (11, 1, 'Infinity'), (12, 2, '-Infinity'), (13, 2, 'Infinity'), (14, 3, 'Infinity');
SELECT k, s, a, lo, hi, v, f FROM nums ORDER BY k;
TABLE wrong;
DELETE FROM num WHERE id IN (10, 13);
SELECT k, s, a, lo, hi, v, f FROM nums ORDER BY k;
TABLE wrong;
DELETE FROM num WHERE id > 10;
SELECT k, s, a, lo, hi, v, f FROM nums ORDER BY k;
TABLE wrong;

INSERT INTO ints SELECT i, 32767, 2147483647, 9223372036854775807 FROM generate_series(1, 5) i;
INSERT INTO ints SELECT -i, -32768, -2147483648, -9223372036854775808 FROM generate_series(1, 5) i;
SELECT * FROM int_sums;
TABLE wrong;
DELETE FROM ints WHERE id < 0;
SELECT * FROM int_sums;
UPDATE ints SET a = -a, b = -b, c = -c WHERE id < 3;
TABLE wrong;
DELETE FROM ints;
SELECT * FROM int_sums;
TABLE wrong;

INSERT INTO fl VALUES (1, 1, 0.1, 0.1), (2, 1, 1e17, 1e10), (3, 1, 1e34, 1e30), (4, 2, '-0', '-0'), (5, 2, NULL, NULL), (6, 3, 1e308, 1e38), (7, 4, 5e-324, 1e-45);
TABLE wrong;
DELETE FROM fl WHERE id = 3;
DELETE FROM fl WHERE id = 2;
SELECT k, s, a, sy, lo, hi FROM floats ORDER BY k;
TABLE wrong;
INSERT INTO fl VALUES (10, 1, 'NaN', 'NaN'), (11, 2, 'Infinity', '-Infinity'), (12, 4, 'Infinity', 1), (13, 4, '-Infinity', 1);
SELECT k, s, a, sy, v, lo, hi FROM floats ORDER BY k;
TABLE wrong;
UPDATE fl SET x = 0, y = 0 WHERE id IN (10, 11, 13);
SELECT k, s, a, sy, lo, hi FROM floats ORDER BY k;
DELETE FROM fl WHERE id > 9;
SELECT k, s, a, sy, lo, hi FROM floats ORDER BY k;
TABLE wrong;
-- Recomputing would overflow too.
INSERT INTO fl VALUES (20, 3, 1e308, 0);
SELECT count(*) FROM fl WHERE k = 3;
TABLE wrong;

INSERT INTO spans VALUES (1, '1 mon', 12.34), (2, '30 days', -12.34), (3, '-1 day 25:00', 0), (4, '100 years', 92233720368547758.07::numeric::money);
SELECT * FROM span_sums;
TABLE wrong;
DELETE FROM spans WHERE id = 4;
UPDATE spans SET i = -i;
SELECT s, a, m FROM span_sums;
TABLE wrong;
DELETE FROM spans;
SELECT * FROM span_sums;

-- The representative that is shown leaves; one that exists takes its place.
INSERT INTO keys VALUES (1, 1.0, '1 mon', '{"a": 1.0}', 'Straw', 0.0, '{1.0}', '[1.0,2)', B'1', 'a'), (2, 1.00, '30 days', '{"a": 1.00}', 'STRAW', '-0', '{1.00}', '[1.00,2)', B'01', 'a ');
INSERT INTO keys VALUES (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (4, NULL, NULL, NULL, NULL, 'NaN', '{NULL}', 'empty', NULL, '');
SELECT n, c FROM by_n WHERE n IS NULL;
TABLE wrong;
DELETE FROM keys WHERE id = 1;
SELECT n.n, i.i, j.j, c.c, c.top, f.f, a.a, a.r FROM by_n n, by_i i, by_j j, by_c c, by_f f, by_a a WHERE n.n = 1 AND i.i = '30 days' AND j.j IS NOT NULL AND c.c = 'straw' AND f.f = 0 AND a.a = '{1}';
TABLE wrong;
INSERT INTO keys VALUES (5, 1, '720:00', '{"a": 1}', 'straw', 0, '{1}', '[1,2)', B'1', 'a  ');
TABLE wrong;
UPDATE keys SET n = n * 1.000, c = upper(c), f = -f, j = '{"a": 1.000}', a = '{1.000}' WHERE id = 2;
TABLE wrong;
DELETE FROM keys WHERE id = 2;
SELECT n.n, i.i, j.j, c.c, c.top, f.f, a.a, a.r FROM by_n n, by_i i, by_j j, by_c c, by_f f, by_a a WHERE n.n = 1 AND i.i = '30 days' AND j.j IS NOT NULL AND c.c = 'straw' AND f.f = 0 AND a.a = '{1}';
TABLE wrong;
DELETE FROM keys;
SELECT count(*) FROM distinct_n;
TABLE wrong;

-- None of this was a rebuild.
SELECT v.view FROM upkeep.views v JOIN built b ON b.view = v.view WHERE v.last_maintenance <> b.last_maintenance ORDER BY 1;
DROP TABLE built;
DROP SCHEMA exact CASCADE;
