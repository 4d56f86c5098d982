-- Tables that subscriptions feed, as the catalogs show them; and statements in replica role, whose rows fire the
-- trigger that sees the apply workers' rows.
SET client_min_messages = warning;
CREATE SCHEMA fed;
SET search_path = fed;
CREATE TABLE t (id int PRIMARY KEY, g int, x int);
CREATE TABLE p (id int, k int) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1) PARTITION BY LIST (id);
CREATE TABLE p11 PARTITION OF p1 DEFAULT;
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
CREATE MATERIALIZED VIEW later AS SELECT g, count(*) AS n, sum(x) AS s FROM t GROUP BY g;
CREATE MATERIALIZED VIEW now AS SELECT g, max(x) AS m FROM t GROUP BY g;
CREATE MATERIALIZED VIEW leaf AS SELECT k, count(*) AS n FROM p11 GROUP BY k;
CREATE MATERIALIZED VIEW tree AS SELECT k, count(*) AS n, sum(id) AS s FROM p GROUP BY k;
SELECT upkeep.register('later', 'deferred'), upkeep.register('now'), upkeep.register('leaf', 'deferred'), upkeep.register('tree', 'deferred');
SELECT upkeep.refresh();
CREATE FUNCTION wrong(OUT view regclass, OUT side text, OUT contents text) RETURNS SETOF record LANGUAGE sql AS
  $$ SELECT v.view, d.* FROM upkeep.views v, upkeep.verify(v.view) d $$;

-- every row of a statement is counted once, in either role
SET session_replication_role = replica;
INSERT INTO t SELECT i, i % 2, i FROM generate_series(1, 4) i;
SELECT upkeep.refresh('later');
UPDATE t SET x = x + 1 WHERE id < 3;
SELECT upkeep.refresh('later');
INSERT INTO p SELECT i, i % 2 + 1 FROM generate_series(1, 6) i;
SELECT upkeep.refresh('tree');
UPDATE p SET k = 3 - k WHERE id = 1;
SELECT upkeep.refresh('tree');
INSERT INTO p1 VALUES (7, 1);
INSERT INTO p11 VALUES (8, 1);
DELETE FROM p WHERE id IN (2, 3);
SELECT upkeep.refresh('tree');
-- nested: a trigger for rows that writes to the same table
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NEW.id < 100 THEN INSERT INTO t VALUES (NEW.id + 100, NEW.g, NEW.x); END IF; RETURN NULL; END $$;
CREATE TRIGGER again AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION again();
ALTER TABLE t ENABLE ALWAYS TRIGGER again;
INSERT INTO t VALUES (10, 1, 1), (11, 1, 2);
SELECT upkeep.refresh('later');
DROP TRIGGER again ON t;
RESET session_replication_role;
SELECT upkeep.refresh();
SELECT * FROM wrong();
-- the trigger is repaired like the others
ALTER TABLE t ENABLE ALWAYS TRIGGER "00_upkeep_after_row";
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 't'::regclass AND tgtype & 1 = 1;
DROP TRIGGER "00_upkeep_after_row" ON t;

-- tables that a subscription feeds
CREATE SUBSCRIPTION regress CONNECTION 'dbname=none' PUBLICATION none WITH (connect = false);
SET allow_system_table_mods = on;
CREATE FUNCTION feed(relid regclass, state "char") RETURNS void LANGUAGE sql AS
  $$ INSERT INTO pg_subscription_rel (srsubid, srrelid, srsubstate) SELECT oid, relid, state FROM pg_subscription WHERE subname = 'regress' $$;
SELECT feed('t', 'd'), feed('p', 'r');
SET client_min_messages = notice;
ALTER SUBSCRIPTION regress SET (slot_name = NONE);
SET client_min_messages = warning;
SELECT view, state, why FROM upkeep.views ORDER BY view::text;
INSERT INTO t VALUES (20, 2, 20);
SELECT upkeep.refresh('later');
SELECT view, count(*) FROM wrong() GROUP BY view ORDER BY view::text;
SELECT code, what, hint FROM upkeep.explain('now');
SELECT code FROM upkeep.explain('later') WHERE code IS NOT NULL;
SELECT code, what FROM upkeep.explain('SELECT k FROM fed.p11');
SELECT upkeep.register('now');
SELECT upkeep.register('leaf', 'commit');
-- a first build waits for the initial copy
SELECT upkeep.register('now', 'deferred');
SET client_min_messages = notice;
SELECT upkeep.refresh('now');
SET client_min_messages = warning;
SELECT state, why FROM upkeep.views WHERE view = 'now'::regclass;
INSERT INTO t VALUES (21, 2, 21);
SELECT upkeep.refresh();
REFRESH MATERIALIZED VIEW now;
SELECT state, why FROM upkeep.views WHERE view = 'now'::regclass;
UPDATE pg_subscription_rel SET srsubstate = 'r';
SELECT upkeep.refresh();
SELECT state, why FROM upkeep.views WHERE view = 'now'::regclass;
SELECT * FROM wrong();
-- others are built anew meanwhile
UPDATE pg_subscription_rel SET srsubstate = 'd';
TRUNCATE t;
INSERT INTO t VALUES (1, 1, 1);
SELECT upkeep.refresh() > 0;
SELECT DISTINCT state FROM upkeep.views;
SELECT * FROM wrong();
DELETE FROM pg_subscription_rel;
DROP SUBSCRIPTION regress;
SELECT upkeep.register('now'), upkeep.register('leaf', 'commit');
INSERT INTO t VALUES (2, 1, 3);
SELECT upkeep.refresh();
SELECT DISTINCT state FROM upkeep.views;
SELECT * FROM wrong();
DROP SCHEMA fed CASCADE;
