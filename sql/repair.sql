-- Stored rows that are not what they should be (here by a superuser's hand) are never passed over silently.
CREATE SCHEMA repairing;
SET search_path = repairing;
CREATE TABLE t (id int PRIMARY KEY, g text, v int);
INSERT INTO t SELECT i, 'g' || i % 3, i FROM generate_series(1, 9) i;
CREATE MATERIALIZED VIEW m AS SELECT g, sum(v) AS total FROM t GROUP BY g;
SELECT upkeep.register('m');
DO $$
DECLARE
    state regclass;
BEGIN
    SELECT relation INTO state FROM upkeep.state_table WHERE view = 'repairing.m'::regclass;
    EXECUTE format('UPDATE %s SET n = 1 WHERE k1 = $1', state) USING 'g1';
END $$;
DELETE FROM t WHERE g = 'g1' AND v > 1;
SELECT * FROM m ORDER BY g;
SELECT * FROM upkeep.verify('m');
SELECT state FROM upkeep.views WHERE view = 'm'::regclass;
UPDATE t SET v = v + 1;
SELECT * FROM upkeep.verify('m');
DROP SCHEMA repairing CASCADE;
