-- Who may do what, and as whom the functions of a view run.
SET client_min_messages = warning;
CREATE ROLE regress_owner;
CREATE ROLE regress_writer;
CREATE ROLE regress_other;
CREATE SCHEMA guarding;
GRANT USAGE, CREATE ON SCHEMA guarding TO regress_owner;
GRANT USAGE ON SCHEMA guarding TO regress_writer, regress_other;
CREATE TABLE guarding.t (id int PRIMARY KEY, k int, v int);
CREATE TABLE guarding.u (k int, w text);
CREATE TABLE guarding.log (what text, who text);
GRANT SELECT ON guarding.t, guarding.u TO regress_owner;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON guarding.t, guarding.u TO regress_writer;
INSERT INTO guarding.u VALUES (1, 'one'), (2, 'two');

-- Registering needs ownership of the view, and TRIGGER on its tables.
SET ROLE regress_owner;
CREATE MATERIALIZED VIEW guarding.sums AS SELECT k, sum(v) AS s FROM guarding.t GROUP BY k;
CREATE MATERIALIZED VIEW guarding.joined AS SELECT t.id, u.w FROM guarding.t JOIN guarding.u USING (k);
CREATE MATERIALIZED VIEW guarding.doubled AS SELECT id, k AS twice FROM guarding.t;
SELECT upkeep.register('guarding.sums');
RESET ROLE;
GRANT TRIGGER ON guarding.t TO regress_owner;
SET ROLE regress_owner;
SELECT upkeep.register('guarding.sums');
SELECT upkeep.register('guarding.joined');
RESET ROLE;
GRANT TRIGGER ON guarding.u TO regress_owner;
SET ROLE regress_other;
SELECT upkeep.register('guarding.sums');
SELECT upkeep.unregister('guarding.sums');
SELECT upkeep.refresh('guarding.sums');
SELECT * FROM upkeep.verify('guarding.sums');
SELECT upkeep.refresh();
SELECT count(*) FROM upkeep.registration;
SELECT view, state FROM upkeep.views ORDER BY 1;
RESET ROLE;
SET ROLE regress_owner;
SELECT upkeep.register('guarding.joined'), upkeep.register('guarding.doubled');
SELECT upkeep.unregister('guarding.doubled');

-- A writer without any right on the views.
SET ROLE regress_writer;
INSERT INTO guarding.t VALUES (1, 1, 10), (2, 2, 20), (3, 1, NULL);
UPDATE guarding.t SET v = 5, k = 2 WHERE id = 1;
UPDATE guarding.u SET w = w || '!';
DELETE FROM guarding.t WHERE id = 3;
SELECT * FROM guarding.sums;
SELECT * FROM upkeep_data.state_1;
SET ROLE regress_owner;
SELECT * FROM guarding.sums ORDER BY k;
SELECT * FROM guarding.joined ORDER BY id;
SELECT * FROM upkeep.verify('guarding.sums');
SELECT * FROM upkeep.verify('guarding.joined');

-- Functions of a view run as its owner, and cannot change role, whatever the writer is.
CREATE FUNCTION guarding.spy(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RAISE WARNING 'as %', current_user;
    RETURN x;
END $$;
CREATE MATERIALIZED VIEW guarding.spied AS SELECT id, guarding.spy(v) AS v FROM guarding.t WHERE id > 10;
SELECT upkeep.register('guarding.spied');
RESET ROLE;
INSERT INTO guarding.t VALUES (11, 1, 1);
SET ROLE regress_writer;
UPDATE guarding.t SET v = 2 WHERE id = 11;
RESET ROLE;
SELECT current_user = session_user AS back;
SET ROLE regress_owner;
DROP MATERIALIZED VIEW guarding.spied;
-- Not even through a volatile function that an immutable one calls.
CREATE FUNCTION guarding.act(x int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO guarding.log VALUES ('wrote ' || x, current_user);
    RETURN x;
END $$;
CREATE FUNCTION guarding.sly(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN guarding.act(x); END $$;
CREATE MATERIALIZED VIEW guarding.spied AS SELECT id, guarding.sly(v) AS v FROM guarding.t WHERE id > 20;
SELECT upkeep.register('guarding.spied');
RESET ROLE;
INSERT INTO guarding.t VALUES (21, 1, 1);
GRANT INSERT ON guarding.log TO regress_owner;
SET ROLE regress_writer;
INSERT INTO guarding.t VALUES (21, 1, 1);
RESET ROLE;
SELECT DISTINCT * FROM guarding.log;
CREATE OR REPLACE FUNCTION guarding.act(x int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN RESET ROLE; RETURN x; END $$;
INSERT INTO guarding.t VALUES (22, 1, 1);
CREATE OR REPLACE FUNCTION guarding.act(x int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN SET SESSION AUTHORIZATION DEFAULT; RETURN x; END $$;
INSERT INTO guarding.t VALUES (22, 1, 1);
CREATE OR REPLACE FUNCTION guarding.act(x int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN CREATE TEMP TABLE trap (a int); RETURN x; END $$;
INSERT INTO guarding.t VALUES (22, 1, 1);
CREATE OR REPLACE FUNCTION guarding.act(x int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN EXECUTE 'PREPARE trap AS SELECT 1'; RETURN x; END $$;
INSERT INTO guarding.t VALUES (22, 1, 1);
CREATE OR REPLACE FUNCTION guarding.act(x int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN PERFORM set_config('search_path', 'guarding', false); RETURN x; END $$;
INSERT INTO guarding.t VALUES (23, 1, 1);
SHOW search_path;
SET search_path = pg_catalog, pg_temp;
INSERT INTO guarding.t VALUES (24, 1, 1);
SHOW search_path;
RESET search_path;
SELECT current_user = session_user AS back;
DROP MATERIALIZED VIEW guarding.spied;

-- Objects of the same names in the writer's search_path, and in pg_temp, are not used.
SET ROLE regress_owner;
CREATE FUNCTION guarding.twice(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x * 2';
CREATE FUNCTION guarding.loose(x int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN lower('X') || (SELECT count(*) FROM pg_class WHERE relname = 'none') || x; END $$;
CREATE MATERIALIZED VIEW guarding.named AS SELECT t.id, guarding.twice(t.v) + 1 AS v, lower(u.w) AS w, guarding.loose(t.v) AS l FROM guarding.t JOIN guarding.u ON u.k = t.k WHERE t.id > 30;
CREATE MATERIALIZED VIEW guarding.agged AS SELECT t.k, sum(t.v) AS s, max(t.v) AS m, string_agg(t.v::text, ',' ORDER BY t.id) AS l FROM guarding.t, guarding.u WHERE u.k = t.k GROUP BY t.k;
SELECT upkeep.register('guarding.named'), upkeep.register('guarding.agged');
RESET ROLE;
CREATE SCHEMA attacking AUTHORIZATION regress_writer;
SET ROLE regress_writer;
CREATE FUNCTION attacking.evil(int, int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'attacked as %', current_user; END $$;
CREATE FUNCTION attacking.evil_int(int, int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'attacked as %', current_user; END $$;
CREATE OPERATOR attacking.= (FUNCTION = attacking.evil, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR attacking.> (FUNCTION = attacking.evil, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR attacking.+ (FUNCTION = attacking.evil_int, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR attacking.* (FUNCTION = attacking.evil_int, LEFTARG = int, RIGHTARG = int);
CREATE FUNCTION attacking.lower(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'attacked as %', current_user; END $$;
CREATE FUNCTION attacking.twice(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'attacked as %', current_user; END $$;
CREATE TABLE attacking.u (k int, w text);
CREATE TABLE attacking.pg_class (relname name);
CREATE TEMP TABLE t (id int, k int, v int);
CREATE TEMP TABLE upkeep_delta_1 (c1 int, c2 int, c3 int, w bigint);
CREATE TEMP TABLE pg_class (relname name);
SET search_path = attacking, pg_temp, pg_catalog, guarding;
INSERT INTO guarding.t VALUES (31, 1, 1), (32, 2, 2);
UPDATE guarding.t SET v = 7 WHERE id OPERATOR(pg_catalog.=) 31;
UPDATE guarding.u SET w = 'NEW' WHERE k OPERATOR(pg_catalog.=) 1;
DELETE FROM guarding.t WHERE id OPERATOR(pg_catalog.=) 32;
SHOW search_path;
RESET search_path;
RESET ROLE;
SELECT * FROM guarding.named ORDER BY id;
SELECT * FROM guarding.agged ORDER BY k;
SELECT v.view, d.* FROM upkeep.views v, upkeep.verify(v.view) d;

-- Capture functions are of no use to anybody but their triggers; internals are closed.
SET ROLE regress_writer;
SELECT upkeep.capture_after();
CREATE TABLE attacking.mine (a int);
CREATE TRIGGER x AFTER INSERT ON attacking.mine FOR EACH STATEMENT EXECUTE FUNCTION upkeep.capture_after();
INSERT INTO attacking.mine VALUES (1);
CREATE TRIGGER y BEFORE INSERT ON attacking.mine FOR EACH ROW EXECUTE FUNCTION upkeep.capture_before();
INSERT INTO attacking.mine VALUES (1);
DELETE FROM upkeep.registration;
SELECT * FROM upkeep.activity;
CREATE TABLE upkeep.mine (a int);
CREATE TABLE upkeep_data.mine (a int);
RESET ROLE;

-- The owner loses SELECT: writers go on.
REVOKE SELECT ON guarding.u FROM regress_owner;
SET ROLE regress_writer;
INSERT INTO guarding.t VALUES (41, 1, 1);
RESET ROLE;
SELECT view, state, why FROM upkeep.views ORDER BY view::text;
GRANT SELECT ON guarding.u TO regress_owner;
-- The owner changes hands: functions run as the new owner.
ALTER MATERIALIZED VIEW guarding.sums OWNER TO CURRENT_USER;
INSERT INTO guarding.t VALUES (42, 1, 1);
SELECT * FROM upkeep.verify('guarding.sums');
DROP SCHEMA guarding, attacking CASCADE;
DISCARD TEMP;
DROP ROLE regress_owner, regress_writer, regress_other;
