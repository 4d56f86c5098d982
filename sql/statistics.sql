-- Statistics of two columns, ordered-set and hypothetical-set aggregates, keys of odd types.
SET client_min_messages = warning;
CREATE SCHEMA stats;
SET search_path = stats, public;
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'stats'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";

CREATE TYPE pair AS (x int, y text);
CREATE TABLE t (id int PRIMARY KEY, g int, x float8, y float8, n numeric, word text, p pair, doc json, at point);
INSERT INTO t SELECT i, i % 4, i * 0.1, 1e10 / (i + 0.3), i % 3, 'w' || i % 5, ROW(i % 2, 'p')::pair, json_build_object('i', i), point(i, 1) FROM generate_series(1, 40) i;
INSERT INTO t VALUES (50, NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL), (51, NULL, 0.1, 'NaN', 1.0, 'a', ROW(NULL, NULL)::pair, '{}', '(0,0)'), (52, 9, 'Infinity', 1, 1.00, 'a', ROW(1, NULL)::pair, '[ 1]', NULL);
CREATE TABLE u (id int PRIMARY KEY, t_id int, v int);
INSERT INTO u SELECT i, i % 9, i FROM generate_series(1, 30) i;
CREATE MATERIALIZED VIEW regression AS SELECT g, corr(x, y), covar_pop(x, y), covar_samp(y, x), regr_slope(y, x), regr_intercept(y, x), regr_r2(y, x), regr_sxx(x, y), regr_syy(x, y), regr_sxy(x, y), regr_avgx(x, y), regr_avgy(x, y), regr_count(x, y) FROM t GROUP BY g;
CREATE MATERIALIZED VIEW regression_all AS SELECT corr(x, y) AS c, sum(x) AS s, variance(y) AS v FROM t WHERE x < 3;
CREATE MATERIALIZED VIEW regression_some AS SELECT g, regr_slope(y, x) FILTER (WHERE id % 2 = 0) AS s, round(covar_pop(n, x)::numeric, 3) AS c FROM t GROUP BY g HAVING regr_count(y, x) > 2;
CREATE MATERIALIZED VIEW joined_corr AS SELECT t.g, corr(t.x, u.v) AS c FROM t JOIN u ON u.t_id = t.id GROUP BY t.g;
CREATE MATERIALIZED VIEW fractions AS SELECT g, percentile_cont(0.1 * g / (g + 1)) WITHIN GROUP (ORDER BY y) AS c, percentile_disc(ARRAY[0.5, g / 20.0]) WITHIN GROUP (ORDER BY word) AS d FROM t WHERE g < 9 GROUP BY g;
CREATE MATERIALIZED VIEW fraction_of AS SELECT g + 1 AS h, word, percentile_disc(CASE WHEN (g + 1) > 2 THEN 0.9 ELSE 0.2 END) WITHIN GROUP (ORDER BY id DESC) AS d FROM t GROUP BY g + 1, word;
CREATE MATERIALIZED VIEW ranks AS SELECT g, rank(3) WITHIN GROUP (ORDER BY n) AS r, dense_rank(1) WITHIN GROUP (ORDER BY n DESC) AS d, percent_rank(2.0) WITHIN GROUP (ORDER BY n) AS p, cume_dist('w2', 2) WITHIN GROUP (ORDER BY word, n) AS c, rank(g * 10) WITHIN GROUP (ORDER BY id) AS own FROM t GROUP BY g;
CREATE MATERIALIZED VIEW unordered AS SELECT g, json_agg(word) AS j, string_agg(word, '+') AS s, array_agg(n) AS a, jsonb_object_agg(id, word) AS o FROM t GROUP BY g;
CREATE MATERIALIZED VIEW by_row AS SELECT row(g, word)::text AS r, count(*) AS c, max(id) FROM t GROUP BY row(g, word);
CREATE MATERIALIZED VIEW by_pair AS SELECT p, count(*) AS c FROM t GROUP BY p;
CREATE MATERIALIZED VIEW pairs AS SELECT DISTINCT p FROM t;
CREATE MATERIALIZED VIEW dependent AS SELECT t.id, t.doc, t.at, t.doc::text AS text, count(u.id) AS c, string_agg(u.v::text, ',' ORDER BY u.v) AS l FROM t LEFT JOIN u ON u.t_id = t.id GROUP BY t.id;
CREATE MATERIALIZED VIEW dependent_only AS SELECT t.doc, max(u.v) AS m FROM t JOIN u ON u.t_id = t.id GROUP BY t.id;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'stats'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
TABLE wrong;
SELECT g, r, d, c, own FROM ranks ORDER BY g;
SELECT * FROM fractions ORDER BY g;
UPDATE t SET y = y * 3, n = n + 1 WHERE id % 3 = 0;
TABLE wrong;
UPDATE t SET doc = json_build_object('new', id), at = NULL, p = ROW(id % 3, p)::pair WHERE id < 6;
TABLE wrong;
INSERT INTO u SELECT 100 + i, i, i FROM generate_series(1, 40) i;
DELETE FROM t WHERE x > 3.5 OR id = 52;
TABLE wrong;
WITH a AS (UPDATE u SET v = v - 1, t_id = t_id + 1 RETURNING *) UPDATE t SET g = g + 1, doc = '{"g" : 1}', word = word || 'x' WHERE id % 2 = 0;
TABLE wrong;
SELECT doc, text, c, l FROM dependent WHERE id IN (2, 3, 4) ORDER BY id;
BEGIN;
SAVEPOINT s;
UPDATE t SET g = NULL, x = -x, doc = NULL;
TABLE wrong;
ROLLBACK TO s;
UPDATE t SET x = x + 1e-9, word = 'same', p = NULL;
TABLE wrong;
COMMIT;
DELETE FROM u WHERE v % 2 = 0;
TABLE wrong;
TRUNCATE t, u;
TABLE wrong;
SELECT * FROM regression_all;

SET client_min_messages = warning;
DROP SCHEMA stats CASCADE;
