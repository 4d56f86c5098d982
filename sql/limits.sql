-- LIMIT and OFFSET that are computed: from tables, which then are sources of the view.
SET client_min_messages = warning;
CREATE SCHEMA limits;
SET search_path = limits, public;
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'limits'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";
CREATE TABLE t (id int PRIMARY KEY, x int, s text COLLATE "C");
INSERT INTO t SELECT i, i % 7, 's' || i % 3 FROM generate_series(1, 20) i;
CREATE TABLE conf (name text PRIMARY KEY, n bigint, note text);
INSERT INTO conf VALUES ('top', 3), ('skip', 2), ('other', 1);
CREATE VIEW setting AS SELECT name, n FROM conf;
CREATE MATERIALIZED VIEW top AS SELECT id, x FROM t ORDER BY x DESC, id LIMIT (SELECT n FROM conf WHERE name = 'top');
CREATE MATERIALIZED VIEW page AS SELECT id, x FROM t ORDER BY id OFFSET (SELECT n FROM conf WHERE name = 'skip') LIMIT (SELECT n FROM setting WHERE name = 'top');
CREATE MATERIALIZED VIEW rest AS SELECT id FROM t ORDER BY id OFFSET (SELECT n FROM conf WHERE name = 'skip');
CREATE MATERIALIZED VIEW half AS SELECT id FROM t ORDER BY id LIMIT (SELECT count(*) / 2 FROM t);
CREATE MATERIALIZED VIEW ties AS SELECT x, s FROM t ORDER BY x FETCH FIRST ((SELECT max(n) FROM conf)) ROWS WITH TIES;
CREATE MATERIALIZED VIEW folded AS SELECT id FROM t ORDER BY id LIMIT 2 + 1;
CREATE MATERIALIZED VIEW below AS SELECT s, count(*) AS n FROM (SELECT s FROM t ORDER BY x, id LIMIT (SELECT n * 2 FROM conf WHERE name = 'top')) q GROUP BY s;
CREATE MATERIALIZED VIEW grouped AS WITH c AS (SELECT max(n) AS n FROM conf) SELECT s, sum(x) AS x FROM t GROUP BY s ORDER BY 2 DESC, 1 LIMIT (SELECT n - 1 FROM c);
CREATE MATERIALIZED VIEW united AS SELECT x FROM t UNION SELECT id FROM t ORDER BY 1 LIMIT (SELECT n FROM conf WHERE name = 'top');
CREATE MATERIALIZED VIEW lateral_one AS SELECT c.name, q.id FROM conf c, LATERAL (SELECT id FROM t WHERE x = c.n ORDER BY id LIMIT c.n) q;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'limits'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
TABLE wrong;
CREATE TEMP TABLE built AS SELECT view, last_maintenance FROM upkeep.views;
-- Before, among and behind the rows that are kept.
INSERT INTO t VALUES (0, 9, 's1'), (50, -1, 's2');
TABLE wrong;
TABLE top;
DELETE FROM t WHERE id IN (6, 13, 50);
TABLE wrong;
UPDATE t SET x = x + 1 WHERE id % 2 = 0;
TABLE wrong;
-- The limit goes up, down, away, and to nothing.
UPDATE conf SET n = n + 2;
TABLE wrong;
SELECT count(*) FROM top;
UPDATE conf SET n = 1 WHERE name = 'top';
TABLE wrong;
UPDATE conf SET n = NULL WHERE name = 'top';
TABLE wrong;
SELECT count(*) FROM top;
INSERT INTO t VALUES (51, 3, 's0');
TABLE wrong;
DELETE FROM conf WHERE name = 'skip';
TABLE wrong;
UPDATE conf SET n = 0 WHERE name = 'top';
INSERT INTO t VALUES (-1, 99, 's9');
TABLE wrong;
-- Both at once, and what matters to neither.
WITH c AS (UPDATE conf SET n = 4 WHERE name = 'top') DELETE FROM t WHERE x > 5;
TABLE wrong;
UPDATE conf SET note = 'changed';
TABLE wrong;
-- What the query could not compute, a statement cannot leave behind.
\set VERBOSITY terse
UPDATE conf SET n = -1 WHERE name = 'top';
INSERT INTO conf VALUES ('skip', -5);
\set VERBOSITY default
TABLE wrong;
SELECT n FROM conf ORDER BY name;
BEGIN;
UPDATE conf SET n = 2 WHERE name = 'top';
SAVEPOINT a;
UPDATE conf SET n = 9;
INSERT INTO t SELECT i, i % 7, 's' FROM generate_series(100, 140) i;
ROLLBACK TO a;
INSERT INTO t VALUES (60, 1, 's1');
COMMIT;
TABLE wrong;
INSERT INTO t SELECT i, i % 7, 's' || i % 5 FROM generate_series(200, 600) i;
UPDATE conf SET n = 100;
TABLE wrong;
SELECT v.view FROM upkeep.views v JOIN built b ON b.view = v.view WHERE v.last_maintenance <> b.last_maintenance ORDER BY 1;
TRUNCATE conf;
TABLE wrong;
-- Rows that the query has no use for can move its limit.
CREATE MATERIALIZED VIEW few AS SELECT id FROM t WHERE x > 1000 LIMIT (SELECT count(*) % 3 FROM t);
SELECT upkeep.register('few');
INSERT INTO t SELECT 900 + i, 2000 FROM generate_series(1, 3) i;
SELECT * FROM upkeep.verify('few');
INSERT INTO t VALUES (910, 1);
SELECT * FROM upkeep.verify('few');
INSERT INTO t VALUES (911, 1);
SELECT * FROM upkeep.verify('few');
DELETE FROM t WHERE id = 910;
SELECT * FROM upkeep.verify('few');
-- Steps; and what depends on more than tables.
SELECT trigger, operator, strategy FROM upkeep.explain('limits.top');
SELECT code, what FROM upkeep.explain('SELECT id FROM limits.t ORDER BY id LIMIT (SELECT count(*) FROM limits.t WHERE random() < 0.5)');
SELECT code, what FROM upkeep.explain('SELECT id FROM limits.t ORDER BY id LIMIT current_setting(''limits.n'')::int');
SELECT code, what FROM upkeep.explain('SELECT id FROM limits.t ORDER BY id OFFSET extract(hour FROM now())::int');
DROP TABLE built;
DROP SCHEMA limits CASCADE;
