-- Subqueries that are evaluated again, above views that follow later than their tables: the state before is that in
-- which the tables have changed and these views have not.
SET client_min_messages = warning;
CREATE SCHEMA mixed;
SET search_path = mixed;
CREATE TABLE t (id int, g int, x int);
INSERT INTO t VALUES (1, 1, 1), (2, 2, 2);

-- A view of mode commit below.
CREATE MATERIALIZED VIEW sums AS SELECT g, sum(x) AS s FROM t GROUP BY g;
CREATE MATERIALIZED VIEW above AS
    SELECT t.id, ARRAY(SELECT s FROM sums WHERE sums.g >= t.g ORDER BY s) AS sums FROM t;
SELECT upkeep.register('sums', 'commit'), upkeep.register('above', 'immediate');
INSERT INTO t VALUES (3, 1, 5);
SELECT * FROM upkeep.verify('above');
BEGIN;
UPDATE t SET x = x + 1 WHERE g = 2;
INSERT INTO t VALUES (4, 2, 5), (5, 3, 5);
DELETE FROM t WHERE id = 1;
SELECT * FROM upkeep.verify('above');
COMMIT;
SELECT * FROM upkeep.verify('above');
BEGIN;
INSERT INTO t VALUES (6, 4, 5);
SAVEPOINT s;
DELETE FROM t WHERE g = 2;
ROLLBACK TO s;
UPDATE t SET g = 5 WHERE id = 5;
COMMIT;
SELECT * FROM upkeep.verify('above');

-- A manual view below.
CREATE MATERIALIZED VIEW man AS SELECT g, sum(x) AS s FROM t GROUP BY g;
CREATE MATERIALIZED VIEW above_man AS
    SELECT t.id, ARRAY(SELECT s FROM man WHERE man.g >= t.g ORDER BY s) AS sums FROM t;
SELECT upkeep.register('man', 'manual'), upkeep.register('above_man', 'immediate');
BEGIN;
INSERT INTO t VALUES (7, 3, 5);
UPDATE t SET g = 5 WHERE id = 2;
SELECT upkeep.refresh('man') > 0 AS refreshed;
COMMIT;
SELECT * FROM upkeep.verify('above_man');

-- A deferred view below, and a table beside it that the same transaction has changed.
CREATE TABLE o (id int, g int);
CREATE MATERIALIZED VIEW later AS SELECT g, sum(x) AS s FROM t GROUP BY g;
CREATE MATERIALIZED VIEW above_later AS
    SELECT o.id, ARRAY(SELECT s FROM later WHERE later.g >= o.g ORDER BY s) AS sums FROM o;
SELECT upkeep.register('later', 'deferred');
SELECT upkeep.refresh('later') > 0 AS refreshed;
SELECT upkeep.register('above_later', 'immediate');
INSERT INTO t VALUES (8, 3, 5), (9, 7, 6);
BEGIN;
INSERT INTO o SELECT i, g FROM generate_series(1, 3) i, generate_series(1, 7) g;
SELECT upkeep.refresh('later') > 0 AS refreshed;
COMMIT;
SELECT * FROM upkeep.verify('above_later');
DROP SCHEMA mixed CASCADE;
