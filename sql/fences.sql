-- Conditions that the query evaluates behind others: above outer joins, materialized CTEs, security barrier views. They fail for
-- rows that do not get there.
SET client_min_messages = warning;
CREATE SCHEMA fences;
SET search_path = fences;
CREATE TABLE t (id int PRIMARY KEY, v float8, w int);
CREATE TABLE u (id int PRIMARY KEY, tid int, y int);
INSERT INTO t SELECT i, i % 9, i FROM generate_series(1, 30) i;
INSERT INTO t VALUES (100, 'Infinity', 1), (101, '-Infinity', 2);
INSERT INTO u SELECT i, i, i % 4 FROM generate_series(1, 30) i;
-- Dearer than what fails, so that the server would evaluate it last if it were free to.
CREATE FUNCTION is_small(v float8) RETURNS boolean IMMUTABLE STRICT COST 1000 LANGUAGE plpgsql AS $$ BEGIN RETURN abs(v) < 1000; END $$;
CREATE VIEW barrier WITH (security_barrier) AS SELECT id, v::numeric(10,3) AS k, w FROM t WHERE is_small(v);

-- Above outer joins; the last two are inner joins, whose conditions the server is free to evaluate first.
CREATE MATERIALIZED VIEW o1 AS SELECT u.id, t.w FROM u LEFT JOIN t ON u.tid = t.id WHERE coalesce(t.v::numeric(10,3), 0) >= 2;
CREATE MATERIALIZED VIEW o2 AS SELECT u.id, t.w FROM t RIGHT JOIN u ON u.tid = t.id AND is_small(t.v) WHERE t.v::numeric(10,3) IS NULL OR t.v::numeric(10,3) + u.y > 3;
CREATE MATERIALIZED VIEW o3 AS SELECT u.id, t.w FROM u FULL JOIN (SELECT * FROM t WHERE is_small(v)) t ON u.tid = t.id WHERE coalesce(t.v::numeric(10,3), 1) >= 1;
CREATE MATERIALIZED VIEW o4 AS SELECT u.id, t.w, x.y FROM u LEFT JOIN t ON u.tid = t.id JOIN u x ON x.id = coalesce(t.v::numeric(10,3), 1);
CREATE MATERIALIZED VIEW o5 AS SELECT s.id, s.w FROM (SELECT u.id, t.v, t.w FROM u LEFT JOIN t ON u.tid = t.id) s WHERE coalesce(s.v::numeric(10,3), 0) >= 2;
CREATE MATERIALIZED VIEW o6 AS SELECT u.y, count(*), string_agg(t.w::text, ',' ORDER BY u.id) AS s FROM u LEFT JOIN t ON u.tid = t.id WHERE coalesce(t.v::numeric(10,3), 0) >= 2 GROUP BY u.y;
CREATE MATERIALIZED VIEW o7 AS SELECT x.id, t.w FROM u x LEFT JOIN (u LEFT JOIN t ON u.tid = t.id) ON u.id = x.id AND coalesce(t.v::numeric(10,3), 0) >= x.y;
CREATE MATERIALIZED VIEW o8 AS SELECT u.id, t.w FROM u LEFT JOIN t ON u.tid = t.id WHERE t.w / 2 > 3;
CREATE MATERIALIZED VIEW o9 AS SELECT u.id, t.w FROM u LEFT JOIN t ON u.tid = t.id WHERE t.w > 0 AND coalesce(t.w / 2, 0) > 3;

-- Above what is computed by itself.
CREATE MATERIALIZED VIEW c1 AS WITH c AS MATERIALIZED (SELECT id, v::numeric(10,3) AS k FROM t WHERE is_small(v)) SELECT u.id, c.k FROM u JOIN c ON c.id = u.tid WHERE c.k > 3;
CREATE MATERIALIZED VIEW c2 AS WITH c AS (SELECT id, v::numeric(10,3) AS k FROM t WHERE is_small(v)) SELECT a.id, b.k FROM c a JOIN c b ON b.id = a.k WHERE b.k > 3;
CREATE MATERIALIZED VIEW c3 AS SELECT u.id, b.k FROM u JOIN barrier b ON b.id = u.tid WHERE b.k > 3;
CREATE MATERIALIZED VIEW c4 AS SELECT k, w FROM barrier WHERE k > 3;
CREATE MATERIALIZED VIEW c5 AS SELECT u.id FROM u WHERE EXISTS (SELECT FROM barrier b WHERE b.id = u.tid AND b.k > 3);

SELECT count(upkeep.register(oid::regclass)) FROM pg_class WHERE relnamespace = 'fences'::regnamespace AND relkind = 'm';
CREATE VIEW wrong AS SELECT w.view, v.* FROM upkeep.views w, upkeep.verify(w.view) v;
UPDATE t SET w = w + 1 WHERE id IN (5, 100);
UPDATE u SET y = y + 1, tid = tid + 1 WHERE id < 15;
SELECT * FROM wrong;
INSERT INTO t SELECT i, CASE WHEN i % 3 = 0 THEN float8 'Infinity' ELSE i % 7 END, i FROM generate_series(200, 230) i;
INSERT INTO u SELECT i, i, 1 FROM generate_series(200, 230) i WHERE i % 3 > 0;
SELECT * FROM wrong;
WITH a AS (UPDATE t SET v = v + 1 RETURNING 1), b AS (UPDATE u SET y = 7 - y RETURNING 1) SELECT count(*) FROM a, b;
SELECT * FROM wrong;
DELETE FROM t WHERE id % 4 = 1;
DELETE FROM u WHERE id % 5 = 1;
SELECT * FROM wrong;
-- A row that gets there fails, as it does in the query.
\set VERBOSITY terse
INSERT INTO u VALUES (1000, 100, 1);
SELECT * FROM wrong;
-- What cannot fail, or is not behind anything, stands as it is.
SELECT view, bool_or(sql LIKE '%CASE%') AS guarded FROM upkeep.views, upkeep.explain(view::text) WHERE view::text LIKE 'o%' GROUP BY view ORDER BY view::text;
DROP SCHEMA fences CASCADE;
