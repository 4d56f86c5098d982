-- Many outer joins side by side, in chains and in trees: their number is not limited, and a change runs as many statements
-- as there are joins.
SET client_min_messages = warning;
CREATE SCHEMA chains;
SET search_path = chains, public;
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'chains'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";
CREATE TABLE a (id int PRIMARY KEY, k1 int, k2 int, k3 int, x int);
INSERT INTO a SELECT i, i % 5, nullif(i % 4, 3), i % 3, i FROM generate_series(1, 15) i;
CREATE TABLE b (k int, n int, w text COLLATE "C");
INSERT INTO b SELECT i % 7, i % 3, 'w' || i FROM generate_series(1, 5) i;
CREATE TABLE c (k int, y int);
INSERT INTO c VALUES (0, 0), (1, NULL), (1, 2), (3, 1), (NULL, 1);
CREATE TABLE d (k int PRIMARY KEY, z text COLLATE "C");
INSERT INTO d VALUES (0, 'd0'), (2, 'd2');
-- A star, each dimension several times; a chain, of which each join reads the one before.
CREATE MATERIALIZED VIEW star AS
    SELECT a.id, b1.w AS w1, b2.w AS w2, c1.y AS y1, d1.z AS z1, d2.z AS z2, d3.z AS z3, c2.y AS y2
    FROM a LEFT JOIN b b1 ON b1.k = a.k1 LEFT JOIN b b2 ON b2.k = a.k2 AND b2.n > 0 LEFT JOIN c c1 ON c1.k = a.k3 LEFT JOIN d d1 ON d1.k = a.k1
        LEFT JOIN d d2 ON d2.k = a.k2 LEFT JOIN d d3 ON d3.k = a.k3 AND a.x > 3 LEFT JOIN c c2 ON c2.k = a.k1 AND c2.y IS NOT NULL;
CREATE MATERIALIZED VIEW chain AS
    SELECT a.id, b.n, c.y, d.z, c2.k AS k2, d2.z AS z2, a3.x
    FROM a LEFT JOIN b ON b.k = a.k1 LEFT JOIN c ON c.k = b.n LEFT JOIN d ON d.k = c.y LEFT JOIN c c2 ON c2.y = d.k LEFT JOIN d d2 ON d2.k = c2.k LEFT JOIN a a3 ON a3.id = d2.k + 1;
-- Sides that are queries, unions, groups; expressions that are not NULL where all columns are; conditions above.
CREATE MATERIALIZED VIEW sides AS
    SELECT a.id, q.v, g.n AS n, u.k AS u, coalesce(e.t, '-') AS t, d.z, l.one
    FROM a LEFT JOIN (SELECT k, coalesce(w, 'none') || n AS v FROM b WHERE n < 2) q ON q.k = a.k1
        LEFT JOIN (SELECT k, count(*) AS n FROM c GROUP BY k) g ON g.k = a.k2
        LEFT JOIN (SELECT k FROM b UNION ALL SELECT k FROM c) u ON u.k = a.k3
        LEFT JOIN (SELECT DISTINCT z AS t, k + 1 AS k FROM d) e ON e.k = a.k1
        LEFT JOIN d ON d.k = a.k2 LEFT JOIN (SELECT 1 AS one, k FROM d) l ON l.k = a.k1
    WHERE a.x > 2 AND (d.z IS NULL OR g.n > 0);
CREATE MATERIALIZED VIEW grouped AS
    SELECT b.w, count(*) AS n, count(d.z) AS z, sum(a.x) AS x, max(c.y) AS y, count(DISTINCT e.z) AS e
    FROM a LEFT JOIN b ON b.k = a.k1 LEFT JOIN c ON c.k = a.k2 LEFT JOIN d ON d.k = a.k3 LEFT JOIN d e ON e.k = c.y LEFT JOIN c f ON f.k = e.k GROUP BY b.w;
-- Mixed with inner joins, RIGHT and FULL joins, joins inside joins, and what stands beside them.
CREATE MATERIALIZED VIEW mixed AS
    SELECT a.id, b.w, c.y, d.z, x.id AS x, e.z AS e
    FROM c RIGHT JOIN (a JOIN b ON b.k = a.k1) ON c.k = b.n LEFT JOIN d ON d.k = a.k3 LEFT JOIN (a x LEFT JOIN d e ON e.k = x.k2 JOIN b g ON g.k = x.k1) ON x.id = a.id + 1
        LEFT JOIN c h ON h.k = a.k2;
CREATE MATERIALIZED VIEW full_joins AS
    SELECT a.id, b.w, c.y, d.z, e.z AS e, f.y AS f FROM a FULL JOIN b ON b.k = a.k1 LEFT JOIN c ON c.k = b.n FULL JOIN d ON d.k = a.k2 LEFT JOIN d e ON e.k = c.y LEFT JOIN c f ON f.k = e.k;
CREATE MATERIALIZED VIEW beside AS
    SELECT q.z, a.id, b.w, c.y, e.z AS e FROM d q, a LEFT JOIN b ON b.k = a.k1 LEFT JOIN c ON c.k = a.k2 LEFT JOIN d e ON e.k = a.k3 LEFT JOIN d f ON f.k = b.n LEFT JOIN c g ON g.k = f.k WHERE q.k = a.k1;
CREATE MATERIALIZED VIEW using_columns AS
    SELECT k, t.n, u.y, v.z FROM b t LEFT JOIN c u USING (k) LEFT JOIN d v USING (k) LEFT JOIN c w USING (k) LEFT JOIN d x USING (k) LEFT JOIN b y USING (k);
-- Whole rows, EXISTS above, subqueries in conditions and in the select list.
CREATE MATERIALIZED VIEW rows AS
    SELECT a.id, d1, c1 IS NULL AS no_c, (SELECT max(y) FROM c WHERE c.k = b.n) AS m
    FROM a LEFT JOIN b ON b.k = a.k1 LEFT JOIN c c1 ON c1.k = b.n LEFT JOIN d d1 ON d1.k = a.k2 LEFT JOIN c c2 ON c2.k = d1.k LEFT JOIN d d3 ON d3.k = c2.y
    WHERE NOT EXISTS (SELECT FROM c WHERE c.k = a.k3 AND c.y = 1);
CREATE MATERIALIZED VIEW again AS
    SELECT a.id, b.w, c.y, d.z, e.k FROM a LEFT JOIN b ON b.k > a.k1 + 3 LEFT JOIN c ON c.k = a.k2 LEFT JOIN d ON d.k = a.k3 LEFT JOIN LATERAL (SELECT k FROM d WHERE d.k <= a.k1 ORDER BY k DESC LIMIT 1) e ON true LEFT JOIN c g ON g.k = e.k;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'chains'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
CREATE TEMP TABLE built AS SELECT view, last_maintenance FROM upkeep.views;
TABLE wrong;
SELECT view::text, strategy FROM upkeep.views v JOIN pg_class c ON c.oid = v.view WHERE relnamespace = 'chains'::regnamespace AND strategy <> 'incremental' ORDER BY 1;
INSERT INTO a VALUES (20, 0, 0, 0, 20), (21, NULL, NULL, NULL, NULL), (22, 6, 1, 2, 5);
TABLE wrong;
INSERT INTO d VALUES (1, 'd1'), (3, 'd3');
TABLE wrong;
DELETE FROM d WHERE k = 0;
TABLE wrong;
INSERT INTO b VALUES (0, 1, 'new'), (6, 0, 'six'), (NULL, 0, 'null');
TABLE wrong;
UPDATE b SET n = n + 1, w = w || '!';
TABLE wrong;
UPDATE c SET k = (k + 1) % 4, y = y - 1;
TABLE wrong;
DELETE FROM c WHERE k = 2;
TABLE wrong;
UPDATE a SET k1 = (k1 + 1) % 7, k2 = k1, k3 = k2, x = x + 1;
TABLE wrong;
WITH x AS (DELETE FROM d WHERE k = 2 RETURNING *), y AS (INSERT INTO b SELECT k, k, z FROM x), z AS (UPDATE a SET k3 = 3 WHERE id < 5) INSERT INTO c SELECT k, k FROM x;
TABLE wrong;
DELETE FROM a WHERE id % 2 = 0;
TABLE wrong;
DELETE FROM b;
TABLE wrong;
DELETE FROM d;
INSERT INTO b SELECT i % 7, i % 3, 'again' || i FROM generate_series(1, 8) i;
TABLE wrong;
SELECT v.view FROM upkeep.views v JOIN built b ON b.view = v.view WHERE v.last_maintenance <> b.last_maintenance ORDER BY 1;
-- As many steps for each join.
SELECT operator, count(*) FROM upkeep.explain('chains.star') GROUP BY operator ORDER BY operator COLLATE "C";
SELECT string_agg(regexp_replace(sql, '\s+', ' ', 'g'), E'\n') AS sql FROM upkeep.explain('SELECT a.id FROM chains.a LEFT JOIN chains.b ON b.k = a.k1 LEFT JOIN chains.c ON c.k = b.n AND a.x > 1 LEFT JOIN chains.d ON d.k = c.y LEFT JOIN chains.d e ON e.k = a.k2') WHERE trigger = 'chains.c' AND operator = 'join';
DROP TABLE built;
DROP SCHEMA chains CASCADE;
