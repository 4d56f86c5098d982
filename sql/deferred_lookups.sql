-- Mode deferred: subqueries that find what their tables held before by keys.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE a (id int PRIMARY KEY, i int, l bigint, t text, n numeric, c text COLLATE nocase, x int);
CREATE TABLE b (i bigint, l int, v varchar(20), n numeric, c text COLLATE nocase, p char(5), x int);
CREATE TABLE d (i int, x int) PARTITION BY LIST (i);
CREATE TABLE d1 PARTITION OF d FOR VALUES IN (0, 1, 2);
CREATE TABLE d2 PARTITION OF d DEFAULT;
CREATE INDEX ON b (i, l);
CREATE INDEX ON b (v);
CREATE INDEX ON b (n);
CREATE INDEX ON b (c);
CREATE INDEX ON b (p);
CREATE INDEX ON d (i);
CREATE INDEX ON a (i);
CREATE VIEW digits AS SELECT i, (i * 7919) % 10 AS r, (i * 104729) % 7 AS s FROM generate_series(1, 400) i;
INSERT INTO a SELECT i, nullif(r, 9), s, 't' || r, r / 2.0, CASE WHEN i % 2 = 0 THEN 'k' ELSE 'K' END || s, r % 4
  FROM digits WHERE i <= 40;
INSERT INTO b SELECT nullif(r, 8), nullif(s, 6), 't' || s, (r / 2.0)::numeric(9, 3), CASE WHEN i % 3 = 0 THEN 'k' ELSE 'K' END || r,
  't' || r, s % 4 FROM digits WHERE i <= 60;
INSERT INTO d SELECT s, r % 5 FROM digits WHERE i <= 50;
CREATE MATERIALIZED VIEW wider AS SELECT id FROM a WHERE EXISTS (SELECT FROM b WHERE b.i = a.i AND b.x <> a.x);
CREATE MATERIALIZED VIEW two_keys AS SELECT id, x FROM a
  WHERE NOT EXISTS (SELECT FROM b WHERE a.i = b.i AND a.l = b.l AND b.x > a.x);
CREATE MATERIALIZED VIEW by_text AS SELECT id, ARRAY(SELECT x FROM b WHERE b.v = a.t ORDER BY x) AS xs FROM a;
CREATE MATERIALIZED VIEW by_number AS SELECT id, n NOT IN (SELECT b.n + b.x FROM b WHERE b.n = a.n) AS missing FROM a;
CREATE MATERIALIZED VIEW by_collation AS SELECT id, (SELECT string_agg(p, ',' ORDER BY p) FROM b WHERE b.c = a.c) AS ps FROM a;
CREATE MATERIALIZED VIEW by_blanks AS SELECT id FROM a WHERE EXISTS (SELECT FROM b WHERE b.p = a.t::char(5) AND b.x <> a.x);
CREATE MATERIALIZED VIEW members AS SELECT id, x < ALL (SELECT d.x FROM d WHERE d.i = a.i + 1) AS least FROM a WHERE l > 1;
CREATE MATERIALIZED VIEW among_others AS SELECT a.x, count(*) AS n FROM a, d
  WHERE a.l = d.i AND EXISTS (SELECT FROM a o WHERE o.i = a.i AND o.x <> a.x)
    AND NOT EXISTS (SELECT FROM a o WHERE o.i = a.i AND o.x <> a.x AND o.l > o.i) GROUP BY a.x;
CREATE MATERIALIZED VIEW joined_inside AS SELECT id FROM a
  WHERE EXISTS (SELECT FROM b LEFT JOIN d ON d.i = b.l JOIN a e ON e.i = b.i WHERE b.i = a.i AND (d.x > a.x OR e.x < a.x));
CREATE TABLE views (view regclass);
INSERT INTO views VALUES ('wider'), ('two_keys'), ('by_text'), ('by_number'), ('by_collation'), ('by_blanks'), ('members'),
  ('among_others'), ('joined_inside');
SELECT upkeep.register(view, 'deferred') FROM views;
SELECT upkeep.refresh();
CREATE TEMP TABLE built AS SELECT view, last_rebuild FROM upkeep.activity;
CREATE FUNCTION check_views() RETURNS TABLE (view regclass, side text, contents text) LANGUAGE sql AS
  $$ SELECT views.view, v.* FROM views, upkeep.verify(views.view) v $$;
SELECT * FROM check_views();

-- of one table at a time, and of all of them
UPDATE b SET x = x + 1 WHERE i IN (2, 3) OR i IS NULL;
DELETE FROM b WHERE l = 1;
SELECT upkeep.refresh() > 0;
SELECT * FROM check_views();
UPDATE a SET i = i + 1 WHERE id % 3 = 0;
UPDATE a SET x = 3 - x WHERE id % 4 = 0;
SELECT upkeep.refresh() > 0;
SELECT * FROM check_views();
UPDATE a SET i = NULL, l = 3 WHERE id % 7 = 0;
UPDATE b SET i = i - 1, c = upper(c), n = n::numeric(9, 1) WHERE x > 1;
UPDATE d SET i = i + 1 WHERE x < 2;
INSERT INTO b SELECT r, s, 't' || r, r, 'K' || s, 't' || s || ' ', r FROM digits WHERE i BETWEEN 100 AND 130;
INSERT INTO b SELECT * FROM b WHERE x = 1;
SELECT upkeep.refresh() > 0;
SELECT * FROM check_views();
DO $$ BEGIN
  FOR round IN 1..8 LOOP
    DELETE FROM b WHERE ctid IN (SELECT ctid FROM b WHERE (i * round + l) % 5 = 0);
    INSERT INTO b SELECT nullif(r, 5), s, 't' || (r + round) % 10, r / 2.0, 'k' || r, 't' || r, (s + round) % 4
      FROM digits WHERE digits.i BETWEEN round * 40 AND round * 40 + 12;
    UPDATE a SET x = (x + round) % 4, t = 't' || id % 10 WHERE id % 8 = round - 1;
    DELETE FROM a WHERE id = round * 5;
    INSERT INTO a SELECT 100 + round, r, s, 't' || r, r, 'K' || s, r % 4 FROM digits WHERE digits.i = 200 + round;
    UPDATE d SET x = x + 1 WHERE d.i = round;
    COMMIT;
    PERFORM upkeep.refresh();
    COMMIT;
    IF EXISTS (SELECT FROM check_views()) THEN RAISE EXCEPTION 'round %', round; END IF;
  END LOOP;
END $$;
-- None of this was a rebuild.
SELECT view FROM upkeep.activity JOIN built USING (view) WHERE activity.last_rebuild IS DISTINCT FROM built.last_rebuild ORDER BY 1;

SELECT * FROM upkeep.old_rows(1, 0, '{1}', '{96}', '{0}', 1) AS w(c1 int);
SELECT upkeep.old_rows(1, 0, '{1}', '{96}', '{0}', 1);
DROP TABLE a, b, d, views, built CASCADE;
DROP VIEW digits;
DROP FUNCTION check_views;
DROP COLLATION nocase;
