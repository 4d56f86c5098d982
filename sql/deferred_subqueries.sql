-- Mode deferred: subqueries that are evaluated again, over what their tables held before.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE TABLE a (id int PRIMARY KEY, k int, x int);
CREATE TABLE b (k int, y int, doc json);  -- no key, equal rows, NULLs
CREATE TABLE c (id int PRIMARY KEY, k int NOT NULL, z numeric) PARTITION BY RANGE (id);
CREATE TABLE c1 PARTITION OF c FOR VALUES FROM (0) TO (100);
CREATE TABLE c2 PARTITION OF c DEFAULT;
CREATE TABLE parent (k int NOT NULL, v text);
CREATE TABLE child (more int) INHERITS (parent);
INSERT INTO a SELECT i, nullif(i % 7, 6), i % 4 FROM generate_series(1, 30) i;
INSERT INTO b SELECT nullif(i % 8, 7), nullif(i % 5, 4), json_build_object('i', i % 3) FROM generate_series(1, 40) i;
INSERT INTO c SELECT i, i % 6, i % 9 + 0.50 FROM generate_series(80, 130) i;
INSERT INTO parent SELECT i % 5, 'p' || i % 2 FROM generate_series(1, 9) i;
INSERT INTO child SELECT i % 5, 'c' || i % 2 FROM generate_series(1, 9) i;
CREATE MATERIALIZED VIEW not_in AS SELECT id, x FROM a WHERE x NOT IN (SELECT y FROM b WHERE b.k = a.k);
CREATE MATERIALIZED VIEW first_rows AS SELECT a.id, l.* FROM a LEFT JOIN LATERAL
  (SELECT y, doc FROM b WHERE b.k = a.k ORDER BY y DESC NULLS LAST, doc::text LIMIT 2) l ON true;
CREATE MATERIALIZED VIEW listed AS SELECT id, ARRAY(SELECT z FROM c WHERE c.k = a.k ORDER BY z, c.id) AS zs,
  (SELECT count(*) FROM ONLY parent p WHERE p.k = a.k AND p.v <> 'p0') + a.x AS n FROM a;
CREATE MATERIALIZED VIEW ored AS SELECT a.id, c.z FROM a JOIN c ON c.k = a.k
  WHERE EXISTS (SELECT FROM parent p WHERE p.k = a.k AND p.v = 'c1') OR a.x > ALL (SELECT y FROM b WHERE b.k = a.x);
CREATE MATERIALIZED VIEW over_groups AS
  SELECT g.k, g.s, ARRAY(SELECT y FROM b WHERE b.k < g.k AND b.y < g.s ORDER BY y NULLS LAST) AS ys
  FROM (SELECT k, sum(z) AS s FROM c GROUP BY k) g WHERE NOT EXISTS (SELECT FROM a WHERE a.k > g.k AND a.x = 3);
CREATE MATERIALIZED VIEW whole_rows AS SELECT id, (SELECT json_agg(c ORDER BY c.id) FROM c WHERE c.k = a.k) AS cs FROM a;
CREATE MATERIALIZED VIEW no_columns AS SELECT id, ARRAY(SELECT 1 FROM b LIMIT abs(a.x)) AS ones,
  EXISTS (SELECT FROM parent) AND a.x < 3 AS some FROM a WHERE a.x > 1 OR EXISTS (SELECT FROM c);
CREATE FUNCTION check_views(OUT view text, OUT side text, OUT contents text) RETURNS SETOF record LANGUAGE plpgsql AS $$ BEGIN
  FOREACH view IN ARRAY '{not_in, first_rows, listed, ored, over_groups, whole_rows, no_columns}'::text[] LOOP
    FOR side, contents IN SELECT * FROM upkeep.verify(view::regclass) LOOP
      RETURN NEXT;
    END LOOP;
  END LOOP; END $$;
SELECT upkeep.register(v::regclass, 'deferred') FROM unnest('{not_in, first_rows, listed, ored, over_groups, whole_rows, no_columns}'::text[]) v;
SELECT upkeep.refresh();
SELECT * FROM check_views();
CREATE TEMP TABLE built AS SELECT view, last_rebuild FROM upkeep.activity;

-- one table, then several, in one window
INSERT INTO b VALUES (1, 1, '{"i":1}'), (1, 1, '{"i":1}'), (1, 1, '{"i": 1}'), (NULL, 3, NULL), (2, NULL, NULL);
SELECT upkeep.refresh();
SELECT * FROM check_views();
DELETE FROM b WHERE ctid IN (SELECT min(ctid) FROM b WHERE k = 1 AND y = 1 GROUP BY doc::text);
DELETE FROM b WHERE y IS NULL AND k = 2;
UPDATE a SET x = x + 1 WHERE id % 5 = 0;
UPDATE a SET k = NULL WHERE id = 3;
UPDATE c SET z = z + 1, id = id + 400 WHERE id BETWEEN 88 AND 92;
INSERT INTO child VALUES (4, 'c1', 1), (1, 'p1', 1);
INSERT INTO parent VALUES (1, 'p1'), (1, 'p1');
SELECT upkeep.refresh();
SELECT * FROM check_views();

-- rows that came and went, and equal rows that moved, between refreshes
BEGIN;
UPDATE b SET y = y + 1 WHERE k = 3;
DELETE FROM c WHERE k = 2;
SAVEPOINT s;
DELETE FROM a;
ROLLBACK TO s;
INSERT INTO a VALUES (100, 2, 3);
COMMIT;
UPDATE b SET y = y - 1 WHERE k = 3;
INSERT INTO c VALUES (1, 2, 7.0), (2, 2, 7.00), (200, 4, 7);
DELETE FROM a WHERE id = 100;
UPDATE child SET v = 'c1' WHERE k = 3;
DELETE FROM ONLY parent WHERE v = 'p1';
SELECT upkeep.refresh();
SELECT * FROM check_views();
UPDATE b SET k = 0 WHERE k IS NULL;
UPDATE a SET x = 3 - x;
DELETE FROM parent;
SELECT upkeep.refresh();
SELECT * FROM check_views();

DELETE FROM b;
SELECT upkeep.refresh() > 0;
SELECT * FROM check_views();
INSERT INTO b VALUES (1, 1, NULL);
INSERT INTO parent VALUES (1, 'c1');
SELECT upkeep.refresh() > 0;
SELECT * FROM check_views();

-- None of this was a rebuild.
SELECT view FROM upkeep.activity JOIN built USING (view) WHERE activity.last_rebuild IS DISTINCT FROM built.last_rebuild ORDER BY 1;
SELECT upkeep.has_changed(1, 0, 1, 1, 1);
DROP FUNCTION check_views;
DROP TABLE a, b, c, parent, built CASCADE;
