-- What no rule covers is computed whole at every change of its tables, and the difference written: nothing is refused because
-- nobody has thought of it.
SET client_min_messages = warning;
CREATE SCHEMA whole;
SET search_path = whole, public;
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'whole'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";
CREATE TABLE t (id int PRIMARY KEY, parent int, k int, n numeric, w text COLLATE "C");
INSERT INTO t VALUES (1, NULL, 1, 1.0, 'a'), (2, 1, 1, 1.00, 'b'), (3, 1, 2, 2, 'c'), (4, 3, 2, 3, NULL), (5, 3, NULL, 2.0, 'e');
CREATE TABLE u (k int, v int);
INSERT INTO u VALUES (1, 1), (2, 2), (2, 3);
-- Only the part that has no rule is run whole: the rest is followed by its rules.
CREATE MATERIALIZED VIEW part AS SELECT x.k, x.n, u.v FROM (SELECT y.k, count(*) AS n FROM (SELECT k, w FROM t) y GROUP BY y, y.k) x LEFT JOIN u ON u.k = x.k;
-- SEARCH and CYCLE columns used as the rows that they are, over keys whose equal values look different.
CREATE MATERIALIZED VIEW searched AS
    WITH RECURSIVE r AS (SELECT id, k FROM t WHERE parent IS NULL UNION ALL SELECT t.id, t.k FROM r JOIN t ON t.parent = r.id)
        SEARCH DEPTH FIRST BY k, id SET place SELECT id, k, row_number() OVER (ORDER BY place) AS n FROM r;
CREATE MATERIALIZED VIEW cycled AS
    WITH RECURSIVE r AS (SELECT id, n FROM t WHERE parent IS NULL UNION ALL SELECT t.id, t.n FROM r JOIN t ON t.parent = r.id)
        CYCLE n SET again USING path SELECT id, n, again, path[1] IS NULL AS no_path FROM r;
-- Rows of no named type, as keys and inside windows.
CREATE MATERIALIZED VIEW by_row AS SELECT x.k, count(*) AS n FROM (SELECT k, w FROM t) x GROUP BY x, x.k;
CREATE MATERIALIZED VIEW before AS SELECT id, to_jsonb(lag(x) OVER (ORDER BY id)) AS j FROM (SELECT id, w, u.v FROM t LEFT JOIN u ON u.k = t.k AND u.v = 1) x;
-- A very wide one.
DO $$
BEGIN
    EXECUTE (SELECT format('CREATE MATERIALIZED VIEW joined AS SELECT count(*) AS n FROM t, %s', string_agg(format('generate_series(1, 1) g%s', i), ', ')) FROM generate_series(1, 61) i);
END $$;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'whole'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
TABLE wrong;
SELECT v.view::text, e.trigger, e.operator, e.strategy FROM upkeep.views v JOIN pg_class c ON c.oid = v.view, upkeep.explain(v.view::text) e
    WHERE relnamespace = 'whole'::regnamespace AND e.operator = 'query' ORDER BY v.view::text COLLATE "C", e.step;
INSERT INTO t VALUES (6, 2, 1, 4, 'f'), (7, 5, 3, 2.00, 'g');
TABLE wrong;
UPDATE t SET n = n + 1, k = k % 2 WHERE id > 2;
TABLE wrong;
UPDATE t SET parent = 6 WHERE id = 3;
DELETE FROM t WHERE id IN (5, 7);
TABLE wrong;
INSERT INTO u VALUES (0, 1), (1, 1);
TABLE wrong;
DELETE FROM u;
TRUNCATE t;
TABLE wrong;
INSERT INTO t SELECT i, nullif(i / 2, 0), i % 3, i, 'w' || i FROM generate_series(1, 9) i;
TABLE wrong;
SELECT upkeep.register('searched', mode => 'deferred'), upkeep.register('part', mode => 'deferred');
SELECT upkeep.refresh('searched'), upkeep.refresh('part');
UPDATE t SET parent = 1, k = id WHERE id > 6;
DELETE FROM t WHERE id = 3;
SELECT upkeep.refresh('searched'), upkeep.refresh('part');
TABLE wrong;
SELECT id, n FROM searched ORDER BY n;
DROP SCHEMA whole CASCADE;
