-- The cost oracle: a change of one row of 300,000-row tables reads a handful of blocks, whatever the shape of the view.
SET client_min_messages = warning;
CREATE SCHEMA costing;
SET search_path = costing, public;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
-- Keys are large, so that no plan can do with the start of an index.
CREATE TABLE f (id bigint PRIMARY KEY, k bigint, p bigint, v int, n int, s text COLLATE "C", tags text[]);
CREATE TABLE d (k bigint PRIMARY KEY, g int, w text COLLATE "C");
CREATE TABLE e (g int, z int, k bigint);
INSERT INTO f SELECT 4000000000 + i, 5000000000 + i / 10, 4000000000 + i - 7, i % 97, nullif(i % 30000, 29999), 'a long prefix of the key ' || i / 10, ARRAY['t' || i % 50, 'u' || i / 10]
FROM generate_series(1, 300000) i;
INSERT INTO d SELECT 5000000000 + i, i / 10, 'w' || i FROM generate_series(0, 300000) i;
INSERT INTO e SELECT i / 5, i % 13, 5000000000 + i / 5 FROM generate_series(0, 300000) i;
CREATE INDEX ON f (k);
CREATE INDEX ON f (p);
CREATE INDEX ON f (n);
CREATE INDEX ON f (s);
CREATE INDEX ON d (g);
CREATE INDEX ON e (g);
CREATE INDEX ON e (k);
VACUUM ANALYZE f, d, e;

-- Blocks fetched so far in this transaction from everything that the views read and keep, and its sequential scans (but
-- of tables of a few blocks).
CREATE FUNCTION fetched(OUT blocks bigint, OUT scans bigint) LANGUAGE sql AS $$
    SELECT sum(pg_stat_get_xact_blocks_fetched(c.oid)), sum(pg_stat_get_xact_numscans(c.oid)) FILTER (WHERE c.relkind IN ('r', 'm') AND pg_relation_size(c.oid) > 81920)
    FROM pg_class c WHERE c.relnamespace IN ('costing'::regnamespace, 'upkeep_data'::regnamespace) AND c.relkind IN ('r', 'm', 'i', 't') $$;
CREATE TABLE change (place int, what text, statement text, plain bigint DEFAULT 0);
INSERT INTO change VALUES
    (0, 'warm up', 'INSERT INTO f VALUES (4000400001, 5000025000, 4000250000, 5, 25000, ''a long prefix of the key 25000'', ''{t1,u25000}'')'),
    (1, 'insert', 'INSERT INTO f VALUES (4000400002, 5000029000, 4000290000, 98, 29000, ''a long prefix of the key 29000'', ''{t1,u29000}'')'),
    (2, 'new key', 'INSERT INTO f VALUES (4900000000, 5000299999, NULL, 98, NULL, ''a new key'', ''{}'')'),
    (3, 'value', 'UPDATE f SET v = v + 1 WHERE id = 4000400002'),
    (4, 'extreme', 'UPDATE f SET v = -1 WHERE id = 4000400002'),
    (5, 'move', 'UPDATE f SET k = 5000028000, n = NULL, p = 4000280000, s = ''a long prefix of the key 28000'' WHERE id = 4000400002'),
    (6, 'delete', 'DELETE FROM f WHERE id = 4000400002'),
    (7, 'delete', 'DELETE FROM f WHERE id = 4900000000'),
    (8, 'right', 'UPDATE d SET w = ''changed'', g = g + 1 WHERE k = 5000029500'),
    (9, 'third', 'UPDATE e SET z = z + 1 WHERE g = 29500'),
    (10, 'both', 'WITH x AS (UPDATE d SET g = g - 1 WHERE k = 5000029500 RETURNING k) UPDATE f SET v = v + 2 WHERE id = 4000295004'),
    (11, 'nothing', 'UPDATE f SET tags = tags WHERE id = 4000200000');
-- What the statements cost by themselves.
DO $$
DECLARE c record; before record; after record; measured bigint[] := '{}';
BEGIN
    BEGIN
        FOR c IN SELECT * FROM change ORDER BY place LOOP
            before := fetched();
            EXECUTE c.statement;
            after := fetched();
            measured := measured || (after.blocks - before.blocks);
        END LOOP;
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
    UPDATE change SET plain = measured[place + 1];
END $$;
-- Registers a view, makes each change of a table that it reads, and says which of them were dear.
CREATE FUNCTION costs(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE c record; before record; after record; dear text := ''; wrong bigint;
BEGIN
    EXECUTE 'CREATE MATERIALIZED VIEW shape AS ' || query;
    PERFORM upkeep.register('shape');
    BEGIN
        FOR c IN SELECT * FROM change WHERE place = 0 OR query ~ (CASE what WHEN 'right' THEN '\md\M' WHEN 'both' THEN '\md\M' WHEN 'third' THEN '\me\M' ELSE '\mf\M' END) ORDER BY place LOOP
            before := fetched();
            EXECUTE c.statement;
            after := fetched();
            IF c.place > 0 AND (after.blocks - before.blocks - c.plain > 100 OR after.scans > before.scans) THEN
                dear := dear || ' ' || c.what;
                RAISE DEBUG '%: % blocks, % scans', c.what, after.blocks - before.blocks - c.plain, after.scans - before.scans;
            END IF;
        END LOOP;
        SELECT count(*) INTO wrong FROM upkeep.verify('shape');
        dear := dear || CASE WHEN wrong > 0 THEN ' wrong' ELSE '' END;
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
    DROP MATERIALIZED VIEW shape;
    RETURN CASE dear WHEN '' THEN 'few' ELSE dear END;
END $$;
SELECT costs('SELECT id, k, s FROM f WHERE v > 88');
SELECT costs('SELECT s, v FROM f WHERE v > 88');
SELECT costs('SELECT DISTINCT k FROM f');
SELECT costs('SELECT DISTINCT s, n FROM f WHERE v > 90');
SELECT costs('SELECT k, count(*) AS c, sum(v) AS s, avg(v) AS a FROM f GROUP BY k');
SELECT costs('SELECT s, min(v) AS lo, max(v) AS hi FROM f GROUP BY s');
SELECT costs('SELECT n, min(v) AS lo, count(*) AS c FROM f GROUP BY n');
SELECT costs('SELECT v, count(*) AS c, sum(k) AS s, variance(n) AS var FROM f GROUP BY v');
SELECT costs('SELECT count(*) AS c, sum(v) AS s FROM f');
SELECT costs('SELECT k, sum(v) AS s FROM f GROUP BY k HAVING max(v) > 90');
SELECT costs('SELECT k, string_agg(s, '','' ORDER BY id) AS l, count(DISTINCT v) AS dv FROM f GROUP BY k');
SELECT costs('SELECT n, k, max(v) AS m FROM f WHERE v > 80 GROUP BY n, k');
SELECT costs('SELECT f.id, d.w FROM f JOIN d USING (k) WHERE f.v > 88');
SELECT costs('SELECT d.g, count(*) AS c, sum(f.v) AS s FROM f JOIN d USING (k) GROUP BY d.g');
SELECT costs('SELECT d.k, d.w, max(f.v) AS m FROM f JOIN d USING (k) GROUP BY d.k');
SELECT costs('SELECT f.id, d.w, e.z FROM f JOIN d USING (k) JOIN e ON e.g = d.g WHERE f.v > 90 AND e.z < 3');
SELECT costs('SELECT f.k, count(*) AS c, max(e.z) AS m FROM f JOIN d ON d.k = f.k JOIN e ON e.k = d.k WHERE d.g > 0 GROUP BY f.k');
SELECT costs('SELECT a.id AS a, b.id AS b FROM f a JOIN f b ON b.p = a.id WHERE b.v > a.v + 80');
SELECT costs('SELECT a.k, count(*) AS c FROM f a JOIN f b ON a.k = b.k AND a.id < b.id WHERE 100 / (b.id - a.id) > 20 GROUP BY a.k');
SELECT costs('SELECT k, count(*) AS c, max(x) AS m FROM (SELECT k, v AS x FROM f WHERE v > 90 UNION ALL SELECT k, g FROM d WHERE g % 10 = 0) u GROUP BY k');
SELECT costs('SELECT k FROM f WHERE v > 88 UNION SELECT k FROM e WHERE z > 11');
SELECT costs('SELECT c, count(*) AS groups FROM (SELECT k, count(*) AS c FROM f GROUP BY k) q GROUP BY c');
SELECT costs('SELECT tag, count(*) AS c FROM f, unnest(tags) tag WHERE v > 90 GROUP BY tag');
-- Outer joins, EXISTS, IN, nested groups, set operations, grouping sets and scalar subqueries.
SELECT costs('SELECT d.k, d.w, f.id FROM d LEFT JOIN f ON f.k = d.k AND f.v > 90');
SELECT costs('SELECT d.k, count(f.id) AS c, sum(f.v) AS s FROM d LEFT JOIN f ON f.k = d.k GROUP BY d.k');
SELECT costs('SELECT d.k, d.w FROM d WHERE NOT EXISTS (SELECT FROM f WHERE f.k = d.k)');
SELECT costs('SELECT f.id, f.s FROM f WHERE f.v > 88 AND f.k IN (SELECT k FROM e WHERE z > 3)');
SELECT costs('SELECT f.id FROM f JOIN (SELECT s, count(*) AS c FROM f GROUP BY s) q ON q.s = f.s WHERE q.c > 9 AND f.v > 88');
SELECT costs('SELECT k FROM f WHERE v > 80 EXCEPT SELECT k FROM e WHERE z > 6');
SELECT costs('SELECT k, n, count(*) AS c FROM f WHERE v > 80 GROUP BY GROUPING SETS ((k, n), (k), ())');
SELECT costs('SELECT d.k, (SELECT sum(v) FROM f WHERE f.k = d.k) AS s FROM d');
SELECT costs('SELECT k FROM f WHERE v > 80 EXCEPT ALL SELECT k FROM e WHERE z > 6');
SELECT costs('SELECT k FROM f INTERSECT ALL SELECT k FROM d');
SELECT costs('SELECT id, unnest(tags) AS tag, generate_series(1, v % 3) AS n FROM f WHERE v > 90');
SELECT costs('SELECT unnest(tags) AS tag, count(*) AS c FROM f WHERE v > 90 GROUP BY 1');
-- An equality that every part of an OR demands.
SELECT costs('SELECT f.id, d.w FROM f, d WHERE (f.k = d.k AND f.v > 90) OR (f.k = d.k AND d.g % 7 = 0 AND f.v > 50)');
-- Many occurrences that change at once: old states are looked up by index too.
SELECT costs('SELECT a.id, o.v FROM f a JOIN f b ON b.p = a.id JOIN f c ON c.p = b.id JOIN f o ON o.p = c.id WHERE a.v > 90');
SELECT costs('SELECT a.id, b.v FROM f a LEFT JOIN f b ON b.p = a.id JOIN f c ON c.id = a.p WHERE NOT EXISTS (SELECT FROM f x WHERE x.k = a.id)');
-- Subqueries of HAVING, and a self-join by an expression that can fail.
SELECT costs('SELECT k, sum(v) AS s FROM f GROUP BY k HAVING sum(v) > (SELECT count(*) FROM e WHERE e.k = f.k)');
SELECT costs('SELECT k, count(*) AS c FROM f GROUP BY k HAVING EXISTS (SELECT FROM d WHERE d.k = f.k AND d.g > 10)');
CREATE INDEX by_expression ON f ((p + 7));
SELECT costs('SELECT a.id AS a, b.id AS b FROM f a JOIN f b ON b.id = a.p + 7');
DROP INDEX by_expression;
-- Windows, DISTINCT ON, LIMIT: partitions of few rows, and the first rows by an index.
SELECT costs('SELECT id, k, row_number() OVER (PARTITION BY k ORDER BY v, id) AS n, sum(v) OVER (PARTITION BY k) AS s FROM f WHERE v > 80');
SELECT costs('SELECT s, v FROM (SELECT s, v, rank() OVER (PARTITION BY s ORDER BY v DESC) AS r FROM f WHERE v > 80) q WHERE r = 1');
SELECT costs('SELECT id, count(*) OVER (PARTITION BY k) AS c, sum(v) OVER (PARTITION BY p ORDER BY id) AS s FROM f WHERE v > 80');
SELECT costs('SELECT f.id, d.w, sum(f.v) OVER (PARTITION BY f.k ORDER BY f.id) AS s FROM f LEFT JOIN d USING (k) WHERE f.v > 80');
SELECT costs('SELECT k, c, rank() OVER (PARTITION BY k ORDER BY c) AS r FROM (SELECT k, n, count(*) AS c FROM f WHERE v > 80 GROUP BY k, n) q');
SELECT costs('SELECT DISTINCT ON (k) k, id, v FROM f WHERE v > 80 ORDER BY k, v DESC, id');
SELECT costs('SELECT DISTINCT ON (s) s, id FROM f WHERE v > 80 ORDER BY s, id');
SELECT costs('SELECT id, k FROM f ORDER BY id DESC LIMIT 10');
SELECT costs('SELECT id, s FROM f ORDER BY p DESC, v FETCH FIRST 5 ROWS WITH TIES');
SELECT costs('SELECT f.id, q.w FROM f JOIN (SELECT k, w FROM d ORDER BY g DESC LIMIT 3) q USING (k)');
-- A view of views: what it costs follows what changes in the view below, which is looked up by its identity index.
CREATE MATERIALIZED VIEW low AS SELECT k, count(*) AS c, sum(v) AS s FROM f GROUP BY k;
SELECT upkeep.register('low');
SELECT costs('SELECT low.k, low.c, d.w FROM low JOIN d USING (k) /* of f */');
SELECT costs('SELECT d.g, max(low.s) AS m, count(*) AS c FROM d LEFT JOIN low USING (k) /* of f */ GROUP BY d.g');
SELECT costs('SELECT c, count(*) AS n, avg(s) AS a FROM low /* of f */ GROUP BY c HAVING count(*) > 0');
SELECT costs('SELECT f.id, low.c FROM f JOIN low USING (k) WHERE f.v > 90');
SELECT costs('SELECT e.k, e.z FROM e WHERE EXISTS (SELECT FROM low WHERE low.k = e.k /* of f */)');
DROP MATERIALIZED VIEW low;
-- A function over columns of two tables.
SELECT costs('SELECT f.id, o FROM f JOIN d USING (k), generate_series(f.v, d.g % 10 + 92) o WHERE f.v > 90');
-- DISTINCT in groups of thousands of rows, and of all rows.
SELECT costs('SELECT v, count(*) AS c, count(DISTINCT k) AS k, sum(DISTINCT n) AS n FROM f GROUP BY v');
SELECT costs('SELECT count(DISTINCT s) AS s, count(DISTINCT k) FILTER (WHERE v > 5) AS k, avg(DISTINCT n) AS n FROM f');
SELECT costs('SELECT d.g % 7 AS g, count(DISTINCT f.k) AS k FROM f JOIN d USING (k) GROUP BY d.g % 7');
-- The oracle sees a plan without its index.
DROP INDEX f_n_idx;
SELECT costs('SELECT n, min(v) AS lo, count(*) AS c FROM f GROUP BY n') <> 'few' AS dear;

-- Views over one table run no query: the base table is read no more than without them, but for the old rows that the
-- server fetches once more for a transition table.
CREATE TABLE b (id bigint PRIMARY KEY, k int, v int, s text);
INSERT INTO b SELECT i, i % 1000, i, 'text ' || i FROM generate_series(1, 20000) i;
VACUUM ANALYZE b;
CREATE FUNCTION base_blocks(statement text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE before bigint; after bigint; total text := 'SELECT sum(pg_stat_get_xact_blocks_fetched(oid)) FROM pg_class WHERE oid IN (''b''::regclass, ''b_pkey''::regclass)';
BEGIN
    EXECUTE total INTO before;
    EXECUTE statement;
    EXECUTE total INTO after;
    RETURN after - before;
END $$;
CREATE TABLE base_change (place serial, statement text, old_rows int, plain bigint, maintained bigint);
INSERT INTO base_change (statement, old_rows) VALUES ('DELETE FROM b WHERE id = 12345', 1), ('DELETE FROM b WHERE id BETWEEN 7000 AND 7050', 51), ('UPDATE b SET v = 0 WHERE id = 11111', 1),
    ('UPDATE b SET k = k + 1, s = upper(s) WHERE id BETWEEN 3000 AND 3010', 11), ('INSERT INTO b VALUES (30000, 5, 1, ''new'')', 0);
SELECT count(base_blocks(statement)) FROM base_change;
-- Again as it was, so that both runs meet the same pages.
CREATE FUNCTION measure(plain boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE c record; blocks bigint;
BEGIN
    TRUNCATE b;
    INSERT INTO b SELECT i, i % 1000, i, 'text ' || i FROM generate_series(1, 20000) i;
    FOR c IN SELECT * FROM base_change ORDER BY place LOOP
        blocks := base_blocks(c.statement);
        IF measure.plain THEN UPDATE base_change SET plain = blocks WHERE place = c.place; ELSE UPDATE base_change SET maintained = blocks WHERE place = c.place; END IF;
    END LOOP;
END $$;
SELECT measure(true);
CREATE MATERIALIZED VIEW b1 AS SELECT k, count(*) AS n, sum(v) AS s, avg(v) AS a, variance(v) AS var FROM b GROUP BY k;
CREATE MATERIALIZED VIEW b2 AS SELECT id, upper(s) AS s FROM b WHERE v % 2 = 1;
CREATE MATERIALIZED VIEW b3 AS SELECT DISTINCT k % 10 AS d FROM b;
CREATE MATERIALIZED VIEW b4 AS SELECT k, count(*) FILTER (WHERE v > 5) AS n FROM b GROUP BY k HAVING bool_or(v > 10);
CREATE MATERIALIZED VIEW b5 AS SELECT v, s FROM b;
SELECT upkeep.register('b1'), upkeep.register('b2'), upkeep.register('b3'), upkeep.register('b4'), upkeep.register('b5');
SELECT measure(false);
SELECT statement, plain > 0 AS measured, maintained <= plain + old_rows AS no_more FROM base_change ORDER BY place;
SELECT v.view, d.* FROM upkeep.views v, upkeep.verify(v.view) d;
DROP SCHEMA costing CASCADE;
