-- verify(): what it reports, what it accepts where PostgreSQL is free, and whom it answers.
-- The views here are not registered: each is made stale, or its base tables are changed so that the view shows what
-- another order of the rows would have given.
SET client_min_messages = warning;
CREATE SCHEMA verifying;
SET search_path = verifying, public;
CREATE FUNCTION differences(view regclass) RETURNS TABLE (side text, contents text) LANGUAGE sql AS
    $$ SELECT v.side, v.contents FROM upkeep.verify(view) v ORDER BY v.side DESC, v.contents COLLATE "C" $$;

-- Rows of any type, NULLs, duplicates.
CREATE TABLE t (id int PRIMARY KEY, k int, j json, p point, x xml, d numeric);
INSERT INTO t SELECT i, CASE WHEN i % 4 > 0 THEN i % 4 END, '{"a": 1}', point(i % 2, 0), '<a/>', 1.5
FROM generate_series(1, 8) i;
CREATE MATERIALIZED VIEW bag AS SELECT k, j, p, x, d FROM t;
CREATE MATERIALIZED VIEW totals AS SELECT k, count(*) AS n, sum(d) AS d FROM t GROUP BY k;
SELECT * FROM differences('bag');
SELECT * FROM differences('totals');
DELETE FROM t WHERE id IN (1, 4);
INSERT INTO t (id) VALUES (9), (10);
SELECT * FROM differences('bag');
SELECT * FROM differences('totals');

-- A copy too many or too few is a difference, whatever a set comparison says.
CREATE TABLE copies (a int, b text);
INSERT INTO copies SELECT 1, 'same' FROM generate_series(1, 5);
CREATE MATERIALIZED VIEW same AS SELECT a, b FROM copies;
INSERT INTO copies VALUES (1, 'same'), (1, 'same');
SELECT * FROM differences('same');
REFRESH MATERIALIZED VIEW same;
DELETE FROM copies WHERE ctid = (SELECT min(ctid) FROM copies);
SELECT * FROM differences('same');

-- A value of another scale is another value.
CREATE MATERIALIZED VIEW scales AS SELECT d FROM t WHERE id = 2;
UPDATE t SET d = 1.50 WHERE id = 2;
SELECT * FROM differences('scales');

-- Values out of line, compressed, and inside of records and arrays.
CREATE TABLE wide (id int, v text);
ALTER TABLE wide ALTER v SET STORAGE EXTERNAL;
INSERT INTO wide SELECT i, repeat(chr(64 + i), 9000) FROM generate_series(1, 3) i;
CREATE MATERIALIZED VIEW wide_view AS SELECT id, v, ARRAY[v, v] AS two, wide AS whole FROM wide;
SELECT count(*) FROM differences('wide_view');
UPDATE wide SET v = overlay(v PLACING '!' FROM 8000) WHERE id = 2;
SELECT side, length(contents) FROM differences('wide_view');

-- Floats: any order of the additions is right, and a sum that no order gives is not.
CREATE TABLE f (id int, k int, x float8, y float4);
INSERT INTO f SELECT i, i % 3, 1.0 / i + (i % 7) * 1e6, 1.0 / i FROM generate_series(1, 3000) i;
CREATE MATERIALIZED VIEW floats AS
    SELECT k, sum(x) AS s, avg(x) AS a, variance(x) AS v, stddev_pop(x) AS d, sum(y) AS s4,
           coalesce(sum(x), 0) / nullif(sum(x) FILTER (WHERE id % 2 = 0), 0) AS ratio, round(sum(x)::numeric, 2) AS r,
           count(*) AS n
    FROM f GROUP BY k;
CREATE TABLE f2 AS SELECT * FROM f ORDER BY x;
TRUNCATE f;
INSERT INTO f SELECT * FROM f2;
SELECT count(*) > 0 AS changed FROM (SELECT k, s FROM floats EXCEPT SELECT k, sum(x) FROM f GROUP BY k) e;
SELECT * FROM differences('floats');
UPDATE f SET x = x + 0.001 WHERE id = 1500;
SELECT side, count(*) FROM differences('floats') GROUP BY 1 ORDER BY 1;
UPDATE f SET x = x - 0.001 WHERE id = 1500;
UPDATE f SET y = y + 0.01 WHERE id = 1500;
SELECT side, count(*) FROM differences('floats') GROUP BY 1 ORDER BY 1;

-- The same through an ordinary view, a subquery, a CTE, the arms of a UNION ALL.
UPDATE f SET y = y - 0.01 WHERE id = 1500;
CREATE VIEW plain_sums AS SELECT k, sum(x) AS s, avg(x) AS a FROM f2 GROUP BY k;
CREATE MATERIALIZED VIEW over_view AS SELECT s / 2 AS half, a, k FROM plain_sums WHERE k < 2;
CREATE MATERIALIZED VIEW over_cte AS WITH c AS (SELECT k % 2 AS odd, sum(x) AS s FROM f2 GROUP BY 1) SELECT s FROM c;
CREATE MATERIALIZED VIEW over_arms AS
    SELECT k, s FROM plain_sums UNION ALL SELECT 7, sum(x) FROM f2 UNION ALL SELECT id, x FROM f2 WHERE id < 4;
TRUNCATE f2;
INSERT INTO f2 SELECT * FROM f ORDER BY id;
SELECT count(*) > 0 AS changed FROM (SELECT * FROM over_arms EXCEPT SELECT k, s FROM plain_sums) e WHERE k < 3;
SELECT * FROM differences('over_view');
SELECT * FROM differences('over_cte');
SELECT * FROM differences('over_arms');
UPDATE f2 SET x = x + 0.01 WHERE id = 3;
SELECT count(*) FROM differences('over_view');
SELECT count(*) FROM differences('over_cte');
SELECT side, count(*) FROM differences('over_arms') GROUP BY 1 ORDER BY 1;

-- The bound is that of the terms, not of a sum that cancels.
CREATE TABLE cancel (id int, x float8);
INSERT INTO cancel VALUES (1, 0.1), (2, 1e17), (3, -1e17);
CREATE MATERIALIZED VIEW cancelled AS SELECT sum(x) AS s FROM cancel;
UPDATE cancel SET x = 1 WHERE id = 1;
SELECT count(*) FROM differences('cancelled');
UPDATE cancel SET x = 1e9 WHERE id = 1;
SELECT * FROM differences('cancelled');

-- One value is its own sum, bit for bit; so are NaN, infinity and the sign of zero.
CREATE TABLE special (k int, x float8);
INSERT INTO special VALUES (1, 0.1), (2, 'NaN'), (3, 'Infinity'), (3, 1), (4, '-0'), (4, '-0'), (5, NULL);
CREATE MATERIALIZED VIEW specials AS SELECT k, sum(x) AS s FROM special GROUP BY k;
SELECT * FROM differences('specials');
UPDATE special SET x = 0.1 + 1e-17 * 2 WHERE k = 1;
UPDATE special SET x = 1 WHERE k = 2;
UPDATE special SET x = '-Infinity' WHERE k = 3 AND x = 'Infinity';
UPDATE special SET x = '0' WHERE k = 4;
UPDATE special SET x = 0 WHERE k = 5;
SELECT * FROM differences('specials');

-- A float beside a column that is wrong does not excuse it.
CREATE MATERIALIZED VIEW both_wrong AS SELECT k, sum(x) AS s, count(*) AS n FROM f GROUP BY k;
DELETE FROM f WHERE id = 6;
INSERT INTO f SELECT 3001, 0, x, y FROM f2 WHERE id = 6;
INSERT INTO f VALUES (3002, 0, 0, 0);
SELECT side, count(*) FROM differences('both_wrong') GROUP BY 1 ORDER BY 1;

-- Keys of which several images are equal: any image that is in the group will do, and no other.
CREATE TABLE numbers (id int, k numeric, v int);
INSERT INTO numbers VALUES (1, 1.0, 10), (2, 1.00, 20), (3, 2, 30);
CREATE MATERIALIZED VIEW by_key AS SELECT k, k * 2 AS twice, sum(v) AS s FROM numbers GROUP BY k;
CREATE MATERIALIZED VIEW keys AS SELECT DISTINCT k FROM numbers;
CREATE MATERIALIZED VIEW united AS SELECT k FROM numbers UNION SELECT k FROM numbers WHERE id > 1;
CREATE MATERIALIZED VIEW largest AS SELECT id > 2 AS g, max(k) AS m FROM numbers GROUP BY 1;
CREATE TABLE numbers2 AS SELECT * FROM numbers ORDER BY id DESC;
TRUNCATE numbers;
INSERT INTO numbers SELECT * FROM numbers2;
SELECT b.k::text <> n.k::text AS changed FROM by_key b JOIN (SELECT k FROM numbers GROUP BY k) n USING (k) WHERE k = 1;
SELECT * FROM differences('by_key');
SELECT * FROM differences('keys');
SELECT * FROM differences('united');
SELECT * FROM differences('largest');
UPDATE numbers SET k = 1.000 WHERE k = 1;
SELECT * FROM differences('by_key');
SELECT * FROM differences('keys');
SELECT * FROM differences('united');
SELECT * FROM differences('largest');

-- Aggregates in no particular order.
CREATE TABLE words (id int, g int, w text);
INSERT INTO words VALUES (1, 1, 'a'), (2, 1, 'b'), (3, 1, 'b'), (4, 2, 'x,d'), (5, 2, 'e'), (6, 1, NULL);
CREATE MATERIALIZED VIEW lists AS SELECT g, array_agg(w) AS a FROM words GROUP BY g;
CREATE MATERIALIZED VIEW texts AS SELECT g, string_agg(w, ',') AS a FROM words WHERE g = 1 GROUP BY g;
CREATE MATERIALIZED VIEW unclear AS SELECT g, string_agg(w, ',') AS a FROM words WHERE g = 2 GROUP BY g;
CREATE MATERIALIZED VIEW ordered AS SELECT g, array_agg(w ORDER BY id) AS a FROM words GROUP BY g;
CREATE TABLE words2 AS SELECT * FROM words ORDER BY id DESC;
TRUNCATE words;
INSERT INTO words SELECT * FROM words2;
SELECT * FROM differences('lists');
SELECT * FROM differences('texts');
SELECT * FROM differences('unclear');
SELECT * FROM differences('ordered');
UPDATE words SET w = 'a' WHERE id = 2;
SELECT * FROM differences('lists');
SELECT * FROM differences('texts');

-- It sees what its own transaction has done; the search_path
-- of the caller does not matter.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SET LOCAL search_path = pg_catalog;
INSERT INTO verifying.copies VALUES (2, 'new');
SELECT contents FROM upkeep.verify('verifying.same') WHERE side = 'query';
ROLLBACK;

-- What it cannot work on.
CREATE MATERIALIZED VIEW empty AS SELECT 1 AS one WITH NO DATA;
SELECT * FROM upkeep.verify('empty');
SELECT * FROM upkeep.verify('t');
SELECT * FROM upkeep.verify(NULL);
SELECT * FROM upkeep.verify(0);

-- Who may call it: whoever may read the view and the tables below it.
CREATE ROLE verify_reader;
GRANT USAGE ON SCHEMA verifying TO verify_reader;
CREATE VIEW plain AS SELECT k, d FROM t;
CREATE MATERIALIZED VIEW above AS SELECT k, d FROM plain;
GRANT SELECT ON above, plain TO verify_reader;
SET ROLE verify_reader;
SELECT * FROM upkeep.verify('same');
SELECT * FROM upkeep.verify('above');
RESET ROLE;
GRANT SELECT ON t TO verify_reader;
SET ROLE verify_reader;
SELECT * FROM upkeep.verify('above');
RESET ROLE;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY some_rows ON t USING (k = 1);
SET ROLE verify_reader;
SELECT * FROM upkeep.verify('above');
RESET ROLE;
SELECT * FROM upkeep.verify('above');

-- The query runs as the owner of the view, who can be made to do nothing else.
CREATE FUNCTION who() RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN current_user; END $$;
CREATE ROLE verify_owner;
GRANT USAGE, CREATE ON SCHEMA verifying TO verify_owner;
CREATE MATERIALIZED VIEW owned AS SELECT verifying.who() AS name FROM copies LIMIT 1;
GRANT SELECT ON copies TO verify_owner;
ALTER MATERIALIZED VIEW owned OWNER TO verify_owner;
SELECT contents FROM upkeep.verify('owned') WHERE side = 'query';

-- Groups that do not show their keys: which of those that show the same is meant is open.
CREATE TABLE forms (g int, n numeric);
INSERT INTO forms VALUES (1, 1), (2, 1), (3, 1.00), (4, 1), (5, 1.0);
CREATE MATERIALIZED VIEW hidden_keys AS SELECT max(n) AS n FROM forms GROUP BY g;
SELECT upkeep.register('hidden_keys');
INSERT INTO forms VALUES (3, 1), (5, 1), (4, 1.0);
SELECT * FROM upkeep.verify('hidden_keys');
SELECT upkeep.unregister('hidden_keys');
DELETE FROM forms WHERE n::text = '1.00';
SELECT * FROM upkeep.verify('hidden_keys');
DELETE FROM forms WHERE g < 3;
SELECT count(*) FROM upkeep.verify('hidden_keys') WHERE side = 'view';

-- Beside keys that make rows.
CREATE MATERIALIZED VIEW made_keys AS SELECT n, count(*) FROM forms GROUP BY generate_series(1, g - 2), n HAVING count(*) > 0;
SELECT upkeep.register('made_keys');
INSERT INTO forms VALUES (4, 1.000), (5, 1.000), (5, 2.0);
SELECT * FROM upkeep.verify('made_keys');
INSERT INTO forms SELECT 3, 1.00 FROM generate_series(1, 40);
SELECT * FROM upkeep.verify('made_keys');
SELECT upkeep.unregister('made_keys');
DELETE FROM forms WHERE n::text IN ('1', '1.0');
SELECT count(*) > 0 AS differs FROM upkeep.verify('made_keys') WHERE side = 'view';

-- Keys of grouping sets.
CREATE TABLE cells (id int, g numeric, h numeric, v int);
INSERT INTO cells VALUES (1, 2.0, 7, 1), (2, 3, 3, 3), (3, 3, NULL, 3);
CREATE MATERIALIZED VIEW cubed AS
    SELECT g, h + 1 AS h1, grouping(g, h) AS set, count(*), sum(v) FROM cells GROUP BY CUBE (g, h) HAVING count(*) > 0;
CREATE MATERIALIZED VIEW bare_sets AS SELECT g, h FROM cells GROUP BY GROUPING SETS ((g), (h), ());
SELECT upkeep.register('cubed'), upkeep.register('bare_sets');
INSERT INTO cells VALUES (4, 2.00, 7, 1);
UPDATE cells SET id = id + 10 WHERE id = 1;
SELECT * FROM upkeep.verify('cubed') UNION ALL SELECT * FROM upkeep.verify('bare_sets');
INSERT INTO cells SELECT i, 2.00, 7.00, 1 FROM generate_series(1, 40) i;
SELECT * FROM upkeep.verify('cubed') UNION ALL SELECT * FROM upkeep.verify('bare_sets');
SELECT upkeep.unregister('cubed'), upkeep.unregister('bare_sets');
DELETE FROM cells WHERE g::text = '2.0';
SELECT * FROM upkeep.verify('bare_sets') ORDER BY 1, 2;
SELECT * FROM upkeep.verify('cubed') WHERE contents NOT LIKE '(,%' ORDER BY 1, 2;

DROP SCHEMA verifying CASCADE;
DROP ROLE verify_reader, verify_owner;
