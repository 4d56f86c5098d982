-- Joins of many tables, and changes of many occurrences at once.
SET client_min_messages = warning;
CREATE SCHEMA wide;
SET search_path = wide, public;
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'wide'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";

-- One table many times: an edge list and its paths.
CREATE TABLE e (a int, b int, gone int, w numeric, c int);
ALTER TABLE e DROP COLUMN gone;
INSERT INTO e SELECT i % 5, i % 4 + 1, i, i FROM generate_series(1, 9) i;
INSERT INTO e VALUES (NULL, 1, 1.0, 1), (1, NULL, 1.00, 1), (1, 2, 1.0, 2);
CREATE MATERIALIZED VIEW paths AS SELECT p.a, t.b, p.w + q.w + r.w + s.w + t.w AS w FROM e p JOIN e q ON q.a = p.b JOIN e r ON r.a = q.b JOIN e s ON s.a = r.b JOIN e t ON t.a = s.b;
CREATE MATERIALIZED VIEW path_count AS SELECT p.a, count(*) AS c, max(t.w) AS m FROM e p JOIN e q ON q.a = p.b JOIN e r ON r.a = q.b JOIN e s ON s.a = r.b JOIN e t ON t.a = s.b WHERE p.c <> t.c GROUP BY p.a;
-- Nothing that can fail is evaluated on pairs of rows that never stood together.
CREATE MATERIALIZED VIEW quotients AS SELECT p.a, 60 / (q.c - p.c) AS x, 60 / (s.c - r.c) AS y FROM e p JOIN e q ON q.a = p.b AND q.c <> p.c JOIN e r ON r.a = q.b JOIN e s ON s.a = r.b AND s.c > r.c;
-- Nodes and their absence among many that change.
CREATE MATERIALIZED VIEW kept AS SELECT p.a, p.b, q.b AS qb, r.n FROM e p LEFT JOIN e q ON q.a = p.b JOIN (SELECT a, count(*) AS n FROM e GROUP BY a) r ON r.a = p.b WHERE NOT EXISTS (SELECT FROM e x WHERE x.b = p.a AND x.c > 5) AND EXISTS (SELECT FROM e y WHERE y.a = p.a AND y.c > 1);
CREATE MATERIALIZED VIEW lonely AS SELECT p.a, p.b, (SELECT sum(c) FROM e y WHERE y.a = p.b) AS s, (SELECT max(w) FROM e z WHERE z.b = p.a) AS m FROM e p WHERE NOT EXISTS (SELECT FROM e x WHERE x.a = p.b AND x.c > 7) AND p.b NOT IN (1, 2);
CREATE MATERIALIZED VIEW sides AS SELECT p.a, q.c AS q, r.c AS r, s.w AS s FROM e p LEFT JOIN e q ON q.a = p.b LEFT JOIN e r ON r.b = p.a AND r.c > 2 LEFT JOIN e s ON s.w = p.w AND s.a = q.b;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'wide'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
TABLE wrong;
INSERT INTO e VALUES (4, 1, 2, 3), (2, 3, 2, 8);
TABLE wrong;
UPDATE e SET c = c + 1;
TABLE wrong;
UPDATE e SET w = w * 1.000, b = a, a = b WHERE c % 2 = 0;
TABLE wrong;
WITH x AS (DELETE FROM e WHERE c < 4 RETURNING *) INSERT INTO e SELECT b, a, w, c + 5 FROM x;
TABLE wrong;
SELECT * FROM path_count ORDER BY 1;
BEGIN;
SAVEPOINT s;
DELETE FROM e WHERE a = 1 OR b = 1;
TABLE wrong;
INSERT INTO e SELECT i % 3, (i + 1) % 4, i, i % 6 FROM generate_series(1, 12) i;
ROLLBACK TO s;
INSERT INTO e SELECT * FROM e WHERE a = 2;
TABLE wrong;
COMMIT;
TRUNCATE e;
TABLE wrong;
INSERT INTO e SELECT i % 5, i % 4 + 1, i, i FROM generate_series(1, 9) i;
TABLE wrong;
DROP MATERIALIZED VIEW paths, path_count, quotients, kept, lonely, sides;

-- A star of 20 tables.
DO $$
DECLARE columns text; joins text := ''; shown text := '';
BEGIN
    SELECT string_agg(format('k%s bigint', i), ', ') INTO columns FROM generate_series(1, 19) i;
    EXECUTE 'CREATE TABLE fact (id bigint PRIMARY KEY, ' || columns || ', v int)';
    FOR i IN 1 .. 19 LOOP
        EXECUTE format('CREATE TABLE dim%s (k bigint PRIMARY KEY, name text)', i);
        EXECUTE format('INSERT INTO dim%s SELECT j, ''d'' || j FROM generate_series(1, 2000) j', i);
        EXECUTE format('CREATE INDEX ON fact (k%s)', i);
        joins := joins || format(' JOIN dim%1$s ON dim%1$s.k = fact.k%1$s', i);
        shown := shown || format(', dim%s.name AS n%1$s', i);
    END LOOP;
    SELECT string_agg(format('(j * %s) %% 2000 + 1', i * 2 + 1), ', ') INTO columns FROM generate_series(1, 19) i;
    EXECUTE 'INSERT INTO fact SELECT j, ' || columns || ', j % 7 FROM generate_series(1, 2000) j';
    EXECUTE 'CREATE MATERIALIZED VIEW star AS SELECT fact.id, fact.v' || shown || ' FROM fact' || joins;
    EXECUTE 'CREATE MATERIALIZED VIEW star_sums AS SELECT dim1.name, count(*) AS c, sum(fact.v) AS s FROM fact' || joins || ' GROUP BY dim1.name';
END $$;
ANALYZE;
SELECT upkeep.register('star'), upkeep.register('star_sums');
INSERT INTO fact SELECT 5000, k1, k2, k3, k4, k5, k6, k7, k8, k9, k10, k11, k12, k13, k14, k15, k16, k17, k18, 2001, 9 FROM fact WHERE id = 7;
INSERT INTO dim19 VALUES (2001, 'new');
UPDATE dim7 SET name = 'seven' WHERE k IN (7, 8);
UPDATE fact SET k3 = 5 WHERE id IN (3, 4);
DELETE FROM dim2 WHERE k = 6;
TABLE wrong;
WITH a AS (UPDATE dim1 SET name = 'x' || name WHERE k < 20), b AS (UPDATE dim2 SET name = 'y' WHERE k < 30), c AS (DELETE FROM dim3 WHERE k = 5), d AS (UPDATE dim4 SET name = name || '!' WHERE k < 9), f AS (INSERT INTO dim2 VALUES (6, 'again'))
UPDATE fact SET v = v + 1, k5 = k6 WHERE id < 10;
TABLE wrong;
SELECT n1, n2, n4, v FROM star WHERE id BETWEEN 3 AND 9 ORDER BY id;
