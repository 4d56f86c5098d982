-- Mode manual: nothing is captured, refresh() rebuilds by difference; back and forth; the recipe for bulk loads.
SET client_min_messages = warning;
CREATE SCHEMA by_hand;
SET search_path = by_hand, public;
-- Rows that a view of this schema has and should not have, or the reverse; views that are no longer maintained.
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'by_hand'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";

CREATE TABLE t (id int PRIMARY KEY, k int, v numeric);
INSERT INTO t SELECT i, i % 3, i FROM generate_series(1, 9) i;
CREATE MATERIALIZED VIEW sums AS SELECT k, sum(v) AS s, count(*) AS n FROM t GROUP BY k WITH NO DATA;
CREATE MATERIALIZED VIEW bag AS SELECT k, v > 3 AS big FROM t;
-- Queries that only a rebuild can serve.
CREATE MATERIALIZED VIEW top AS SELECT id, v FROM t WHERE now() > '2000-01-01' ORDER BY v DESC LIMIT 3;
CREATE MATERIALIZED VIEW running AS SELECT id, sum(v) OVER (ORDER BY id) AS s FROM t;
CREATE MATERIALIZED VIEW missing AS SELECT g FROM generate_series(1, 5) g LEFT JOIN t ON t.id = g WHERE t.id IS NULL;
CREATE UNIQUE INDEX ON top (id);
SELECT upkeep.register('sums', 'manual'), upkeep.register('bag', 'manual'), upkeep.register('top', 'manual'), upkeep.register('running', mode => 'manual'), upkeep.register('missing', 'manual');
SELECT view, mode, state, strategy FROM upkeep.views ORDER BY view::text;
SELECT * FROM sums ORDER BY k;
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = 't'::regclass;
INSERT INTO t VALUES (10, 1, 100), (11, NULL, 5);
DELETE FROM t WHERE id = 3;
SELECT * FROM sums ORDER BY k;
SELECT count(*) > 0 AS behind FROM wrong;
SELECT upkeep.refresh('sums');
SELECT * FROM sums ORDER BY k;
SELECT upkeep.refresh('top'), upkeep.refresh('running') > 0 AS running;
SELECT * FROM top ORDER BY id;
-- Rows that did not change are not written; nothing at all the second time.
SELECT min(ctid::text) AS place FROM sums WHERE k = 2 \gset
UPDATE t SET v = v + 1 WHERE id = 1;
SELECT upkeep.refresh('sums');
SELECT ctid::text = :'place' AS same_place FROM sums WHERE k = 2;
SELECT upkeep.refresh('sums');
-- All manual views of the caller's.
UPDATE t SET v = v * 2, k = k + 1;
SELECT upkeep.refresh() > 0 AS changed;
TABLE wrong;
SELECT upkeep.refresh();

-- To immediate and back.
SELECT upkeep.register('sums'), upkeep.register('bag', 'immediate');
SELECT upkeep.register('top', 'immediate');
SELECT view, mode, state, strategy FROM upkeep.views ORDER BY view::text;
INSERT INTO t VALUES (20, 1, 1), (21, 1, 50);
SELECT * FROM sums ORDER BY k;
SELECT view FROM wrong GROUP BY view ORDER BY view::text;
SELECT upkeep.register('sums', 'manual');
SELECT view, mode, state FROM upkeep.views WHERE view = 'sums'::regclass;
UPDATE t SET v = 0 WHERE id = 20;
SELECT count(*) > 0 AS behind FROM upkeep.verify('sums');
SELECT count(*) > 0 AS behind FROM upkeep.verify('bag');
SELECT upkeep.register('sums', 'immediate');
TABLE sums ORDER BY k;
SELECT * FROM upkeep.verify('sums');
-- A switch that is rolled back.
BEGIN;
SELECT upkeep.register('sums', 'manual');
INSERT INTO t VALUES (30, 2, 2);
ROLLBACK;
INSERT INTO t VALUES (31, 2, 2);
SELECT view, mode FROM upkeep.views WHERE view = 'sums'::regclass;
SELECT * FROM upkeep.verify('sums');

-- The recipe for a bulk load: in one transaction, so that nobody sees the view behind.
BEGIN;
SELECT upkeep.register('sums', 'manual'), upkeep.register('bag', 'manual');
TRUNCATE t;
COPY t FROM stdin;
1	1	10
2	2	20
3	\N	30
\.
INSERT INTO t SELECT i, i % 5, i FROM generate_series(100, 1000) i;
SELECT upkeep.register('sums', 'immediate'), upkeep.register('bag', 'immediate');
COMMIT;
SELECT * FROM sums ORDER BY k;
INSERT INTO t VALUES (5000, 4, 1);
UPDATE t SET k = 0 WHERE id = 2;
SELECT * FROM sums ORDER BY k;
SELECT upkeep.refresh();
TABLE wrong;
-- The last immediate view of a table leaves: so do the triggers.
SELECT upkeep.unregister('bag');
SELECT count(*) > 0 AS triggers FROM pg_trigger WHERE tgrelid = 't'::regclass;
SELECT upkeep.unregister('sums');
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = 't'::regclass;
INSERT INTO t VALUES (6000, 4, 1);
SELECT * FROM sums WHERE k = 4;
REFRESH MATERIALIZED VIEW top;
REFRESH MATERIALIZED VIEW CONCURRENTLY top;
REFRESH MATERIALIZED VIEW running;
REFRESH MATERIALIZED VIEW missing WITH NO DATA;
SELECT view, mode, state FROM upkeep.views ORDER BY view::text;
SELECT upkeep.refresh('missing');
TABLE wrong;
SELECT upkeep.refresh('sums');
SELECT view, mode FROM upkeep.views ORDER BY view::text;
DROP SCHEMA by_hand CASCADE;
SELECT count(*) FROM upkeep.views;
