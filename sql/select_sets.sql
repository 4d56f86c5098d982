-- Set-returning functions in the select list.
SET client_min_messages = warning;
CREATE SCHEMA listing;
SET search_path = listing, public;
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'listing'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";

CREATE TYPE pair AS (k int, v text);
CREATE TABLE t (id int, tags text[], doc jsonb, lo int, hi int, ps pair[], n numeric[]);
INSERT INTO t VALUES (1, '{a,b,a}', '{"k": 1, "l": [1]}', 1, 3, '{"(1,a)","(2,)"}', '{1.0,1.00,2}'), (2, '{}', '{}', 2, 1, '{}', '{}'), (3, NULL, NULL, NULL, 4, NULL, NULL);
CREATE TABLE u (id int, w int);
INSERT INTO u VALUES (1, 2), (1, 3), (3, 1);
CREATE FUNCTION steps(lo int, hi int) RETURNS SETOF int LANGUAGE plpgsql IMMUTABLE STRICT AS 'BEGIN FOR i IN lo .. hi LOOP RETURN NEXT i; END LOOP; END';
CREATE MATERIALIZED VIEW one AS SELECT id, unnest(tags) AS tag FROM t;
CREATE MATERIALIZED VIEW lockstep AS SELECT id, unnest(tags) AS tag, generate_series(lo, hi) AS g, upper(unnest(tags)) || id AS up FROM t;
CREATE MATERIALIZED VIEW nested AS SELECT id, generate_series(1, generate_series(lo, hi)) AS g, unnest(tags) AS tag FROM t;
CREATE MATERIALIZED VIEW fields AS SELECT id, (jsonb_each(doc)).* FROM t;
CREATE MATERIALIZED VIEW whole AS SELECT id, jsonb_each(doc)::text AS e, generate_series(1, 2) AS g FROM t;
CREATE MATERIALIZED VIEW composite AS SELECT id, unnest(ps) AS p, (unnest(ps)).v FROM t;
CREATE MATERIALIZED VIEW own AS SELECT id, steps(lo, hi) + 1 AS s FROM t WHERE hi > 0;
CREATE MATERIALIZED VIEW grouped AS SELECT unnest(tags) AS tag, count(*) AS c, sum(lo) AS s FROM t GROUP BY 1;
CREATE MATERIALIZED VIEW above AS SELECT lo, count(*) AS c, generate_series(1, count(*)) AS g, sum(hi) FROM t GROUP BY lo HAVING count(*) > 0;
CREATE MATERIALIZED VIEW both_places AS SELECT unnest(tags) AS tag, generate_series(1, count(*)) AS g FROM t GROUP BY unnest(tags);
CREATE MATERIALIZED VIEW rolled AS SELECT unnest(tags) AS tag, lo, count(*) AS c FROM t GROUP BY ROLLUP (unnest(tags), lo);
CREATE MATERIALIZED VIEW one_total AS SELECT generate_series(1, max(hi)) AS g, count(*) AS c FROM t;
CREATE MATERIALIZED VIEW apart AS SELECT DISTINCT unnest(tags) AS tag, lo > 1 AS late FROM t;
CREATE MATERIALIZED VIEW apart_images AS SELECT DISTINCT unnest(n) AS n FROM t;
CREATE MATERIALIZED VIEW hidden AS SELECT id FROM t ORDER BY unnest(tags), id;
CREATE MATERIALIZED VIEW over_join AS SELECT t.id, u.w, generate_series(t.lo, u.w) AS g FROM t JOIN u USING (id);
CREATE MATERIALIZED VIEW over_left AS SELECT t.id, u.w, generate_series(1, u.w) AS g FROM t LEFT JOIN u USING (id);
CREATE MATERIALIZED VIEW within AS SELECT id FROM u WHERE w IN (SELECT generate_series(lo, hi) FROM t);
CREATE MATERIALIZED VIEW below AS SELECT s.tag, u.w FROM (SELECT id, unnest(tags) AS tag FROM t) s LEFT JOIN u USING (id);
CREATE MATERIALIZED VIEW constant AS SELECT u.id, s.x FROM u, (SELECT unnest(ARRAY[1, 2]) AS x) s WHERE u.w >= s.x;
CREATE MATERIALIZED VIEW arms AS SELECT unnest(tags) FROM t UNION ALL SELECT w::text FROM u UNION SELECT 'a';
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'listing'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
TABLE wrong;
SELECT * FROM lockstep ORDER BY lockstep::text COLLATE "C";
SELECT * FROM nested ORDER BY nested::text COLLATE "C";
SELECT * FROM rolled ORDER BY rolled::text COLLATE "C";
INSERT INTO t VALUES (4, '{b,z,NULL}', '{"k": {"b": 2}}', 0, 2, '{NULL,"(3,x)"}', '{2.0}'), (1, '{a}', '{}', 3, 3, NULL, '{1}');
TABLE wrong;
SELECT * FROM whole ORDER BY whole::text COLLATE "C";
SELECT * FROM composite ORDER BY composite::text COLLATE "C";
UPDATE t SET tags = tags || text 'b', hi = hi + 1;
TABLE wrong;
UPDATE u SET w = w + 1;
TABLE wrong;
WITH x AS (UPDATE u SET w = w - 2 RETURNING *), y AS (DELETE FROM t WHERE id = 4) UPDATE t SET lo = lo + 1, hi = 2, n = n || 1.000;
TABLE wrong;
SELECT * FROM over_join ORDER BY over_join::text COLLATE "C";
BEGIN;
SAVEPOINT s;
TRUNCATE t;
TABLE wrong;
ROLLBACK TO s;
UPDATE t SET lo = NULL, tags = '{}', ps = NULL, doc = '{"z": null}';
INSERT INTO u VALUES (1, NULL), (NULL, 4);
TABLE wrong;
COMMIT;
SELECT * FROM one_total ORDER BY 1;
DELETE FROM t WHERE id = 1;
TABLE wrong;

SET client_min_messages = warning;
DROP SCHEMA listing CASCADE;
