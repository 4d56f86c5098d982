-- Partitioned tables as sources: whichever member of the tree a statement names, and however the tree changes.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE SCHEMA parts;
SET search_path = parts, public;
CREATE TABLE kinds (kind text PRIMARY KEY, weight int);
INSERT INTO kinds SELECT 'k' || g, g FROM generate_series(0, 4) g;
CREATE TABLE sale (id int, day int, kind text REFERENCES kinds ON UPDATE CASCADE ON DELETE CASCADE, v int,
                   PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE sale1 PARTITION OF sale FOR VALUES FROM (0) TO (10);
-- columns in another order, and dropped ones
CREATE TABLE sale2 (junk int, v int, kind text, day int NOT NULL, id int NOT NULL);
ALTER TABLE sale2 DROP COLUMN junk;
ALTER TABLE sale ATTACH PARTITION sale2 FOR VALUES FROM (10) TO (20);
CREATE TABLE sale3 PARTITION OF sale FOR VALUES FROM (20) TO (40) PARTITION BY LIST (day);
CREATE TABLE sale3a PARTITION OF sale3 FOR VALUES IN (20, 21, 22);
CREATE TABLE sale3b (LIKE sale3a);
ALTER TABLE sale3b DROP COLUMN v;
ALTER TABLE sale3b ADD v int;
ALTER TABLE sale3 ATTACH PARTITION sale3b DEFAULT;

CREATE MATERIALIZED VIEW by_kind AS SELECT kind, count(*) AS n, sum(v) AS s, max(v) AS top FROM sale GROUP BY kind;
CREATE MATERIALIZED VIEW rows AS SELECT id, day, kind, v FROM sale;
CREATE MATERIALIZED VIEW over_both AS SELECT s.id, s.day, k.n FROM sale s JOIN by_kind k ON k.kind = s.kind;
CREATE MATERIALIZED VIEW over_kinds AS SELECT n, count(*) AS kinds, sum(s) AS s FROM by_kind GROUP BY n;
CREATE MATERIALIZED VIEW of_leaf AS SELECT kind, count(*) AS n, sum(v) AS s FROM sale3b GROUP BY kind;
CREATE MATERIALIZED VIEW of_level AS SELECT kind, count(*) AS n, sum(v) AS s FROM sale3 GROUP BY kind;
CREATE MATERIALIZED VIEW of_both AS SELECT s.kind, count(*) AS n, sum(l.v) AS s
  FROM sale s JOIN sale2 l ON l.kind = s.kind GROUP BY s.kind;
CREATE MATERIALIZED VIEW of_none AS SELECT count(*) AS n FROM ONLY sale;
CREATE MATERIALIZED VIEW joined AS SELECT s.id, s.day, k.kind, k.weight, s.v FROM kinds k LEFT JOIN sale s ON s.kind = k.kind;
SELECT upkeep.register(c.oid::regclass) FROM pg_class c
  WHERE relkind = 'm' AND relnamespace = 'parts'::regnamespace ORDER BY relname;
CREATE FUNCTION wrong(OUT view regclass, OUT side text, OUT contents text) RETURNS SETOF record LANGUAGE sql AS $$
  SELECT c.oid::regclass, x.* FROM pg_class c, upkeep.verify(c.oid) x
  WHERE relkind = 'm' AND relnamespace = 'parts'::regnamespace
  UNION ALL
  SELECT view, state, why FROM upkeep.views WHERE state <> 'active'
  ORDER BY 1, 2, 3 $$;
SELECT tgrelid::regclass, tgname, tgenabled, tgoldtable, tgnewtable FROM pg_trigger
  WHERE tgname LIKE '00%' AND tgrelid IN ('sale'::regclass, 'sale2'::regclass) ORDER BY 1, 2;

-- the root, an intermediate table, leaves
INSERT INTO sale SELECT g, g, 'k' || g % 3, g FROM generate_series(0, 39) g;
SELECT * FROM wrong();
SELECT * FROM by_kind ORDER BY kind;
SELECT * FROM of_leaf ORDER BY kind;
INSERT INTO sale2 (id, day, kind, v) VALUES (100, 12, 'k0', 7);
INSERT INTO sale3b (id, day, kind, v) VALUES (101, 33, 'k0', 7), (102, 38, NULL, NULL);
INSERT INTO sale3 (id, day, kind, v) VALUES (103, 34, 'k0', 7), (104, 20, 'k1', 3);
SELECT * FROM wrong();
UPDATE sale SET v = v + 1;
SELECT * FROM wrong();
UPDATE sale2 SET v = v - 1, kind = 'k2' WHERE id % 2 = 0;
SELECT * FROM wrong();

-- rows that move
UPDATE sale SET day = (day + 7) % 40;
SELECT * FROM wrong();
UPDATE sale3 SET day = 61 - day WHERE day > 22;
SELECT * FROM wrong();
UPDATE sale SET day = 25, kind = 'k4' WHERE day = 3;
SELECT * FROM wrong();
DELETE FROM sale WHERE id % 5 = 0;
DELETE FROM sale3a;
SELECT * FROM wrong();

-- COPY
COPY sale FROM STDIN;
300	5	k1	1
301	15	k1	1
302	25	k1	1
\.
COPY sale2 (id, day, kind, v) FROM STDIN;
310	15	k1	1
\.
COPY sale3b (id, day, kind, v) FROM STDIN;
311	35	k1	1
\.
SELECT * FROM wrong();

-- ON CONFLICT, MERGE, writable CTEs, foreign keys
INSERT INTO sale VALUES (300, 5, 'k2', 9), (301, 15, 'k2', 9), (303, 25, 'k2', 9)
  ON CONFLICT (id, day) DO UPDATE SET v = excluded.v, kind = excluded.kind;
SELECT * FROM wrong();
MERGE INTO sale USING (VALUES (300, 5), (301, 15), (302, 26)) x (id, day) ON sale.id = x.id AND sale.day = x.day
  WHEN MATCHED AND sale.id = 300 THEN DELETE
  WHEN MATCHED THEN UPDATE SET day = 21
  WHEN NOT MATCHED THEN INSERT VALUES (x.id, x.day, 'k0', 4);
SELECT * FROM wrong();
WITH d AS (DELETE FROM sale WHERE day < 10 RETURNING *), i AS (INSERT INTO sale2 (id, day, kind, v) SELECT id + 1000, 11, kind, v FROM d)
UPDATE sale3b SET v = v + (SELECT count(*) FROM d);
SELECT * FROM wrong();
UPDATE kinds SET kind = 'k9' WHERE kind = 'k1';
SELECT * FROM wrong();
DELETE FROM kinds WHERE kind = 'k9';
SELECT * FROM wrong();

-- savepoints and caught errors
BEGIN;
INSERT INTO sale SELECT g + 400, g, 'k0', g FROM generate_series(0, 39, 3) g;
SAVEPOINT a;
UPDATE sale SET day = 39 - day WHERE id >= 400;
SELECT * FROM wrong();
ROLLBACK TO a;
UPDATE sale2 SET v = 0;
SELECT * FROM wrong();
COMMIT;
CREATE FUNCTION reject() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN IF NEW.v = 77 THEN RETURN NULL; END IF; NEW.v := NEW.v * 2; RETURN NEW; END $$;
CREATE TRIGGER reject BEFORE INSERT ON sale3b FOR EACH ROW EXECUTE FUNCTION reject();
INSERT INTO sale VALUES (500, 30, 'k0', 77), (501, 30, 'k0', 3);
UPDATE sale SET day = 31 WHERE day < 20 AND id > 400;
SELECT * FROM wrong();

-- TRUNCATE
TRUNCATE sale3b;
SELECT * FROM wrong();
TRUNCATE sale3;
SELECT * FROM wrong();
TRUNCATE sale;
SELECT * FROM wrong();

-- the tree changes
INSERT INTO kinds VALUES ('k1', 1);
INSERT INTO sale SELECT g, g, 'k' || g % 3, g FROM generate_series(0, 39) g;
CREATE TABLE sale5 PARTITION OF sale FOR VALUES FROM (50) TO (60);
INSERT INTO sale VALUES (600, 55, 'k0', 1);
INSERT INTO sale5 VALUES (601, 56, 'k0', 1);
SELECT * FROM wrong();
CREATE TABLE sale4 (v int, kind text, day int NOT NULL, id int NOT NULL);
INSERT INTO sale4 SELECT g, 'k0', g, g FROM generate_series(40, 49) g;
ALTER TABLE sale ATTACH PARTITION sale4 FOR VALUES FROM (40) TO (50);
SELECT * FROM wrong();
UPDATE sale4 SET v = 1 WHERE day = 41;
UPDATE sale SET v = 2 WHERE day = 42;
SELECT * FROM wrong();
ALTER TABLE sale DETACH PARTITION sale4;
SELECT * FROM wrong();
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'sale4'::regclass AND tgname LIKE '00%';
INSERT INTO sale4 VALUES (1, 'k0', 1, 1);
DELETE FROM sale4 WHERE day = 1;
ALTER TABLE sale DETACH PARTITION sale1 CONCURRENTLY;
SELECT * FROM wrong();
BEGIN;
ALTER TABLE sale ATTACH PARTITION sale1 FOR VALUES FROM (0) TO (10);
SELECT * FROM wrong();
ROLLBACK;
SELECT * FROM wrong();
ALTER TABLE sale ATTACH PARTITION sale1 FOR VALUES FROM (0) TO (10);
DROP TABLE sale5;
SELECT * FROM wrong();
-- a subtree: new to two sources at once
CREATE TABLE deep (LIKE sale) PARTITION BY RANGE (day);
CREATE TABLE deep1 PARTITION OF deep FOR VALUES FROM (60) TO (70);
INSERT INTO deep VALUES (700, 61, 'k0', 5);
ALTER TABLE sale3 DETACH PARTITION sale3b;
SELECT * FROM wrong();
ALTER TABLE sale ATTACH PARTITION deep FOR VALUES FROM (60) TO (70);
INSERT INTO deep1 VALUES (701, 62, 'k0', 5);
SELECT * FROM wrong();
ALTER TABLE sale3 ATTACH PARTITION sale3b DEFAULT;
SELECT * FROM wrong();
ALTER TABLE sale DETACH PARTITION sale3;
SELECT * FROM wrong();
INSERT INTO sale3 VALUES (702, 30, 'k0', 5);
SELECT * FROM wrong();
ALTER TABLE sale ATTACH PARTITION sale3 FOR VALUES FROM (20) TO (40);
SELECT * FROM wrong();
-- columns
ALTER TABLE sale ADD COLUMN note text DEFAULT 'n';
DROP TRIGGER reject ON sale3b;
ALTER TABLE sale RENAME COLUMN v TO amount;
INSERT INTO sale VALUES (800, 5, 'k0', 5), (801, 15, 'k0', 5), (802, 35, 'k0', 5);
INSERT INTO sale2 (id, day, kind, amount) VALUES (803, 15, 'k0', 5);
SELECT * FROM wrong();

SELECT upkeep.unregister(view) FROM upkeep.views ORDER BY view::text DESC;
SELECT DISTINCT tgrelid::regclass FROM pg_trigger WHERE tgname LIKE '00%' ORDER BY 1;

-- generated columns: the root's transition tables lack them
CREATE TABLE made (a int, b int, g int GENERATED ALWAYS AS (b * 2) STORED) PARTITION BY LIST (a);
CREATE TABLE made1 PARTITION OF made FOR VALUES IN (1);
CREATE TABLE made2 (g int GENERATED ALWAYS AS (b * 2) STORED, b int, a int);
ALTER TABLE made ATTACH PARTITION made2 FOR VALUES IN (2);
CREATE MATERIALIZED VIEW of_made AS SELECT a, sum(g) AS s FROM made GROUP BY a;
CREATE MATERIALIZED VIEW of_made2 AS SELECT g, count(*) FROM made2 GROUP BY g;
SELECT upkeep.register('of_made'), upkeep.register('of_made2');
INSERT INTO made VALUES (1, 1), (2, 2);
INSERT INTO made2 (a, b) VALUES (2, 3);
SELECT * FROM wrong();
UPDATE made SET a = 3 - a;
UPDATE made SET b = b + 1;
SELECT * FROM wrong();
CREATE TABLE refers (id int PRIMARY KEY, a int, b int);
ALTER TABLE made ADD UNIQUE (a, b);
ALTER TABLE refers ADD FOREIGN KEY (a, b) REFERENCES made (a, b);
ALTER TABLE made DETACH PARTITION made2;
SELECT * FROM wrong();
ALTER TABLE made ATTACH PARTITION made2 FOR VALUES IN (2);
SELECT * FROM wrong();
DROP TABLE refers;
ALTER TABLE made DROP CONSTRAINT made_a_b_key;
ALTER TABLE made ALTER g DROP EXPRESSION;
INSERT INTO made VALUES (2, 2, 2), (1, 1, 1);
SELECT * FROM wrong();
SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgname LIKE '00%' AND tgrelid IN ('made'::regclass, 'made2'::regclass) ORDER BY 1, 2;
ALTER TABLE made DROP g CASCADE;

-- a partition that is foreign: nothing is captured any more, and DML goes on
CREATE FOREIGN DATA WRAPPER void;
CREATE SERVER void FOREIGN DATA WRAPPER void;
CREATE TABLE log (day int, v int) PARTITION BY RANGE (day);
CREATE TABLE log1 PARTITION OF log FOR VALUES FROM (0) TO (10);
CREATE MATERIALIZED VIEW of_log AS SELECT day, sum(v) AS s FROM log GROUP BY day;
CREATE MATERIALIZED VIEW of_log1 AS SELECT day, sum(v) AS s FROM log1 GROUP BY day;
SELECT upkeep.register('of_log'), upkeep.register('of_log1');
INSERT INTO log VALUES (1, 1);
SET client_min_messages = error;
CREATE FOREIGN TABLE far PARTITION OF log FOR VALUES FROM (90) TO (99) SERVER void;
SET client_min_messages = warning;
SELECT view, state, why FROM upkeep.views ORDER BY view;
SELECT DISTINCT tgrelid::regclass FROM pg_trigger WHERE tgname LIKE '00%' ORDER BY 1;
INSERT INTO log VALUES (1, 5);
SELECT what, code FROM unnest('{of_log, of_log1, SELECT v FROM log, SELECT v FROM log1, SELECT v FROM far}'::text[]) q,
  LATERAL (SELECT e.what, e.code FROM upkeep.explain(q) e) e;
DROP FOREIGN TABLE far;
REFRESH MATERIALIZED VIEW of_log;
REFRESH MATERIALIZED VIEW of_log1;
INSERT INTO log VALUES (2, 5);
SELECT view, state FROM upkeep.views ORDER BY view;
SELECT * FROM wrong();

-- Which rows are a default partition's changes with the others. What waits to be followed, to commit or in the log, was written under
-- other bounds.
CREATE TABLE kept (id int PRIMARY KEY, v int) PARTITION BY LIST (id);
CREATE TABLE kept1 PARTITION OF kept FOR VALUES IN (1, 2);
CREATE TABLE rest PARTITION OF kept DEFAULT PARTITION BY HASH (id);
CREATE TABLE rest1 PARTITION OF rest FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE MATERIALIZED VIEW at_once AS SELECT id, v FROM rest;
CREATE MATERIALIZED VIEW at_commit AS SELECT id, v FROM rest;
CREATE MATERIALIZED VIEW later AS SELECT id, v FROM rest1;
SELECT upkeep.register('at_once'), upkeep.register('at_commit', 'commit'), upkeep.register('later', 'deferred');
SELECT upkeep.refresh('later');
BEGIN;
INSERT INTO kept VALUES (1, 1), (3, 3);
ALTER TABLE kept DETACH PARTITION kept1;
COMMIT;
SELECT * FROM wrong();
SELECT upkeep.refresh('later');
SELECT * FROM later ORDER BY id;
INSERT INTO kept VALUES (5, 5), (6, 6), (7, 7);
SELECT upkeep.refresh('later');
BEGIN;
DELETE FROM kept WHERE id = 5;
SAVEPOINT s;
UPDATE kept SET v = 66 WHERE id = 6;
CREATE TABLE kept5 PARTITION OF kept FOR VALUES IN (5);
ROLLBACK TO s;
CREATE TABLE kept5 (id int PRIMARY KEY, v int);
ALTER TABLE kept ATTACH PARTITION kept5 FOR VALUES IN (5, 8);
INSERT INTO kept VALUES (5, 55), (8, 88), (9, 99);
DROP TABLE kept5;
UPDATE kept SET v = -v WHERE id IN (3, 7);
COMMIT;
SELECT * FROM wrong();
SELECT upkeep.refresh('later');
SELECT * FROM later ORDER BY id;
SELECT * FROM wrong();
SELECT view::text, state FROM upkeep.views WHERE view::text IN ('at_once', 'at_commit', 'later') ORDER BY 1;
-- Inside a statement, whose changes wait for its end, such a command makes the view stale.
CREATE TABLE cause (x int);
CREATE FUNCTION detach() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO kept VALUES (20, 1), (21, 1); ALTER TABLE kept DETACH PARTITION kept20; RETURN NULL; END $$;
CREATE TRIGGER detach AFTER INSERT ON cause FOR EACH ROW EXECUTE FUNCTION detach();
CREATE TABLE kept20 PARTITION OF kept FOR VALUES IN (20);
CREATE MATERIALIZED VIEW causes AS SELECT x FROM cause;
SELECT upkeep.register('causes');
SET client_min_messages = error;
INSERT INTO cause VALUES (1);
SET client_min_messages = warning;
SELECT view::text, state, why FROM upkeep.views WHERE view::text IN ('at_once', 'at_commit', 'causes') ORDER BY 1;
REFRESH MATERIALIZED VIEW at_once;
REFRESH MATERIALIZED VIEW at_commit;
SELECT upkeep.refresh('later');
SELECT * FROM wrong();
-- A new partition brings a deferred view nothing that is not in the log: it is not built anew, and consumes what has changed before and since.
CREATE TABLE grown (id int, v int) PARTITION BY RANGE (id);
CREATE TABLE grown1 PARTITION OF grown FOR VALUES FROM (0) TO (10);
CREATE MATERIALIZED VIEW of_grown AS SELECT v, count(*) AS n FROM grown GROUP BY v;
SELECT upkeep.register('of_grown', 'deferred');
SELECT upkeep.refresh('of_grown');
INSERT INTO grown VALUES (1, 1), (2, 2);
BEGIN;
CREATE TABLE grown2 PARTITION OF grown FOR VALUES FROM (10) TO (20) PARTITION BY LIST (id);
CREATE TABLE grown21 PARTITION OF grown2 DEFAULT;
INSERT INTO grown VALUES (11, 1);
INSERT INTO grown2 VALUES (12, 1);
INSERT INTO grown21 VALUES (13, 1);
COMMIT;
UPDATE grown SET v = 3 WHERE id IN (1, 13);
SELECT upkeep.refresh('of_grown');
SELECT * FROM of_grown ORDER BY v;
-- A partition that leaves takes no changes along that are in the log of its root.
CREATE MATERIALIZED VIEW of_part AS SELECT id, v FROM grown1 UNION ALL SELECT -1, count(*) FROM grown21;
SELECT upkeep.register('of_part', 'deferred');
SELECT upkeep.refresh('of_part');
BEGIN;
UPDATE grown SET v = 10 WHERE id IN (2, 13);
INSERT INTO grown VALUES (3, 30), (14, 1);
ALTER TABLE grown DETACH PARTITION grown1;
ALTER TABLE grown DETACH PARTITION grown2;
COMMIT;
SELECT upkeep.refresh('of_part');
SELECT * FROM of_part ORDER BY id;
ALTER TABLE grown ATTACH PARTITION grown1 FOR VALUES FROM (0) TO (10);
ALTER TABLE grown ATTACH PARTITION grown2 FOR VALUES FROM (10) TO (20);
SELECT upkeep.refresh('of_grown');
SELECT * FROM wrong();
-- With rows it is.
CREATE TABLE grown3 (id int, v int);
INSERT INTO grown3 VALUES (21, 1);
ALTER TABLE grown ATTACH PARTITION grown3 FOR VALUES FROM (20) TO (30);
SELECT upkeep.refresh('of_grown');
ALTER TABLE grown DETACH PARTITION grown3;
DELETE FROM grown3;
ALTER TABLE grown ATTACH PARTITION grown3 FOR VALUES FROM (20) TO (30);
INSERT INTO grown VALUES (22, 4);
SELECT upkeep.refresh('of_grown');
SELECT * FROM of_grown ORDER BY v;
SELECT * FROM wrong();

DROP SCHEMA parts CASCADE;
DROP SERVER void;
DROP FOREIGN DATA WRAPPER void;
