-- Options of upkeep in CREATE and ALTER MATERIALIZED VIEW.
LOAD 'upkeep'; -- as shared_preload_libraries does
SET client_min_messages = warning;
CREATE SCHEMA view_options;
SET search_path = view_options;
CREATE TABLE t (id int PRIMARY KEY, g int, x int);
INSERT INTO t SELECT i, i % 3, i FROM generate_series(1, 9) i;
CREATE VIEW registered AS
  SELECT v.view::text, v.mode, v.state, r.max_staleness, r.every, c.reloptions
  FROM upkeep.views v JOIN upkeep.registration r USING (view) JOIN pg_class c ON c.oid = v.view ORDER BY 1;

-- every mode and every way to write a value; other options reach PostgreSQL
CREATE MATERIALIZED VIEW a WITH (upkeep.mode = 'immediate', fillfactor = 90) AS SELECT g, count(*) AS n FROM t GROUP BY g;
CREATE MATERIALIZED VIEW b WITH (upkeep.mode = commit) AS SELECT g, sum(x) AS s FROM t GROUP BY g;
CREATE MATERIALIZED VIEW c WITH (upkeep.mode = deferred, upkeep.max_staleness = '1 s', upkeep.every = 60, autovacuum_enabled = off)
  AS SELECT x FROM t WITH NO DATA;
CREATE MATERIALIZED VIEW IF NOT EXISTS d WITH (UPKEEP.mode = "manual") AS SELECT avg(x) AS a FROM t;
CREATE MATERIALIZED VIEW e WITH (fillfactor = 80) AS SELECT x FROM t;
CREATE MATERIALIZED VIEW f WITH (upkeep.mode = immediate) AS SELECT x FROM t WITH NO DATA;
SELECT * FROM registered;
INSERT INTO t VALUES (10, 10, 10);
SELECT g, n FROM a ORDER BY g;
SELECT count(*) FROM f;

-- what is there is left alone
CREATE MATERIALIZED VIEW IF NOT EXISTS a WITH (upkeep.mode = 'manual') AS SELECT 1 AS one;
CREATE MATERIALIZED VIEW IF NOT EXISTS e WITH (upkeep.mode = 'manual') AS SELECT 1 AS one;
CREATE MATERIALIZED VIEW a WITH (upkeep.mode = 'manual') AS SELECT 1 AS one;
SELECT * FROM registered;

-- errors come before anything is created
CREATE MATERIALIZED VIEW z WITH (upkeep.mood = 'immediate') AS SELECT 1 / 0 AS x;
CREATE MATERIALIZED VIEW z WITH (upkeep.mode = 'sometimes') AS SELECT 1 / 0 AS x;
CREATE MATERIALIZED VIEW z WITH (upkeep.mode) AS SELECT 1 / 0 AS x;
CREATE MATERIALIZED VIEW z WITH (upkeep.mode = manual, upkeep.mode = manual) AS SELECT 1 / 0 AS x;
CREATE MATERIALIZED VIEW z WITH (upkeep.mode = deferred, upkeep.every = 'soon') AS SELECT 1 / 0 AS x;
CREATE MATERIALIZED VIEW z WITH (upkeep.mode = deferred, upkeep.max_staleness = '-1 s') AS SELECT 1 / 0 AS x;
CREATE MATERIALIZED VIEW z WITH (upkeep.max_staleness = '1 s') AS SELECT 1 / 0 AS x;
-- and those of the registration roll all of it back
CREATE MATERIALIZED VIEW z WITH (upkeep.mode = immediate) AS SELECT x, now() AS t FROM t;
CREATE TABLE z (x int) WITH (upkeep.mode = immediate);
CREATE TABLE z WITH (upkeep.mode = immediate) AS SELECT 1 AS x;
SELECT to_regclass('z');

-- in a function, in EXPLAIN, in a transaction that is rolled back; event triggers fire
CREATE TABLE seen (tag text);
CREATE FUNCTION look() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO view_options.seen SELECT tg_tag || ' ' || object_identity FROM pg_event_trigger_ddl_commands(); END $$;
CREATE EVENT TRIGGER look ON ddl_command_end WHEN TAG IN ('CREATE MATERIALIZED VIEW', 'ALTER MATERIALIZED VIEW') EXECUTE FUNCTION look();
DO $$ BEGIN
  FOR i IN 1..2 LOOP
    EXECUTE format('CREATE MATERIALIZED VIEW from_do_%s WITH (upkeep.mode = immediate) AS SELECT x FROM t', i);
  END LOOP;
  CREATE MATERIALIZED VIEW from_do_3 WITH (upkeep.mode = immediate) AS SELECT x FROM t;
  BEGIN
    CREATE MATERIALIZED VIEW from_do_4 WITH (upkeep.mode = immediate) AS SELECT random() AS r FROM t;
  EXCEPTION WHEN feature_not_supported THEN NULL; END;
END $$;
CREATE FUNCTION create_g() RETURNS void LANGUAGE plpgsql AS
  $$ BEGIN CREATE MATERIALIZED VIEW g WITH (upkeep.mode = commit) AS SELECT x FROM t; END $$;
SELECT create_g();
DROP MATERIALIZED VIEW g;
SELECT create_g();
EXPLAIN (COSTS OFF) CREATE MATERIALIZED VIEW h WITH (upkeep.mode = immediate) AS SELECT 1 AS x;
EXPLAIN (COSTS OFF) CREATE MATERIALIZED VIEW h WITH (upkeep.mood = immediate) AS SELECT 1 AS x;
DO $$ BEGIN
  EXECUTE 'EXPLAIN ANALYZE CREATE MATERIALIZED VIEW h WITH (upkeep.mode = immediate) AS SELECT x FROM t';
END $$;
BEGIN;
CREATE MATERIALIZED VIEW i WITH (upkeep.mode = immediate) AS SELECT x FROM t;
SAVEPOINT s;
ALTER MATERIALIZED VIEW i RESET (upkeep.mode);
ROLLBACK TO s;
SELECT mode FROM registered WHERE view = 'i';
ROLLBACK;
SELECT view, mode FROM registered;
SELECT * FROM seen;

-- ALTER: what is not named stays; nothing is computed where the mode stays
TRUNCATE seen;
SELECT upkeep.refresh('c');
ALTER MATERIALIZED VIEW c SET (upkeep.max_staleness = '2 s', fillfactor = 70);
ALTER MATERIALIZED VIEW c RESET (upkeep.every, autovacuum_enabled);
SELECT * FROM registered WHERE view = 'c';
ALTER MATERIALIZED VIEW c SET (upkeep.mode = commit);
SELECT * FROM registered WHERE view = 'c';
SELECT * FROM upkeep.verify('c');
ALTER MATERIALIZED VIEW c SET (upkeep.every = '1 min');
ALTER MATERIALIZED VIEW c SET (upkeep.mode = manual, upkeep.every = '1 min');
ALTER MATERIALIZED VIEW c SET (upkeep.mode = deferred, upkeep.every = '1 min'), RESET (fillfactor), SET (upkeep.max_staleness = '3 s');
SELECT * FROM registered WHERE view = 'c';
ALTER MATERIALIZED VIEW c SET (upkeep.mode = deferred, upkeep.mood = 1);
ALTER MATERIALIZED VIEW c RESET (upkeep.mood);
ALTER MATERIALIZED VIEW c RESET (upkeep.mode = 1);
ALTER MATERIALIZED VIEW e SET (upkeep.mode = deferred, upkeep.max_staleness = '1 s');
ALTER TABLE e RESET (upkeep.max_staleness);
SELECT * FROM registered WHERE view = 'e';
ALTER MATERIALIZED VIEW e RESET (upkeep.mode);
ALTER MATERIALIZED VIEW e RESET (upkeep.mode, upkeep.every);
ALTER MATERIALIZED VIEW e SET (upkeep.max_staleness = '1 s');
SELECT * FROM registered WHERE view = 'e';
ALTER MATERIALIZED VIEW IF EXISTS nowhere SET (upkeep.mode = deferred);
ALTER MATERIALIZED VIEW nowhere SET (upkeep.mode = deferred);
ALTER MATERIALIZED VIEW t SET (upkeep.mode = deferred);
ALTER TABLE t SET (upkeep.mode = deferred);
SELECT * FROM seen;
-- readers are not locked out
BEGIN;
ALTER MATERIALIZED VIEW e SET (upkeep.mode = manual);
SELECT mode FROM pg_locks WHERE relation = 'e'::regclass ORDER BY mode;
ROLLBACK;
DROP EVENT TRIGGER look;
-- a stale view is activated by naming its mode
SET client_min_messages = error;
ALTER TABLE t SET UNLOGGED;
SELECT state FROM registered WHERE view = 'a';
ALTER MATERIALIZED VIEW a SET (upkeep.mode = immediate);
ALTER TABLE t SET LOGGED;
ALTER MATERIALIZED VIEW a SET (upkeep.mode = immediate);
SELECT state FROM registered WHERE view = 'a';
SELECT * FROM upkeep.verify('a');

-- rights are those of the functions
CREATE ROLE view_options_owner;
GRANT ALL ON SCHEMA view_options TO view_options_owner;
GRANT SELECT ON t TO view_options_owner;
SET ROLE view_options_owner;
CREATE MATERIALIZED VIEW j WITH (upkeep.mode = immediate) AS SELECT x FROM t;
CREATE MATERIALIZED VIEW j WITH (upkeep.mode = manual) AS SELECT x FROM t;
ALTER MATERIALIZED VIEW a SET (upkeep.mode = manual);
RESET ROLE;
REVOKE EXECUTE ON FUNCTION upkeep.register FROM PUBLIC;
SET ROLE view_options_owner;
ALTER MATERIALIZED VIEW j SET (upkeep.mode = manual);
ALTER MATERIALIZED VIEW j RESET (upkeep.mode);
RESET ROLE;
GRANT EXECUTE ON FUNCTION upkeep.register TO PUBLIC;

DROP SCHEMA view_options CASCADE;
DROP ROLE view_options_owner;
