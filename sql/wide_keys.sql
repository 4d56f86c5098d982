-- More than 60 keys in one GROUP BY, DISTINCT, UNION, window or recursion: kept by key like any others.
SET client_min_messages = warning;
CREATE SCHEMA wk;
SET search_path = wk, public;
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'wk'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";
CREATE FUNCTION many(text, int) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(replace($1, '#', i::text), ', ') FROM generate_series(1, $2) i $$;
DO $$
BEGIN
    EXECUTE format('CREATE TABLE t (id int, %s)', many('c# int', 80));
    EXECUTE format('CREATE TABLE u (id int, %s)', many('c# int', 80));
    EXECUTE format('CREATE TABLE e (a int, b int)');
    -- A row of the number i: NULL in the column i, i % 3 in the others.
    EXECUTE format('CREATE FUNCTION put(relation text, first int, last int) RETURNS void LANGUAGE plpgsql AS $f$
        BEGIN EXECUTE format(''INSERT INTO %%I SELECT i, %s FROM generate_series($1, $2) i'', relation) USING first, last; END $f$', many('nullif(i %% 3, CASE WHEN i = # THEN i %% 3 END)', 80));
END $$;
SELECT put('t', 1, 80), put('t', 60, 70), put('u', 65, 75);
INSERT INTO e VALUES (1, 2), (2, 64), (64, 65), (65, 66), (66, 64);
DO $$
BEGIN
    EXECUTE format('CREATE MATERIALIZED VIEW grouped AS SELECT %1$s, count(*) AS n, max(id) AS m, count(DISTINCT id %% 7) AS d, array_agg(id ORDER BY id) AS ids FROM t GROUP BY %1$s', many('c#', 80));
    EXECUTE format('CREATE MATERIALIZED VIEW few_shown AS SELECT c70, sum(id) AS s FROM t GROUP BY %s', many('c#', 80));
    EXECUTE format('CREATE MATERIALIZED VIEW many_calls AS SELECT c1, %s FROM t GROUP BY %s', many('sum(id + #) AS s#', 65), many('c#', 80));
    EXECUTE format('CREATE MATERIALIZED VIEW sets AS SELECT c1, c80, grouping(c1, c80) AS g, count(*) AS n FROM t GROUP BY GROUPING SETS ((%s), (c80), ())', many('c#', 80));
    EXECUTE format('CREATE MATERIALIZED VIEW uniques AS SELECT DISTINCT %s FROM t', many('c#', 80));
    EXECUTE format('CREATE MATERIALIZED VIEW together AS SELECT %1$s FROM t UNION SELECT %1$s FROM u', many('c#', 80));
    EXECUTE format('CREATE MATERIALIZED VIEW less AS SELECT %1$s FROM t EXCEPT SELECT %1$s FROM u', many('c#', 80));
    EXECUTE format('CREATE MATERIALIZED VIEW common AS SELECT %1$s FROM t INTERSECT ALL SELECT %1$s FROM u', many('c#', 80));
    EXECUTE format('CREATE MATERIALIZED VIEW numbered AS SELECT id, c70, row_number() OVER (PARTITION BY %s ORDER BY id) AS n FROM t', many('c#', 80));
    EXECUTE format('CREATE MATERIALIZED VIEW firsts AS SELECT DISTINCT ON (%1$s) %1$s, id FROM t ORDER BY %1$s, id', many('c#', 80));
    EXECUTE format('CREATE MATERIALIZED VIEW reached AS WITH RECURSIVE r AS (SELECT id, %1$s FROM t WHERE id = 1 UNION SELECT t.id, %2$s FROM r JOIN e ON e.a = r.id JOIN t ON t.id = e.b) SELECT id, c65, c70 FROM r', many('c#', 80), many('t.c#', 80));
    EXECUTE format('CREATE MATERIALIZED VIEW late AS SELECT %1$s, count(*) AS n, string_agg(id::text, '' '' ORDER BY id) AS ids FROM t GROUP BY %1$s', many('c#', 80));
    EXECUTE format('CREATE MATERIALIZED VIEW above AS SELECT x.c70, u.id, x.n FROM (SELECT %1$s, count(*) AS n FROM t GROUP BY %1$s) x JOIN u ON u.c70 = x.c70 AND u.id %% 2 = x.n %% 2', many('c#', 80));
END $$;
SELECT count(upkeep.register(oid::regclass, CASE relname WHEN 'late' THEN 'deferred' ELSE 'immediate' END)) FROM pg_class WHERE relnamespace = 'wk'::regnamespace AND relkind = 'm';
SELECT upkeep.refresh('late');
SELECT v.view, string_agg(DISTINCT e.strategy, ', ' ORDER BY e.strategy) FROM upkeep.views v JOIN pg_class c ON c.oid = v.view, upkeep.explain(v.view::text) e WHERE c.relnamespace = 'wk'::regnamespace GROUP BY v.view ORDER BY v.view::text COLLATE "C";
CREATE TEMP TABLE built AS SELECT view, last_maintenance FROM upkeep.views;
TABLE wrong;
SELECT put('t', 64, 66), put('t', 81, 81);
UPDATE t SET c70 = NULL WHERE id % 2 = 0;
SELECT upkeep.refresh('late');
TABLE wrong;
SELECT put('u', 62, 66);
UPDATE t SET c80 = 5, c3 = NULL WHERE id BETWEEN 63 AND 68;
DELETE FROM e WHERE a = 2;
SELECT upkeep.refresh('late');
TABLE wrong;
SELECT * FROM reached ORDER BY id;
DELETE FROM t WHERE id % 5 = 0;
DELETE FROM u WHERE id < 66;
INSERT INTO e VALUES (2, 64);
SELECT upkeep.refresh('late');
TABLE wrong;
SELECT c70, s FROM few_shown WHERE s > 200 ORDER BY c70, s;
DELETE FROM t WHERE id <> 1;
SELECT upkeep.refresh('late');
TABLE wrong;
SELECT count(*) FROM grouped;
DELETE FROM t;
SELECT upkeep.refresh('late');
TABLE wrong;
SELECT v.view FROM upkeep.views v JOIN pg_class c ON c.oid = v.view JOIN built b ON b.view = v.view WHERE c.relnamespace = 'wk'::regnamespace AND v.last_maintenance <> b.last_maintenance AND v.mode = 'immediate' ORDER BY 1;
DROP TABLE built;
DROP SCHEMA wk CASCADE;
