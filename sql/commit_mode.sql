-- Mode commit: one maintenance of a transaction's changes, just before it commits.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE TABLE t (id int PRIMARY KEY, g int, x int NOT NULL, note text);
CREATE TABLE u (g int PRIMARY KEY, name text);
INSERT INTO u VALUES (1, 'a'), (2, 'b'), (3, 'c');
CREATE MATERIALIZED VIEW at_commit AS
  SELECT u.name, count(*) AS n, sum(t.x) AS s FROM t JOIN u USING (g) GROUP BY u.name;
CREATE MATERIALIZED VIEW at_once AS SELECT g, sum(x) AS s, avg(x) AS a, max(x) AS m FROM t GROUP BY g;
CREATE MATERIALIZED VIEW rows_at_commit AS SELECT t.x, u.name FROM t LEFT JOIN u USING (g) WHERE t.x > 2;
SELECT upkeep.register('at_commit', 'commit'), upkeep.register('at_once'), upkeep.register('rows_at_commit', 'commit');
CREATE FUNCTION wrong(OUT view text, OUT side text, OUT contents text) RETURNS SETOF record LANGUAGE sql
  AS $$ SELECT 'at_commit', * FROM upkeep.verify('at_commit') UNION ALL
        SELECT 'at_once', * FROM upkeep.verify('at_once') UNION ALL
        SELECT 'rows_at_commit', * FROM upkeep.verify('rows_at_commit') $$;
SELECT view, mode, strategy, state, lag, pending FROM upkeep.views ORDER BY view::text;

-- inside the transaction one view follows and the others wait; a single statement is a transaction
INSERT INTO t SELECT i, i % 4, i FROM generate_series(1, 12) i;
SELECT * FROM at_commit ORDER BY name;
BEGIN;
INSERT INTO t VALUES (21, 1, 21), (22, 5, 22);
UPDATE t SET g = 2 WHERE id = 1;
UPDATE u SET name = 'bb' WHERE g = 2;
SELECT * FROM at_commit ORDER BY name;
SELECT view, count(*) FROM wrong() GROUP BY view ORDER BY view;
COMMIT;
SELECT * FROM at_commit ORDER BY name;
SELECT * FROM wrong();
BEGIN;
DELETE FROM t;
ROLLBACK;
SELECT * FROM wrong();

-- what came and went is nothing
BEGIN;
INSERT INTO t VALUES (31, 1, 31);
DELETE FROM t WHERE id = 31;
UPDATE t SET x = x + 1;
UPDATE t SET x = x - 1;
COMMIT;
SELECT * FROM wrong();

-- savepoints and caught exceptions
BEGIN;
INSERT INTO t VALUES (41, 1, 41);
SAVEPOINT a;
DELETE FROM t WHERE g = 2;
SAVEPOINT b;
INSERT INTO t VALUES (42, 2, 42);
RELEASE b;
ROLLBACK TO a;
INSERT INTO t VALUES (43, 3, 43);
SAVEPOINT c;
TRUNCATE t;
ROLLBACK TO c;
DO $$ BEGIN
  FOR i IN 1..30 LOOP
    BEGIN
      INSERT INTO t VALUES (100 + i, i % 4, i);
      UPDATE u SET name = name || i WHERE g = i % 4;
      IF i % 3 = 0 THEN PERFORM 1 / 0; END IF;
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
  END LOOP;
END $$;
COMMIT;
SELECT * FROM wrong();
SELECT name, n FROM at_commit ORDER BY name;

-- TRUNCATE
BEGIN;
DELETE FROM t WHERE id < 10;
TRUNCATE t;
INSERT INTO t SELECT i, i % 4, i FROM generate_series(1, 8) i;
COMMIT;
SELECT * FROM wrong();

-- deferred constraint triggers write before the maintenance, and again if they change what they react to
CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO t VALUES (NEW.id + 100, NEW.g, 7);
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.id BETWEEN 500 AND 800)
  EXECUTE FUNCTION later();
BEGIN;
INSERT INTO t VALUES (500, 1, 1), (701, 2, 1);
SELECT count(*) FROM t WHERE id > 500;
COMMIT;
SELECT id FROM t WHERE id >= 500 ORDER BY id;
SELECT * FROM wrong();
DROP TRIGGER later ON t;

-- columns come and go between the changes
BEGIN;
INSERT INTO t VALUES (51, 1, 51);
ALTER TABLE t ADD COLUMN more int DEFAULT 5;
INSERT INTO t VALUES (52, 1, 52);
ALTER TABLE t DROP COLUMN note;
UPDATE t SET g = 3 WHERE id = 51;
COMMIT;
SELECT * FROM wrong();

-- a build in the middle has part of the changes; if it is undone, they are as before
BEGIN;
INSERT INTO t VALUES (61, 1, 61);
REFRESH MATERIALIZED VIEW at_commit;
SELECT count(*) FROM upkeep.verify('at_commit');
INSERT INTO t VALUES (62, 1, 62);
COMMIT;
SELECT * FROM wrong();
BEGIN;
REFRESH MATERIALIZED VIEW at_commit;
INSERT INTO t VALUES (63, 1, 63);
SAVEPOINT a;
REFRESH MATERIALIZED VIEW rows_at_commit;
ROLLBACK TO a;
INSERT INTO t VALUES (64, 1, 64);
COMMIT;
SELECT * FROM wrong();

-- the mode changes between the changes
BEGIN;
INSERT INTO t VALUES (71, 1, 71);
SELECT upkeep.register('at_commit');
SELECT count(*) FROM upkeep.verify('at_commit');
INSERT INTO t VALUES (72, 1, 72);
SELECT count(*) FROM upkeep.verify('at_commit');
SELECT upkeep.register('at_commit', 'commit');
INSERT INTO t VALUES (73, 1, 73);
SELECT upkeep.register('at_once', 'commit');
INSERT INTO t VALUES (74, 1, 74);
COMMIT;
SELECT * FROM wrong();
SELECT upkeep.register('at_once');
BEGIN;
INSERT INTO t VALUES (75, 1, 75);
SELECT upkeep.unregister('rows_at_commit');
INSERT INTO t VALUES (76, 1, 76);
COMMIT;
SELECT count(*) FROM upkeep.verify('rows_at_commit');
SELECT upkeep.register('rows_at_commit', 'commit');
SELECT * FROM wrong();
BEGIN;
INSERT INTO t VALUES (77, 1, 77);
SELECT upkeep.register('rows_at_commit', 'manual');
COMMIT;
SELECT upkeep.refresh('rows_at_commit'), upkeep.register('rows_at_commit', 'commit');
SELECT * FROM wrong();

-- transactions of procedures
DO $$ BEGIN
  INSERT INTO t VALUES (81, 3, 1);
  COMMIT;
  INSERT INTO t VALUES (82, 3, 1);
  ROLLBACK;
  INSERT INTO t VALUES (83, 3, 1);
END $$;
SELECT * FROM wrong();

-- many rows: the pending changes go to disk
SET work_mem = '64kB';
BEGIN;
INSERT INTO t SELECT i, i % 50, i FROM generate_series(1000, 6000) i;
SAVEPOINT a;
UPDATE t SET x = x + 1 WHERE id >= 1000;
ROLLBACK TO a;
UPDATE t SET g = g + 1 WHERE id BETWEEN 1000 AND 3000;
DELETE FROM t WHERE id BETWEEN 2500 AND 4000;
COMMIT;
RESET work_mem;
SELECT * FROM wrong();

-- an error of the view's own expression, and a view that has become wrong
CREATE MATERIALIZED VIEW ratio AS SELECT id, 100 / x AS r FROM t WHERE g = 90;
SELECT upkeep.register('ratio', 'commit');
BEGIN;
INSERT INTO t VALUES (90, 90, 0);
UPDATE t SET x = 4 WHERE id = 90;
COMMIT;
SELECT * FROM ratio;
BEGIN;
UPDATE t SET x = 0 WHERE id = 90;
COMMIT;
SELECT * FROM ratio;

-- the commit has a time of its own
CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(20); RETURN $1; END $$;
CREATE MATERIALIZED VIEW slowly AS SELECT id, slow(x) FROM t WHERE g = 77;
SELECT upkeep.register('slowly', 'commit');
SET statement_timeout = '900ms';
BEGIN;
INSERT INTO t VALUES (7000, 77, 1);
COMMIT;
RESET statement_timeout;
SELECT count(*) FROM t WHERE id = 7000;
SELECT * FROM wrong();

-- a cursor WITH HOLD is kept as it was before the maintenance
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT count(*) FROM ratio;
DELETE FROM t WHERE id = 90;
COMMIT;
FETCH held;
SELECT count(*) FROM ratio;
CLOSE held;
SELECT * FROM wrong();
DROP TABLE t, u CASCADE;
DROP FUNCTION later, slow, wrong;
