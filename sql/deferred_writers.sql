-- What writers log for deferred views alone: every row once, in whatever way statements meet, and nothing counts as lost.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE TABLE node (id int PRIMARY KEY, up int REFERENCES node ON DELETE CASCADE, n int NOT NULL DEFAULT 0);
CREATE TABLE a (id int PRIMARY KEY, other int, v int);
CREATE TABLE b (id int PRIMARY KEY, other int REFERENCES a ON DELETE CASCADE, v int);
ALTER TABLE a ADD FOREIGN KEY (other) REFERENCES b ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE plain (id int PRIMARY KEY, v int, w int);
CREATE TABLE note (id int, what text);
-- columns of fixed width, by value and by reference, some that no view uses between them; and some of no fixed width
CREATE TABLE kinds (b bool, unused text, c "char", s smallint, i int, l bigint, f real, d double precision, u uuid, n name, day date,
                    at timestamptz, p point, gone int, x int);
CREATE TABLE wide (id int, t text, n numeric, l int[], fixed int);
ALTER TABLE kinds DROP COLUMN gone;
DO $$ DECLARE t text; BEGIN FOREACH t IN ARRAY '{node,a,b,plain,note}'::text[] LOOP
  EXECUTE format('CREATE MATERIALIZED VIEW %I AS SELECT * FROM %I', 'v_' || t, t); END LOOP; END $$;
CREATE MATERIALIZED VIEW v_kinds AS SELECT b, c, s, i, l, f, d, u, n, day, at, p[0] AS p, x FROM kinds;
CREATE MATERIALIZED VIEW v_wide AS SELECT id, t, n, l, fixed FROM wide;
SELECT count(upkeep.register(c.oid::regclass, 'deferred')) FROM pg_class c WHERE relname LIKE 'v\_%' AND relkind = 'm';
SELECT upkeep.refresh();
CREATE FUNCTION logged(OUT relation text, OUT w int2, OUT n bigint) RETURNS SETOF record LANGUAGE plpgsql AS $$ DECLARE l record; BEGIN
  FOR l IN SELECT * FROM upkeep.log o ORDER BY o.relation::regclass::text LOOP
    RETURN QUERY EXECUTE format('SELECT %L::text, w, count(*) FROM (TABLE %s UNION ALL TABLE %s UNION ALL TABLE %s) s GROUP BY 2 ORDER BY 2',
                                l.relation::regclass, l.segment1::regclass, l.segment2::regclass, l.segment3::regclass);
  END LOOP; END $$;
CREATE FUNCTION wrong() RETURNS TABLE (view text, side text, contents text) LANGUAGE sql AS $$
  SELECT c.relname::text, d.side, d.contents FROM pg_class c, LATERAL upkeep.verify(c.oid::regclass) d WHERE relname LIKE 'v\_%' AND relkind = 'm' $$;

-- a foreign key that leads back to its table, one over another table, and none
INSERT INTO node SELECT i, nullif(i / 2, 0) FROM generate_series(1, 31) i;
BEGIN;
INSERT INTO a SELECT i, i, i FROM generate_series(1, 6) i;
INSERT INTO b SELECT i, i % 6 + 1, i FROM generate_series(1, 6) i;
COMMIT;
INSERT INTO plain SELECT i, i, i FROM generate_series(1, 10) i;
INSERT INTO plain VALUES (11, 11, 11);
DELETE FROM node WHERE id = 2;
UPDATE node SET n = 1 WHERE id = 3;
DELETE FROM a WHERE id = 1;
DELETE FROM plain WHERE id = 1;
UPDATE plain SET v = v + 1 WHERE id = 2;
UPDATE plain SET v = v WHERE id = 3;
SELECT * FROM logged();
SELECT upkeep.refresh() > 0 AS refreshed;
SELECT * FROM wrong();

-- one query that writes in several ways; queries that write nothing, fail, or are only explained
INSERT INTO plain VALUES (11, 0, 0), (12, 0, 0) ON CONFLICT (id) DO UPDATE SET v = plain.v + 1;
INSERT INTO plain VALUES (12, 0, 0), (13, 0, 0) ON CONFLICT DO NOTHING;
WITH i AS (INSERT INTO plain VALUES (14, 0, 0) RETURNING id), d AS (DELETE FROM plain WHERE id = 4), u AS (UPDATE note SET what = 'no')
  INSERT INTO plain SELECT id + 1, 1, 1 FROM i;
MERGE INTO plain USING (VALUES (5), (16)) s (id) ON plain.id = s.id
  WHEN MATCHED THEN UPDATE SET v = -1 WHEN NOT MATCHED THEN INSERT VALUES (s.id, 0, 0);
INSERT INTO plain SELECT 1, 1, 1 WHERE false;
INSERT INTO plain VALUES (16, 0, 0);
EXPLAIN (COSTS off) DELETE FROM plain;
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) INSERT INTO plain VALUES (17, 0, 0);
COPY plain FROM stdin;
18	0	\N
19	\N	0
\.
PREPARE change(int, int) AS UPDATE plain SET w = $2 WHERE id = $1 RETURNING *;
EXECUTE change(18, 1);
EXECUTE change(18, NULL);
DO $$ BEGIN
  INSERT INTO plain VALUES (20, 0, 0);
  BEGIN INSERT INTO plain VALUES (21, 0, 0), (20, 0, 0); EXCEPTION WHEN unique_violation THEN NULL; END;
  BEGIN DELETE FROM plain; RAISE EXCEPTION 'undo'; EXCEPTION WHEN raise_exception THEN NULL; END;
  UPDATE plain SET v = 5 WHERE id = 20;
END $$;
SELECT count(*) FROM logged() WHERE w = 0;
SELECT upkeep.refresh() > 0 AS refreshed;
SELECT * FROM wrong();

-- triggers of the user's that write to the same table, from before, from within and from after its statements
CREATE FUNCTION on_plain() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF pg_trigger_depth() < 3 THEN
    INSERT INTO note VALUES (pg_trigger_depth(), TG_WHEN || ' ' || TG_OP || ' ' || TG_LEVEL);
    IF TG_OP = 'INSERT' THEN UPDATE plain SET w = w + 1 WHERE id = 3; DELETE FROM plain WHERE id = 18 + pg_trigger_depth();
    ELSE INSERT INTO plain SELECT max(id) + 1, 0, 0 FROM plain; END IF;
  END IF;
  RETURN COALESCE(NEW, OLD);
END $$;
CREATE TRIGGER "!before" BEFORE INSERT OR UPDATE OR DELETE ON plain EXECUTE FUNCTION on_plain();
CREATE TRIGGER within AFTER INSERT OR UPDATE OR DELETE ON plain FOR EACH ROW EXECUTE FUNCTION on_plain();
CREATE TRIGGER zz_after AFTER INSERT OR UPDATE OR DELETE ON plain EXECUTE FUNCTION on_plain();
INSERT INTO plain VALUES (101, 0, 0), (102, 0, 0);
UPDATE plain SET v = v + 1 WHERE id IN (2, 102);
DELETE FROM plain WHERE id IN (12, 13);
DROP TRIGGER "!before" ON plain;
INSERT INTO plain VALUES (201, 0, 0), (202, 0, 0);
DROP TRIGGER within ON plain;
UPDATE plain SET v = v + 1 WHERE id IN (201, 202);
DROP TRIGGER zz_after ON plain;
SELECT count(*) FROM logged() WHERE w = 0;
SELECT upkeep.refresh() > 0 AS refreshed;
SELECT * FROM wrong();

-- a statement that is open counts as open; without its trigger nothing is logged, and the view is built again
CREATE MATERIALIZED VIEW late AS SELECT v, count(*) FROM plain GROUP BY v;
CREATE FUNCTION registers() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM upkeep.register('late'); RETURN NEW; END $$;
CREATE TRIGGER registers AFTER UPDATE ON plain FOR EACH ROW EXECUTE FUNCTION registers();
UPDATE plain SET v = 7 WHERE id = 2;
DROP TRIGGER registers ON plain;
DROP MATERIALIZED VIEW late;
ALTER TABLE plain DISABLE TRIGGER "00_upkeep_before";
UPDATE plain SET v = 8 WHERE id = 2;
ALTER TABLE plain ENABLE ALWAYS TRIGGER "00_upkeep_before";
SELECT * FROM logged() WHERE w = 0;
SELECT upkeep.refresh() >= 0 AS refreshed;
SELECT * FROM wrong();

-- rows of every width, with and without NULLs, few and many
INSERT INTO kinds SELECT i % 2 = 0, repeat('x', i % 7), chr(65 + i % 20)::"char", i, i, i::bigint << 20, i / 3.0, i / 7.0,
  md5(i::text)::uuid, 'n' || i, date '2020-01-01' + i, timestamptz '2020-01-01 UTC' + i * interval '1 min', point(i, -i), i FROM generate_series(1, 2500) i;
INSERT INTO kinds (b) VALUES (NULL), (true);
INSERT INTO kinds VALUES (NULL, NULL, 'c', 1, 1, 1, 1, 1, md5('')::uuid, 'n', 'infinity', '-infinity', '(1,1)', 1), (true, 'u', 'c', 1, 1, 1, 1, 1, NULL, 'n', 'infinity', '-infinity', NULL, 1);
INSERT INTO kinds VALUES (true, 'u', 'c', -1, -1, -1, 'NaN', '-0', md5('')::uuid, '', '0001-01-01 BC', 'infinity', '(1,2)', -1);
UPDATE kinds SET x = NULL WHERE i % 3 = 0;
UPDATE kinds SET x = i + 1, unused = 'y' WHERE i % 4 = 0;
UPDATE kinds SET unused = 'z';
UPDATE kinds SET d = '0' WHERE d = '0';
DELETE FROM kinds WHERE i % 5 = 0;
INSERT INTO wide SELECT i, repeat('wide', i % 50), i / 3.0, ARRAY[i, i], i FROM generate_series(1, 1500) i;
INSERT INTO wide (id) VALUES (NULL), (1);
INSERT INTO wide VALUES (1, (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 1000) i), 1, '{}', NULL);
UPDATE wide SET t = t || 'x' WHERE id % 3 = 0;
UPDATE wide SET fixed = 0 WHERE length(t) > 10000;
UPDATE wide SET t = t;
DELETE FROM wide WHERE id % 5 = 0 OR id IS NULL;
SELECT * FROM logged() WHERE relation IN ('kinds', 'wide');
SELECT upkeep.refresh() > 0 AS refreshed;
SELECT * FROM wrong();

-- the log changes while the session goes on: other columns, another type, no view and a new one
CREATE MATERIALIZED VIEW more AS SELECT unused, count(*) FROM kinds GROUP BY unused;
SELECT upkeep.register('more', 'deferred'), upkeep.refresh('more') >= 0;
UPDATE kinds SET unused = 'new' WHERE i = 1;
DELETE FROM kinds WHERE i = 2;
SELECT upkeep.refresh() > 0 AS refreshed;
SELECT * FROM upkeep.verify('more');
DROP MATERIALIZED VIEW v_plain;
INSERT INTO plain VALUES (1000, 0, 0);
ALTER TABLE plain ALTER v TYPE bigint, ADD more smallint DEFAULT 3;
CREATE MATERIALIZED VIEW v_plain AS SELECT more, v, id FROM plain;
SELECT upkeep.register('v_plain', 'deferred'), upkeep.refresh('v_plain') >= 0;
INSERT INTO plain VALUES (1001, 5000000000, 0, 1), (1002, -5000000000, 0, NULL);
UPDATE plain SET more = 4 WHERE id = 1001;
SELECT upkeep.refresh() > 0 AS refreshed;
SELECT * FROM wrong();
DROP TABLE node, a, b, plain, note, kinds, wide CASCADE;
DROP FUNCTION wrong, logged, on_plain, registers;
