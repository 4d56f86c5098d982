-- Registered materialized views as sources of others: chains and diamonds, maintained in one pass.
SET client_min_messages = warning;
CREATE SCHEMA chains;
SET search_path = chains;
CREATE VIEW wrong AS
    SELECT w.view, v.* FROM upkeep.views w, upkeep.verify(w.view) v
    WHERE w.view IN (SELECT oid FROM pg_class WHERE relnamespace = 'chains'::regnamespace);
CREATE VIEW states AS
    SELECT view, mode, state, why FROM upkeep.views
    WHERE view IN (SELECT oid FROM pg_class WHERE relnamespace = 'chains'::regnamespace) ORDER BY view::text;

CREATE TABLE sale (id int PRIMARY KEY, shop int, item text, amount numeric(10, 2));
CREATE TABLE shop (id int PRIMARY KEY, city text, size int);
INSERT INTO shop VALUES (0, 'a', 1), (1, 'b', 2), (2, 'a', 3), (3, 'c', 1), (4, NULL, 1);
INSERT INTO sale SELECT i, i % 4, 'i' || i % 3, i FROM generate_series(1, 40) i;

-- A chain of three: a join of tables, groups in the view, groups of groups.
CREATE MATERIALIZED VIEW c1 AS SELECT s.id, s.item, s.amount, p.city, p.size FROM sale s JOIN shop p ON p.id = s.shop;
CREATE MATERIALIZED VIEW c2 AS SELECT city, item, count(*) AS n, sum(amount) AS total, max(size) AS size FROM c1 GROUP BY city, item;
CREATE MATERIALIZED VIEW c3 AS SELECT n, count(*) AS groups, avg(total) AS mean, string_agg(item, ',' ORDER BY item, city) AS items FROM c2 GROUP BY n HAVING count(*) > 1;
-- Arms of a diamond: a keyed view, one with its groups in a state table, a bag; and both arms joined.
CREATE MATERIALIZED VIEW a1 AS SELECT shop, count(*) AS n, sum(id) AS ids FROM sale GROUP BY shop;
CREATE MATERIALIZED VIEW a2 AS SELECT shop, avg(amount) AS mean FROM sale GROUP BY shop HAVING count(*) > 3;
CREATE MATERIALIZED VIEW a3 AS SELECT item, shop % 2 AS odd FROM sale WHERE amount > 5;
CREATE MATERIALIZED VIEW d1 AS SELECT a1.shop, a1.n, a2.mean FROM a1 JOIN a2 ON a2.shop = a1.shop;
CREATE MATERIALIZED VIEW d2 AS SELECT a1.shop, a2.mean, x.item FROM a1 LEFT JOIN a2 ON a2.shop = a1.shop LEFT JOIN a3 x ON x.odd = a1.shop;
CREATE MATERIALIZED VIEW d3 AS SELECT DISTINCT item, odd FROM a3 WHERE EXISTS (SELECT FROM a2 WHERE a2.shop = a3.odd);
CREATE MATERIALIZED VIEW d4 AS SELECT x.shop, y.shop AS other FROM a1 x, a1 y WHERE x.n = y.n AND x.shop < y.shop;
CREATE MATERIALIZED VIEW d5 AS SELECT odd FROM a3 EXCEPT SELECT shop FROM a2;
CREATE MATERIALIZED VIEW d6 AS SELECT count(*), sum(n), max(ids) FROM a1;
-- A base table and a view of it in one.
CREATE MATERIALIZED VIEW b1 AS SELECT s.id, s.amount, a1.n, a1.ids FROM sale s JOIN a1 ON a1.shop = s.shop;
CREATE MATERIALIZED VIEW b2 AS SELECT shop, n FROM a1 UNION ALL SELECT shop, id FROM sale;
-- An ordinary view in between.
CREATE VIEW between AS SELECT shop, n FROM d1 WHERE n > 2;
CREATE MATERIALIZED VIEW e1 AS SELECT b.n, count(*) AS shops, min(p.city) AS city FROM between b JOIN shop p ON p.id = b.shop GROUP BY b.n;

-- What reads a view that is not registered is refused.
\set VERBOSITY default
SELECT upkeep.register('c2');
SELECT code, what, why, hint FROM upkeep.explain('SELECT * FROM c2');
SELECT upkeep.register(c.oid) FROM pg_class c WHERE relnamespace = 'chains'::regnamespace AND relkind = 'm' AND relname ~ '^[ac]' ORDER BY relname;
SELECT upkeep.register(c.oid) FROM pg_class c WHERE relnamespace = 'chains'::regnamespace AND relkind = 'm' AND relname ~ '^[bde]' ORDER BY relname;
SELECT count(*), min(state), max(state), max(lag), max(pending) FROM upkeep.views WHERE view IN (SELECT view FROM states);
SELECT trigger, operator, strategy, index_wanted FROM upkeep.explain('b1');
TABLE wrong;

INSERT INTO sale VALUES (100, 0, 'i9', 7), (101, 2, 'i0', 0.5);
TABLE wrong;
UPDATE sale SET amount = amount + 1 WHERE id % 5 = 0;
TABLE wrong;
UPDATE sale SET shop = (shop + 1) % 5 WHERE id % 7 = 0;
TABLE wrong;
UPDATE sale SET id = id + 1000 WHERE id = 8;
TABLE wrong;
DELETE FROM sale WHERE shop = 1;
TABLE wrong;
UPDATE shop SET city = 'z', size = 9 WHERE id = 2;
TABLE wrong;
-- A change that no view above sees: nothing is written there.
UPDATE shop SET city = city;
TABLE wrong;
-- Both tables in one statement.
WITH x AS (UPDATE shop SET size = size + 1 RETURNING id), y AS (DELETE FROM sale WHERE id < 6 RETURNING id)
INSERT INTO sale SELECT 200 + i, i % 5, 'i' || i % 2, i FROM generate_series(1, 8) i;
TABLE wrong;
TABLE c3 ORDER BY n;
-- More rows than are read one by one or locked key by key.
INSERT INTO shop SELECT i, 'city' || i % 6, i % 4 FROM generate_series(10, 80) i;
INSERT INTO sale SELECT 1000 + i, 10 + i % 70, 'i' || i % 30, i FROM generate_series(1, 300) i ON CONFLICT DO NOTHING;
TABLE wrong;
UPDATE sale SET item = item || '!' WHERE id % 3 = 0;
TABLE wrong;

-- Several statements, savepoints, caught exceptions.
BEGIN;
DELETE FROM sale WHERE id % 4 = 0;
SAVEPOINT one;
UPDATE sale SET shop = 3;
TABLE wrong;
ROLLBACK TO one;
TABLE wrong;
INSERT INTO sale VALUES (300, 3, 'i1', 1);
DO $$
BEGIN
    UPDATE sale SET amount = amount * 2;
    PERFORM 1 / 0;
EXCEPTION WHEN division_by_zero THEN
    DELETE FROM sale WHERE id = 300;
END $$;
TABLE wrong;
COMMIT;
-- A function that changes what it reads, row by row, and fails now and then: one statement in the end.
CREATE FUNCTION move(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    UPDATE chains.sale SET shop = 2 WHERE id = i;
    IF i % 2 = 0 THEN
        RAISE EXCEPTION 'no';
    END IF;
    RETURN 1;
EXCEPTION WHEN raise_exception THEN
    RETURN 0;
END $$;
INSERT INTO sale SELECT 400 + i, move(1000 + i), 'new', 1 FROM generate_series(1, 20) i;
TABLE wrong;

-- TRUNCATE rebuilds what reads the table; what reads only the views above follows the difference.
TRUNCATE sale;
TABLE wrong;
SELECT * FROM d6;
INSERT INTO sale SELECT i, i % 4, 'i' || i % 3, i FROM generate_series(1, 40) i;
TABLE wrong;
TRUNCATE shop, sale;
TABLE wrong;
INSERT INTO shop VALUES (0, 'a', 1), (1, 'b', 2), (2, 'a', 3), (3, 'c', 1), (4, NULL, 1);
INSERT INTO sale SELECT i, i % 4, 'i' || i % 3, i FROM generate_series(1, 40) i;
TABLE wrong;

-- REFRESH of a view below.
REFRESH MATERIALIZED VIEW a1;
TABLE wrong;
UPDATE sale SET shop = (shop + 1) % 5 WHERE id % 7 = 0;
TABLE wrong;
-- Without data: all above are stale, and say why.
REFRESH MATERIALIZED VIEW a1 WITH NO DATA;
TABLE states;
DELETE FROM sale WHERE id = 3;
SELECT upkeep.refresh('d1');
SELECT upkeep.register('d1');
REFRESH MATERIALIZED VIEW a1;
SELECT count(*) FROM states WHERE state <> 'active';
TABLE wrong;
-- refresh() without a name goes from the bottom to the top.
REFRESH MATERIALIZED VIEW a1 WITH NO DATA;
SELECT count(*) FROM states WHERE state <> 'active';
SELECT upkeep.refresh() > 0 AS refreshed;
SELECT count(*) FROM states WHERE state <> 'active';
TABLE wrong;

-- The ordinary view between is replaced: what reads it follows. It must not lead back.
CREATE OR REPLACE VIEW between AS SELECT shop, n + 1 AS n FROM a1;
TABLE wrong;
UPDATE sale SET shop = 1 WHERE id % 9 = 0;
TABLE wrong;
CREATE MATERIALIZED VIEW f1 AS SELECT n, shops FROM e1;
SELECT upkeep.register('f1');
CREATE OR REPLACE VIEW between AS SELECT n::int AS shop, shops AS n FROM f1;
SELECT * FROM states WHERE view IN ('e1'::regclass, 'f1'::regclass);
SELECT code, what FROM upkeep.explain('e1');
CREATE OR REPLACE VIEW between AS SELECT shop, n FROM d1 WHERE n > 2;
REFRESH MATERIALIZED VIEW e1;
SELECT * FROM states WHERE state <> 'active';
TABLE wrong;

-- Something that a view below relies on changes.
CREATE FUNCTION twice(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 2 * n';
CREATE MATERIALIZED VIEW g1 AS SELECT shop, twice(count(*)) AS n FROM sale GROUP BY shop;
CREATE MATERIALIZED VIEW g2 AS SELECT n, count(*) AS shops FROM g1 GROUP BY n;
SELECT upkeep.register('g1');
SELECT upkeep.register('g2');
CREATE OR REPLACE FUNCTION twice(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 3 * n';
TABLE wrong;
CREATE OR REPLACE FUNCTION twice(n bigint) RETURNS bigint LANGUAGE sql VOLATILE AS 'SELECT 3 * n';
SELECT * FROM states WHERE state <> 'active';
CREATE OR REPLACE FUNCTION twice(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 2 * n';
REFRESH MATERIALIZED VIEW g1;
SELECT * FROM states WHERE state <> 'active';
TABLE wrong;

-- Rows below that are not what they should be (here by a superuser's hand): the views above are built anew.
DO $$
DECLARE
    state regclass;
BEGIN
    SELECT relation INTO state FROM upkeep.state_table WHERE view = 'chains.a2'::regclass;
    EXECUTE format('UPDATE %s SET n = 1 WHERE k1 = 2', state);
END $$;
DELETE FROM sale WHERE shop = 2;
TABLE wrong;

-- Renaming.
ALTER MATERIALIZED VIEW a1 RENAME COLUMN n TO many;
ALTER MATERIALIZED VIEW a1 RENAME TO a1_renamed;
INSERT INTO sale VALUES (500, 2, 'i1', 1), (501, 3, 'i2', 1);
TABLE wrong;
ALTER MATERIALIZED VIEW a1_renamed RENAME TO a1;
ALTER MATERIALIZED VIEW a1 RENAME COLUMN many TO n;

-- A view below cannot be unregistered while views follow it. It can be refreshed by hand: they follow when it is.
SELECT upkeep.unregister('a2');
SELECT upkeep.register('a2', mode => 'manual');
INSERT INTO sale SELECT 600 + i, i % 3, 'i' || i, i FROM generate_series(1, 10) i;
SELECT count(*) > 0 AS behind FROM upkeep.verify('a2');
SELECT count(*) AS differences FROM wrong WHERE view <> 'a2'::regclass;
SELECT lag > interval '0' AS lags FROM upkeep.views WHERE view = 'd1'::regclass;
SELECT upkeep.refresh('a2') > 0 AS refreshed;
TABLE wrong;
DELETE FROM sale WHERE id < 20;
REFRESH MATERIALIZED VIEW a2;
TABLE wrong;
-- Not in the midst of a statement: the others' changes are still to come.
CREATE FUNCTION refresh_a2() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM upkeep.refresh('chains.a2'); RETURN 1; END $$;
INSERT INTO sale VALUES (700, refresh_a2(), 'i1', 1);
SELECT upkeep.register('a2');
TABLE wrong;
SELECT * FROM states WHERE state <> 'active';

-- Rights.
CREATE ROLE regress_chains_owner;
GRANT USAGE, CREATE ON SCHEMA chains TO regress_chains_owner;
CREATE MATERIALIZED VIEW r1 AS SELECT shop, n FROM a1;
ALTER MATERIALIZED VIEW r1 OWNER TO regress_chains_owner;
SET ROLE regress_chains_owner;
SELECT upkeep.register('r1');
RESET ROLE;
GRANT SELECT ON a1 TO regress_chains_owner;
SET ROLE regress_chains_owner;
SELECT upkeep.register('r1');
RESET ROLE;
GRANT TRIGGER ON a1 TO regress_chains_owner;
SET ROLE regress_chains_owner;
SELECT upkeep.register('r1');
RESET ROLE;
INSERT INTO sale VALUES (701, 3, 'i1', 1);
TABLE wrong;
REVOKE SELECT ON a1 FROM regress_chains_owner;
-- Found out when the program is compiled again.
ALTER MATERIALIZED VIEW r1 RENAME TO r2;
INSERT INTO sale VALUES (702, 3, 'i1', 1);
SELECT * FROM states WHERE state <> 'active';
DROP MATERIALIZED VIEW r2;

-- Dropping.
DROP MATERIALIZED VIEW a2;
DROP MATERIALIZED VIEW a2 CASCADE;
TABLE states;
UPDATE sale SET amount = amount + 1;
TABLE wrong;
SELECT upkeep.unregister('c3'), upkeep.unregister('c2'), upkeep.unregister('c1');
UPDATE sale SET amount = amount + 1;
TABLE wrong;
DROP SCHEMA chains CASCADE;
DROP ROLE regress_chains_owner;
SELECT count(*) FROM upkeep.source WHERE view NOT IN (SELECT oid FROM pg_class);

-- Modes mixed: a view above follows those below when they change, and sees the changes of tables in its own time.
CREATE SCHEMA chains;
SET search_path = chains;
CREATE VIEW wrong AS
    SELECT w.view, v.* FROM upkeep.views w, upkeep.verify(w.view) v
    WHERE w.view IN (SELECT oid FROM pg_class WHERE relnamespace = 'chains'::regnamespace);
CREATE TABLE t (id int PRIMARY KEY, g int, v int);
INSERT INTO t SELECT i, i % 5, i FROM generate_series(1, 30) i;
CREATE MATERIALIZED VIEW now1 AS SELECT g, count(*) AS n, avg(v) AS mean FROM t GROUP BY g;
CREATE MATERIALIZED VIEW later1 AS SELECT g, max(v) AS m FROM t GROUP BY g;
CREATE MATERIALIZED VIEW now2 AS SELECT t.id, n.n, l.m FROM t JOIN now1 n ON n.g = t.g LEFT JOIN later1 l ON l.g = t.g;
CREATE MATERIALIZED VIEW later2 AS SELECT t.id, n.n, l.m FROM t JOIN now1 n ON n.g = t.g LEFT JOIN later1 l ON l.g = t.g;
CREATE MATERIALIZED VIEW now3 AS SELECT x.id, y.m, y.n FROM now2 x JOIN later2 y ON y.id = x.id;
CREATE MATERIALIZED VIEW later3 AS SELECT n, count(*) AS ids, sum(m) AS s FROM now3 GROUP BY n;
CREATE MATERIALIZED VIEW now4 AS SELECT sum(ids) AS ids, max(s) AS s FROM later3;
SELECT upkeep.register('now1'), upkeep.register('later1', 'commit'), upkeep.register('now2'), upkeep.register('later2', 'commit'),
    upkeep.register('now3'), upkeep.register('later3', 'commit'), upkeep.register('now4');
UPDATE t SET g = g + 1 WHERE id < 6;
TABLE wrong;
BEGIN;
INSERT INTO t SELECT i, i % 6, i FROM generate_series(40, 50) i;
-- Nothing is wrong but what waits for the commit: now2 and now3 are right for what they read.
SELECT view, count(*) FROM wrong GROUP BY view ORDER BY view::text;
UPDATE t SET v = v + 100 WHERE g = 2;
SAVEPOINT one;
DELETE FROM t WHERE g = 3;
ROLLBACK TO one;
SELECT view FROM wrong WHERE view::text ~ 'now' GROUP BY view;
DELETE FROM t WHERE g = 1;
COMMIT;
TABLE wrong;
BEGIN;
DELETE FROM t WHERE id % 7 = 0;
REFRESH MATERIALIZED VIEW now1;
UPDATE t SET g = 4 WHERE id % 3 = 0;
REFRESH MATERIALIZED VIEW later1;
UPDATE t SET v = v - 1;
SELECT upkeep.register('later2', 'commit');
INSERT INTO t VALUES (60, 9, 9);
COMMIT;
TABLE wrong;
BEGIN;
TRUNCATE t;
INSERT INTO t SELECT i, i % 3, i FROM generate_series(1, 9) i;
COMMIT;
TABLE wrong;
-- Rows of a view below that are not what they should be.
BEGIN;
UPDATE t SET v = v + 1 WHERE id = 1;
DO $$
DECLARE
    state regclass;
BEGIN
    SELECT relation INTO state FROM upkeep.state_table WHERE view = 'chains.now1'::regclass;
    EXECUTE format('UPDATE %s SET n = 1', state);
END $$;
DELETE FROM t WHERE id < 7;
COMMIT;
TABLE wrong;
SELECT upkeep.register('later1', 'manual');
DELETE FROM t WHERE id = 8;
SELECT view FROM wrong GROUP BY view;
BEGIN;
UPDATE t SET g = 1 WHERE id = 9;
SELECT upkeep.refresh('later1') > 0 AS refreshed;
INSERT INTO t VALUES (61, 1, 99);
COMMIT;
SELECT view FROM wrong GROUP BY view;
SELECT upkeep.refresh('later1') > 0 AS refreshed;
TABLE wrong;

-- A partition comes and goes, under a table and a view of it.
CREATE TABLE p (id int, g int) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
CREATE TABLE p2 (id int, g int);
INSERT INTO p SELECT i, i % 5 FROM generate_series(1, 50) i;
INSERT INTO p2 SELECT i, i % 7 FROM generate_series(100, 130) i;
CREATE MATERIALIZED VIEW pg AS SELECT g, count(*) AS n FROM p GROUP BY g;
CREATE MATERIALIZED VIEW pj AS SELECT p.id, pg.n FROM p JOIN pg ON pg.g = p.g;
CREATE MATERIALIZED VIEW pn AS SELECT pj.n, count(*) AS rows, min(p.id) AS id FROM pj JOIN p ON p.id = pj.id GROUP BY pj.n;
CREATE MATERIALIZED VIEW pc AS SELECT p.id, pg.n FROM p JOIN pg ON pg.g = p.g;
SELECT upkeep.register('pg'), upkeep.register('pj'), upkeep.register('pn'), upkeep.register('pc', 'commit');
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (100) TO (200);
TABLE wrong;
UPDATE p SET g = g + 1 WHERE id % 10 = 0;
TABLE wrong;
BEGIN;
INSERT INTO p VALUES (150, 1);
ALTER TABLE p DETACH PARTITION p2;
SELECT view FROM wrong WHERE view <> 'pc'::regclass GROUP BY view;
COMMIT;
TABLE wrong;
DROP SCHEMA chains CASCADE;
