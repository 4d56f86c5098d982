-- A registered view through its life: refreshed, renamed, its sources altered, dropped.
SET client_min_messages = warning;
CREATE SCHEMA life;
SET search_path = life, public;
CREATE TABLE item (id int PRIMARY KEY, kind text NOT NULL, n int NOT NULL, unused int);
INSERT INTO item SELECT i, 'k' || i % 3, i FROM generate_series(1, 9) i;
CREATE MATERIALIZED VIEW totals AS SELECT kind, count(*) AS c, sum(n) AS s FROM item GROUP BY kind;
SELECT upkeep.register('totals');
CREATE VIEW state AS
  SELECT v.view, v.mode, v.state, v.why,
         CASE WHEN v.state = 'active' THEN (SELECT count(*) FROM upkeep.verify(v.view)) END AS wrong
  FROM upkeep.views v ORDER BY v.view::text;
INSERT INTO item VALUES (10, 'k0', 10);
SELECT * FROM totals ORDER BY kind;
SELECT * FROM state;

-- REFRESH in its three forms
REFRESH MATERIALIZED VIEW totals;
INSERT INTO item VALUES (11, 'k5', 11);
SELECT * FROM state;
CREATE UNIQUE INDEX totals_kind ON totals (kind);
REFRESH MATERIALIZED VIEW CONCURRENTLY totals;
UPDATE item SET n = n + 1 WHERE kind = 'k5';
SELECT * FROM state;
REFRESH MATERIALIZED VIEW totals WITH NO DATA;
INSERT INTO item VALUES (12, 'k6', 12);
SELECT * FROM state;
REFRESH MATERIALIZED VIEW totals;
SELECT * FROM state;
DELETE FROM item WHERE id = 12;
SELECT * FROM totals ORDER BY kind;
-- inside a statement on a base table it is refused
CREATE FUNCTION refresh_totals() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN REFRESH MATERIALIZED VIEW life.totals; RETURN NULL; END';
CREATE TRIGGER refreshing AFTER INSERT ON item FOR EACH ROW EXECUTE FUNCTION refresh_totals();
INSERT INTO item VALUES (13, 'k6', 13);
DROP TRIGGER refreshing ON item;

-- Names change, OIDs do not
CREATE SCHEMA elsewhere;
CREATE ROLE regress_upkeep_life;
GRANT SELECT ON item TO regress_upkeep_life;
GRANT USAGE ON SCHEMA life, elsewhere TO regress_upkeep_life;
ALTER MATERIALIZED VIEW totals RENAME TO sums;
ALTER MATERIALIZED VIEW sums SET SCHEMA elsewhere;
ALTER MATERIALIZED VIEW elsewhere.sums RENAME COLUMN c TO how_many;
ALTER TABLE item RENAME TO thing;
ALTER TABLE thing RENAME COLUMN n TO amount;
INSERT INTO thing VALUES (14, 'k7', 14);
SELECT * FROM state;
ALTER MATERIALIZED VIEW elsewhere.sums OWNER TO regress_upkeep_life;
INSERT INTO thing VALUES (15, 'k7', 15);
SELECT * FROM state;
ALTER MATERIALIZED VIEW elsewhere.sums OWNER TO CURRENT_USER;
ALTER MATERIALIZED VIEW elsewhere.sums RENAME TO totals;
ALTER MATERIALIZED VIEW elsewhere.totals SET SCHEMA life;
-- two tables swap names: the view goes on reading the one that it read
CREATE TABLE other (LIKE thing);
ALTER TABLE thing RENAME TO spare;
ALTER TABLE other RENAME TO thing;
ALTER TABLE spare RENAME TO other;
INSERT INTO thing VALUES (1, 'wrong', 1);
INSERT INTO other VALUES (16, 'k8', 16);
SELECT * FROM totals WHERE kind IN ('wrong', 'k8');
SELECT * FROM state;
DROP TABLE thing;
ALTER TABLE other RENAME TO item;

-- Columns that the view does not use come, change and go
ALTER TABLE item ADD COLUMN extra json DEFAULT '{}';
ALTER TABLE item ALTER COLUMN unused TYPE numeric;
INSERT INTO item VALUES (17, 'k8', 17, 1.5, '[1]');
ALTER TABLE item DROP COLUMN unused;
UPDATE item SET extra = NULL, amount = amount + 1 WHERE id = 17;
SELECT * FROM state;

-- Indexes of the view: more of them are welcome; the one that maintenance needs stays
CREATE INDEX ON totals (s);
CREATE MATERIALIZED VIEW ids AS SELECT id, amount FROM item;
SELECT upkeep.register('ids');
DO $$
DECLARE one regclass;
BEGIN
  FOR one IN SELECT identity_index FROM upkeep.activity ORDER BY view LOOP
    BEGIN
      EXECUTE format('DROP INDEX %s', one);
      RAISE WARNING 'the identity index was dropped';
    EXCEPTION WHEN dependent_objects_still_exist THEN
      RAISE WARNING '%', sqlerrm;
    END;
  END LOOP;
END $$;
SELECT format('REINDEX INDEX CONCURRENTLY %s', identity_index::regclass) FROM upkeep.activity ORDER BY 1 \gexec
UPDATE item SET amount = 100 WHERE id = 1;
INSERT INTO item VALUES (18, 'k9', 18);
SELECT * FROM state;
-- it cannot be refused when it has run: the index comes back
DROP INDEX CONCURRENTLY ids_upkeep_key;
SELECT count(*) FROM pg_index WHERE indrelid = 'ids'::regclass;
UPDATE item SET amount = 101 WHERE id = 1;
SELECT * FROM state;
SELECT upkeep.unregister('ids');
DROP MATERIALIZED VIEW ids;

-- The capture triggers
DO $$
DECLARE one name;
BEGIN
  FOR one IN SELECT tgname FROM pg_trigger WHERE tgrelid = 'item'::regclass AND tgname LIKE '%upkeep%' LOOP
    BEGIN
      EXECUTE format('DROP TRIGGER %I ON item', one);
      RAISE WARNING 'capture trigger % was dropped', one;
    EXCEPTION WHEN dependent_objects_still_exist THEN
    END;
  END LOOP;
END $$;
ALTER TABLE item DISABLE TRIGGER ALL;
INSERT INTO item VALUES (19, 'k9', 19);
SELECT * FROM state;
ALTER TABLE item ENABLE TRIGGER ALL;
SELECT DISTINCT tgenabled FROM pg_trigger WHERE tgrelid = 'item'::regclass AND tgname LIKE '%upkeep%';
SET session_replication_role = replica;
INSERT INTO item VALUES (20, 'k9', 20);
RESET session_replication_role;
SELECT * FROM state;

-- What the plan relies on changes
ALTER TABLE item ALTER COLUMN amount DROP NOT NULL;
INSERT INTO item VALUES (21, 'k9', NULL), (22, 'k10', NULL);
SELECT * FROM totals WHERE kind IN ('k9', 'k10') ORDER BY kind;
SELECT * FROM state;
CREATE FUNCTION bonus(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + 1; END';
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE person (id int PRIMARY KEY, feels mood, n int);
CREATE VIEW glad AS SELECT id, n FROM person WHERE feels = 'glad';
INSERT INTO person VALUES (1, 'sad', 1), (2, 'glad', 2), (3, 'glad', 3);
CREATE MATERIALIZED VIEW bonuses AS SELECT id, bonus(n) AS b FROM person;
CREATE MATERIALIZED VIEW moods AS SELECT feels::text AS feels, count(*) AS c FROM person GROUP BY feels::text;
CREATE MATERIALIZED VIEW happy AS SELECT id, n FROM glad;
SELECT upkeep.register('bonuses'), upkeep.register('happy');
CREATE OR REPLACE FUNCTION bonus(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + 100; END';
UPDATE person SET n = n + 1 WHERE id = 1;
SELECT * FROM bonuses ORDER BY id;
CREATE OR REPLACE VIEW glad AS SELECT id, n FROM person WHERE feels = 'sad';
INSERT INTO person VALUES (4, 'sad', 4);
SELECT * FROM happy ORDER BY id;
SELECT * FROM state;
ALTER FUNCTION bonus(int) VOLATILE;
INSERT INTO person VALUES (5, 'sad', 5);
SELECT * FROM state;
ALTER FUNCTION bonus(int) IMMUTABLE;
REFRESH MATERIALIZED VIEW bonuses;
SELECT * FROM state;
ALTER TABLE person SET UNLOGGED;
SELECT * FROM state;
ALTER TABLE person SET LOGGED;
REFRESH MATERIALIZED VIEW bonuses;
REFRESH MATERIALIZED VIEW happy;
CREATE TABLE student () INHERITS (person);
SELECT * FROM state;
DROP TABLE student;
REFRESH MATERIALIZED VIEW bonuses;
REFRESH MATERIALIZED VIEW happy;
INSERT INTO person VALUES (6, 'sad', 6);
SELECT * FROM state;

-- Rolled back, nothing has happened
BEGIN;
SELECT upkeep.unregister('happy');
ROLLBACK;
BEGIN;
DROP TABLE person CASCADE;
ROLLBACK;
BEGIN;
SAVEPOINT s;
REFRESH MATERIALIZED VIEW happy WITH NO DATA;
ROLLBACK TO s;
INSERT INTO person VALUES (7, 'sad', 7);
COMMIT;
SELECT * FROM state;

-- A bulk load: by hand for as long as it lasts
SELECT upkeep.register('totals', mode => 'manual');
INSERT INTO item SELECT i, 'bulk', i FROM generate_series(100, 199) i;
SELECT upkeep.refresh('totals') > 0 AS changed;
SELECT upkeep.register('totals');
INSERT INTO item VALUES (200, 'bulk', 200);
SELECT * FROM totals WHERE kind = 'bulk';
SELECT * FROM state;

-- Triggers without a registration, as a partial restore leaves them, do nothing
CREATE TABLE alone (id int);
CREATE TRIGGER "00_upkeep_before" BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON alone
  FOR EACH STATEMENT EXECUTE FUNCTION upkeep.capture_before();
CREATE TRIGGER "00_upkeep_after_insert" AFTER INSERT ON alone REFERENCING NEW TABLE AS upkeep_new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION upkeep.capture_after();
INSERT INTO alone VALUES (1), (2);
UPDATE alone SET id = 3 WHERE id = 2;
TRUNCATE alone;
DROP TRIGGER "00_upkeep_before" ON alone;
DROP TABLE alone;

-- Unregistered, a view is what it was
SELECT upkeep.unregister('happy');
INSERT INTO person VALUES (8, 'sad', 8);
SELECT count(*) FROM happy WHERE id = 8;
SELECT * FROM state;

-- Dropped, nothing stays behind
DROP MATERIALIZED VIEW bonuses;
DROP TABLE item CASCADE;
SELECT * FROM state;
SELECT count(*) AS triggers FROM pg_trigger WHERE tgname LIKE '%upkeep%';
SELECT (SELECT count(*) FROM upkeep.registration) + (SELECT count(*) FROM upkeep.activity) +
       (SELECT count(*) FROM upkeep.source) + (SELECT count(*) FROM upkeep.state_table) +
       (SELECT count(*) FROM upkeep.fact) + (SELECT count(*) FROM upkeep.setting) AS rows_left,
       (SELECT count(*) FROM pg_class WHERE relnamespace = 'upkeep_data'::regnamespace) AS relations_left;

-- The extension goes, and takes everything of its own along
SELECT upkeep.register('moods');
CREATE MATERIALIZED VIEW averages AS SELECT feels, avg(n) AS a FROM person GROUP BY feels;
SELECT upkeep.register('averages');
\set VERBOSITY terse
DROP EXTENSION upkeep;
BEGIN;
DROP EXTENSION upkeep CASCADE;
INSERT INTO person VALUES (9, 'glad', 9);
SELECT count(*) AS triggers FROM pg_trigger WHERE tgname LIKE '%upkeep%';
SELECT count(*) AS schemas FROM pg_namespace WHERE nspname LIKE 'upkeep%';
SELECT count(*) AS event_triggers FROM pg_event_trigger WHERE evtname LIKE 'upkeep%';
REFRESH MATERIALIZED VIEW averages;
SELECT feels, a::float8 FROM averages ORDER BY feels;
ROLLBACK;
SELECT * FROM state;

DROP SCHEMA life, elsewhere CASCADE;
SELECT count(*) AS relations_left FROM pg_class WHERE relnamespace = 'upkeep_data'::regnamespace;
DROP ROLE regress_upkeep_life;
