-- WITH RECURSIVE: trees and graphs are followed round by round, what is not linear in the reference is run whole.
SET client_min_messages = warning;
SET jit = off;
CREATE SCHEMA recursion;
SET search_path = recursion, public;
-- The plan's strategies of the recursion, or the refusal.
CREATE FUNCTION strategies(query text) RETURNS text LANGUAGE sql AS
    $$ SELECT coalesce(string_agg(DISTINCT strategy, ', ' ORDER BY strategy) FILTER (WHERE operator = 'recursion'), min(code || ': ' || what)) FROM upkeep.explain(query) $$;
-- Rows in which some view differs from its query.
CREATE FUNCTION differences() RETURNS SETOF text LANGUAGE sql AS
    $$ SELECT view || ' ' || side || ' ' || contents FROM upkeep.views, upkeep.verify(view) UNION ALL SELECT view || ' is ' || state FROM upkeep.views WHERE state <> 'active' $$;

-- A tree: depth, path, totals over subtrees.
CREATE TABLE tree (id int PRIMARY KEY, parent int, name text, cost numeric(8,2));
CREATE INDEX ON tree (parent);
INSERT INTO tree VALUES (1, NULL, 'root', 1), (2, 1, 'a', 2), (3, 1, 'b', NULL), (4, 2, 'c', 3.5), (5, 4, 'd', 4);
CREATE MATERIALIZED VIEW paths AS
    WITH RECURSIVE t AS (
        SELECT id, name, 0 AS depth, ARRAY[id] AS path, name AS full_name FROM tree WHERE parent IS NULL
        UNION ALL SELECT c.id, c.name, t.depth + 1, t.path || c.id, t.full_name || '/' || c.name FROM tree c JOIN t ON c.parent = t.id)
    SELECT * FROM t;
CREATE MATERIALIZED VIEW subtrees AS
    WITH RECURSIVE t (root, id, cost) AS (
        SELECT id, id, cost FROM tree UNION ALL SELECT t.root, c.id, c.cost FROM t, tree c WHERE c.parent = t.id)
    SELECT root, count(*) AS n, sum(cost) AS total FROM t GROUP BY root;
CREATE RECURSIVE VIEW ancestors (id, ancestor) AS
    SELECT id, parent FROM tree WHERE parent IS NOT NULL UNION SELECT a.id, t.parent FROM ancestors a JOIN tree t ON t.id = a.ancestor WHERE t.parent IS NOT NULL;
CREATE MATERIALIZED VIEW lines AS SELECT a.id, t.name AS ancestor FROM ancestors a JOIN tree t ON t.id = a.ancestor;
SELECT strategies('paths'), strategies('subtrees'), strategies('lines');
SELECT upkeep.register('paths'), upkeep.register('subtrees'), upkeep.register('lines');
INSERT INTO tree VALUES (7, 6, 'f', 1), (6, 5, 'e', 2);
SELECT * FROM differences();
SELECT id, depth, path, full_name FROM paths ORDER BY id;
-- A subtree moves, is renamed, loses its root, is turned upside down.
UPDATE tree SET parent = 3 WHERE id = 4;
SELECT * FROM differences();
UPDATE tree SET name = upper(name) WHERE id = 4;
SELECT * FROM differences();
SELECT id, depth, path, full_name FROM paths ORDER BY id;
SELECT * FROM subtrees ORDER BY root;
UPDATE tree SET parent = CASE id WHEN 4 THEN 5 WHEN 5 THEN 3 END WHERE id IN (4, 5);
SELECT * FROM differences();
SELECT id, path FROM paths ORDER BY id;
DELETE FROM tree WHERE id = 3;
SELECT * FROM differences();
UPDATE tree SET cost = cost + 1;
SELECT * FROM differences();
BEGIN;
INSERT INTO tree VALUES (3, 1, 'b again', 0);
SAVEPOINT s;
UPDATE tree SET parent = 2 WHERE id = 3;
SELECT * FROM differences();
ROLLBACK TO s;
SELECT * FROM differences();
COMMIT;
SELECT id, path FROM paths ORDER BY id;
DROP MATERIALIZED VIEW paths, subtrees, lines;
DROP VIEW ancestors;
-- Where old rows were followed through what comes, they would meet that cycle and never leave it.
TRUNCATE tree;
INSERT INTO tree VALUES (1, NULL, 'root', 1), (2, 1, 'a', 1), (3, 3, 'loop', 1);
CREATE MATERIALIZED VIEW reached AS WITH RECURSIVE t AS (SELECT id FROM tree WHERE parent IS NULL UNION ALL SELECT c.id FROM tree c JOIN t ON c.parent = t.id) SELECT * FROM t;
SELECT upkeep.register('reached');
UPDATE tree SET parent = CASE id WHEN 2 THEN 3 WHEN 3 THEN 2 END WHERE id > 1;
SELECT * FROM differences();
SELECT * FROM reached;
DROP MATERIALIZED VIEW reached;

-- Graphs with cycles.
CREATE TABLE e (a int, b int, x int);
INSERT INTO e VALUES (1, 2, 1), (2, 3, 1), (3, 1, 2), (3, 4, 0), (4, 5, 1), (NULL, 1, 1), (5, NULL, 1);
CREATE TABLE node (id int, root boolean, v int);
INSERT INTO node SELECT i, i = 1, i % 3 FROM generate_series(1, 9) i;
CREATE MATERIALIZED VIEW closure AS
    WITH RECURSIVE r (a, b) AS (SELECT a, b FROM e UNION SELECT r.a, e.b FROM r JOIN e ON e.a = r.b) SELECT * FROM r;
CREATE MATERIALIZED VIEW open_ways AS
    WITH RECURSIVE r (id) AS (
        SELECT id FROM node WHERE root
        UNION SELECT DISTINCT e.b FROM r JOIN e ON e.a = r.id WHERE NOT EXISTS (SELECT FROM node WHERE node.id = e.b AND v = 0))
    SELECT node.id, v, r.id IS NOT NULL AS reached FROM node LEFT JOIN r ON r.id = node.id;
-- Used twice, joined with itself, over a grouped CTE, beside another recursion that reads it.
CREATE MATERIALIZED VIEW weighted AS
    WITH RECURSIVE g AS (SELECT a, b, sum(x) AS w FROM e GROUP BY a, b),
        r (id, w) AS (SELECT id, 0::bigint FROM node WHERE root UNION SELECT g.b, least(r.w + g.w, 6) FROM r JOIN g ON g.a = r.id),
        back (id) AS (SELECT id FROM r WHERE w > 2 UNION SELECT e.a FROM back JOIN e ON e.b = back.id)
    SELECT r.id, r.w, other.w AS other, back.id AS back FROM r JOIN r other USING (id) LEFT JOIN back ON back.id = r.id;
CREATE MATERIALIZED VIEW nested AS
    SELECT node.v, sum(q.n) AS n FROM node JOIN
        (WITH RECURSIVE r (o, id) AS (SELECT id, id FROM node UNION SELECT r.o, e.b FROM r JOIN e ON e.a = r.id) SELECT o, count(*) AS n FROM r GROUP BY o) q ON q.o = node.id
    GROUP BY node.v;
CREATE MATERIALIZED VIEW cycles AS
    WITH RECURSIVE r (id, n) AS (SELECT id, 0 FROM node WHERE root UNION ALL SELECT e.b, n + 1 FROM r JOIN e ON e.a = r.id) CYCLE id SET again TO 'yes' DEFAULT 'no' USING way
    SELECT id, n, again, way::text, array_length(way, 1) AS steps FROM r;
CREATE MATERIALIZED VIEW ordered AS
    WITH RECURSIVE r (id, n) AS (SELECT id, 0 FROM node WHERE root UNION ALL SELECT e.b, n + 1 FROM r JOIN e ON e.a = r.id WHERE n < 4) SEARCH BREADTH FIRST BY id SET place
    SELECT id, n FROM r ORDER BY place;
CREATE MATERIALIZED VIEW counters AS
    WITH RECURSIVE c (id, i, v) AS (SELECT id, 1, v FROM node UNION ALL SELECT id, i + 1, v FROM c WHERE i < v) SELECT id, i FROM c;
-- Of each row of another query.
CREATE MATERIALIZED VIEW of_each AS
    SELECT id, (WITH RECURSIVE r AS (SELECT node.id AS i UNION SELECT e.b FROM r JOIN e ON e.a = r.i) SELECT count(*) FROM r) AS reached FROM node;
-- Not linear in the reference.
CREATE MATERIALIZED VIEW ranked AS
    WITH RECURSIVE r (id, n, place) AS (
        SELECT id, 0, 0::bigint FROM node WHERE root
        UNION ALL SELECT e.b, r.n + 1, row_number() OVER (ORDER BY e.b, r.place) FROM r JOIN e ON e.a = r.id WHERE r.n < 3)
    SELECT * FROM r;
SELECT view, strategies(view) FROM unnest(ARRAY['closure', 'open_ways', 'weighted', 'nested', 'cycles', 'ordered', 'counters', 'of_each', 'ranked']) view;
SELECT count(upkeep.register(view::regclass)) FROM unnest(ARRAY['closure', 'open_ways', 'weighted', 'nested', 'cycles', 'ordered', 'counters', 'of_each', 'ranked']) view;
SELECT * FROM cycles ORDER BY n, id;
-- The cycle is cut, closed elsewhere, turned round.
DELETE FROM e WHERE a = 3 AND b = 1;
SELECT * FROM differences();
SELECT * FROM closure ORDER BY a, b;
INSERT INTO e VALUES (5, 1, 3), (5, 2, 1), (1, 2, 1);
SELECT * FROM differences();
UPDATE e SET a = b, b = a;
SELECT * FROM differences();
SELECT * FROM open_ways ORDER BY id;
-- A copy of an edge goes, the other one stays.
DELETE FROM e WHERE ctid IN (SELECT max(ctid) FROM e WHERE a = 2 AND b = 1);
SELECT * FROM differences();
-- Both sides in one statement; an inner side that opens and closes ways.
WITH gone AS (DELETE FROM e WHERE a = 4 RETURNING 1), moved AS (UPDATE node SET root = id = 3 RETURNING 1) INSERT INTO e VALUES (3, 6, 1), (6, 2, 1), (6, 3, 1);
SELECT * FROM differences();
UPDATE node SET v = (v + 1) % 3;
SELECT * FROM differences();
UPDATE node SET v = NULL, root = id > 7 WHERE id % 2 = 0;
SELECT * FROM differences();
DELETE FROM node WHERE id = 3;
SELECT * FROM differences();
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO e VALUES (8, 1, 1);
DELETE FROM e WHERE a = 6;
INSERT INTO e SELECT 8, 2, 1;
SELECT * FROM differences();
COMMIT;
TRUNCATE e;
SELECT * FROM differences();
INSERT INTO e SELECT i, (i * 7) % 23, i % 3 FROM generate_series(0, 22) i;
INSERT INTO node SELECT i, false, 1 FROM generate_series(10, 22) i;
SELECT * FROM differences();
DELETE FROM e WHERE a % 5 = 1;
SELECT * FROM differences();
REFRESH MATERIALIZED VIEW closure;
SELECT * FROM differences();
SELECT upkeep.unregister('closure');
SELECT view, strategy FROM upkeep.views ORDER BY view::text;
DROP MATERIALIZED VIEW closure, open_ways, weighted, nested, cycles, ordered, counters, of_each, ranked;
SELECT count(*) FROM pg_class WHERE relnamespace = 'upkeep_data'::regnamespace;

-- Rows of a path, read otherwise than as text: the query is run whole.
SELECT strategies('WITH RECURSIVE r AS (SELECT id FROM node UNION ALL SELECT e.b FROM r JOIN e ON e.a = r.id) CYCLE id SET c USING p SELECT p[1] IS NULL AS first FROM r');
SELECT strategies('WITH RECURSIVE r AS (SELECT id FROM node UNION ALL SELECT e.b FROM r JOIN e ON e.a = r.id WHERE random() < 0.5) SELECT * FROM r');
SELECT strategies('WITH RECURSIVE r AS (SELECT id FROM node UNION ALL (SELECT e.b FROM r JOIN e ON e.a = r.id ORDER BY random() LIMIT 1)) SELECT * FROM r');
-- RECURSIVE that is none.
SELECT strategies('WITH RECURSIVE r AS (SELECT id FROM node), s AS (SELECT id FROM r) SELECT * FROM s') IS NULL AS plain;
-- What is evaluated in a step of its own: beside the reference, where the query is run whole, and elsewhere.
CREATE TABLE starts (id int, k int);
CREATE TABLE links (a int, b int);
INSERT INTO starts VALUES (3, 4);
INSERT INTO links VALUES (3, 5), (4, 6), (5, 5);
CREATE MATERIALIZED VIEW beside_values AS
    WITH RECURSIVE r (q, w) AS (SELECT id, k FROM starts UNION ALL SELECT q + 1, m FROM r LEFT JOIN (VALUES (0)) l (m) ON r.q IS NOT DISTINCT FROM l.m WHERE q < 5) SELECT * FROM r;
CREATE MATERIALIZED VIEW beside_function AS
    WITH RECURSIVE r (q, d) AS (SELECT id, 0 FROM starts UNION SELECT g, d + 1 FROM r, links, generate_series(r.q, links.b) g WHERE links.a = r.q AND d < 3) SELECT * FROM r;
CREATE MATERIALIZED VIEW beside_list AS
    WITH RECURSIVE r (q, d) AS (SELECT id, 0 FROM starts UNION SELECT q + 1, d + 1 FROM r WHERE d < 3 AND q NOT IN (VALUES (5), (7))) SELECT * FROM r;
CREATE MATERIALIZED VIEW in_first_term AS
    WITH RECURSIVE r (q, d) AS (SELECT id, 0 FROM starts WHERE id NOT IN (SELECT b FROM links) UNION SELECT q + 1, d + 1 FROM r WHERE d < 3) SELECT * FROM r;
SELECT upkeep.register('beside_values'), upkeep.register('beside_function'), upkeep.register('beside_list'), upkeep.register('in_first_term');
SELECT view, strategy FROM upkeep.views WHERE view::text ~ 'beside|first_term' ORDER BY view::text;
SELECT * FROM differences();
INSERT INTO starts VALUES (1, 4), (6, NULL);
SELECT * FROM differences();
UPDATE links SET a = a - 1, b = b + 1;
SELECT * FROM differences();
DELETE FROM starts WHERE id = 3;
SELECT * FROM differences();
SELECT * FROM in_first_term ORDER BY q, d;

-- A path that a condition beside a subquery compares as rows, and one whose length a subquery reads.
CREATE MATERIALIZED VIEW compared AS WITH RECURSIVE r AS (SELECT id AS n FROM node UNION ALL SELECT e.b FROM r JOIN e ON e.a = r.n) CYCLE n SET again USING path
    SELECT r.n, f.k FROM r NATURAL LEFT JOIN r AS other CROSS JOIN LATERAL (VALUES (1), (nullif(other.n, r.n))) f(k);
CREATE MATERIALIZED VIEW lengths AS WITH RECURSIVE r AS (SELECT id AS n FROM node UNION ALL SELECT e.b FROM r JOIN e ON e.a = r.n) CYCLE n SET again USING path
    SELECT r.n, (SELECT count(*) FROM e WHERE e.a < array_length(r.path, 1) OR e.a = r.n) AS k FROM r;
SELECT upkeep.register('compared'), upkeep.register('lengths');
INSERT INTO node VALUES (77);
INSERT INTO e VALUES (77, 1), (1, 77);
SELECT * FROM differences();
DELETE FROM e WHERE a = 77 OR b = 77;
DELETE FROM node WHERE id = 77;
SELECT * FROM differences();

-- DISTINCT keeps one of several paths, any one.
SELECT strategies('WITH RECURSIVE r AS (SELECT id FROM node UNION ALL SELECT DISTINCT e.b FROM r JOIN e ON e.a = r.id) CYCLE id SET c USING p SELECT id, c FROM r');
SELECT strategies('WITH RECURSIVE r AS (SELECT id FROM node UNION (SELECT e.b FROM r JOIN e ON e.a = r.id ORDER BY 1 LIMIT 2)) SEARCH DEPTH FIRST BY id SET p SELECT id FROM r');
SELECT code, what FROM upkeep.explain('SELECT id, (WITH RECURSIVE r AS (SELECT node.id UNION ALL SELECT DISTINCT e.b FROM r JOIN e ON e.a = r.id) CYCLE id SET c USING p SELECT count(*) + node.id FROM r WHERE c) FROM node') WHERE code IS NOT NULL;
DROP SCHEMA recursion CASCADE;
