-- Filters and computed columns over one table: bags, rows without a key, columns of every type, primary keys.
SET client_min_messages = warning;
CREATE SCHEMA projecting;
SET search_path = projecting, public;
-- Rows that a view of this schema has and should not have, or the reverse; views that are no longer maintained.
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'projecting'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text, d.side, d.contents COLLATE "C";

-- A bag: duplicates are rows of their own.
CREATE TABLE item (id int, kind text, price numeric, qty int);
INSERT INTO item VALUES (1, 'a', 1.50, 2), (2, 'a', 1.50, 2), (3, 'b', 2, NULL), (4, NULL, 1.5, 2);
CREATE MATERIALIZED VIEW bag AS SELECT kind, price, qty FROM item WHERE price < 10;
CREATE MATERIALIZED VIEW computed AS
    SELECT upper(kind) AS kind, price * qty AS total, CASE WHEN qty > 1 THEN 'many' ELSE 'few' END AS size,
           coalesce(kind, '?') || ':' || qty AS label, qty IS NULL AS unknown, ARRAY[qty, id % 2] AS pair
    FROM item WHERE kind IS DISTINCT FROM 'z' AND (qty > 0 OR qty IS NULL);
CREATE MATERIALIZED VIEW constants AS SELECT 1 AS one, 'x'::text AS x, NULL::int AS nothing FROM item WHERE qty = 2;
SELECT upkeep.register('bag'), upkeep.register('computed'), upkeep.register('constants');
CREATE TEMP TABLE built AS SELECT view, last_maintenance FROM upkeep.views;
TABLE wrong;
INSERT INTO item VALUES (5, 'a', 1.50, 2), (6, 'a', 1.500, 2), (7, 'z', 99, 0);
SELECT * FROM bag ORDER BY bag::text COLLATE "C";
SELECT * FROM computed ORDER BY computed::text COLLATE "C";
TABLE wrong;
-- One copy of many goes.
DELETE FROM item WHERE id = 1;
SELECT * FROM bag ORDER BY bag::text COLLATE "C";
TABLE wrong;
-- Into the filter, out of it, within it, and changes that it does not see.
UPDATE item SET price = 3 WHERE id = 7;
UPDATE item SET price = 30 WHERE id = 2;
UPDATE item SET kind = 'c', qty = qty + 1 WHERE kind = 'a';
UPDATE item SET id = id + 100;
SELECT * FROM bag ORDER BY bag::text COLLATE "C";
SELECT * FROM computed ORDER BY computed::text COLLATE "C";
SELECT count(*) FROM constants;
TABLE wrong;
-- An update that exchanges the contents of two rows.
UPDATE item SET kind = CASE kind WHEN 'b' THEN 'z' ELSE 'b' END WHERE kind IN ('b', 'z');
SELECT * FROM computed ORDER BY computed::text COLLATE "C";
TABLE wrong;
DELETE FROM item;
SELECT count(*) FROM bag;
TABLE wrong;
INSERT INTO item SELECT i % 3, 'k' || i % 2, i % 2, 1 FROM generate_series(1, 500) i;
DELETE FROM item WHERE ctid IN (SELECT ctid FROM item WHERE id = 1 LIMIT 100);
SELECT kind, price, qty, count(*) FROM bag GROUP BY 1, 2, 3 ORDER BY 1;
TABLE wrong;
TRUNCATE item;
SELECT count(*) FROM computed;
TABLE wrong;

-- Types without equality or order in the output, values out of line.
CREATE TABLE odd (id int, j json, x xml, p point, b box, o oid, t text, r int4range, bits varbit);
ALTER TABLE odd ALTER t SET STORAGE EXTERNAL;
CREATE MATERIALIZED VIEW odds AS SELECT j, x, p, b, j ->> 'a' AS a, p[0] AS p0, t, r, bits, length(t) AS len FROM odd;
SELECT upkeep.register('odds');
INSERT INTO odd SELECT 1, '{"a": 1}', '<a/>', '(1,2)', '(0,0),(1,1)', 7, repeat('long ', 3000), '[1,5)', B'101' FROM generate_series(1, 2);
INSERT INTO odd (id, j, p) VALUES (2, '{"a":1}', '(1,2)'), (3, 'null', '(NaN,-0)'), (4, '[]', '(1e300,Infinity)');
SELECT j, x, p, b, a, p0, left(t, 9), r, bits, len FROM odds ORDER BY odds::text COLLATE "C";
TABLE wrong;
UPDATE odd SET j = '{"a": 2}' WHERE id = 2;
UPDATE odd SET p = point(p[0], 5) WHERE id IN (1, 3);
UPDATE odd SET t = t || '!' WHERE id = 1;
SELECT j, x, p, b, a, p0, right(t, 3), r, bits, len FROM odds ORDER BY odds::text COLLATE "C";
TABLE wrong;
DELETE FROM odd WHERE ctid = (SELECT min(ctid) FROM odd WHERE id = 1);
DELETE FROM odd WHERE id = 3;
SELECT count(*) FROM odds;
TABLE wrong;

-- Views that show the primary key: of fixed length, of variable length, of several columns.
CREATE TABLE doc (id int PRIMARY KEY, title text);
CREATE TABLE slug (name text, lang char(2), n numeric, body text, PRIMARY KEY (name, lang, n));
CREATE MATERIALIZED VIEW docs AS SELECT title, id FROM doc WHERE title <> 'hidden';
CREATE MATERIALIZED VIEW slugs AS SELECT n, name, lang, lower(body) AS body FROM slug;
CREATE UNIQUE INDEX docs_own ON docs (id);
SELECT upkeep.register('docs');
SELECT upkeep.register('slugs');
INSERT INTO built SELECT view, last_maintenance FROM upkeep.views WHERE view::text IN ('odds', 'docs', 'slugs');
INSERT INTO doc VALUES (1, 'one'), (2, 'two'), (3, 'hidden');
INSERT INTO slug VALUES ('a', 'en', 1.0, 'X'), ('a', 'de', 1.0, 'Y'), (repeat('very long ', 2000), 'en', 1e1000, 'Z');
-- Keys that pass from row to row within one statement.
UPDATE doc SET title = CASE id WHEN 1 THEN 'two' ELSE 'one' END WHERE id < 3;
WITH gone AS (DELETE FROM doc WHERE id = 1 RETURNING *) INSERT INTO doc SELECT id, title || '!' FROM gone;
UPDATE doc SET title = 'shown' WHERE title = 'hidden';
UPDATE slug SET lang = CASE lang WHEN 'en' THEN 'dk' ELSE 'en' END, name = CASE lang WHEN 'en' THEN 'a' ELSE 'b' END WHERE name = 'a';
UPDATE slug SET n = 1.00 WHERE lang = 'en';
SELECT * FROM docs ORDER BY id;
SELECT left(name, 12) AS name, lang, round(n, 0) = 1 AS one, scale(n), body FROM slugs ORDER BY slugs::text COLLATE "C";
TABLE wrong;
DELETE FROM doc WHERE id = 2;
DELETE FROM slug WHERE length(name) > 1;
SELECT * FROM docs ORDER BY id;
SELECT * FROM slugs ORDER BY lang;
TABLE wrong;

-- Only TRUNCATE was a rebuild.
SELECT v.view FROM upkeep.views v JOIN built b ON b.view = v.view WHERE v.last_maintenance <> b.last_maintenance ORDER BY 1;
DROP TABLE built;
DROP SCHEMA projecting CASCADE;
