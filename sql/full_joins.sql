-- FULL JOINs side by side, in chains and in trees: the rows of each but the last are stored, with the expressions by which the
-- joins above are tied, so that a change runs a few statements for each join.
SET client_min_messages = warning;
SET jit = off;
CREATE SCHEMA fulls;
SET search_path = fulls, public;
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'fulls'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";
CREATE TABLE a (id int PRIMARY KEY, k int, x int);
INSERT INTO a VALUES (1, 1, 10), (2, 2, 20), (3, 2, 21), (4, NULL, 30), (5, 5, NULL);
CREATE TABLE b (id int, k int, x numeric);
INSERT INTO b VALUES (1, 1, 1.0), (2, 3, 1.00), (2, 3, 1.00), (4, NULL, 2), (5, 5, NULL);
CREATE TABLE c (k int, w text COLLATE "C");
INSERT INTO c VALUES (2, 'c2'), (3, 'c3'), (6, 'c6'), (NULL, 'none');
CREATE TABLE d (k int, w text COLLATE "C");
INSERT INTO d VALUES (1, 'd1'), (1, 'd1'), (6, 'd6'), (7, NULL);
CREATE TABLE e (k int, y int);
INSERT INTO e VALUES (7, 7), (2, 2), (8, 8);
CREATE MATERIALIZED VIEW merged AS
    SELECT k, a.x AS a, b.x AS b, c.w AS c, d.w AS d, e.y AS e FROM a FULL JOIN b USING (k) FULL JOIN c USING (k) FULL JOIN d USING (k) FULL JOIN e USING (k);
CREATE MATERIALIZED VIEW totals AS
    SELECT k, count(*) AS n, sum(a.x) AS a, max(b.x) AS b, count(DISTINCT c.w) AS c, string_agg(d.w, ',' ORDER BY d.w) AS d
    FROM a FULL JOIN b USING (k) FULL JOIN c USING (k) FULL JOIN d USING (k) GROUP BY k;
CREATE MATERIALIZED VIEW chosen AS
    SELECT coalesce(x.k, y.k, z.k, v.k) AS k, x.n AS a, y.n AS b, z.n AS c, v.n AS d
    FROM (SELECT k, count(*) AS n FROM a GROUP BY k) x FULL JOIN (SELECT k, sum(x) AS n FROM b GROUP BY k) y ON y.k = x.k
        FULL JOIN (SELECT k, max(w) AS n FROM c GROUP BY k) z ON z.k = coalesce(x.k, y.k) FULL JOIN (SELECT DISTINCT k, w AS n FROM d) v ON v.k = coalesce(x.k, y.k, z.k);
-- Ties of other columns, with conditions over one side, under other names.
CREATE MATERIALIZED VIEW path AS
    SELECT a.id, b.id AS b, c.w AS c, d.w AS d, e.y AS e FROM a FULL JOIN b ON b.id = a.id AND a.x > 10 FULL JOIN c ON c.k = b.k FULL JOIN d ON d.k = a.k AND d.w IS NOT NULL FULL JOIN e ON e.k = c.k;
CREATE MATERIALIZED VIEW tree AS
    SELECT k, a.id, b.id AS b, c.w AS c, d.w AS d FROM (a FULL JOIN b USING (k)) FULL JOIN (c FULL JOIN d USING (k)) USING (k);
CREATE MATERIALIZED VIEW inner_side AS SELECT a.id, b.id AS b, c.w, d.w AS d FROM a LEFT JOIN (b FULL JOIN c ON c.k = b.k) ON b.k = a.k RIGHT JOIN d ON d.k = c.k;
CREATE MATERIALIZED VIEW two AS SELECT a.id, b.id AS b, c.w FROM a FULL JOIN b ON b.k = a.k FULL JOIN c ON c.k = b.k;
CREATE MATERIALIZED VIEW mixed AS
    SELECT a, b.x, c.w, d.w AS d, e.y FROM e g JOIN a ON a.k = g.k FULL JOIN b ON b.k = a.k LEFT JOIN c ON c.k = coalesce(a.k, b.k) FULL JOIN d ON d.k = c.k RIGHT JOIN e ON e.k = d.k;
CREATE MATERIALIZED VIEW beside AS
    SELECT e.y, a.id, b.id AS b, d.w FROM e, a FULL JOIN b ON b.k = a.k FULL JOIN c ON c.k = a.k FULL JOIN d ON d.k = c.k WHERE e.k = a.k OR d.k = e.k;
CREATE MATERIALIZED VIEW everything AS SELECT a.id, b.id AS b, c.w, d.w AS d FROM a FULL JOIN b ON true FULL JOIN c ON false FULL JOIN d ON d.k = c.k AND d.k > a.k;
-- Below a condition on one side it is a LEFT JOIN: a change of that side touches the rows that the condition ties to it.
CREATE MATERIALIZED VIEW tied AS SELECT a.id, s.b, s.w FROM a LEFT JOIN LATERAL (SELECT b.id AS b, c.w FROM b FULL JOIN c ON c.k = b.k WHERE b.x = a.k) s ON true;
CREATE MATERIALIZED VIEW tied_first AS SELECT a.id, s.b, s.w FROM a LEFT JOIN LATERAL (SELECT b.id AS b, c.w FROM b FULL JOIN c ON c.k = b.k WHERE b.x = a.k ORDER BY 1, 2 LIMIT 3) s ON true;
CREATE MATERIALIZED VIEW number AS SELECT count(*) AS n FROM a FULL JOIN b USING (k) FULL JOIN c USING (k) FULL JOIN d USING (k);
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'fulls'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
CREATE TEMP TABLE built AS SELECT view, last_maintenance FROM upkeep.views;
TABLE wrong;
INSERT INTO a VALUES (10, 3, 5), (11, 6, 5), (12, NULL, 5);
TABLE wrong;
INSERT INTO b VALUES (10, 6, 1.0), (3, 2, 7), (3, 2, 7), (NULL, NULL, NULL);
TABLE wrong;
INSERT INTO c VALUES (1, 'c1'), (7, 'c7'), (7, 'c7'), (8, NULL);
TABLE wrong;
INSERT INTO d VALUES (2, 'd2'), (NULL, 'nothing');
INSERT INTO e VALUES (1, 1), (1, 1), (NULL, 0);
TABLE wrong;
UPDATE a SET k = coalesce(k, 0) + 1;
TABLE wrong;
UPDATE b SET k = k - 1, x = x * 1.0;
TABLE wrong;
UPDATE c SET k = 2 WHERE k IN (6, 7);
UPDATE c SET w = w || '!';
TABLE wrong;
UPDATE d SET k = nullif(k, 6);
TABLE wrong;
DELETE FROM e WHERE k = 1;
DELETE FROM b WHERE k = 1;
TABLE wrong;
WITH x AS (DELETE FROM d WHERE k = 1 RETURNING k), y AS (INSERT INTO c SELECT k, 'of d' FROM x), z AS (UPDATE a SET k = 3 WHERE id < 3) INSERT INTO b SELECT k, k, k FROM x;
TABLE wrong;
DELETE FROM c;
TABLE wrong;
DELETE FROM a;
TABLE wrong;
DELETE FROM b;
DELETE FROM d;
DELETE FROM e;
TABLE wrong;
INSERT INTO d VALUES (1, 'first');
INSERT INTO a VALUES (1, 1, 1), (2, 1, 2);
INSERT INTO c VALUES (1, 'c');
INSERT INTO e VALUES (1, 1), (2, 2);
INSERT INTO b VALUES (1, 1, 1);
TABLE wrong;
-- The changes were followed, and nothing was computed anew.
SELECT v.view FROM upkeep.views v JOIN built b ON b.view = v.view WHERE v.last_maintenance <> b.last_maintenance ORDER BY 1;
SELECT view::text, strategy FROM upkeep.views v JOIN pg_class c ON c.oid = v.view WHERE relnamespace = 'fulls'::regnamespace ORDER BY view::text COLLATE "C";
SELECT trigger, operator, strategy FROM upkeep.explain('SELECT k, a.x FROM fulls.a FULL JOIN fulls.b USING (k) FULL JOIN fulls.c USING (k)');
SELECT trigger, operator, strategy FROM upkeep.explain('fulls.tied_first');
-- Deferred, and in a transaction that is rolled back.
SELECT upkeep.register('merged', mode => 'deferred');
SELECT upkeep.refresh('merged');
INSERT INTO a SELECT i, i % 5, i FROM generate_series(20, 30) i;
UPDATE c SET k = 3;
DELETE FROM e WHERE k = 1;
SELECT upkeep.refresh('merged');
TABLE wrong;
BEGIN;
DELETE FROM a;
SAVEPOINT s;
DELETE FROM b;
ROLLBACK TO s;
UPDATE d SET k = 9;
ROLLBACK;
TABLE wrong;
DROP TABLE built;
DROP SCHEMA fulls CASCADE;
