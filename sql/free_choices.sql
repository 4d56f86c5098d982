-- Where SQL leaves the rows open, a view shows the choice that the images of the rows make, and verify() accepts that
-- and what the query itself gives: nothing else. Here the views are manual: what they show stays as it is while the
-- rows of their base table change places.
SET client_min_messages = warning;
CREATE SCHEMA free_choices;
SET search_path = free_choices, public;
CREATE TABLE t (id int, g int, s text, n numeric, f float8, j json);
CREATE TABLE source AS
    SELECT i AS id, i % 3 AS g, 's' || i % 4 AS s, (CASE WHEN i % 2 = 0 THEN '1.0' ELSE '1.00' END)::numeric + i % 2 AS n,
        (0.1 * i + (i % 7) * 1e15)::float8 AS f, ('{"a":' || i % 5 || '}')::json AS j
    FROM generate_series(1, 40) i;
INSERT INTO t SELECT * FROM source ORDER BY id;
CREATE TABLE views (view text PRIMARY KEY, query text);
INSERT INTO views VALUES
    ('limited', 'SELECT id, s FROM t ORDER BY g LIMIT 5'),
    ('unordered', 'SELECT s, j, n, id FROM t LIMIT 7'),
    ('first_of_each', 'SELECT DISTINCT ON (s) s, j, id FROM t ORDER BY s, g'),
    ('distinct_limited', 'SELECT DISTINCT id % 10 AS r, s FROM t ORDER BY 2 LIMIT 5'),
    ('united_limited', 'SELECT g, s FROM t UNION ALL SELECT id % 2, s FROM t ORDER BY 1 LIMIT 9'),
    ('ties_after_offset', 'SELECT id, g FROM t ORDER BY g OFFSET 5 ROWS FETCH FIRST 1 ROW WITH TIES'),
    ('numbered', 'SELECT id, row_number() OVER (PARTITION BY g ORDER BY s) AS r, rank() OVER (PARTITION BY g ORDER BY s) AS k,
                  lag(id) OVER (ORDER BY s) AS l, ntile(3) OVER (ORDER BY g) AS q FROM t'),
    ('framed', 'SELECT id, sum(id) OVER (ORDER BY s ROWS 2 PRECEDING) AS a, first_value(id) OVER (ORDER BY s) AS b,
                last_value(id) OVER (ORDER BY s) AS c, nth_value(id, 14) OVER (ORDER BY s) AS d,
                array_agg(id) OVER (PARTITION BY g ORDER BY s) AS e, sum(id) OVER (ORDER BY s) AS f FROM t'),
    ('sums', 'SELECT id, sum(f) OVER (ORDER BY s) AS a, f / sum(f) OVER (PARTITION BY g) AS b FROM t'),
    ('top_of_each', 'SELECT id, s FROM (SELECT id, s, row_number() OVER (PARTITION BY s ORDER BY g) AS r FROM t) x WHERE r < 3'),
    ('listed', 'SELECT g, string_agg(s, '','') AS a, array_agg(n) AS b, json_agg(j ORDER BY s) AS c FROM t GROUP BY g'),
    ('arrays', 'SELECT g, ARRAY(SELECT u.id FROM t u WHERE u.g = x.g ORDER BY u.s) AS a FROM (VALUES (0), (1)) x (g)'),
    ('lateral_limited', 'SELECT x.g, y.id FROM (VALUES (0), (1)) x (g), LATERAL (SELECT u.id FROM t u WHERE u.g = x.g ORDER BY u.s LIMIT 2) y');
SELECT format('CREATE MATERIALIZED VIEW %I AS %s', view, query) FROM views \gexec
SELECT count(upkeep.register(view::regclass, 'manual')) FROM views;
SELECT upkeep.refresh() > 0 AS changed;
CREATE FUNCTION wrong() RETURNS TABLE (view text, side text, contents text) LANGUAGE sql AS
    $$ SELECT v.view, d.side, d.contents FROM views v, upkeep.verify(v.view::regclass) d
       ORDER BY v.view COLLATE "C", d.side DESC, d.contents COLLATE "C" $$;
SELECT * FROM wrong();

-- The same rows at other places, and other plans.
TRUNCATE t;
INSERT INTO t SELECT * FROM source ORDER BY id DESC;
CREATE FUNCTION same(a text, b text) RETURNS boolean LANGUAGE plpgsql AS $$
    DECLARE result boolean;
    BEGIN
        EXECUTE format('SELECT (SELECT array_agg(x::text ORDER BY x::text) FROM (%s) x) =
                               (SELECT array_agg(x::text ORDER BY x::text) FROM (%s) x)', a, b) INTO result;
        RETURN result;
    END $$;
SELECT view FROM views WHERE same(query, 'TABLE ' || view) ORDER BY 1; -- few views show what the query gives now
SELECT * FROM wrong();
CREATE INDEX ON t (g);
CREATE INDEX ON t (s);
SET enable_seqscan = off;
SET enable_sort = off;
SET jit = off;
SELECT * FROM wrong();
SELECT upkeep.refresh() AS changed;
RESET ALL;
SET client_min_messages = warning;
SET search_path = free_choices, public;

-- What the query gives with its rows as they are now is accepted, too.
CREATE MATERIALIZED VIEW as_queried AS SELECT id, s FROM t ORDER BY g LIMIT 5;
SELECT NOT same('TABLE as_queried', 'TABLE limited') AS other_rows;
SELECT * FROM upkeep.verify('as_queried');
DROP MATERIALIZED VIEW as_queried;

-- A wrong row is found, whether or not it takes part in a tie; what is right is not reported with it.
BEGIN;
UPDATE t SET g = 1, s = 's0' WHERE id = 3;
SELECT view, count(*) FILTER (WHERE side = 'view') AS of_view, count(*) FILTER (WHERE side = 'query') AS of_query
FROM wrong() GROUP BY view ORDER BY view COLLATE "C";
ROLLBACK;
BEGIN;
UPDATE t SET id = 100 WHERE id = 3;
SELECT * FROM wrong() WHERE view IN ('limited', 'first_of_each', 'ties_after_offset', 'numbered', 'lateral_limited', 'top_of_each');
ROLLBACK;
-- A value that no order of the rows gives.
BEGIN;
UPDATE t SET n = n + 0.000 WHERE id = 5;
SELECT view, side FROM wrong();
ROLLBACK;
BEGIN;
UPDATE t SET f = f + 1 WHERE id = 5;
SELECT view, count(*) > 1 FROM wrong() GROUP BY view;
ROLLBACK;
-- A copy more of a row that is there anyhow.
BEGIN;
INSERT INTO t SELECT * FROM t WHERE id = 6;
SELECT view, count(*) FROM wrong() GROUP BY view ORDER BY view COLLATE "C";
ROLLBACK;
-- Aggregates that are read again: what is stored is settled, for json and others, too.
CREATE MATERIALIZED VIEW lists AS
    SELECT g, json_agg(j) AS a, array_agg(n) AS b, string_agg(s, '-') AS c, jsonb_object_agg(s, n) AS d FROM t GROUP BY g;
SELECT upkeep.register('lists');
INSERT INTO t SELECT * FROM source WHERE id < 5;
DELETE FROM t WHERE id > 35;
SELECT * FROM upkeep.verify('lists');
CREATE TABLE again AS SELECT * FROM t ORDER BY md5(t::text);
BEGIN;
DELETE FROM t;
INSERT INTO t SELECT * FROM again;
COMMIT;
SELECT * FROM upkeep.verify('lists');

-- A sorted subquery gives its order to what is above it, as it does where PostgreSQL runs the query.
CREATE VIEW by_id AS SELECT id, s FROM t ORDER BY id DESC;
CREATE MATERIALIZED VIEW newest AS SELECT * FROM (SELECT s, g FROM t ORDER BY id DESC) x LIMIT 4;
CREATE MATERIALIZED VIEW newest_view AS SELECT s FROM by_id LIMIT 4;
CREATE MATERIALIZED VIEW places AS SELECT row_number() OVER () AS place, id FROM (SELECT id FROM t WHERE id < 9 ORDER BY s, id) x;
CREATE MATERIALIZED VIEW chains AS SELECT g, string_agg(s, '-') AS s FROM (SELECT g, s FROM t ORDER BY id DESC) x GROUP BY g;
CREATE MATERIALIZED VIEW chain AS SELECT string_agg(s, '-') AS s, ARRAY(SELECT y.s FROM (SELECT s FROM t ORDER BY id) y) AS a
    FROM by_id WHERE id < 9;
SELECT upkeep.register('newest', 'manual'), upkeep.register('newest_view', 'manual'), upkeep.register('places', 'manual'),
    upkeep.register('chains'), upkeep.register('chain', 'manual');
INSERT INTO t VALUES (50, 0, 'last', 1, 1, NULL), (-1, 1, 'first', 1, 1, NULL);
SELECT upkeep.refresh() > 0 AS changed;
TABLE newest;
TABLE newest_view;
SELECT * FROM places ORDER BY place;
SELECT * FROM chains ORDER BY g;
TABLE chain;
SELECT v, d.* FROM unnest('{newest,newest_view,places,chains,chain}'::regclass[]) v, upkeep.verify(v) d;

-- Subqueries that are evaluated again: how floats round, and which of equal values is shown, too.
CREATE TABLE outside (id int PRIMARY KEY, g int);
INSERT INTO outside VALUES (1, 0), (2, 1), (3, 2);
CREATE MATERIALIZED VIEW evaluated AS
    SELECT id, (SELECT sum(f) FROM t WHERE t.g <= o.g) AS f, (SELECT min(n) FROM t WHERE t.g <= o.g) AS n,
        (SELECT array_agg(n) FROM (SELECT n FROM t WHERE t.g = o.g GROUP BY n) x) AS a
    FROM outside o WHERE o.g > 5 OR EXISTS (SELECT FROM t WHERE t.g >= o.g);
SELECT upkeep.register('evaluated');
UPDATE t SET n = n + 0.000 WHERE id < 4;
DELETE FROM t WHERE id = 7;
SELECT * FROM upkeep.verify('evaluated');
TRUNCATE again;
INSERT INTO again SELECT * FROM t ORDER BY md5(t::text) DESC;
BEGIN;
DELETE FROM t;
INSERT INTO t SELECT * FROM again;
COMMIT;
SELECT * FROM upkeep.verify('evaluated');
UPDATE t SET f = f + 1 WHERE id = 9;
SELECT * FROM upkeep.verify('evaluated');

-- A CTE that only a subquery at the null side of an outer join reads.
CREATE MATERIALIZED VIEW with_cte AS
    WITH c AS (SELECT DISTINCT ON (id) id, g FROM t ORDER BY id)
    SELECT x.u, y.id FROM (SELECT u.g AS u, c.g FROM outside u RIGHT JOIN c ON u.g = c.g + 1 AND u.id < c.id) x
        RIGHT JOIN (SELECT DISTINCT id, g FROM c) y ON y.g = x.u;
SELECT upkeep.register('with_cte');
DELETE FROM t WHERE id IN (8, 9);
INSERT INTO outside VALUES (4, 1);
SELECT * FROM upkeep.verify('with_cte');

-- Copies under a window that sorts them, beside a window that leaves them in another order.
CREATE TABLE copies (k int);
INSERT INTO copies VALUES (2), (2), (2), (2), (3), (3), (3), (3);
CREATE MATERIALIZED VIEW of_copies AS
    SELECT string_agg(k::text, ',') OVER (ORDER BY k DESC) AS s,
        first_value(k) OVER (ORDER BY k DESC NULLS LAST ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS f, count(*) OVER () AS c
    FROM copies;
SELECT upkeep.register('of_copies');
SELECT * FROM upkeep.verify('of_copies');
TABLE of_copies ORDER BY s;
INSERT INTO copies VALUES (2), (NULL), (3), (NULL);
SELECT * FROM upkeep.verify('of_copies');
UPDATE copies SET k = 1 WHERE k = 3;
SELECT * FROM upkeep.verify('of_copies');

-- Copies meet all windows in one order: they are numbered below windows that are computed together, and by the results
-- of one window below another one. Sets in the select list are made above, sets that are group keys below.
CREATE TABLE twins (k int, x int, y text);
INSERT INTO twins SELECT g % 3, g % 2, 'a' FROM generate_series(1, 12) g;
INSERT INTO twins SELECT NULL, g % 2, NULL FROM generate_series(1, 4) g;
CREATE TABLE twin_views (view regclass);
CREATE MATERIALIZED VIEW twins_over_all AS SELECT k, row_number() OVER (ORDER BY k, x) AS a, row_number() OVER (ORDER BY x DESC) AS b FROM twins;
CREATE MATERIALIZED VIEW twins_together AS
    SELECT row_number() OVER (PARTITION BY k ORDER BY x) AS a, row_number() OVER (PARTITION BY k ORDER BY x DESC) AS b FROM twins;
CREATE MATERIALIZED VIEW twins_apart AS SELECT k, row_number() OVER (PARTITION BY k) AS a, row_number() OVER (ORDER BY k) AS b FROM twins;
CREATE MATERIALIZED VIEW twins_of_groups AS
    SELECT lag(n) OVER (ORDER BY n) AS a, row_number() OVER (ORDER BY n DESC) AS b FROM (SELECT count(*) AS n FROM twins GROUP BY k, x) q;
CREATE MATERIALIZED VIEW twins_running AS
    SELECT row_number() OVER (ORDER BY k, x) AS a,
        sum(x) OVER (PARTITION BY x ORDER BY k, x DESC ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS b,
        string_agg(k::text, ',') OVER (PARTITION BY k, x ORDER BY x, k) AS c
    FROM twins;
CREATE MATERIALIZED VIEW twins_sets AS
    SELECT k, generate_series(1, x + 1) AS g, row_number() OVER (ORDER BY k, x) AS a, row_number() OVER (ORDER BY x DESC, k) AS b,
        string_agg(y, ',') OVER (PARTITION BY k ORDER BY x) AS c
    FROM twins;
CREATE MATERIALIZED VIEW twins_grouped_sets AS
    SELECT k, generate_series(1, x + 1) AS g, row_number() OVER (ORDER BY k) AS a, row_number() OVER (ORDER BY k DESC) AS b, count(*) AS n
    FROM twins GROUP BY k, g, x;
INSERT INTO twin_views SELECT oid FROM pg_class WHERE relname LIKE 'twins\_%';
SELECT count(upkeep.register(view)) FROM twin_views;
SELECT view, step, strategy, unnest(regexp_matches(sql, '\w+\(\w*\) OVER \([^)]*\)', 'g'))
FROM twin_views, upkeep.explain(view::text) WHERE view::text ~ 'all|together|apart' AND operator = 'window' ORDER BY view::text, 2, 4;
CREATE FUNCTION wrong_twins() RETURNS TABLE (view regclass, side text, contents text) LANGUAGE sql AS
    $$ SELECT view, v.* FROM twin_views, upkeep.verify(view) v ORDER BY view::text, 2, 3 $$;
INSERT INTO twins VALUES (1, 1, 'a'), (NULL, NULL, NULL), (NULL, NULL, NULL), (2, 0, 'c'), (2, 0, 'c'), (0, 1, 'a');
SELECT * FROM wrong_twins();
UPDATE twins SET k = 1 WHERE k = 2;
SELECT * FROM wrong_twins();
DELETE FROM twins WHERE ctid IN (SELECT max(ctid) FROM twins GROUP BY k, x);
SELECT * FROM wrong_twins();
UPDATE twins SET x = 1 - x;
SELECT * FROM wrong_twins();
UPDATE twins SET y = 'z' WHERE k = 1;
SELECT * FROM wrong_twins();
DELETE FROM twins WHERE x = 0;
SELECT * FROM wrong_twins();

DROP SCHEMA free_choices CASCADE;
