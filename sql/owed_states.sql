-- A refresh after nearly everything has changed computes a deferred view without its states where those are large. They
-- are owed from then on, and built when that is worth it.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE TABLE o (id int PRIMARY KEY, day int NOT NULL, priority int NOT NULL);
CREATE TABLE l (o_id int NOT NULL, n int NOT NULL, late boolean NOT NULL, weight float8 NOT NULL, PRIMARY KEY (o_id, n));
CREATE INDEX ON o (day);
INSERT INTO o SELECT i, i % 500, i % 3 FROM generate_series(1, 15000) i;
INSERT INTO l SELECT i, n, (i + n) % 3 = 0, n FROM generate_series(1, 15000) i, generate_series(1, 3) n;
ANALYZE o, l;
CREATE MATERIALIZED VIEW late AS SELECT priority, count(*) AS n FROM o WHERE day < 5
  AND EXISTS (SELECT FROM l WHERE l.o_id = o.id AND l.late) GROUP BY priority;
CREATE MATERIALIZED VIEW heavy AS SELECT o.id, (SELECT sum(weight) FROM l WHERE l.o_id = o.id) AS w FROM o WHERE day < 5;
SELECT upkeep.register('late', 'deferred'), upkeep.register('heavy', 'deferred');
SELECT upkeep.refresh() >= 0;
CREATE MATERIALIZED VIEW above AS SELECT sum(n) AS n FROM late;
SELECT upkeep.register('above', 'immediate');
CREATE VIEW owed AS SELECT r.view, owed IS NOT NULL AS owed,
  (SELECT count(*) FROM upkeep.state_table t WHERE t.view = r.view AND pg_relation_size(t.relation) > 0) AS states
  FROM upkeep.registration r JOIN upkeep.frontier USING (view) WHERE mode = 'deferred' ORDER BY view::text;
CREATE FUNCTION wrong(OUT view regclass, OUT side text, OUT contents text) RETURNS SETOF record LANGUAGE sql
  AS $$ SELECT r.view, v.* FROM upkeep.registration r, upkeep.verify(r.view) v $$;
SELECT * FROM owed;

-- small changes are followed
UPDATE l SET late = NOT late WHERE o_id BETWEEN 1 AND 20;
SELECT upkeep.refresh() > 0;
SELECT * FROM owed;
SELECT * FROM wrong();

-- everything changes; sums of floats depend on the order in which the server adds, so their states are kept
UPDATE l SET late = NOT late, weight = weight + 1;
SELECT upkeep.refresh() > 0;
SELECT * FROM owed;
SELECT * FROM wrong();
DROP MATERIALIZED VIEW heavy;

-- a refresh that is rolled back leaves all as it was
INSERT INTO l VALUES (1, 4, true, 1), (500, 4, true, 1);
BEGIN;
SELECT upkeep.refresh() > 0;
ROLLBACK;
SELECT * FROM wrong();

-- the view follows without them; after a few of these they are built
CREATE PROCEDURE follow(INOUT refreshes int, INOUT wrong_ones int DEFAULT 0) LANGUAGE plpgsql AS $$
BEGIN
  refreshes := 0;
  WHILE (SELECT bool_or(owed) FROM owed) AND refreshes < 100 LOOP
    UPDATE l SET late = NOT late WHERE o_id IN (1000 + refreshes, 500 * (refreshes % 50) + 1);
    INSERT INTO l VALUES (1001 + refreshes, 5, true, 1);
    COMMIT;
    PERFORM upkeep.refresh();
    COMMIT;
    refreshes := refreshes + 1;
    wrong_ones := wrong_ones + (SELECT count(*) FROM wrong());
  END LOOP;
END $$;
CALL follow(NULL) \gset
SELECT :refreshes BETWEEN 2 AND 99 AS built_after_some, :wrong_ones AS wrong_ones;
SELECT * FROM owed;
UPDATE l SET late = NOT late WHERE o_id < 400;
DELETE FROM o WHERE id BETWEEN 500 AND 520;
SELECT upkeep.refresh() > 0;
SELECT * FROM wrong();

-- nothing has changed that the view shows: nothing is computed
UPDATE l SET late = NOT late, weight = weight - 1;
SELECT upkeep.refresh() > 0;
SELECT * FROM owed;
SELECT owed AS before FROM upkeep.frontier WHERE view = 'late'::regclass \gset
UPDATE l SET weight = 7 WHERE o_id = 6;
SELECT upkeep.refresh() > 0;
SELECT owed = :before AS as_before FROM upkeep.frontier WHERE view = 'late'::regclass;

-- all has changed again; TRUNCATE; another mode: whoever follows changes himself needs the states
UPDATE l SET late = NOT late;
SELECT upkeep.refresh() > 0;
SELECT * FROM wrong();
TRUNCATE l;
INSERT INTO l SELECT i, n, true, n FROM generate_series(1, 15000) i, generate_series(1, 3) n;
SELECT upkeep.refresh() > 0;
SELECT * FROM wrong();
UPDATE l SET late = NOT late;
SELECT upkeep.refresh() > 0;
SELECT * FROM owed;
SELECT upkeep.register('late', 'immediate');
SELECT * FROM owed;
UPDATE l SET late = NOT late WHERE o_id <= 2000;
DELETE FROM l WHERE o_id = 1;
SELECT * FROM wrong();
SELECT upkeep.register('late', 'deferred');
UPDATE l SET late = NOT late;
SELECT upkeep.refresh() > 0;
SELECT upkeep.unregister('above'), upkeep.unregister('late');
SELECT * FROM owed;
DROP MATERIALIZED VIEW above, late;

-- sums beside a join: states that are a few rows, for which each row is folded here; they are soon worth it
CREATE MATERIALIZED VIEW totals AS SELECT priority, count(*) AS n, sum(n + 0.5) AS total FROM o JOIN l ON o_id = id GROUP BY priority;
INSERT INTO l SELECT i, n, true, n FROM generate_series(1, 15000) i, generate_series(6, 7) n;
ANALYZE l;
SELECT upkeep.register('totals', 'deferred');
SELECT upkeep.refresh() >= 0;
UPDATE l SET n = n + 10;
SELECT upkeep.refresh() >= 0;
SELECT * FROM owed;
CALL follow(NULL) \gset
SELECT :refreshes BETWEEN 1 AND 3 AS soon_built;
SELECT * FROM owed;
SELECT * FROM wrong();
DROP MATERIALIZED VIEW totals;

DROP PROCEDURE follow;
DROP FUNCTION wrong;
DROP VIEW owed;
DROP TABLE o, l;
