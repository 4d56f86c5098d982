SET client_min_messages = warning;
-- Window functions, DISTINCT ON and LIMIT: partitions that are computed again.
CREATE SCHEMA windows;
SET search_path = windows;
CREATE TABLE t (id int PRIMARY KEY, g int, h text COLLATE "C", x numeric, y float, at timestamptz, j json);
CREATE TABLE u (id int, g int, w text);
INSERT INTO t SELECT i, i % 4, 'h' || i % 3, i % 5, i / 2.0, timestamptz '2024-01-01 UTC' + i * interval '1 hour', '{}' FROM generate_series(1, 20) i;
INSERT INTO t VALUES (30, NULL, NULL, NULL, NULL, NULL, NULL), (31, NULL, 'h0', 1.0, 'NaN', now(), '[1]'), (32, 1, 'h1', 1.00, '-0', now(), '[1, 2]'), (33, NULL, '', 1.00, 0, NULL, NULL);
INSERT INTO u SELECT i % 9, i % 4, 'w' || i % 5 FROM generate_series(1, 15) i;
CREATE FUNCTION keep(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT coalesce($1, 0) + coalesce($2, 0) % 7';
CREATE AGGREGATE fold(int) (sfunc = keep, stype = int);
-- Frames, several windows, with and without PARTITION BY.
CREATE MATERIALIZED VIEW w1 AS SELECT id, g, row_number() OVER (PARTITION BY g ORDER BY x, id) AS n, rank() OVER (PARTITION BY g ORDER BY x) AS r, dense_rank() OVER (PARTITION BY g ORDER BY x DESC NULLS LAST) AS d,
    percent_rank() OVER (PARTITION BY g ORDER BY x) AS p, cume_dist() OVER (PARTITION BY g ORDER BY x) AS c, ntile(3) OVER (PARTITION BY g ORDER BY id) AS nt FROM t;
CREATE MATERIALIZED VIEW w2 AS SELECT id, sum(x) OVER a AS s1, count(*) OVER b AS s2, min(x) OVER c AS s3, avg(x) OVER d AS s4, count(y) OVER e AS s5 FROM t
    WINDOW a AS (PARTITION BY g, h ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING), b AS (PARTITION BY h ORDER BY x RANGE BETWEEN 1 PRECEDING AND CURRENT ROW),
    c AS (PARTITION BY h, g ORDER BY id GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW), d AS (PARTITION BY g ORDER BY id ROWS UNBOUNDED PRECEDING EXCLUDE TIES), e AS (PARTITION BY x % 2);
CREATE MATERIALIZED VIEW w3 AS SELECT h, lag(id) OVER w, lead(id, 2, -1) OVER w, first_value(x) OVER w, last_value(id) OVER w, nth_value(j::text, 2) OVER (w ROWS BETWEEN 1 FOLLOWING AND 3 FOLLOWING), max(id) OVER () AS m, fold(g) OVER w AS f FROM t WINDOW w AS (ORDER BY x, id);
CREATE MATERIALIZED VIEW w4 AS SELECT id, at, count(*) FILTER (WHERE x > 1) OVER (PARTITION BY date_trunc('day', at) ORDER BY at RANGE BETWEEN interval '2 hours' PRECEDING AND CURRENT ROW) AS c, string_agg(h, ',') OVER (PARTITION BY g ORDER BY id) AS s FROM t;
-- Filtered, over joins, aggregates and sets; windows over windows; aggregates over windows.
CREATE MATERIALIZED VIEW w5 AS SELECT id, g, x FROM (SELECT *, row_number() OVER (PARTITION BY g ORDER BY x DESC, id) AS n FROM t) z WHERE n <= 2;
CREATE MATERIALIZED VIEW w6 AS SELECT t.id, u.w, count(*) OVER (PARTITION BY u.w) AS c, u.id AS uid FROM t LEFT JOIN u ON u.id = t.id;
CREATE MATERIALIZED VIEW w7 AS SELECT g, h, sum(x) AS s, sum(sum(x)) OVER (PARTITION BY h) AS total, rank() OVER (ORDER BY count(*) DESC, g, h) AS r FROM t GROUP BY g, h HAVING count(*) > 0;
CREATE MATERIALIZED VIEW w8 AS SELECT g, h, grouping(g, h) AS l, rank() OVER (PARTITION BY grouping(g, h) ORDER BY sum(x), g, h) AS r FROM t GROUP BY ROLLUP (g, h);
CREATE MATERIALIZED VIEW w9 AS SELECT n, m, count(*) FROM (SELECT g, n, max(n) OVER (PARTITION BY g) AS m FROM (SELECT g, row_number() OVER (PARTITION BY g ORDER BY id) AS n FROM t) a) b GROUP BY n, m;
CREATE MATERIALIZED VIEW w10 AS SELECT DISTINCT g, first_value(id) OVER (PARTITION BY g ORDER BY x DESC, id) AS first, count(*) OVER (PARTITION BY g) AS c FROM t;
CREATE MATERIALIZED VIEW w11 AS SELECT k, c, rank() OVER (PARTITION BY c ORDER BY k) AS r FROM (SELECT g AS k, id AS c FROM t UNION ALL SELECT g, id FROM u UNION ALL SELECT 1, 1) z;
CREATE MATERIALIZED VIEW w12 AS WITH r AS (SELECT id, g, row_number() OVER (PARTITION BY g ORDER BY id) AS n FROM t) SELECT a.id, b.id AS next FROM r a LEFT JOIN r b ON b.g = a.g AND b.n = a.n + 1;
CREATE MATERIALIZED VIEW w13 AS SELECT row_number() OVER (PARTITION BY g, h) AS n, count(*) OVER (PARTITION BY 1 ORDER BY g) AS c, 7 AS seven FROM (SELECT DISTINCT g, h FROM t) z;
-- DISTINCT ON.
CREATE MATERIALIZED VIEW d1 AS SELECT DISTINCT ON (g) g, id, x FROM t ORDER BY g, x DESC NULLS LAST, id;
CREATE MATERIALIZED VIEW d2 AS SELECT DISTINCT ON (h, x) id, j FROM t ORDER BY x, h, id DESC;
CREATE MATERIALIZED VIEW d3 AS SELECT DISTINCT ON (lower(u.w)) u.w, t.h FROM t JOIN u USING (id) ORDER BY lower(u.w), t.id, u.g;
CREATE MATERIALIZED VIEW d4 AS SELECT count(*), sum(x) FROM (SELECT DISTINCT ON (g) x FROM t ORDER BY g, id) z;
CREATE MATERIALIZED VIEW d5 AS SELECT DISTINCT ON (x) x, count(*) AS n FROM t GROUP BY x, h ORDER BY x, count(*) DESC, h;
-- LIMIT, OFFSET, FETCH FIRST.
CREATE MATERIALIZED VIEW l1 AS SELECT id, x FROM t ORDER BY x DESC, id LIMIT 3;
CREATE MATERIALIZED VIEW l2 AS SELECT h FROM t ORDER BY x, id OFFSET 2 LIMIT 4;
CREATE MATERIALIZED VIEW l3 AS SELECT h, x FROM t ORDER BY x DESC NULLS LAST FETCH FIRST 3 ROWS WITH TIES;
CREATE MATERIALIZED VIEW l4 AS SELECT h, x FROM t ORDER BY x, h OFFSET 3 FETCH FIRST 2 ROWS WITH TIES;
CREATE MATERIALIZED VIEW l5 AS SELECT t.id, z.w FROM t JOIN (SELECT id, w FROM u ORDER BY id DESC, w, g LIMIT 5) z ON z.id = t.id;
CREATE MATERIALIZED VIEW l6 AS (SELECT id FROM t ORDER BY id LIMIT 2) UNION ALL (SELECT id FROM t ORDER BY id DESC LIMIT 2);
CREATE MATERIALIZED VIEW l7 AS SELECT g FROM t UNION SELECT id FROM u ORDER BY 1 LIMIT 4;
CREATE MATERIALIZED VIEW l8 AS SELECT g, sum(x) AS s FROM t GROUP BY g ORDER BY s DESC, g LIMIT 2;
CREATE MATERIALIZED VIEW l9 AS SELECT DISTINCT h FROM t ORDER BY h DESC OFFSET 1;
CREATE MATERIALIZED VIEW l10 AS SELECT DISTINCT ON (g) g, id FROM t ORDER BY g, id DESC LIMIT 2;
CREATE MATERIALIZED VIEW l11 AS SELECT id FROM t WHERE g IN (SELECT g FROM u ORDER BY id, g LIMIT 2) LIMIT NULL OFFSET 0;
CREATE MATERIALIZED VIEW l12 AS SELECT avg(x) FROM (SELECT x FROM t ORDER BY id LIMIT 1 + 4) z;
CREATE MATERIALIZED VIEW l13 AS SELECT id, rank() OVER (ORDER BY x, id) FROM t ORDER BY 2 DESC LIMIT 3;
-- Together with functions that make rows.
CREATE MATERIALIZED VIEW m1 AS SELECT id, unnest(ARRAY[id, g]) AS e, count(*) OVER (PARTITION BY g) AS c FROM t;
CREATE MATERIALIZED VIEW m2 AS SELECT id, unnest(ARRAY[id, g]) AS e FROM t ORDER BY id DESC, e LIMIT 3;
CREATE MATERIALIZED VIEW m3 AS SELECT unnest(ARRAY[id % 5, g]) AS e, count(*) AS n, rank() OVER (ORDER BY count(*), unnest(ARRAY[id % 5, g])) FROM t GROUP BY 1;
CREATE MATERIALIZED VIEW m4 AS SELECT count(*) OVER () AS c FROM t;
CREATE MATERIALIZED VIEW m5 AS SELECT id FROM t WHERE EXISTS (SELECT FROM u LIMIT 1);
-- Orders that leave ties.
CREATE MATERIALIZED VIEW f1 AS SELECT id, row_number() OVER (PARTITION BY g ORDER BY x) AS n, sum(y) OVER (ORDER BY g) AS s, string_agg(h, ',') OVER (PARTITION BY g) AS l FROM t;
CREATE MATERIALIZED VIEW f2 AS SELECT DISTINCT ON (g) g, h, x FROM t ORDER BY g, x DESC;
CREATE MATERIALIZED VIEW f3 AS SELECT h, g FROM t LIMIT 5;
CREATE MATERIALIZED VIEW f4 AS SELECT h, x FROM t ORDER BY x OFFSET 3 FETCH FIRST 2 ROWS WITH TIES;
CREATE MATERIALIZED VIEW f5 AS SELECT g, first_value(id) OVER w AS a, last_value(x) OVER w AS b, nth_value(h, 2) OVER w AS c FROM t WINDOW w AS (PARTITION BY g ORDER BY h);
CREATE MATERIALIZED VIEW f6 AS SELECT h, count(*) AS n FROM t GROUP BY h ORDER BY n DESC LIMIT 2;
-- Copies, in windows that sort differently.
CREATE MATERIALIZED VIEW f7 AS SELECT g, h, row_number() OVER (ORDER BY h) AS a, row_number() OVER (PARTITION BY g ORDER BY h DESC) AS b, lag(h) OVER (ORDER BY g) AS c, rank() OVER (PARTITION BY g ORDER BY h) AS r FROM t;
SELECT upkeep.register(c.oid) FROM pg_class c WHERE relnamespace = 'windows'::regnamespace AND relkind = 'm' ORDER BY relname;
CREATE VIEW here AS SELECT v.* FROM upkeep.views v JOIN pg_class c ON c.oid = v.view WHERE c.relnamespace = 'windows'::regnamespace;
SELECT strategy, count(*) FROM here GROUP BY strategy;
CREATE VIEW wrong AS SELECT w.view, v.* FROM here w, upkeep.verify(w.view) v;
TABLE wrong;
INSERT INTO t VALUES (40, 2, 'h9', 2, 2, NULL, NULL);
TABLE wrong;
INSERT INTO t SELECT i, i % 6, 'h' || i % 4, i % 7, i, timestamptz '2024-01-02 UTC' + i * interval '1 minute' FROM generate_series(50, 70) i;
TABLE wrong;
UPDATE t SET g = NULL WHERE id IN (3, 50);
TABLE wrong;
UPDATE t SET g = g + 1, x = 6 - x;
TABLE wrong;
UPDATE t SET j = '{"a": 1}', x = x WHERE id = 7;
TABLE wrong;
DELETE FROM t WHERE g = 2;
TABLE wrong;
DELETE FROM u WHERE id IN (1, 2, 8);
TABLE wrong;
WITH a AS (DELETE FROM t WHERE id % 3 = 1 RETURNING id, g, h), b AS (INSERT INTO u SELECT id, g, h FROM a) INSERT INTO t (id, g, h) SELECT id + 100, g, h FROM a;
TABLE wrong;
BEGIN;
INSERT INTO t VALUES (200, 1, 'a', 9, 9, now(), NULL);
SAVEPOINT s;
DELETE FROM t WHERE id > 60;
TABLE wrong;
ROLLBACK TO s;
UPDATE t SET x = NULL WHERE g = 1;
TABLE wrong;
COMMIT;
TABLE wrong;
INSERT INTO t (id) SELECT i FROM generate_series(300, 330) i;
TABLE wrong;
SELECT * FROM w5 ORDER BY id;
SELECT * FROM d1 ORDER BY g;
SELECT * FROM l1 ORDER BY id;
TRUNCATE t;
TABLE wrong;
INSERT INTO t VALUES (1, 1, 'a', 1, 1, NULL, NULL);
TABLE wrong;
SELECT view FROM here WHERE state <> 'active';
-- What a change does, step by step.
SELECT operator, strategy, sql, index_wanted FROM upkeep.explain('SELECT g, sum(x) OVER (PARTITION BY g ORDER BY id) AS s, count(*) OVER () AS c FROM windows.t') WHERE operator = 'window';
SELECT operator, strategy, sql, index_wanted FROM upkeep.explain('SELECT DISTINCT ON (h) h, x FROM windows.t ORDER BY h, id') WHERE operator = 'distinct on';
SELECT index_wanted FROM upkeep.explain('SELECT id FROM windows.t ORDER BY x DESC NULLS LAST, id LIMIT 3') WHERE operator = 'limit';
SELECT index_wanted FROM upkeep.explain('SELECT x FROM windows.t ORDER BY id DESC LIMIT 3') WHERE operator = 'limit';
SELECT operator, strategy, sql, index_wanted FROM upkeep.explain('SELECT id FROM windows.t ORDER BY x LIMIT 3') WHERE operator = 'limit';
DROP SCHEMA windows CASCADE;
