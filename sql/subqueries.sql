-- Subqueries that no other rule covers: evaluated as they stand for the rows that a change touches.
SET client_min_messages = warning;
CREATE SCHEMA subqueries;
SET search_path = subqueries, public;
CREATE TABLE a (id int PRIMARY KEY, k int, x int);
CREATE TABLE b (id int PRIMARY KEY, k int, y int);
CREATE TABLE c (k int NOT NULL, z numeric);
INSERT INTO a SELECT i, i % 7, i % 5 FROM generate_series(1, 30) i;
INSERT INTO b SELECT i, i % 5, i % 6 FROM generate_series(1, 20) i;
INSERT INTO c SELECT i % 4, i FROM generate_series(1, 9) i;
CREATE VIEW pairs AS SELECT b.k, b.y, c.z FROM b JOIN c USING (k);

CREATE TABLE shapes (place serial, query text);
INSERT INTO shapes (query) VALUES
    -- in the select list, under OR and NOT, correlated on several levels
    ('SELECT id, EXISTS (SELECT FROM b WHERE b.k = a.k) AS e FROM a'),
    ('SELECT * FROM a WHERE x > 3 OR k IN (SELECT k FROM b WHERE y = 2)'),
    ('SELECT * FROM a WHERE NOT (x > 3 AND EXISTS (SELECT FROM b WHERE b.k = a.k AND EXISTS (SELECT FROM c WHERE c.k = b.y AND c.z > a.x)))'),
    ('SELECT id, CASE WHEN EXISTS (SELECT FROM b WHERE b.id = a.id) THEN (SELECT max(z) FROM c WHERE c.k = a.k) END AS m FROM a'),
    -- the NULL rule
    ('SELECT * FROM a WHERE x NOT IN (SELECT y FROM b WHERE b.k = a.k)'),
    ('SELECT * FROM a WHERE k NOT IN (SELECT k FROM b)'),
    ('SELECT * FROM a WHERE k NOT IN (SELECT k FROM c)'),
    ('SELECT id, x NOT IN (SELECT y FROM b WHERE b.k = a.k) AS n, x IN (SELECT y FROM b WHERE b.k = a.k) AS i FROM a'),
    ('SELECT id, (k, x) IN (SELECT k, y FROM b) AS i, (k, x) NOT IN (SELECT k, y FROM b) AS n FROM a'),
    -- other quantified comparisons
    ('SELECT * FROM a WHERE x > ALL (SELECT y FROM b WHERE b.k = a.k)'),
    ('SELECT id, x >= ANY (SELECT y FROM b WHERE b.k = a.k) AS g, x <> ALL (SELECT max(y) FROM b GROUP BY k) AS l FROM a'),
    ('SELECT * FROM a WHERE (k, x) = (SELECT k, y FROM b WHERE b.id = a.id)'),
    -- conditions that are no equalities
    ('SELECT * FROM a WHERE EXISTS (SELECT FROM b WHERE b.k > a.k AND b.y = a.x)'),
    ('SELECT a.id, b.id AS bid, b.y FROM a LEFT JOIN b ON b.k < a.k AND b.y = a.x'),
    ('SELECT a.id, b.y, c.z FROM a LEFT JOIN (b JOIN c ON c.k = b.k) ON b.k = a.k OR b.y = a.x'),
    ('SELECT b.id, a.id AS aid FROM a RIGHT JOIN b ON a.k BETWEEN b.k AND b.y'),
    ('SELECT count(*) AS n, count(b.id) AS m FROM a LEFT JOIN b ON b.k IS NOT DISTINCT FROM a.k'),
    ('SELECT a.id, b.id AS bid, a.x, b.y FROM a FULL JOIN b ON a.k = b.k AND a.x > b.y'),
    ('SELECT a.id, c.z FROM a FULL JOIN (b JOIN c USING (k)) ON a.k = b.k AND (a.x > b.y OR c.z IS NULL)'),
    -- scalar ones and arrays
    ('SELECT id, ARRAY (SELECT y FROM b WHERE b.k = a.k ORDER BY y) AS ys, (SELECT y FROM b WHERE b.id = a.id) AS y FROM a'),
    ('SELECT id, (SELECT y FROM b WHERE b.k = a.k ORDER BY y DESC, id LIMIT 1) AS y FROM a'),
    ('SELECT k, sum((SELECT count(*) FROM b WHERE b.k = a.x)) AS s FROM a GROUP BY k'),
    ('SELECT k, (SELECT max(y) FROM b WHERE b.k = a.k) AS m, count(*) AS n FROM a GROUP BY k HAVING count(*) > (SELECT count(*) FROM b WHERE b.k = a.k)'),
    ('SELECT k, count(*) AS n FROM a GROUP BY k HAVING EXISTS (SELECT FROM b WHERE b.y = count(a.x))'),
    ('SELECT id FROM a WHERE x > (SELECT avg(y) FROM b WHERE b.k <= a.k)'),
    -- LATERAL
    ('SELECT a.id, l.* FROM a, LATERAL (SELECT y, b.id AS bid FROM b WHERE b.k = a.k ORDER BY y, b.id LIMIT 2) l'),
    ('SELECT a.id, l.n, l.s FROM a, LATERAL (SELECT count(*) AS n, sum(y) AS s FROM b WHERE b.y > a.x) l'),
    ('SELECT a.id, l.y, l.n FROM a LEFT JOIN LATERAL (SELECT y, count(*) AS n FROM b WHERE b.k = a.k GROUP BY y HAVING count(*) > 1) l ON l.n > a.x'),
    ('SELECT a.id, l.y, c.z FROM a CROSS JOIN LATERAL (SELECT DISTINCT y FROM b WHERE b.k = a.k) l JOIN c ON c.k = l.y'),
    ('SELECT l.y, count(*) AS n FROM a, LATERAL (SELECT y FROM b WHERE b.k = a.k ORDER BY y LIMIT 1) l GROUP BY l.y'),
    -- through views, CTEs, set operations
    ('WITH s AS (SELECT k, y FROM b WHERE y > 1) SELECT id, x IN (SELECT y FROM s WHERE s.k = a.k) AS i FROM a'),
    ('SELECT id, (SELECT sum(z) FROM pairs p WHERE p.k = a.k OR p.y = a.x) AS s FROM a'),
    ('SELECT id, EXISTS (SELECT k FROM b WHERE y = 1 AND k = a.k UNION ALL SELECT k FROM c WHERE k = a.k) AS e FROM a'),
    ('SELECT id FROM a WHERE x = ANY (SELECT y FROM b UNION SELECT k FROM c) IS NOT TRUE'),
    ('SELECT a.id, b.id AS bid FROM a JOIN b ON b.k = a.k AND (a.x > 2 OR EXISTS (SELECT FROM c WHERE c.k = b.y AND c.z > a.x))');

CREATE FUNCTION register_all() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE s record;
BEGIN
    FOR s IN SELECT * FROM shapes ORDER BY place LOOP
        BEGIN
            EXECUTE format('CREATE MATERIALIZED VIEW v%s AS %s', s.place, s.query);
            PERFORM upkeep.register(format('v%s', s.place)::regclass);
        EXCEPTION WHEN feature_not_supported OR internal_error OR statement_too_complex THEN
            RETURN NEXT s.query || ': ' || sqlerrm;
        END;
    END LOOP;
END $$;
SELECT * FROM register_all();

CREATE FUNCTION wrong() RETURNS TABLE (query text, side text, contents text) LANGUAGE plpgsql AS $$
DECLARE s record;
BEGIN
    FOR s IN SELECT * FROM shapes ORDER BY place LOOP
        RETURN QUERY SELECT s.query, w.side, w.contents FROM upkeep.verify(format('v%s', s.place)::regclass) w;
    END LOOP;
END $$;
SELECT * FROM wrong();

INSERT INTO b VALUES (100, 6, 3);
SELECT * FROM wrong();
UPDATE b SET k = k + 1 WHERE id < 5;
SELECT * FROM wrong();
DELETE FROM b WHERE id % 3 = 0;
SELECT * FROM wrong();
INSERT INTO b VALUES (200, NULL, NULL), (201, 2, NULL), (202, NULL, 3);
SELECT * FROM wrong();
INSERT INTO c VALUES (1, 2.0), (1, 2.00), (3, NULL);
SELECT * FROM wrong();
UPDATE a SET k = NULL WHERE id % 6 = 0;
INSERT INTO a VALUES (300, 2, NULL), (301, 2, 2);
SELECT * FROM wrong();
DELETE FROM b WHERE y IS NULL;
SELECT * FROM wrong();

-- both sides in one statement
WITH gone AS (DELETE FROM a WHERE id < 10 RETURNING *), more AS (INSERT INTO b SELECT id + 1000, k, x FROM gone),
     other AS (UPDATE c SET z = z + 1, k = k + 1)
UPDATE b SET y = y + 1;
SELECT * FROM wrong();

-- savepoints and caught exceptions
BEGIN;
SAVEPOINT s;
DELETE FROM b;
SELECT * FROM wrong();
ROLLBACK TO s;
SELECT * FROM wrong();
INSERT INTO b VALUES (500, 1, 1);
UPDATE b SET k = 2 WHERE id = 500;
UPDATE a SET x = 1 WHERE k = 2;
COMMIT;
SELECT * FROM wrong();
DO $$
BEGIN
    INSERT INTO b VALUES (600, 3, 3);
    BEGIN
        UPDATE b SET k = 4;
        RAISE 'undone';
    EXCEPTION WHEN raise_exception THEN
        NULL;
    END;
    DELETE FROM c WHERE k = 3;
END $$;
SELECT * FROM wrong();

-- a statement within a statement
CREATE FUNCTION echo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO c VALUES (NEW.k % 5, NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER echo AFTER INSERT ON b FOR EACH ROW WHEN (NEW.k IS NOT NULL) EXECUTE FUNCTION echo();
INSERT INTO b SELECT i, i % 6, i % 4 FROM generate_series(700, 720) i;
SELECT * FROM wrong();

TRUNCATE c;
SELECT * FROM wrong();
DELETE FROM a;
SELECT * FROM wrong();
DROP SCHEMA subqueries CASCADE;
