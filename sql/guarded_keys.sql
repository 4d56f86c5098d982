-- Groups and partitions whose keys are expressions that fail for rows which the query's conditions leave out. Reading them
-- again asks for their keys; that must not compute the keys of other rows than the query does.
SET client_min_messages = warning;
CREATE SCHEMA guarded_keys;
SET search_path = guarded_keys;
CREATE TABLE t (id int PRIMARY KEY, g int, v float8, w int, n numeric);
CREATE TABLE u (id int PRIMARY KEY, tid int, y int);
INSERT INTO t SELECT i, i % 3, i % 20, i, i % 5 FROM generate_series(1, 60) i;
INSERT INTO t VALUES (100, 1, 'Infinity', 1, 1), (101, NULL, '-Infinity', 2, 1);
INSERT INTO u SELECT i, i, i % 4 FROM generate_series(1, 60) i;
-- Dearer than the key, so that the server would compute the key first if it were free to.
CREATE FUNCTION is_small(v float8) RETURNS boolean IMMUTABLE STRICT COST 1000 LANGUAGE plpgsql AS $$ BEGIN RETURN abs(v) < 1000; END $$;
CREATE VIEW small AS SELECT id, g, v::numeric(10,3) AS k, w, n FROM t WHERE is_small(v);

-- One table, a join, an outer join, UNION ALL, rows of VALUES; a key that cannot fail beside it.
CREATE MATERIALIZED VIEW g1 AS SELECT k, string_agg(w::text, ',' ORDER BY id) AS s, count(*) AS n FROM small GROUP BY k;
CREATE MATERIALIZED VIEW g2 AS SELECT k, g, max(w) AS m, min(w) FILTER (WHERE k > 3) AS f FROM small GROUP BY k, g;
CREATE MATERIALIZED VIEW g3 AS SELECT t.v::numeric(10,3) AS k, string_agg(u.y::text, ',' ORDER BY u.id) AS s FROM t JOIN u ON u.tid = t.id GROUP BY 1;
CREATE MATERIALIZED VIEW g4 AS SELECT t.v::numeric(10,3) AS k, t.g, string_agg(u.y::text, ',' ORDER BY u.id) AS s FROM u LEFT JOIN t ON u.tid = t.id GROUP BY 1, 2;
CREATE MATERIALIZED VIEW g5 AS SELECT k, string_agg(w::text, ',' ORDER BY w) AS s FROM (SELECT k, w FROM small UNION ALL SELECT y, tid FROM u) z GROUP BY k;
CREATE MATERIALIZED VIEW g6 AS SELECT x.k, string_agg(t.w::text, ',' ORDER BY w) AS s FROM t, LATERAL (VALUES (t.v::numeric(10,3))) x(k) WHERE is_small(t.v) GROUP BY x.k;
-- The key is a column of something that is not stored: of many outer joins, of a subquery that is evaluated as it stands.
CREATE MATERIALIZED VIEW g7 AS
    SELECT s.k, string_agg(u.y::text, ',' ORDER BY u.id) AS s
    FROM u LEFT JOIN small s ON s.id = u.tid LEFT JOIN u a ON a.id = u.id LEFT JOIN u b ON b.id = u.id LEFT JOIN u c ON c.id = u.id LEFT JOIN u d ON d.id = u.id
    GROUP BY s.k;
CREATE MATERIALIZED VIEW g8 AS SELECT l.k, string_agg(u.y::text, ',' ORDER BY u.id) AS s FROM u, LATERAL (SELECT k FROM small s WHERE s.id >= u.tid ORDER BY s.id LIMIT 2) l GROUP BY l.k;
CREATE MATERIALIZED VIEW g9 AS SELECT s.k, string_agg(l.y::text, ',' ORDER BY l.y) AS s FROM small s, LATERAL (SELECT u.y FROM u WHERE u.tid = s.id AND u.y > 0 ORDER BY y LIMIT 3) l GROUP BY s.k;
-- Windows, DISTINCT ON, the first rows of each key.
CREATE MATERIALIZED VIEW p1 AS SELECT id, row_number() OVER (PARTITION BY k ORDER BY id) AS r FROM small;
CREATE MATERIALIZED VIEW p2 AS SELECT t.id, u.id AS uid, row_number() OVER (PARTITION BY t.v::numeric(10,3), t.g ORDER BY u.id) AS r FROM t JOIN u ON u.tid = t.id;
CREATE MATERIALIZED VIEW p3 AS SELECT DISTINCT ON (k) k, id, w FROM small ORDER BY k, w DESC, id;
CREATE MATERIALIZED VIEW p4 AS SELECT * FROM (SELECT id, k, rank() OVER (PARTITION BY k ORDER BY w DESC) AS r FROM small) x WHERE r <= 2;
-- A grouped subquery below a join; a scalar one; the forms of keys, and of values that are counted once.
CREATE MATERIALIZED VIEW b1 AS SELECT u.id, s.m FROM u JOIN (SELECT k, string_agg(w::text, ',' ORDER BY id) AS m FROM small GROUP BY k) s ON s.k = u.tid;
CREATE MATERIALIZED VIEW f1 AS SELECT t.v::numeric(10,3)::numeric AS k, count(*) AS c FROM t JOIN u ON u.tid = t.id GROUP BY 1;
CREATE MATERIALIZED VIEW f2 AS SELECT g, sum(DISTINCT n) FILTER (WHERE k >= 0) AS s FROM small GROUP BY g;
-- What ties a subquery to the rows around it is a column of something that is not stored.
CREATE MATERIALIZED VIEW s1 AS
    SELECT u.id, (SELECT x.y FROM u x WHERE x.tid = s.k AND x.y > 0 ORDER BY x.y LIMIT 1) AS y
    FROM u LEFT JOIN (SELECT t.id, t.v::numeric(10,3) AS k FROM t JOIN u z ON z.id = t.id AND z.y < t.id) s ON s.id = u.tid
         LEFT JOIN u a ON a.id = u.id LEFT JOIN u b ON b.id = u.id LEFT JOIN u c ON c.id = u.id LEFT JOIN u d ON d.id = u.id;

SELECT count(upkeep.register(oid::regclass)) FROM pg_class WHERE relnamespace = 'guarded_keys'::regnamespace AND relkind = 'm';
CREATE VIEW wrong AS SELECT w.view, v.* FROM upkeep.views w, upkeep.verify(w.view) v;

-- One group, and many; with a key that is NULL.
UPDATE t SET w = w - 1 WHERE id = 7;
UPDATE t SET w = 0, n = 1.00 WHERE id IN (3, 4);
UPDATE t SET w = w + 1;
SELECT * FROM wrong;
UPDATE u SET y = y + 1 WHERE id = 7;
UPDATE u SET y = y + 1;
SELECT * FROM wrong;
DELETE FROM t WHERE id IN (1, 21);
DELETE FROM t WHERE id BETWEEN 5 AND 40;
DELETE FROM u WHERE id BETWEEN 30 AND 50;
DELETE FROM t WHERE id IN (46, 51);
SELECT * FROM wrong;
INSERT INTO t SELECT i, 1, CASE WHEN i % 2 = 0 THEN float8 'Infinity' ELSE i % 9 END, i, 1.0 FROM generate_series(200, 260) i;
UPDATE t SET v = '-Infinity' WHERE id = 219;
SELECT * FROM wrong;
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE t SET g = NULL WHERE id < 60;
DELETE FROM u WHERE id < 15;
COMMIT;
SELECT * FROM wrong;
SELECT count(*) FILTER (WHERE state <> 'active') AS not_active FROM upkeep.views;

-- Where an index has the key of every row, it can be asked for first; not with a partial index, nor of another table's rows.
CREATE FUNCTION fenced() RETURNS TABLE (sql boolean, index_wanted text) LANGUAGE sql AS $$
    SELECT e.sql LIKE '%OFFSET%', e.index_wanted FROM upkeep.explain('guarded_keys.g1') e WHERE e.trigger = 'any change of a group' $$;
SELECT * FROM fenced();
DELETE FROM t WHERE v IN ('Infinity', '-Infinity');
CREATE INDEX part ON t ((v::numeric(10,3))) WHERE is_small(v);
SELECT * FROM fenced();
CREATE INDEX whole ON t ((v::numeric(10,3)));
SELECT * FROM fenced();
UPDATE t SET w = w + 1 WHERE id IN (2, 205);
SELECT * FROM wrong;
CREATE TABLE t_more (more int) INHERITS (t);
REFRESH MATERIALIZED VIEW g1;
SELECT * FROM fenced();
DROP TABLE t_more;
DROP INDEX whole;
INSERT INTO t VALUES (100, 1, 'Infinity', 1, 1);
UPDATE t SET w = w + 1 WHERE id IN (2, 205);
SELECT * FROM wrong;
-- Nor is anything to be feared where the query computes the key of every row.
CREATE MATERIALIZED VIEW every_row AS SELECT length(repeat('x', w)) AS k, string_agg(g::text, ',' ORDER BY id) AS s FROM t GROUP BY 1;
SELECT upkeep.register('every_row');
SELECT sql LIKE '%OFFSET%' AS fenced FROM upkeep.explain('every_row') WHERE trigger = 'any change of a group';
CREATE TABLE named (id int PRIMARY KEY, name text, ok boolean);
CREATE MATERIALIZED VIEW collated AS SELECT name COLLATE "C" AS k, string_agg(id::text, ',' ORDER BY id) AS s FROM named WHERE ok GROUP BY 1;
SELECT upkeep.register('collated');
SELECT sql LIKE '%OFFSET%' AS fenced FROM upkeep.explain('collated') WHERE trigger = 'any change of a group';
DROP SCHEMA guarded_keys CASCADE;
