-- Mode deferred: writers log their changes, refresh() consumes them.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE TABLE t (id int PRIMARY KEY, g int, x int NOT NULL, note text);
CREATE TABLE u (g int PRIMARY KEY, name text);
INSERT INTO u VALUES (1, 'a'), (2, 'b'), (3, 'c');
INSERT INTO t VALUES (1, 1, 1), (2, 2, 2);
CREATE MATERIALIZED VIEW joined AS SELECT u.name, count(*) AS n, sum(t.x) AS s FROM t JOIN u USING (g) GROUP BY u.name;
CREATE MATERIALIZED VIEW grouped AS SELECT g, max(x) AS m, avg(x) AS a, string_agg(x::text, ',') AS l FROM t GROUP BY g;
CREATE MATERIALIZED VIEW listed AS SELECT t.x, u.name FROM t LEFT JOIN u USING (g) WHERE t.x > 2 WITH NO DATA;
CREATE MATERIALIZED VIEW immediate AS SELECT g, count(*) AS n FROM t GROUP BY g;
CREATE FUNCTION wrong(OUT view text, OUT side text, OUT contents text) RETURNS SETOF record LANGUAGE sql
  AS $$ SELECT 'joined', * FROM upkeep.verify('joined') UNION ALL SELECT 'grouped', * FROM upkeep.verify('grouped') UNION ALL
        SELECT 'listed', * FROM upkeep.verify('listed') UNION ALL SELECT 'immediate', * FROM upkeep.verify('immediate') $$;
CREATE FUNCTION log_rows(relation regclass, OUT w int2, OUT contents text) RETURNS SETOF record LANGUAGE plpgsql AS $$ DECLARE s oid; BEGIN
  FOR s IN SELECT unnest(ARRAY[segment1, segment2, segment3]) FROM upkeep.log l WHERE l.relation = $1 LOOP
    RETURN QUERY EXECUTE format('SELECT w, (to_jsonb(l) - ''xid'' - ''w'')::text FROM %s l', s::regclass);
  END LOOP; END $$;
SELECT upkeep.register('joined', 'deferred'), upkeep.register('grouped', 'deferred', max_staleness => '1 min'),
       upkeep.register('listed', 'deferred', every => '1 h'), upkeep.register('immediate');
SELECT view, mode, state, lag, pending, log_size > 0 AS has_log FROM upkeep.views ORDER BY view::text;
SELECT view, max_staleness, every FROM upkeep.registration WHERE mode = 'deferred' ORDER BY view::text;
SELECT upkeep.register('joined', 'deferred', every => '-1 s');
SELECT upkeep.register('immediate', every => '1 s');

-- built by the first refresh; then only what has changed is consumed
INSERT INTO t VALUES (3, 3, 3);
SELECT upkeep.refresh();
SELECT * FROM wrong();
SELECT view, mode, state, lag, pending FROM upkeep.views ORDER BY view::text;
INSERT INTO t SELECT i, i % 4, i FROM generate_series(4, 12) i;
SELECT upkeep.refresh('joined'), upkeep.refresh('joined');
SELECT view, pending, lag > '0' AS lags FROM upkeep.views ORDER BY view::text;
SELECT upkeep.refresh();
SELECT upkeep.refresh();
SELECT * FROM wrong();

-- columns that no view uses are not logged, nor are updates of these alone; unknown columns of the log are NULL
UPDATE t SET note = 'x';
UPDATE u SET name = name;
SELECT upkeep.refresh();
UPDATE t SET x = x + 10, note = 'y' WHERE id = 1;
DELETE FROM t WHERE id = 2;
SELECT * FROM log_rows('t') OFFSET (SELECT count(*) - 3 FROM log_rows('t'));
SELECT upkeep.refresh();
SELECT * FROM wrong();

-- savepoints, caught exceptions; both sides of a join in one statement
BEGIN;
INSERT INTO t VALUES (21, 1, 21);
SAVEPOINT a;
INSERT INTO t VALUES (22, 1, 22);
SAVEPOINT b;
DELETE FROM t WHERE g = 3;
RELEASE b;
ROLLBACK TO a;
UPDATE t SET x = x + 1 WHERE g = 2;
COMMIT;
WITH i AS (INSERT INTO u VALUES (0, 'zero') RETURNING g), d AS (DELETE FROM u WHERE g = 2)
  INSERT INTO t SELECT 23, g, 23 FROM i;
DO $$ BEGIN
  FOR i IN 1..20 LOOP
    BEGIN
      INSERT INTO t VALUES (100 + i, i % 4, i);
      IF i % 3 = 0 THEN PERFORM 1 / 0; END IF;
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
  END LOOP;
END $$;
SELECT upkeep.refresh() > 0;
SELECT * FROM wrong();

-- a refresh cannot tell the changes of its own transaction from later ones; changes after it are later ones
BEGIN;
INSERT INTO t VALUES (31, 1, 31);
SELECT upkeep.refresh('joined');
ROLLBACK;
BEGIN;
SELECT upkeep.refresh();
INSERT INTO t VALUES (32, 1, 32);
COMMIT;
SELECT upkeep.refresh('joined'), upkeep.refresh();
SELECT * FROM wrong();
BEGIN;
INSERT INTO t VALUES (33, 1, 33);
REFRESH MATERIALIZED VIEW joined;
INSERT INTO t VALUES (34, 1, 34);
SELECT state FROM upkeep.views WHERE view = 'joined'::regclass;
COMMIT;
SELECT upkeep.refresh();
SELECT * FROM wrong();
BEGIN;
REFRESH MATERIALIZED VIEW joined;
INSERT INTO t VALUES (35, 1, 35);
SELECT state FROM upkeep.views WHERE view = 'joined'::regclass;
COMMIT;
SELECT upkeep.refresh('joined');
SELECT upkeep.refresh();
SELECT * FROM wrong();
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT upkeep.refresh();
COMMIT;
INSERT INTO t VALUES (36, 1, 36);
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT upkeep.refresh();
COMMIT;
SELECT * FROM wrong();

-- TRUNCATE
INSERT INTO t VALUES (37, 1, 37);
TRUNCATE t;
INSERT INTO t SELECT i, i % 4, i FROM generate_series(1, 8) i;
SELECT upkeep.refresh();
SELECT * FROM wrong();

-- long values, a view that needs more columns, columns that come and go
INSERT INTO t SELECT 40 + i, i, 40, string_agg(md5(i::text || j), '') FROM generate_series(1, 3) i, generate_series(1, 400) j GROUP BY i;
CREATE MATERIALIZED VIEW notes AS SELECT t.note, u.name FROM t JOIN u USING (g) WHERE note IS NOT NULL;
SELECT upkeep.register('notes', 'deferred');
UPDATE t SET note = note || 'z' WHERE id > 40;
ALTER TABLE t ADD COLUMN more int DEFAULT 5;
ALTER TABLE u ADD COLUMN unused int;
ALTER TABLE u DROP COLUMN unused;
INSERT INTO t VALUES (50, 1, 50, 'new');
SELECT upkeep.refresh() > 0;
SELECT * FROM upkeep.verify('notes');
UPDATE t SET note = 'q' || note WHERE id > 41;
DELETE FROM t WHERE id = 41;
SELECT upkeep.refresh() > 0;
SELECT * FROM upkeep.verify('notes');
SELECT * FROM wrong();
SELECT upkeep.unregister('notes');
DROP MATERIALIZED VIEW notes;

-- other modes and back: changes on the way are not lost
INSERT INTO t VALUES (61, 1, 61);
SELECT upkeep.register('joined'), upkeep.register('grouped', 'commit'), upkeep.register('immediate', 'deferred');
BEGIN;
INSERT INTO t VALUES (62, 1, 62);
DELETE FROM u WHERE g = 3;
COMMIT;
SELECT upkeep.refresh();
SELECT * FROM wrong();
SELECT upkeep.register('joined', 'deferred'), upkeep.register('grouped', 'deferred'), upkeep.register('immediate');
BEGIN;
INSERT INTO t VALUES (63, 1, 63);
SELECT upkeep.register('joined', 'commit');
INSERT INTO t VALUES (64, 1, 64);
SELECT upkeep.register('joined', 'deferred');
INSERT INTO t VALUES (65, 1, 65);
COMMIT;
SELECT upkeep.refresh();
SELECT * FROM wrong();

-- segments rotate and are emptied
CREATE FUNCTION segments(OUT relation regclass, OUT current int, OUT used bool[]) RETURNS SETOF record LANGUAGE sql AS $$
  SELECT relation, current, ARRAY[pg_relation_size(segment1) > 0, pg_relation_size(segment2) > 0, pg_relation_size(segment3) > 0]
  FROM upkeep.log WHERE relation = 't'::regclass $$;
INSERT INTO t SELECT i, i % 4, i FROM generate_series(1000, 120000) i;
SELECT * FROM segments();
SELECT upkeep.refresh('joined') > 0;
SELECT * FROM segments();
INSERT INTO t VALUES (900, 1, 1);
SELECT upkeep.refresh('joined');
SELECT * FROM segments();
SELECT upkeep.refresh() > 0;
SELECT * FROM segments();
UPDATE t SET x = x + 1 WHERE id <= 20000;
SELECT upkeep.refresh() > 0;
SELECT * FROM wrong();

-- a log that nobody consumes is given up
SET upkeep.log_limit = '1MB';
SET client_min_messages = error;
INSERT INTO t SELECT i, i % 4, i FROM generate_series(100000, 140000) i;
SET client_min_messages = warning;
SELECT view, state, why, pending FROM upkeep.views WHERE mode = 'deferred' ORDER BY view::text;
RESET upkeep.log_limit;
INSERT INTO t VALUES (200000, 1, 1);
SELECT upkeep.refresh();
SELECT view, state, why, pending FROM upkeep.views WHERE mode = 'deferred' ORDER BY view::text;
INSERT INTO t VALUES (200001, 1, 1);
SELECT upkeep.refresh();
SELECT * FROM wrong();
SELECT * FROM segments();

-- wait
SELECT upkeep.wait('joined'), upkeep.wait('immediate');
INSERT INTO t VALUES (200002, 1, 1);
SELECT upkeep.wait('joined', '20 ms');
SELECT upkeep.wait('joined', '-1 s');

-- partitions and inheritance
CREATE TABLE p (id int, k int, x int) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
CREATE TABLE parent (id int, x int);
CREATE TABLE child () INHERITS (parent);
CREATE MATERIALIZED VIEW by_k AS SELECT k, count(*) AS n, sum(x) AS s FROM p GROUP BY k;
CREATE MATERIALIZED VIEW family AS SELECT x, count(*) AS n FROM parent GROUP BY x;
SELECT upkeep.register('by_k', 'deferred'), upkeep.register('family', 'deferred'), upkeep.refresh();
INSERT INTO p SELECT i, i % 2 + 1, i FROM generate_series(1, 10) i;
INSERT INTO p1 VALUES (11, 1, 11);
UPDATE p SET k = 3 - k WHERE id < 4;
DELETE FROM p2 WHERE id > 8;
INSERT INTO parent VALUES (1, 1), (2, 2);
INSERT INTO child VALUES (3, 1), (4, 2);
UPDATE parent SET x = x + 1 WHERE id IN (1, 3);
SELECT upkeep.refresh() > 0;
SELECT * FROM upkeep.verify('by_k');
SELECT * FROM upkeep.verify('family');
TRUNCATE p1;
SELECT upkeep.refresh() > 0;
SELECT * FROM upkeep.verify('by_k');

-- views that read views, whatever the modes
CREATE TABLE base (id int PRIMARY KEY, g int, x int);
CREATE MATERIALIZED VIEW low_deferred AS SELECT g, count(*) AS n, sum(x) AS s FROM base GROUP BY g;
CREATE MATERIALIZED VIEW low_immediate AS SELECT g, max(x) AS m FROM base GROUP BY g;
SELECT upkeep.register('low_deferred', 'deferred'), upkeep.register('low_immediate'), upkeep.refresh();
CREATE MATERIALIZED VIEW high_deferred AS SELECT l.n, count(*) AS groups, sum(i.m) AS m FROM low_deferred l JOIN low_immediate i USING (g) GROUP BY l.n;
CREATE MATERIALIZED VIEW high_immediate AS SELECT b.id, l.s FROM base b JOIN low_deferred l USING (g);
CREATE MATERIALIZED VIEW high_commit AS SELECT n, count(*) AS groups FROM low_deferred GROUP BY n;
CREATE MATERIALIZED VIEW top_deferred AS SELECT s, count(*) AS n FROM high_immediate GROUP BY s;
SELECT upkeep.register('high_deferred', 'deferred'), upkeep.register('high_immediate'), upkeep.register('high_commit', 'commit'), upkeep.refresh();
SELECT upkeep.register('top_deferred', 'deferred'), upkeep.refresh();
CREATE FUNCTION wrong_levels(OUT view text, OUT side text, OUT contents text) RETURNS SETOF record LANGUAGE sql AS $$
  SELECT 'low_deferred', * FROM upkeep.verify('low_deferred') UNION ALL SELECT 'low_immediate', * FROM upkeep.verify('low_immediate') UNION ALL
  SELECT 'high_deferred', * FROM upkeep.verify('high_deferred') UNION ALL SELECT 'high_immediate', * FROM upkeep.verify('high_immediate') UNION ALL
  SELECT 'high_commit', * FROM upkeep.verify('high_commit') UNION ALL SELECT 'top_deferred', * FROM upkeep.verify('top_deferred') $$;
INSERT INTO base SELECT i, i % 5, i FROM generate_series(1, 20) i;
SELECT view, count(*) FROM wrong_levels() GROUP BY view ORDER BY view;
SELECT upkeep.refresh() > 0;
SELECT upkeep.refresh() > 0;
SELECT * FROM wrong_levels();
UPDATE base SET g = 1, x = x + 100 WHERE id < 3;
SELECT upkeep.refresh('low_deferred') > 0;
SELECT view, count(*) FROM wrong_levels() GROUP BY view ORDER BY view;
SELECT upkeep.refresh('top_deferred') > 0;
SELECT * FROM wrong_levels();
DELETE FROM base WHERE g = 4;
BEGIN;
SELECT upkeep.refresh('low_deferred') > 0;
COMMIT;
SELECT upkeep.refresh() > 0;
SELECT * FROM wrong_levels();
TRUNCATE base;
INSERT INTO base SELECT i, i % 3, i FROM generate_series(1, 7) i;
SELECT upkeep.refresh() > 0;
SELECT upkeep.refresh() > 0;
SELECT * FROM wrong_levels();
DROP FUNCTION wrong_levels;

-- a refresh of all that writes to views which deferred ones read: these follow with the next one
CREATE MATERIALIZED VIEW low_manual AS SELECT g, count(*) AS n FROM base GROUP BY g;
CREATE MATERIALIZED VIEW above_manual AS SELECT n, count(*) AS groups FROM low_manual GROUP BY n;
CREATE MATERIALIZED VIEW above_both AS SELECT a.groups, l.s FROM above_manual a JOIN low_deferred l ON l.n = a.n;
SELECT upkeep.register('low_manual', 'manual'), upkeep.register('above_manual', 'deferred'), upkeep.refresh() > 0;
SELECT upkeep.refresh() >= 0;
SELECT upkeep.register('above_both', 'deferred'), upkeep.refresh() >= 0;
INSERT INTO base SELECT i, i % 4, i FROM generate_series(30, 40) i;
SELECT upkeep.refresh() > 0;
SELECT upkeep.refresh() > 0;
SELECT * FROM upkeep.verify('low_manual') UNION ALL SELECT * FROM upkeep.verify('above_manual') UNION ALL SELECT * FROM upkeep.verify('above_both');
REFRESH MATERIALIZED VIEW low_immediate WITH NO DATA;
SELECT upkeep.refresh() > 0;
SELECT upkeep.refresh() >= 0;
SELECT view, state, pending FROM upkeep.views WHERE view::text ~ '^(low|high|above|top)_' ORDER BY view::text COLLATE "C";

-- a partition that leaves before the first build, and comes back after it
CREATE TABLE early (a int, w int) PARTITION BY LIST (w);
CREATE TABLE early_rest PARTITION OF early DEFAULT;
INSERT INTO early VALUES (1, NULL);
CREATE MATERIALIZED VIEW early_view AS SELECT a FROM early;
SELECT upkeep.register('early_view', 'deferred');
ALTER TABLE early DETACH PARTITION early_rest;
SELECT upkeep.refresh('early_view');
SELECT * FROM upkeep.verify('early_view');
ALTER TABLE early ATTACH PARTITION early_rest DEFAULT;
INSERT INTO early VALUES (2, 2);
SELECT upkeep.refresh('early_view');
SELECT * FROM upkeep.verify('early_view');
DROP TABLE early CASCADE;

-- more has changed than is worth to be read: the views are computed anew, and what reads them follows
CREATE TABLE many (id int, g int, x int);
INSERT INTO many SELECT i, i % 10, i FROM generate_series(1, 20000) i;
CREATE MATERIALIZED VIEW many_view AS SELECT g, count(*) AS n, sum(x) AS s FROM many GROUP BY g;
SELECT upkeep.register('many_view', 'deferred');
SELECT upkeep.refresh();
CREATE MATERIALIZED VIEW many_above AS SELECT g, s FROM many_view WHERE s > 0;
SELECT upkeep.register('many_above', 'deferred');
SELECT upkeep.refresh();
SELECT view, last_rebuild INTO TEMP built FROM upkeep.activity WHERE view IN ('many_view'::regclass, 'many_above'::regclass);
UPDATE many SET x = -x WHERE g < 9;
UPDATE many SET x = x + 1;
SELECT upkeep.refresh('many_view') > 0;
SELECT * FROM upkeep.verify('many_view') UNION ALL SELECT * FROM upkeep.verify('many_above');
SELECT view::regclass, activity.last_rebuild > built.last_rebuild AS again FROM upkeep.activity JOIN built USING (view) ORDER BY view::regclass::text;
UPDATE many SET x = x + 1 WHERE id = 9;
SELECT upkeep.refresh();
SELECT * FROM upkeep.verify('many_view') UNION ALL SELECT * FROM upkeep.verify('many_above');
DROP TABLE many, built CASCADE;

-- nothing is left
DROP TABLE p, parent, base, t, u CASCADE;
SELECT count(*) FROM upkeep.log;
SELECT count(*) FROM upkeep.frontier;
SELECT count(*) FROM pg_class WHERE relnamespace = 'upkeep_data'::regnamespace AND relname ~ '^log_';
DROP FUNCTION wrong, log_rows, segments;
