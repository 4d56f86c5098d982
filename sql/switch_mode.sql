-- another mode for a view that is right: what is pending is caught up with, nothing is computed again
CREATE SCHEMA switch_mode;
SET search_path = switch_mode, public;
SET client_min_messages = warning;
CREATE TABLE t (id serial PRIMARY KEY, g int, x int);
CREATE TABLE u (g int PRIMARY KEY, name text);
INSERT INTO u SELECT i, 'n' || i FROM generate_series(0, 9) i;
INSERT INTO t (g, x) SELECT i % 10, i FROM generate_series(1, 1000) i;
CREATE MATERIALIZED VIEW v AS SELECT g, count(*) AS n, sum(x) AS s, max(x) AS m FROM t GROUP BY g;
CREATE MATERIALIZED VIEW w AS SELECT t.id, name FROM t LEFT JOIN u USING (g);
SELECT upkeep.register('v', 'deferred'), upkeep.register('w', 'deferred');
SELECT upkeep.refresh();
CREATE TEMP TABLE built AS SELECT view, last_rebuild FROM upkeep.activity WHERE view IN ('v'::regclass, 'w'::regclass);
CREATE FUNCTION pg_temp.check(OUT view regclass, OUT mode text, OUT state text, OUT pending bigint, OUT computed boolean,
                              OUT wrong bigint) RETURNS SETOF record LANGUAGE sql AS $$
    SELECT v.view, v.mode, v.state, v.pending, a.last_rebuild <> b.last_rebuild,
           (SELECT count(*) FROM upkeep.verify(v.view))
    FROM upkeep.views v JOIN upkeep.activity a USING (view) JOIN built b USING (view) ORDER BY v.view::text $$;

-- from the log into the writers' hands, and the logs go
INSERT INTO t (g, x) VALUES (3, 4), (11, 5);
UPDATE u SET name = 'three' WHERE g = 3;
SELECT * FROM pg_temp.check();
SELECT upkeep.register('v'), upkeep.register('w', 'commit');
SELECT * FROM pg_temp.check();
SELECT count(*) AS logs FROM upkeep.log;
DELETE FROM t WHERE id <= 20;
SELECT * FROM pg_temp.check();

-- between the two that writers do
SELECT upkeep.register('v', 'commit'), upkeep.register('w', 'immediate');
UPDATE t SET g = 4 WHERE g = 5;
SELECT * FROM pg_temp.check();
SELECT upkeep.register('v', 'immediate');

-- and back: also in a transaction that has changed the tables, where the view is right already
BEGIN;
DELETE FROM t WHERE id <= 40;
SELECT upkeep.register('v', 'deferred');
SELECT upkeep.register('w', 'deferred', max_staleness => '1 s');
INSERT INTO t (g, x) VALUES (77, 4);
SAVEPOINT a;
DELETE FROM t WHERE g = 77;
ROLLBACK TO a;
COMMIT;
SELECT view, mode, state, pending FROM upkeep.views ORDER BY view::text;
SELECT upkeep.refresh();
SELECT * FROM pg_temp.check();

-- options alone: what is pending stays so
INSERT INTO t (g, x) VALUES (78, 4);
SELECT upkeep.register('v', 'deferred', max_staleness => '2 s');
SELECT view, mode, state, pending FROM upkeep.views ORDER BY view::text;
SELECT view, max_staleness FROM upkeep.registration ORDER BY view::text;
SELECT upkeep.refresh();
SELECT * FROM pg_temp.check();

-- what cannot be gone on from is computed: changes of this transaction that are in the log only, or wait for its commit
BEGIN;
INSERT INTO t (g, x) VALUES (79, 4);
SELECT upkeep.register('v', 'immediate');
COMMIT;
SELECT * FROM pg_temp.check();

-- a rolled back switch leaves everything as it was
INSERT INTO t (g, x) VALUES (80, 4);
BEGIN;
SELECT upkeep.register('w', 'immediate');
INSERT INTO t (g, x) VALUES (81, 4);
ROLLBACK;
SELECT view, mode, state, pending FROM upkeep.views ORDER BY view::text;
SELECT upkeep.refresh();
SELECT * FROM pg_temp.check();

DROP MATERIALIZED VIEW v, w;
DROP SCHEMA switch_mode CASCADE;
