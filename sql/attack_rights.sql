-- A writer's search_path does not reach what runs as the view's owner; lost rights are noticed.
CREATE SCHEMA attack_rights;
CREATE ROLE attack_owner;
CREATE ROLE attack_writer;
CREATE ROLE attack_readers;
GRANT ALL ON SCHEMA attack_rights TO attack_owner;
GRANT USAGE ON SCHEMA attack_rights TO attack_writer;
CREATE SCHEMA attack_trap AUTHORIZATION attack_writer;
GRANT USAGE ON SCHEMA attack_trap TO PUBLIC;

SET ROLE attack_owner;
CREATE TABLE attack_rights.sales (region int);
GRANT ALL ON attack_rights.sales TO attack_writer;
CREATE FUNCTION attack_rights.shown(n bigint) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN lower(n::text); END';
CREATE MATERIALIZED VIEW attack_rights.totals AS SELECT region, count(*) AS n FROM attack_rights.sales GROUP BY region;
CREATE INDEX ON attack_rights.totals (attack_rights.shown(n));
SELECT upkeep.register('attack_rights.totals');
SET ROLE attack_writer;
CREATE FUNCTION attack_trap.lower(text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RAISE WARNING 'the trap runs as %', current_user; RETURN $1; END $$;
SET search_path = attack_trap, pg_catalog;
INSERT INTO attack_rights.sales VALUES (1), (1), (2); -- no warning
RESET search_path;
RESET ROLE;
SELECT * FROM upkeep.verify('attack_rights.totals');

-- the owner may read by a membership only
CREATE TABLE attack_rights.secrets (g int);
GRANT TRIGGER ON attack_rights.secrets TO attack_owner;
GRANT SELECT ON attack_rights.secrets TO attack_readers;
GRANT attack_readers TO attack_owner;
SET ROLE attack_owner;
CREATE MATERIALIZED VIEW attack_rights.leak AS SELECT g, count(*) AS n FROM attack_rights.secrets GROUP BY g;
SELECT upkeep.register('attack_rights.leak');
RESET ROLE;
INSERT INTO attack_rights.secrets VALUES (1);
REVOKE attack_readers FROM attack_owner;
INSERT INTO attack_rights.secrets VALUES (2);
SELECT state, why FROM upkeep.views WHERE view = 'attack_rights.leak'::regclass;

SET client_min_messages = warning;
DROP SCHEMA attack_rights, attack_trap CASCADE;
DROP ROLE attack_owner, attack_writer, attack_readers;
