-- Joins: every FROM shape, two to five tables, self-joins, conditions other than equality, equality across types.
SET client_min_messages = warning;
CREATE SCHEMA joining;
SET search_path = joining, public;
-- Rows that a view of this schema has and should not have, or the reverse; views that are no longer maintained.
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'joining'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";

CREATE TABLE a (id int, k int, v int);
CREATE TABLE b (k bigint, m int, w text);
CREATE TABLE c (m numeric, z int);
INSERT INTO a SELECT i, nullif(i % 4, 3), i % 3 FROM generate_series(1, 6) i;
INSERT INTO b VALUES (0, 1, 'b0'), (1, 1, 'b1'), (1, 2, 'b1'), (NULL, 2, 'bn');
INSERT INTO c VALUES (1, 10), (1.0, 11), (2.00, 20), ('NaN', 0);
CREATE MATERIALIZED VIEW on2 AS SELECT a.id, b.w FROM a JOIN b ON a.k = b.k;
CREATE MATERIALIZED VIEW comma3 AS SELECT a.id, b.m, c.z, c.m AS cm FROM a, b, c WHERE a.k = b.k AND b.m = c.m AND c.z > 5;
CREATE MATERIALIZED VIEW using2 AS SELECT k, id, w FROM a JOIN b USING (k);
CREATE MATERIALIZED VIEW using_alias AS SELECT u.k, a.k AS ak, b.k AS bk FROM a JOIN b USING (k) AS u;
CREATE MATERIALIZED VIEW natural3 AS SELECT * FROM a NATURAL JOIN b NATURAL JOIN (SELECT m, z FROM c) c;
CREATE MATERIALIZED VIEW crossed AS SELECT a.v, c.z FROM a CROSS JOIN c WHERE a.v = 2;
CREATE MATERIALIZED VIEW less AS SELECT a.id, b.m FROM a JOIN b ON a.v < b.m AND a.id % 2 = b.m % 2;
CREATE MATERIALIZED VIEW self2 AS SELECT x.id AS x, y.id AS y FROM a x JOIN a y ON x.k = y.v;
CREATE MATERIALIZED VIEW self3 AS SELECT x.id AS x, y.id AS y, z.id AS z FROM a x, a y, a z WHERE x.k = y.k AND y.v = z.v AND x.id < z.id;
CREATE MATERIALIZED VIEW five AS
    SELECT a.id, b.w, c.z, a2.v, b2.m FROM ((a JOIN b ON a.k = b.k) JOIN c ON c.m = b.m) JOIN (a a2 JOIN b b2 ON a2.k = b2.k) ON a2.v = a.v;
CREATE MATERIALIZED VIEW or_on AS SELECT a.id, b.w FROM a JOIN b ON a.k = b.k OR a.v = b.m;
CREATE MATERIALIZED VIEW expression_on AS SELECT a.id, c.z FROM a JOIN c ON a.id + a.v = c.z / 5 WHERE a.k + c.m IS NOT NULL;
CREATE MATERIALIZED VIEW grouped AS SELECT b.w, count(*) AS n, sum(a.v * c.z) AS s, max(c.z) AS top FROM a JOIN b USING (k) JOIN c ON c.m = b.m GROUP BY b.w;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'joining'::regnamespace AND relkind = 'm' ORDER BY relname;
CREATE TEMP TABLE built AS SELECT view, last_maintenance FROM upkeep.views;
TABLE wrong;
-- Each side alone.
INSERT INTO a VALUES (7, 1, 2), (8, NULL, NULL), (7, 1, 2);
TABLE wrong;
INSERT INTO b VALUES (1, 1, 'new'), (7, 7, 'none'), (NULL, NULL, NULL);
TABLE wrong;
INSERT INTO c VALUES (2, 35), (1.000, NULL), (NULL, 9);
TABLE wrong;
SELECT * FROM on2 ORDER BY on2::text COLLATE "C";
SELECT * FROM comma3 ORDER BY 1, 2, 3;
SELECT * FROM using2 ORDER BY using2::text COLLATE "C";
SELECT * FROM natural3 ORDER BY natural3::text COLLATE "C";
SELECT * FROM self2 ORDER BY 1, 2;
SELECT * FROM less ORDER BY 1, 2;
SELECT * FROM grouped ORDER BY grouped::text COLLATE "C";
-- Updates of a key, of a value, of nothing; exchanges within one statement.
UPDATE a SET k = k + 1 WHERE id < 4;
TABLE wrong;
UPDATE a SET v = 2 - v, k = k;
TABLE wrong;
UPDATE a SET k = v, v = k;
TABLE wrong;
UPDATE b SET k = CASE k WHEN 0 THEN 1 WHEN 1 THEN 0 END;
TABLE wrong;
UPDATE c SET m = m + 1.0;
TABLE wrong;
UPDATE c SET m = m - 1.00 WHERE z <> 10;
TABLE wrong;
SELECT * FROM comma3 ORDER BY comma3::text COLLATE "C";
-- Several tables changed by one statement.
WITH x AS (INSERT INTO a VALUES (20, 0, 1), (21, 1, 1) RETURNING id), y AS (DELETE FROM b WHERE w = 'b1' RETURNING m),
     u AS (UPDATE c SET z = z + 1 RETURNING 1)
INSERT INTO b SELECT id % 2, 1, 'w' || id FROM x;
TABLE wrong;
WITH x AS (UPDATE a SET k = 1, v = v + 1 WHERE id % 2 = 0 RETURNING id), y AS (DELETE FROM c WHERE z > 30)
UPDATE b SET k = 1, m = 1;
TABLE wrong;
SELECT count(*) FROM five;
SELECT count(*) FROM self3;
DELETE FROM a WHERE id IN (7, 20);
TABLE wrong;
DELETE FROM b;
SELECT count(*) FROM on2;
TABLE wrong;
INSERT INTO b SELECT i % 5, i % 3, 'g' || i % 2 FROM generate_series(1, 40) i;
INSERT INTO a SELECT i, i % 5, i % 4 FROM generate_series(1, 40) i;
TABLE wrong;
SELECT * FROM grouped ORDER BY grouped::text COLLATE "C";

-- Both primary keys in the output; foreign keys with cascades; a bridge.
CREATE TABLE author (id int PRIMARY KEY, name text);
CREATE TABLE book (isbn text PRIMARY KEY, title text);
CREATE TABLE wrote (author int REFERENCES author ON UPDATE CASCADE ON DELETE CASCADE, isbn text REFERENCES book ON DELETE CASCADE, PRIMARY KEY (author, isbn));
CREATE MATERIALIZED VIEW authors AS
    SELECT a.id, b.isbn, w.author, w.isbn AS w_isbn, a.name, b.title FROM author a JOIN wrote w ON w.author = a.id JOIN book b USING (isbn);
CREATE MATERIALIZED VIEW together AS
    SELECT x.author, y.author AS other, count(*) AS books FROM wrote x JOIN wrote y ON x.isbn = y.isbn AND x.author < y.author GROUP BY 1, 2;
SELECT upkeep.register('authors'), upkeep.register('together');
INSERT INTO built SELECT view, last_maintenance FROM upkeep.views WHERE view::text IN ('authors', 'together');
INSERT INTO author VALUES (1, 'Ann'), (2, 'Bob'), (3, 'Cy');
INSERT INTO book VALUES ('x', 'X'), ('y', 'Y');
INSERT INTO wrote VALUES (1, 'x'), (2, 'x'), (2, 'y'), (3, 'y'), (1, 'y');
SELECT * FROM authors ORDER BY id, isbn COLLATE "C";
SELECT * FROM together ORDER BY 1, 2;
TABLE wrong;
UPDATE author SET id = id + 10 WHERE name < 'C';
UPDATE author SET name = upper(name);
SELECT * FROM authors ORDER BY id, isbn COLLATE "C";
SELECT * FROM together ORDER BY 1, 2;
TABLE wrong;
DELETE FROM author WHERE id = 11;
DELETE FROM book WHERE isbn = 'x';
SELECT * FROM authors ORDER BY id, isbn COLLATE "C";
TABLE wrong;

-- A self-join by an expression that can fail: no product of all rows, and no failure for rows that conditions leave out.
CREATE TABLE step (n int PRIMARY KEY, on_ boolean, v int);
INSERT INTO step SELECT i, i % 7 > 0, i % 10 FROM generate_series(1, 30) i;
INSERT INTO step VALUES (2147483647, false, 0);
CREATE MATERIALIZED VIEW steps AS SELECT a.n, a.v, b.v AS next, 10 / (b.v - a.v) AS slope FROM step a JOIN step b ON b.n = a.n + 1 AND b.v <> a.v WHERE a.on_;
CREATE MATERIALIZED VIEW drops AS SELECT a.v, count(*) AS n FROM step a JOIN step b ON b.n + 1 = a.n + 2 AND b.on_ IS NOT FALSE WHERE a.on_ GROUP BY a.v;
CREATE MATERIALIZED VIEW above AS SELECT a.v, count(*) AS n, sum(b.v) AS s FROM step a JOIN step b ON (a.v, a.n) < (b.v, b.n) AND ROW(a.on_, b.on_) IS NOT NULL GROUP BY a.v;
SELECT upkeep.register('steps'), upkeep.register('drops'), upkeep.register('above');
UPDATE step SET v = v + 1 WHERE n < 20;
UPDATE step SET on_ = NOT on_ WHERE n BETWEEN 3 AND 9;
UPDATE step SET n = n + 100, v = 9 - v WHERE n BETWEEN 10 AND 15;
INSERT INTO step VALUES (10, true, 4), (11, true, NULL), (12, NULL, 5);
DELETE FROM step WHERE n IN (5, 12, 20);
TABLE wrong;
-- None of this was a rebuild.
SELECT v.view FROM upkeep.views v JOIN built b ON b.view = v.view WHERE v.last_maintenance <> b.last_maintenance ORDER BY 1;
DROP TABLE built;
DROP SCHEMA joining CASCADE;
