-- A change log that reaches its limit: views become stale with one warning each, writers go on, and the next refresh
-- makes the views anew and empties the log.
SET client_min_messages = warning;
CREATE SCHEMA full_log;
SET search_path = full_log;
CREATE FUNCTION used(log_of regclass) RETURNS bool[] LANGUAGE sql AS $$
  SELECT ARRAY[pg_relation_size(segment1) > 0, pg_relation_size(segment2) > 0, pg_relation_size(segment3) > 0]
  FROM upkeep.log WHERE relation = log_of $$;
CREATE TABLE t (id int PRIMARY KEY, g int, big text);
CREATE MATERIALIZED VIEW v AS SELECT g, count(*) AS n, max(length(big)) AS l FROM t GROUP BY g;
CREATE MATERIALIZED VIEW now AS SELECT g, count(*) AS n FROM t GROUP BY g;
SELECT upkeep.register('v', 'deferred'), upkeep.register('now'), upkeep.refresh();
SET upkeep.log_limit = '1MB';
INSERT INTO t SELECT i, i % 3, repeat('x', 1900) FROM generate_series(1, 1000) i;
INSERT INTO t VALUES (2001, 1, 'more');
UPDATE t SET big = 'less' WHERE id < 10;
SELECT state, why, pending FROM upkeep.views WHERE view = 'v'::regclass;
SELECT used('t');
SELECT upkeep.refresh();
SELECT used('t');
SELECT view, state FROM upkeep.views ORDER BY view::text;
SELECT * FROM upkeep.verify('v');
SELECT * FROM upkeep.verify('now');

-- rows that are logged one by one: of children by inheritance
CREATE TABLE parent (id int, g int, big text);
CREATE TABLE child () INHERITS (parent);
CREATE MATERIALIZED VIEW family AS SELECT g, count(*) AS n, max(length(big)) AS l FROM parent GROUP BY g;
SELECT upkeep.register('family', 'deferred'), upkeep.refresh();
INSERT INTO child SELECT i, i % 3, repeat('x', 1900) FROM generate_series(1, 1000) i;
UPDATE parent SET g = g + 1;
SELECT state FROM upkeep.views WHERE view = 'family'::regclass;
SELECT upkeep.refresh('family');
SELECT used('child');
INSERT INTO child VALUES (1, 1, 'a');
SELECT upkeep.refresh('family');
SELECT * FROM upkeep.verify('family');

-- what an aborted statement has marked is not, but its rows take space all the same
DO $$ BEGIN
  BEGIN
    INSERT INTO full_log.t SELECT i, i % 3, repeat('x', 1900) FROM generate_series(3000, 4000) i;
    RAISE division_by_zero;
  EXCEPTION WHEN division_by_zero THEN NULL; END;
  INSERT INTO full_log.t VALUES (5000, 1, 'after');
END $$;
SELECT state, pending FROM upkeep.views WHERE view = 'v'::regclass;
SELECT upkeep.refresh('v');
SELECT * FROM upkeep.verify('v');
RESET upkeep.log_limit;
DROP SCHEMA full_log CASCADE;
