-- INTERSECT ALL and EXCEPT ALL: rows with multiplicities.
SET client_min_messages = warning;
CREATE SCHEMA counting;
SET search_path = counting, public;
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'counting'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";

CREATE TABLE a (x int, y text, n numeric);
CREATE TABLE b (p smallint, q varchar, m float8);
INSERT INTO a VALUES (1, 'a', 1), (1, 'a', 1.0), (1, 'a', 2), (2, 'b', NULL), (NULL, NULL, 3), (NULL, NULL, 3.00);
INSERT INTO b VALUES (1, 'a', 1), (1, 'a', 2), (2, 'b', 3), (2, 'b', 3), (NULL, NULL, 3), (3, 'c', 0);
CREATE MATERIALIZED VIEW both_all AS SELECT x, y FROM a INTERSECT ALL SELECT p, q FROM b;
CREATE MATERIALIZED VIEW less_all AS SELECT x AS k, y FROM a EXCEPT ALL SELECT p, q FROM b;
CREATE MATERIALIZED VIEW more_all AS SELECT p, q FROM b EXCEPT ALL SELECT x, y FROM a;
CREATE MATERIALIZED VIEW mixed AS (SELECT x FROM a EXCEPT ALL SELECT p FROM b) UNION ALL (SELECT p FROM b INTERSECT ALL (SELECT x FROM a EXCEPT SELECT 2));
CREATE MATERIALIZED VIEW nested_all AS SELECT x FROM a EXCEPT ALL (SELECT p FROM b INTERSECT ALL SELECT x FROM a WHERE y = 'a');
CREATE MATERIALIZED VIEW counted AS SELECT x, count(*) AS c, string_agg(y, ',' ORDER BY y) AS l FROM (SELECT x, y FROM a INTERSECT ALL SELECT p, q FROM b) s GROUP BY x;
CREATE MATERIALIZED VIEW joined AS SELECT s.x, a.n FROM (SELECT x FROM a EXCEPT ALL SELECT p FROM b) s JOIN a USING (x);
CREATE MATERIALIZED VIEW beside AS SELECT b.p, s.x FROM b LEFT JOIN (SELECT x FROM a INTERSECT ALL SELECT p FROM b) s ON s.x = b.p;
CREATE MATERIALIZED VIEW within AS SELECT p, q FROM b WHERE EXISTS (SELECT x FROM a WHERE y = 'a' EXCEPT ALL SELECT p FROM b);
CREATE MATERIALIZED VIEW images AS SELECT n FROM a INTERSECT ALL SELECT m::numeric FROM b;
CREATE MATERIALIZED VIEW image_rest AS SELECT n, x FROM a EXCEPT ALL SELECT m::numeric, p FROM b;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'counting'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
CREATE TEMP TABLE built AS SELECT view, last_maintenance FROM upkeep.views;
TABLE wrong;
SELECT * FROM both_all ORDER BY 1;
SELECT * FROM less_all ORDER BY 1;
SELECT * FROM mixed ORDER BY 1;
INSERT INTO a SELECT x, y, n FROM a;
TABLE wrong;
INSERT INTO b SELECT p, q, m FROM b WHERE p = 1;
TABLE wrong;
SELECT * FROM both_all ORDER BY 1;
SELECT * FROM less_all ORDER BY 1;
UPDATE a SET x = 2, y = 'b' WHERE x = 1 AND n = 1;
TABLE wrong;
WITH gone AS (DELETE FROM b WHERE p = 2 RETURNING *), added AS (INSERT INTO a SELECT p, q, m FROM b WHERE p IS NULL) UPDATE a SET x = x + 1 WHERE x = 2;
TABLE wrong;
BEGIN;
DELETE FROM a WHERE x = 1;
SAVEPOINT s;
INSERT INTO a SELECT 3, 'c', i FROM generate_series(1, 5) i;
INSERT INTO b VALUES (3, 'c', 4);
TABLE wrong;
ROLLBACK TO s;
UPDATE b SET p = NULL, q = NULL;
TABLE wrong;
COMMIT;
SELECT * FROM counted ORDER BY 1;
UPDATE a SET n = n * 1.00;
UPDATE b SET m = m + 1;
TABLE wrong;
INSERT INTO a VALUES (7, 'i', 7.0), (7, 'i', 7.00), (7, 'i', 7), (7, 'i', 7.000);
INSERT INTO b VALUES (7, 'i', 7), (7, 'i', 7), (8, 'j', 7);
TABLE wrong;
DELETE FROM a WHERE n::text IN ('7.0', '7');
TABLE wrong;
SELECT n, count(*) FROM images WHERE n = 7 GROUP BY n;
TRUNCATE b;
TABLE wrong;
INSERT INTO b SELECT i % 5, 'x', i % 3 FROM generate_series(1, 20) i;
TABLE wrong;
TRUNCATE a, b;
TABLE wrong;
SELECT v.view FROM upkeep.views v JOIN built b USING (view) WHERE v.last_maintenance IS NULL;

-- Nothing is evaluated for rows that are there no times, neither when the views are built nor when rows change.
CREATE TABLE l (x int);
CREATE TABLE r (x int);
INSERT INTO l VALUES (0), (1), (2), (2), (2147483647);
INSERT INTO r VALUES (0), (2), (5);
CREATE MATERIALIZED VIEW divided AS SELECT x, 10 / x AS q FROM (SELECT x FROM l EXCEPT ALL SELECT x FROM r) s WHERE 10 / x > 1;
CREATE MATERIALIZED VIEW counted_out AS SELECT x, g FROM (SELECT x FROM l EXCEPT ALL SELECT x FROM r) s, generate_series(10 / x, 11) g WHERE x < 9;
CREATE MATERIALIZED VIEW keyed AS SELECT 10 / x AS k, count(*) AS n FROM (SELECT x FROM l EXCEPT ALL SELECT x FROM r) s GROUP BY 10 / x;
CREATE MATERIALIZED VIEW in_both AS SELECT x, g FROM (SELECT x FROM l INTERSECT ALL SELECT x FROM r) s, generate_series(1, x) g WHERE g < 3;
SELECT upkeep.register('divided'), upkeep.register('counted_out'), upkeep.register('keyed'), upkeep.register('in_both');
INSERT INTO r VALUES (0), (2);
INSERT INTO l VALUES (0), (2), (5);
TABLE wrong;
UPDATE l SET x = x WHERE x = 0;
DELETE FROM r WHERE x = 2;
TABLE wrong;
SELECT * FROM divided ORDER BY x;
SELECT * FROM in_both ORDER BY x, g;
INSERT INTO l VALUES (0);
TABLE wrong;

SET client_min_messages = warning;
DROP SCHEMA counting CASCADE;
