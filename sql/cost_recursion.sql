-- What a change under a recursive view reads: what hangs from the changed row, and none of the rest of 100,000 rows.
SET client_min_messages = warning;
CREATE SCHEMA cost_recursion;
SET search_path = cost_recursion, public;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
-- Five children each; keys are large, so that no plan can do with the start of an index.
CREATE TABLE tree (id bigint PRIMARY KEY, parent bigint, v int);
INSERT INTO tree SELECT 4000000000 + i, CASE WHEN i > 1 THEN 4000000000 + (i + 3) / 5 END, i % 97 FROM generate_series(1, 100000) i;
CREATE INDEX ON tree (parent);
-- Chains of ten edges, each of which ends in a cycle of three.
CREATE TABLE edge (id bigint PRIMARY KEY, a bigint, b bigint);
INSERT INTO edge SELECT 4000000000 + i, 5000000000 + i, 5000000000 + CASE WHEN i % 10 = 9 THEN i - 2 ELSE i + 1 END FROM generate_series(0, 99999) i;
CREATE INDEX ON edge (a);
CREATE INDEX ON edge (b);
VACUUM ANALYZE tree, edge;

-- Blocks fetched so far in this transaction from everything that the views read and keep, and its sequential scans (but
-- of tables of a few blocks).
CREATE FUNCTION fetched(OUT blocks bigint, OUT scans bigint) LANGUAGE sql AS $$
    SELECT sum(pg_stat_get_xact_blocks_fetched(c.oid)), sum(pg_stat_get_xact_numscans(c.oid)) FILTER (WHERE c.relkind IN ('r', 'm') AND pg_relation_size(c.oid) > 81920)
    FROM pg_class c WHERE c.relnamespace IN ('cost_recursion'::regnamespace, 'upkeep_data'::regnamespace) AND c.relkind IN ('r', 'm', 'i', 't') $$;
CREATE TABLE change (place int, subject text, what text, statement text, plain bigint DEFAULT 0);
INSERT INTO change VALUES
    (0, 'tree', 'warm up', 'INSERT INTO tree VALUES (4000200000, 4000050000, 5)'),
    (1, 'tree', 'insert', 'INSERT INTO tree VALUES (4000200001, 4000060000, 98)'),
    (2, 'tree', 'move', 'UPDATE tree SET parent = 4000070000 WHERE id = 4000200001'),
    (3, 'tree', 'value', 'UPDATE tree SET v = v + 1 WHERE id = 4000200001'),
    (4, 'tree', 'delete', 'DELETE FROM tree WHERE id = 4000200001'),
    (5, 'tree', 'move a subtree', 'UPDATE tree SET parent = 4000004001 WHERE id = 4000019000'),
    (6, 'tree', 'delete above leaves', 'DELETE FROM tree WHERE id = 4000019500'),
    (7, 'tree', 'unreached', 'INSERT INTO tree VALUES (4000300001, 4000300000, 1)'),
    (0, 'edge', 'warm up', 'INSERT INTO edge VALUES (4000200000, 5000050008, 5000050009)'),
    (1, 'edge', 'insert', 'INSERT INTO edge VALUES (4000200001, 5000060004, 5000060006)'),
    (2, 'edge', 'move', 'UPDATE edge SET a = 5000070001, b = 5000070005 WHERE id = 4000200001'),
    (3, 'edge', 'delete', 'DELETE FROM edge WHERE id = 4000200001'),
    (4, 'edge', 'cut a cycle', 'DELETE FROM edge WHERE id = 4000080009'),
    (5, 'edge', 'close a cycle', 'INSERT INTO edge VALUES (4000200002, 5000080009, 5000080007)');
-- What the statements cost by themselves.
DO $$
DECLARE c record; before record; after record; measured bigint[] := '{}';
BEGIN
    BEGIN
        FOR c IN SELECT * FROM change ORDER BY subject, place LOOP
            before := fetched();
            EXECUTE c.statement;
            after := fetched();
            measured := measured || (after.blocks - before.blocks);
        END LOOP;
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
    UPDATE change SET plain = measured[n] FROM (SELECT subject AS s, place AS p, row_number() OVER (ORDER BY subject, place) AS n FROM change) q
    WHERE subject = s AND place = p;
END $$;
-- Registers a view, makes each change of the table that it reads, and says which of them took more than `most` blocks.
CREATE FUNCTION costs(of text, query text, most int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE c record; before record; after record; dear text := ''; wrong bigint;
BEGIN
    EXECUTE 'CREATE MATERIALIZED VIEW shape AS ' || query;
    PERFORM upkeep.register('shape');
    BEGIN
        FOR c IN SELECT * FROM change WHERE subject = of ORDER BY place LOOP
            before := fetched();
            EXECUTE c.statement;
            after := fetched();
            RAISE DEBUG '%: % blocks, % scans', c.what, after.blocks - before.blocks - c.plain, after.scans - before.scans;
            IF c.place > 0 AND (after.blocks - before.blocks - c.plain > most OR after.scans > before.scans) THEN
                dear := dear || ' ' || c.what;
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
-- Downwards from the roots.
SELECT costs('tree', 'WITH RECURSIVE t AS (SELECT id, v, 0 AS depth, ARRAY[id] AS path FROM tree WHERE parent IS NULL
    UNION ALL SELECT c.id, c.v, t.depth + 1, t.path || c.id FROM tree c JOIN t ON c.parent = t.id) SELECT * FROM t', 250);
SELECT costs('tree', 'WITH RECURSIVE t AS (SELECT id FROM tree WHERE parent IS NULL
    UNION SELECT c.id FROM tree c JOIN t ON c.parent = t.id) SELECT tree.id, tree.v FROM tree JOIN t USING (id)', 400);
-- Upwards from each leaf: totals of subtrees.
SELECT costs('tree', 'WITH RECURSIVE t (id, root, v) AS (SELECT id, parent, v FROM tree WHERE id > 4000090000
    UNION ALL SELECT t.id, c.parent, t.v FROM t JOIN tree c ON c.id = t.root) SELECT root, count(*) AS c, sum(v) AS s FROM t GROUP BY root', 1000);
-- What a graph with cycles reaches.
SELECT costs('edge', 'WITH RECURSIVE r (a, b) AS (SELECT a, b FROM edge UNION SELECT r.a, e.b FROM r JOIN edge e ON e.a = r.b) SELECT a, b FROM r', 1500);
SELECT costs('edge', 'WITH RECURSIVE r (b) AS (SELECT b FROM edge WHERE id % 10 = 0 UNION SELECT e.b FROM r JOIN edge e ON e.a = r.b) SELECT b FROM r', 300);
DROP SCHEMA cost_recursion CASCADE;
