-- Groups that are deleted and made again leave dead entries in the identity index; lookups that meet them find the rows.
CREATE TABLE t (g int, v int);
CREATE MATERIALIZED VIEW m AS SELECT g, count(*) AS n, sum(v) AS s FROM t GROUP BY g;
SELECT upkeep.register('m');
DO $$
BEGIN
    FOR i IN 1 .. 200 LOOP
        INSERT INTO t SELECT g, i FROM generate_series(1, 100) g;
        COMMIT;
        DELETE FROM t;
        COMMIT;
    END LOOP;
END $$;
INSERT INTO t SELECT g, 0 FROM generate_series(1, 100) g;
INSERT INTO t SELECT g, 1 FROM generate_series(1, 100) g;
UPDATE t SET v = v + 1;
SELECT * FROM upkeep.verify('m');
SELECT count(*), min(n), max(n), sum(s) FROM m;
DROP MATERIALIZED VIEW m;
DROP TABLE t;
