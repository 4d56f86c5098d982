-- Several subqueries over the same rows, which read the same tables, are evaluated together.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE TABLE a (id int PRIMARY KEY, k int, x int, y int);
CREATE TABLE b (k int, x int, z int);
CREATE INDEX ON a (k);
CREATE INDEX ON b (k, x);
CREATE VIEW digits AS SELECT i, (i * 7919) % 10 AS r, (i * 104729) % 7 AS s FROM generate_series(1, 400) i;
INSERT INTO a SELECT i, nullif(r, 9), s, r % 4 FROM digits WHERE i <= 60;
INSERT INTO b SELECT nullif(s, 6), r, s % 3 FROM digits WHERE i <= 40;
-- the second asks more of the rows that it reads than the first, which touches all of its rows
CREATE MATERIALIZED VIEW narrower AS SELECT id, x FROM a WHERE EXISTS (SELECT FROM a o WHERE o.k = a.k AND o.x <> a.x)
  AND NOT EXISTS (SELECT FROM a o WHERE o.k = a.k AND o.x <> a.x AND o.y > o.x);
-- neither touches all rows of the other
CREATE MATERIALIZED VIEW beside AS SELECT id, EXISTS (SELECT FROM b WHERE b.k = a.k AND b.x <> a.x) AS e,
  ARRAY(SELECT z FROM b WHERE b.x = a.x ORDER BY z) AS zs FROM a;
-- the same twice, and one that all rows are tied to
CREATE MATERIALIZED VIEW twice AS SELECT id, x NOT IN (SELECT z FROM b WHERE b.k = a.k) AS m,
  y NOT IN (SELECT z FROM b WHERE b.k = a.k) AS n, x >= ALL (SELECT b.x FROM b WHERE b.z = 1) AS o FROM a;
-- several rows of each
CREATE MATERIALIZED VIEW rows AS SELECT id, l.z, m.x FROM a, LATERAL (SELECT z FROM b WHERE b.k = a.k ORDER BY z, x LIMIT 2) l,
  LATERAL (SELECT b.x FROM b WHERE b.k = a.k ORDER BY 1 DESC LIMIT 2) m WHERE l.z <> m.x;
-- other tables, and other rows: each by itself
CREATE MATERIALIZED VIEW apart AS SELECT a.id, c.id AS other, ARRAY(SELECT z FROM b WHERE b.k = a.k ORDER BY 1) AS zs,
  ARRAY(SELECT o.id FROM a o WHERE o.k = a.k ORDER BY 1) AS os, ARRAY(SELECT z FROM b WHERE b.k = c.k ORDER BY 1) AS cs
  FROM a JOIN a c ON c.id = a.k;
CREATE TABLE views (view regclass);
INSERT INTO views VALUES ('narrower'), ('beside'), ('twice'), ('rows'), ('apart');
SELECT view, count(DISTINCT step) FROM views, upkeep.explain(view::text) WHERE operator = 'subquery' GROUP BY 1 ORDER BY 1;
CREATE FUNCTION check_views() RETURNS TABLE (view regclass, side text, contents text) LANGUAGE sql AS
  $$ SELECT views.view, v.* FROM views, upkeep.verify(views.view) v $$;
CREATE PROCEDURE change(round int) LANGUAGE plpgsql AS $$ BEGIN
  DELETE FROM b WHERE ctid IN (SELECT ctid FROM b WHERE (k * round + x) % 5 = 0);
  INSERT INTO b SELECT nullif(r, 5), (s + round) % 7, s % 3 FROM digits WHERE i BETWEEN round * 20 AND round * 20 + 9;
  UPDATE b SET z = z + 1 WHERE x = round % 7;
  UPDATE a SET x = (x + round) % 5, y = y + 1 WHERE id % 8 = round - 1;
  UPDATE a SET k = nullif(k + 1, 9) WHERE id % 9 = round;
  DELETE FROM a WHERE id = round * 5;
  INSERT INTO a SELECT 100 + round, r, s, r % 4 FROM digits WHERE digits.i = 200 + round;
END $$;
SELECT upkeep.register(view) FROM views;
SELECT * FROM check_views();
DO $$ BEGIN
  FOR round IN 1..6 LOOP
    CALL change(round);
    IF EXISTS (SELECT FROM check_views()) THEN RAISE EXCEPTION 'round %', round; END IF;
  END LOOP;
END $$;
SELECT upkeep.register(view, 'deferred') FROM views;
SELECT upkeep.refresh() >= 0;
CREATE TEMP TABLE built AS SELECT view, last_rebuild FROM upkeep.activity;
DO $$ BEGIN
  FOR round IN 7..14 LOOP
    CALL change(round);
    COMMIT;
    PERFORM upkeep.refresh();
    COMMIT;
    IF EXISTS (SELECT FROM check_views()) THEN RAISE EXCEPTION 'round %', round; END IF;
  END LOOP;
END $$;
-- None of this was a rebuild.
SELECT view FROM upkeep.activity JOIN built USING (view) WHERE activity.last_rebuild IS DISTINCT FROM built.last_rebuild ORDER BY 1;
SELECT * FROM check_views();
DROP TABLE a, b, views, built CASCADE;
DROP VIEW digits;
DROP FUNCTION check_views;
DROP PROCEDURE change;
