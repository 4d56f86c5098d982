-- More than 60 aggregates in one SELECT: a node for each 60, brought together by key.
SET client_min_messages = warning;
CREATE SCHEMA wg;
SET search_path = wg, public;
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'wg'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";
CREATE TABLE t (id int PRIMARY KEY, k int, w text COLLATE "C", n numeric);
INSERT INTO t SELECT i, nullif(i % 4, 3), 'w' || i % 2, i / 2.0 FROM generate_series(1, 20) i;
CREATE TABLE u (k int, x int);
INSERT INTO u VALUES (0, 1), (1, 2), (NULL, 3);
CREATE FUNCTION many(text, int) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(replace($1, '#', i::text) || ' AS c' || i, ', ') FROM generate_series(1, $2) i $$;
DO $$
BEGIN
    EXECUTE format('CREATE MATERIALIZED VIEW pivot AS SELECT k, %s FROM t GROUP BY k', many('sum(n) FILTER (WHERE id = #)', 70));
    EXECUTE format('CREATE MATERIALIZED VIEW all_rows AS SELECT %s, count(DISTINCT k) AS keys FROM t', many('max(id + #)', 130));
    EXECUTE format('CREATE MATERIALIZED VIEW chosen AS SELECT k, w, %s, array_agg(id ORDER BY id) AS ids FROM t GROUP BY k, w HAVING sum(n + 61) > 70 OR max(w) = ''w0''', many('sum(n + #)', 65));
    EXECUTE format('CREATE MATERIALIZED VIEW sets AS SELECT k, w, grouping(k, w) AS g, %s FROM t GROUP BY ROLLUP (k, w)', many('count(*) FILTER (WHERE id = #)', 61));
    EXECUTE format('CREATE MATERIALIZED VIEW above AS SELECT x.k, x.c63 + u.x AS s, rank() OVER (ORDER BY x.c62) AS r FROM (SELECT k, %s FROM t GROUP BY k) x LEFT JOIN u ON u.k = x.k', many('sum(id * #)', 63));
END $$;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'wg'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
CREATE TEMP TABLE built AS SELECT view, last_maintenance FROM upkeep.views;
TABLE wrong;
SELECT k, c62, c64 FROM pivot ORDER BY k;
INSERT INTO t VALUES (61, 1, 'w1', 5), (62, 3, 'w3', 6.50), (64, NULL, 'w0', NULL);
TABLE wrong;
SELECT k, c61, c62, c64 FROM pivot ORDER BY k;
UPDATE t SET k = 3 WHERE id IN (61, 4);
TABLE wrong;
UPDATE t SET n = n + 1, w = NULL WHERE id > 15;
TABLE wrong;
DELETE FROM t WHERE k = 0;
DELETE FROM u WHERE k IS NULL;
TABLE wrong;
INSERT INTO u VALUES (3, 7);
DELETE FROM t;
TABLE wrong;
INSERT INTO t VALUES (1, 1, 'a', 1);
TABLE wrong;
SELECT v.view FROM upkeep.views v JOIN built b ON b.view = v.view WHERE v.last_maintenance <> b.last_maintenance ORDER BY 1;
SELECT operator, strategy, count(*) FROM upkeep.explain('wg.pivot') GROUP BY operator, strategy ORDER BY operator COLLATE "C", strategy COLLATE "C";
DROP TABLE built;
DROP SCHEMA wg CASCADE;
