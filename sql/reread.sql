-- Aggregates without an inverse: the touched groups are read again, one by one or many in one statement.
CREATE SCHEMA reread;
SET search_path = reread;
CREATE TABLE a (id int PRIMARY KEY, v int, g text, n numeric, f float8);
INSERT INTO a SELECT i, i % 50, 'g' || i % 40, i * 1.0, i FROM generate_series(1, 2000) i;
CREATE TABLE b (g text, k int);
INSERT INTO b SELECT 'g' || i % 45, i % 10 FROM generate_series(1, 200) i;
CREATE AGGREGATE product(numeric) (SFUNC = numeric_mul, STYPE = numeric, INITCOND = '1');
CREATE MATERIALIZED VIEW extremes AS SELECT g, max(v), min(n), count(*) FROM a GROUP BY g;
CREATE MATERIALIZED VIEW lists AS
    SELECT g, array_agg(v ORDER BY id), string_agg(DISTINCT v::text, ','), count(DISTINCT v) FROM a GROUP BY g;
CREATE MATERIALIZED VIEW ordered AS
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY v), mode() WITHIN GROUP (ORDER BY v) FILTER (WHERE v > 3) FROM a;
CREATE MATERIALIZED VIEW joined AS
    SELECT b.k, jsonb_agg(a.id ORDER BY a.id, b.g), max(a.v) FROM a JOIN b USING (g) GROUP BY b.k;
CREATE MATERIALIZED VIEW arms AS
    SELECT id % 3 AS t, bit_xor(v), every(v > 0), max(f) FROM (SELECT id, v, f FROM a UNION ALL SELECT k, k, k FROM b) q GROUP BY id % 3;
CREATE MATERIALIZED VIEW forms AS SELECT n, count(*), rank(5) WITHIN GROUP (ORDER BY v) FROM a GROUP BY n;
CREATE MATERIALIZED VIEW own AS SELECT g, product(v % 3 + 1) FROM a GROUP BY g HAVING count(*) > 1;
SELECT upkeep.register(c.oid) FROM pg_class c WHERE relnamespace = 'reread'::regnamespace AND relkind = 'm' ORDER BY relname;
SELECT view, strategy, state FROM upkeep.views ORDER BY view::text;
CREATE FUNCTION wrong() RETURNS TABLE (view regclass, side text, contents text) LANGUAGE sql AS
    'SELECT w.view, v.* FROM upkeep.views w, upkeep.verify(w.view) v';
SELECT * FROM wrong();
UPDATE a SET v = v - 1;
SELECT * FROM wrong();
DELETE FROM a WHERE v > 30;
SELECT * FROM wrong();
INSERT INTO a SELECT i + 10000, i % 50, 'h' || i % 40, i * 1.0, i FROM generate_series(1, 1000) i;
SELECT * FROM wrong();
INSERT INTO a SELECT i + 20000, 100, NULL, i * 1.00, i FROM generate_series(1, 10) i;
SELECT * FROM wrong();
UPDATE a SET v = v - 1;
SELECT * FROM wrong();
DELETE FROM a WHERE id = 20005;
UPDATE a SET g = NULL WHERE id % 7 = 0;
SELECT * FROM wrong();
DELETE FROM b WHERE k = 3;
SELECT * FROM wrong();
TRUNCATE a;
SELECT * FROM wrong();
INSERT INTO a VALUES (1, 1, 'x', 1, 1), (2, 3, 'x', 1, 1);
SELECT * FROM wrong();
TABLE lists;
TABLE own;
-- The statement that reads a group again.
SELECT sql FROM upkeep.explain('reread.extremes') WHERE strategy = 'scoped';
DROP SCHEMA reread CASCADE;
