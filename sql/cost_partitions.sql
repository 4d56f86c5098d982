-- The cost oracle over partitions: a change of one row, by the name of the root or of the leaf, reads a handful of
-- blocks of each partition that a lookup has to try, and scans none; and so does a partition that comes or goes.
SET client_min_messages = warning;
CREATE SCHEMA costing_parts;
SET search_path = costing_parts, public;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
-- Keys are large, so that no plan can do with the start of an index.
CREATE TABLE f (id bigint, k bigint, v int, s text COLLATE "C", PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE f1 PARTITION OF f FOR VALUES FROM (4000000000) TO (4000050000);
CREATE TABLE f2 (s text COLLATE "C", gone int, v int, k bigint, id bigint NOT NULL);
ALTER TABLE f2 DROP COLUMN gone;
ALTER TABLE f ATTACH PARTITION f2 FOR VALUES FROM (4000050000) TO (4000100000);
CREATE TABLE f3 PARTITION OF f FOR VALUES FROM (4000100000) TO (4000200000) PARTITION BY HASH (id);
CREATE TABLE f3a PARTITION OF f3 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE f3b PARTITION OF f3 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE d (k bigint PRIMARY KEY, g int);
CREATE TABLE p (id bigint PRIMARY KEY, k bigint, v int);
CREATE TABLE p1 (PRIMARY KEY (id)) INHERITS (p);
INSERT INTO f SELECT 4000000000 + i, 5000000000 + i / 10, i % 97, 'a long prefix of the key ' || i / 10 FROM generate_series(1, 150000) i;
INSERT INTO d SELECT 5000000000 + i, i / 10 FROM generate_series(0, 15000) i;
INSERT INTO p SELECT 4000000000 + i, 5000000000 + i / 10, i % 97 FROM generate_series(1, 50000) i;
INSERT INTO p1 SELECT 4000000000 + i, 5000000000 + i / 10, i % 97 FROM generate_series(50001, 100000) i;
CREATE INDEX ON f (k);
CREATE INDEX ON d (g);
CREATE INDEX ON p (k);
CREATE INDEX ON p1 (k);
VACUUM ANALYZE f, d, p;

CREATE FUNCTION fetched(OUT blocks bigint, OUT scans bigint) LANGUAGE sql AS $$
    SELECT sum(pg_stat_get_xact_blocks_fetched(c.oid)), sum(pg_stat_get_xact_numscans(c.oid)) FILTER (WHERE c.relkind IN ('r', 'm') AND pg_relation_size(c.oid) > 81920)
    FROM pg_class c WHERE c.relnamespace IN ('costing_parts'::regnamespace, 'upkeep_data'::regnamespace) AND c.relkind IN ('r', 'm', 'i', 't') $$;
CREATE TABLE change (place int, what text, statement text);
INSERT INTO change VALUES
    (0, 'warm up', 'INSERT INTO f VALUES (4000160000, 5000014000, 5, ''x'')'),
    (1, 'warm up', 'INSERT INTO f2 (id, k, v) VALUES (4000099999, 5000014000, 5) ON CONFLICT DO NOTHING'),
    (2, 'root', 'INSERT INTO f VALUES (4000160001, 5000014001, 98, ''y'')'),
    (3, 'leaf', 'INSERT INTO f3a SELECT id, 5000014001, 98, ''y'' FROM generate_series(4000170001, 4000170001) id WHERE satisfies_hash_partition(''f3''::regclass, 2, 0, id)'),
    (4, 'leaf', 'INSERT INTO f3b SELECT id, 5000014001, 98, ''y'' FROM generate_series(4000170001, 4000170001) id WHERE satisfies_hash_partition(''f3''::regclass, 2, 1, id)'),
    (5, 'value', 'UPDATE f SET v = v + 1 WHERE id = 4000160001'),
    (6, 'leaf value', 'UPDATE f2 SET v = -1 WHERE id = 4000099000'),
    (7, 'extreme', 'UPDATE f SET v = 200 WHERE id = 4000099000'),
    (8, 'extreme', 'UPDATE f SET v = 0 WHERE id = 4000099000'),
    (9, 'move', 'UPDATE f SET id = 4000000000, k = 5000000001 WHERE id = 4000160001'),
    (10, 'delete', 'DELETE FROM f WHERE id = 4000000000'),
    (11, 'right', 'UPDATE d SET g = g + 1 WHERE k = 5000012000'),
    (12, 'child', 'UPDATE p SET v = v + 1 WHERE id = 4000099000'),
    (13, 'child', 'INSERT INTO p1 VALUES (4000199000, 5000009900, 1)'),
    (14, 'child', 'DELETE FROM p WHERE id = 4000199000'),
    (15, 'attach', 'CREATE TABLE f4 PARTITION OF f FOR VALUES FROM (4000200000) TO (4000300000)'),
    (16, 'first', 'INSERT INTO f VALUES (4000200001, 5000014001, 98, ''y'')'),
    (17, 'detach', 'ALTER TABLE f DETACH PARTITION f4');
CREATE FUNCTION costs(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE c record; before record; after record; dear text := ''; wrong text;
BEGIN
    EXECUTE 'CREATE MATERIALIZED VIEW v AS ' || query;
    PERFORM upkeep.register('v');
    FOR c IN SELECT * FROM change ORDER BY place LOOP
        before := fetched();
        EXECUTE c.statement;
        after := fetched();
        IF c.what <> 'warm up' AND (after.blocks - before.blocks > 200 OR after.scans <> before.scans) THEN
            dear := dear || format(' %s: %s blocks, %s scans;', c.what, after.blocks - before.blocks, after.scans - before.scans);
        END IF;
    END LOOP;
    SELECT string_agg(contents, ' ') INTO wrong FROM upkeep.verify('v');
    RAISE division_by_zero USING MESSAGE = coalesce('wrong: ' || wrong, '') || coalesce(nullif(dear, ''), 'few');
EXCEPTION WHEN division_by_zero THEN
    RETURN sqlerrm;
END $$;

SELECT costs('SELECT id, k, v FROM f WHERE v > 88');
SELECT costs('SELECT k, count(*) AS c, sum(v) AS s FROM f GROUP BY k');
SELECT costs('SELECT k, min(v) AS lo, max(v) AS hi FROM f GROUP BY k');
SELECT costs('SELECT k, string_agg(s, '','' ORDER BY id) AS s FROM f GROUP BY k');
SELECT costs('SELECT f.id, d.g FROM f JOIN d USING (k) WHERE f.v > 88');
SELECT costs('SELECT d.g, count(f.id) AS c FROM d LEFT JOIN f USING (k) GROUP BY d.g');
SELECT costs('SELECT a.id AS a, b.id AS b FROM f a JOIN f2 b ON b.k = a.k AND b.v > a.v');
SELECT costs('SELECT k, max(v) AS hi FROM f2 GROUP BY k');
SELECT costs('SELECT k, max(v) AS hi FROM f3 GROUP BY k');
SELECT costs('SELECT k, max(v) AS hi FROM p GROUP BY k');
SELECT costs('SELECT p.id, d.g FROM p JOIN d USING (k)');
SELECT costs('SELECT p.id, d.g FROM ONLY p JOIN d USING (k)');
-- The oracle sees a plan without its index.
DROP INDEX f_k_idx;
SELECT costs('SELECT k, min(v) AS lo FROM f GROUP BY k') <> 'few' AS dear;
DROP SCHEMA costing_parts CASCADE;
