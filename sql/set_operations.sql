SET client_min_messages = warning;
-- INTERSECT and EXCEPT: one count for each side.
CREATE SCHEMA sides;
SET search_path = sides;
CREATE TABLE l (id int, g text, n numeric);
CREATE TABLE r (id bigint, g text, n numeric);
INSERT INTO l SELECT i % 7, 'g' || i % 3, i % 2 FROM generate_series(1, 20) i;
INSERT INTO r SELECT i % 5, 'g' || i % 4, i % 2 FROM generate_series(1, 20) i;
CREATE MATERIALIZED VIEW v1 AS SELECT id FROM l INTERSECT SELECT id FROM r;
CREATE MATERIALIZED VIEW v2 AS SELECT id, g FROM l EXCEPT SELECT id, g FROM r;
CREATE MATERIALIZED VIEW v3 AS (SELECT g FROM l EXCEPT SELECT g FROM r) UNION ALL (SELECT g FROM r INTERSECT SELECT g FROM l);
CREATE MATERIALIZED VIEW v4 AS SELECT x.g, count(*) FROM (SELECT id, g FROM l EXCEPT SELECT id, g FROM r) x JOIN r ON r.id = x.id GROUP BY x.g;
CREATE MATERIALIZED VIEW v5 AS SELECT id FROM l EXCEPT SELECT id FROM r EXCEPT SELECT id + 1 FROM l;
CREATE MATERIALIZED VIEW v6 AS SELECT id FROM l WHERE id IN (SELECT id FROM r INTERSECT SELECT id FROM l WHERE g = 'g1');
SELECT upkeep.register(c.oid) FROM pg_class c WHERE relnamespace = 'sides'::regnamespace AND relkind = 'm' ORDER BY relname;
CREATE VIEW wrong AS SELECT w.view, v.* FROM upkeep.views w, upkeep.verify(w.view) v;
TABLE wrong;
DELETE FROM l WHERE id = 3;
TABLE wrong;
INSERT INTO r VALUES (3, 'g1', 1), (NULL, NULL, NULL);
INSERT INTO l VALUES (NULL, NULL, NULL), (NULL, 'g1', NULL);
TABLE wrong;
UPDATE r SET id = id + 1, g = 'g2' WHERE id < 3;
TABLE wrong;
WITH d AS (DELETE FROM l WHERE id < 2 RETURNING *) INSERT INTO r SELECT id, g, n FROM d;
TABLE wrong;
DELETE FROM r WHERE g = 'g2';
TABLE wrong;
SELECT * FROM v2 ORDER BY id, g;
TRUNCATE l;
TABLE wrong;
SELECT view FROM upkeep.views WHERE state <> 'active';
-- An arm with a subquery that is evaluated again.
CREATE TABLE outside (n int, c text);
CREATE TABLE inside (n int);
INSERT INTO outside SELECT i, 'c' || i FROM generate_series(1, 5) i;
INSERT INTO inside VALUES (2), (3), (3), (NULL);
CREATE MATERIALIZED VIEW with_arms AS
    SELECT o.c, (SELECT array_agg(i.n ORDER BY i.n) FROM inside i WHERE i.n < o.n) AS a FROM outside o
    UNION SELECT c, NULL FROM outside o WHERE o.n NOT IN (SELECT i.n FROM inside i WHERE i.n > o.n);
SELECT upkeep.register('with_arms');
INSERT INTO inside VALUES (1), (4);
DELETE FROM inside WHERE n IS NULL OR n = 3;
UPDATE outside SET n = n + 1 WHERE n > 2;
SELECT * FROM with_arms ORDER BY c, a;
SELECT * FROM upkeep.verify('with_arms');
DROP SCHEMA sides CASCADE;
