-- MERGE that moves rows between partitions: PostgreSQL puts them into transition tables that it shows to nobody, where
-- the MERGE has no action of DELETE or INSERT.
SET client_min_messages = warning;
CREATE SCHEMA merging;
SET search_path = merging;
CREATE VIEW wrong AS SELECT w.view, v.* FROM upkeep.views w, upkeep.verify(w.view) v;
CREATE TABLE p (id int, g int, v int) PARTITION BY LIST (g);
CREATE TABLE p0 PARTITION OF p FOR VALUES IN (0);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1, 2) PARTITION BY RANGE (id);
CREATE TABLE p1a PARTITION OF p1 FOR VALUES FROM (0) TO (6);
CREATE TABLE p1b PARTITION OF p1 DEFAULT;
CREATE TABLE rest PARTITION OF p DEFAULT;
INSERT INTO p SELECT i, i % 4, i % 3 FROM generate_series(1, 12) i;
CREATE MATERIALIZED VIEW pairs AS SELECT a.id AS a, b.id AS b FROM p a JOIN p b ON a.g = b.v;
CREATE MATERIALIZED VIEW sums AS SELECT g, count(*) AS n, sum(v) AS s FROM p GROUP BY g;
CREATE MATERIALIZED VIEW part AS SELECT id, v FROM p1;
CREATE MATERIALIZED VIEW early AS SELECT a.id, b.v FROM p a LEFT JOIN p1 b ON b.id = a.v;
CREATE MATERIALIZED VIEW later AS SELECT id, g FROM p WHERE v > 0;
SELECT upkeep.register('pairs'), upkeep.register('sums'), upkeep.register('part'), upkeep.register('early', 'commit'), upkeep.register('later', 'deferred');
SELECT upkeep.refresh('later') > 0 AS refreshed;

MERGE INTO p t USING generate_series(1, 20) i ON t.id = i WHEN MATCHED THEN UPDATE SET g = (t.g + 1) % 4;
SELECT view FROM wrong GROUP BY view;
SELECT upkeep.refresh('later') > 0 AS refreshed;
TABLE wrong;
MERGE INTO p t USING generate_series(1, 20) i ON t.id = i
    WHEN MATCHED AND i % 2 = 0 THEN UPDATE SET g = (t.g + 1) % 4, v = t.v + 1 WHEN MATCHED AND i = 3 THEN DELETE;
MERGE INTO p t USING generate_series(1, 20) i ON t.id = i
    WHEN MATCHED AND i % 3 = 0 THEN UPDATE SET g = (t.g + 1) % 4 WHEN NOT MATCHED AND i > 15 THEN INSERT VALUES (i, i % 4, 1);
MERGE INTO p t USING generate_series(1, 20) i ON t.id = i
    WHEN MATCHED AND i = 18 THEN DELETE WHEN MATCHED THEN UPDATE SET g = (t.g + 1) % 4 WHEN NOT MATCHED THEN INSERT VALUES (i, i % 4, 1);
MERGE INTO p1 t USING generate_series(1, 20) i ON t.id = i WHEN MATCHED THEN UPDATE SET id = (t.id + 5) % 12;
SELECT upkeep.refresh('later') > 0 AS refreshed;
TABLE wrong;
-- In a transaction, in part rolled back; below another statement, in part caught.
BEGIN;
MERGE INTO p t USING generate_series(1, 4) i ON t.id = i WHEN MATCHED THEN UPDATE SET g = (t.g + 2) % 4;
SAVEPOINT s;
MERGE INTO p t USING generate_series(1, 8) i ON t.id = i WHEN MATCHED THEN UPDATE SET g = (t.g + 1) % 4;
ROLLBACK TO s;
MERGE INTO p t USING generate_series(7, 9) i ON t.id = i WHEN MATCHED THEN UPDATE SET g = (t.g + 1) % 4;
COMMIT;
SELECT view FROM wrong GROUP BY view;
CREATE FUNCTION move(which int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    MERGE INTO merging.p t USING (VALUES (which)) x (i) ON t.id = x.i WHEN MATCHED THEN UPDATE SET g = (t.g + 1) % 4;
    IF which = 9 THEN
        RAISE EXCEPTION 'wanted';
    END IF;
    RETURN which;
EXCEPTION WHEN raise_exception THEN
    RETURN 0;
END $$;
INSERT INTO p SELECT i, 1, move(i - 20) FROM generate_series(24, 30) i;
SELECT view FROM wrong GROUP BY view;
-- Nobody's triggers are called but those that PostgreSQL calls.
CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE WARNING '% %', TG_WHEN, TG_OP;
    RETURN NULL;
END $$;
CREATE TRIGGER before BEFORE INSERT OR UPDATE OR DELETE ON p FOR EACH STATEMENT EXECUTE FUNCTION say();
CREATE TRIGGER after AFTER INSERT OR UPDATE OR DELETE ON p FOR EACH STATEMENT EXECUTE FUNCTION say();
\set VERBOSITY terse
MERGE INTO p t USING generate_series(1, 20) i ON t.id = i WHEN MATCHED THEN UPDATE SET g = (t.g + 1) % 4;
SELECT upkeep.refresh('later') > 0 AS refreshed;
TABLE wrong;
DROP SCHEMA merging CASCADE;
