-- Tables that inherit as sources: parents, children, ONLY, several parents, and every way to change their rows.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE SCHEMA heirs;
SET search_path = heirs, public;
CREATE TABLE city (id int PRIMARY KEY, zone int NOT NULL, v int NOT NULL);
CREATE TABLE sized (id int, area int);
CREATE TABLE capital (country text) INHERITS (city);
CREATE TABLE port (v int NOT NULL, junk int, zone int NOT NULL, id int NOT NULL, area int);
ALTER TABLE port DROP COLUMN junk;
ALTER TABLE port INHERIT city;
ALTER TABLE port INHERIT sized;
CREATE TABLE seat (street text) INHERITS (capital);
CREATE TABLE apart (id int, zone int, v int);
CREATE MATERIALIZED VIEW all_rows AS SELECT id, zone, v FROM city;
CREATE MATERIALIZED VIEW all_zones AS SELECT zone, count(*) AS n, sum(v) AS s, max(v) AS top FROM city GROUP BY zone;
CREATE MATERIALIZED VIEW only_zones AS SELECT zone, count(*) AS n, sum(v) AS s FROM ONLY city GROUP BY zone;
CREATE MATERIALIZED VIEW only_rows AS SELECT id, zone FROM ONLY city;
CREATE MATERIALIZED VIEW capitals AS SELECT zone, count(*) AS n, max(country) AS last FROM capital GROUP BY zone;
CREATE MATERIALIZED VIEW areas AS SELECT id, sum(area) AS area FROM sized GROUP BY id;
CREATE MATERIALIZED VIEW of_both AS SELECT c.zone, count(*) AS n, sum(o.v) AS s FROM city c JOIN ONLY city o ON o.zone = c.zone GROUP BY c.zone;
CREATE MATERIALIZED VIEW of_two AS SELECT c.zone, s.area FROM city c JOIN sized s ON s.id = c.id;
SELECT upkeep.register(c.oid::regclass) FROM pg_class c
  WHERE relkind = 'm' AND relnamespace = 'heirs'::regnamespace ORDER BY relname;
CREATE FUNCTION wrong(OUT view regclass, OUT side text, OUT contents text) RETURNS SETOF record LANGUAGE sql AS $$
  SELECT c.oid::regclass, x.* FROM pg_class c, upkeep.verify(c.oid) x
  WHERE relkind = 'm' AND relnamespace = 'heirs'::regnamespace
  UNION ALL
  SELECT view, state, why FROM upkeep.views WHERE state <> 'active'
  ORDER BY 1, 2, 3 $$;
SELECT tgrelid::regclass, tgname, tgenabled, tgoldtable, tgnewtable FROM pg_trigger
  WHERE tgname LIKE '00%' AND tgrelid = 'port'::regclass ORDER BY 1, 2;
-- a child's id may be that of its parent's row, so the parent's key is no key of the view
SELECT indexdef FROM pg_indexes WHERE tablename IN ('all_rows', 'only_rows') ORDER BY 1;

SELECT code, what FROM upkeep.explain('SELECT id, v, count(*) FROM city GROUP BY id');
SELECT code, what FROM upkeep.explain('SELECT id, v, count(*) FROM ONLY city GROUP BY id') WHERE code IS NOT NULL;
INSERT INTO city SELECT g, g % 3, g FROM generate_series(1, 6) g;
INSERT INTO capital SELECT g, g % 3, g, 'c' || g FROM generate_series(1, 6) g;
SELECT * FROM wrong();
INSERT INTO port (id, zone, v, area) SELECT g, g % 3, g, g * 2 FROM generate_series(1, 6) g;
INSERT INTO seat SELECT g, g % 3, g, 's', 't' FROM generate_series(1, 6) g;
SELECT * FROM wrong();
SELECT * FROM all_zones ORDER BY zone;
SELECT * FROM only_zones ORDER BY zone;
UPDATE city SET v = v + 1, zone = 2 - zone WHERE id < 4;
SELECT * FROM wrong();
UPDATE ONLY city SET v = v + 10 WHERE id < 4;
UPDATE ONLY capital SET v = v + 10 WHERE id < 4;
SELECT * FROM wrong();
UPDATE sized SET area = area + 1, id = id + 1;
SELECT * FROM wrong();
UPDATE city SET v = v;
UPDATE seat SET street = 'u';
SELECT * FROM wrong();
DELETE FROM ONLY capital WHERE id = 3;
DELETE FROM city WHERE id = 2;
SELECT * FROM wrong();
COPY port FROM STDIN;
1	2	71	5
1	2	72	5
\.
COPY capital FROM STDIN;
73	2	1	x
\.
SELECT * FROM wrong();
WITH d AS (DELETE FROM city WHERE id > 70 RETURNING *), i AS (INSERT INTO city SELECT id + 100, zone, v FROM d)
UPDATE port SET area = (SELECT count(*) FROM d);
SELECT * FROM wrong();
BEGIN;
UPDATE city SET v = 0;
SAVEPOINT a;
DELETE FROM city;
SELECT * FROM wrong();
ROLLBACK TO a;
INSERT INTO seat VALUES (90, 1, 1, 'a', 'b');
SELECT * FROM wrong();
COMMIT;
SELECT * FROM wrong();
-- a trigger on the parent that writes to a child, as partitions were made once
CREATE FUNCTION divert() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN IF NEW.zone = 9 THEN INSERT INTO capital VALUES (NEW.id, NEW.zone, NEW.v, 'd'); RETURN NULL; END IF; RETURN NEW; END $$;
CREATE TRIGGER divert BEFORE INSERT ON city FOR EACH ROW EXECUTE FUNCTION divert();
INSERT INTO city VALUES (200, 9, 1), (201, 1, 1), (202, 9, 2);
SELECT * FROM wrong();
DROP TRIGGER divert ON city;
TRUNCATE ONLY capital;
SELECT * FROM wrong();
TRUNCATE city;
SELECT * FROM wrong();
SET session_replication_role = replica;
INSERT INTO city SELECT g, g % 3, g FROM generate_series(1, 6) g;
INSERT INTO capital SELECT g, g % 3, g, 'c' || g FROM generate_series(1, 6) g;
UPDATE city SET v = 3 WHERE id = 1;
RESET session_replication_role;
SELECT * FROM wrong();

-- the tree changes
CREATE TABLE hamlet (name text) INHERITS (city);
INSERT INTO hamlet VALUES (301, 1, 4, 'h');
SELECT * FROM wrong();
INSERT INTO apart VALUES (302, 2, 2), (303, 1, 1);
ALTER TABLE apart ALTER id SET NOT NULL, ALTER zone SET NOT NULL, ALTER v SET NOT NULL;
ALTER TABLE apart INHERIT city;
SELECT * FROM wrong();
UPDATE city SET v = 7 WHERE id > 300;
INSERT INTO apart VALUES (304, 1, 1);
SELECT * FROM wrong();
ALTER TABLE apart NO INHERIT city;
SELECT * FROM wrong();
ALTER TABLE capital NO INHERIT city;
SELECT * FROM wrong();
INSERT INTO seat VALUES (91, 1, 1, 'a', 'b');
UPDATE capital SET v = 9;
SELECT * FROM wrong();
DROP TABLE hamlet;
SELECT * FROM wrong();
ALTER TABLE port NO INHERIT city;
SELECT * FROM wrong();
SELECT tgrelid::regclass, tgname, tgenabled, tgoldtable, tgnewtable FROM pg_trigger
  WHERE tgname LIKE '00%' AND tgrelid = 'city'::regclass ORDER BY 1, 2;
INSERT INTO city VALUES (400, 1, 1);
UPDATE city SET v = v * 2;
SELECT * FROM wrong();
ALTER TABLE capital INHERIT city;
UPDATE city SET v = v * 2;
SELECT * FROM wrong();
SELECT indexdef FROM pg_indexes WHERE tablename IN ('all_rows', 'only_rows') ORDER BY 1;

-- MERGE computes the generated columns of what it inserts into a parent, whatever columns it updates, though there is a
-- BEFORE STATEMENT trigger now.
CREATE TABLE computed (id int, c text, twice int GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE computed_child (x int) INHERITS (computed);
CREATE TABLE later (id int, c text);
CREATE TABLE later_child (x int) INHERITS (later);
CREATE MATERIALIZED VIEW of_computed AS SELECT id, c, twice FROM computed;
CREATE MATERIALIZED VIEW of_later AS SELECT id, c FROM later;
SELECT upkeep.register('of_computed'), upkeep.register('of_later');
ALTER TABLE later ADD COLUMN twice int GENERATED ALWAYS AS (id * 2) STORED;
MERGE INTO computed t USING (VALUES (1), (2)) s (id) ON t.id = s.id
    WHEN MATCHED THEN UPDATE SET c = 'there' WHEN NOT MATCHED THEN INSERT (id, c) VALUES (s.id, 'new');
MERGE INTO later t USING (VALUES (1), (2)) s (id) ON t.id = s.id
    WHEN MATCHED THEN UPDATE SET c = 'there' WHEN NOT MATCHED THEN INSERT (id, c) VALUES (s.id, 'new');
SELECT * FROM of_computed ORDER BY id;
SELECT * FROM later ORDER BY id;
ALTER TABLE computed ENABLE TRIGGER ALL;
UPDATE computed SET c = 'updated' WHERE id = 1;
SELECT * FROM of_computed ORDER BY id;
SELECT * FROM upkeep.verify('of_computed');

DROP SCHEMA heirs CASCADE;
