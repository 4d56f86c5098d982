-- Whole rows and system columns.
SET client_min_messages = warning;
CREATE SCHEMA rows;
SET search_path = rows, public;
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'rows'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";

CREATE TABLE t (id int PRIMARY KEY, gone int, a int, w text, n numeric);
ALTER TABLE t DROP COLUMN gone;
INSERT INTO t VALUES (1, 1, 'x', 1.0), (2, NULL, NULL, NULL), (3, 1, 'x,"', 2);
CREATE TABLE u (k int, v text);
INSERT INTO u VALUES (1, 'one'), (1, 'eins'), (2, NULL), (NULL, NULL);
CREATE MATERIALIZED VIEW texts AS SELECT t::text AS t, (t.*)::text AS s, id FROM t;
CREATE MATERIALIZED VIEW listed_rows AS SELECT s.a, jsonb_agg(s ORDER BY s.w) AS l, string_agg(row_to_json(s)::text, chr(44) ORDER BY s.id) AS j FROM (SELECT id, a, w FROM t) s GROUP BY s.a;
CREATE MATERIALIZED VIEW record_sets AS SELECT s.x, e.key, e.value FROM (SELECT id AS x, a AS "Y" FROM t) s, jsonb_each(to_jsonb(s)) e;
CREATE MATERIALIZED VIEW objects AS SELECT row_to_json(t)::text AS j, to_jsonb(t) - 'w' AS b FROM t;
CREATE MATERIALIZED VIEW typed AS SELECT t FROM t;
CREATE MATERIALIZED VIEW counted AS SELECT a, count(t) AS c, array_agg(t ORDER BY id) AS l FROM t GROUP BY a;
CREATE MATERIALIZED VIEW nullable AS SELECT t.id, u IS NULL AS none, u::text, to_jsonb(u) AS j FROM t LEFT JOIN u ON u.k = t.id;
CREATE MATERIALIZED VIEW nullable_count AS SELECT t.id, count(u) AS c, count(*) AS all FROM t LEFT JOIN u ON u.k = t.id GROUP BY t.id;
CREATE MATERIALIZED VIEW compared AS SELECT t.id, u IS NULL AS none, u::text AS u, to_jsonb(u) AS j FROM t LEFT JOIN u ON u.k < t.id;
CREATE MATERIALIZED VIEW compared_record AS SELECT t.id, to_jsonb(s) AS j, s IS NULL AS none FROM t LEFT JOIN (SELECT k AS "The key", v FROM u) s ON s."The key" > t.a;
CREATE MATERIALIZED VIEW in_subquery AS SELECT t.id, ARRAY(SELECT u::text FROM u WHERE u.k = t.id ORDER BY u.v) AS l, (SELECT to_jsonb(u) FROM u WHERE u.k = t.a ORDER BY v LIMIT 1) AS j FROM t;
CREATE MATERIALIZED VIEW full_sides AS SELECT t, u, u IS DISTINCT FROM NULL AS some FROM t FULL JOIN u ON u.k = t.a;
CREATE MATERIALIZED VIEW subquery AS SELECT row_to_json(s)::text AS j, s::text FROM (SELECT id + 1 AS next, w AS "The word" FROM t) s;
CREATE MATERIALIZED VIEW grouped AS SELECT to_jsonb(s) AS j, u.v FROM (SELECT a, count(*) AS c FROM t GROUP BY a) s LEFT JOIN u ON u.k = s.a;
CREATE MATERIALIZED VIEW outer_subquery AS SELECT u.k, to_jsonb(s) AS j, s IS NULL AS none FROM u LEFT JOIN (SELECT a, max(id) AS m FROM t GROUP BY a) s ON s.a = u.k;
CREATE MATERIALIZED VIEW renamed AS SELECT to_jsonb(x) AS j, x.q FROM t AS x (q, r);
CREATE MATERIALIZED VIEW sources AS SELECT e::text AS e, f FROM t, jsonb_each(to_jsonb(t)) e, generate_series(1, t.a) f;
CREATE MATERIALIZED VIEW joined AS SELECT j::text AS j FROM (t LEFT JOIN u ON u.k = t.id) j;
CREATE MATERIALIZED VIEW distinct_rows AS SELECT DISTINCT t FROM t;
CREATE MATERIALIZED VIEW within AS SELECT k FROM u WHERE EXISTS (SELECT t FROM t WHERE t.id = u.k AND t::text LIKE '%x%');
CREATE MATERIALIZED VIEW dependent_row AS SELECT t.id, t::text AS t, count(u.k) AS c FROM t LEFT JOIN u ON u.k = t.a GROUP BY t.id;
CREATE MATERIALIZED VIEW tables AS SELECT tableoid = 'rows.t'::regclass AS is_t, id FROM t UNION ALL SELECT u.tableoid = 'rows.t'::regclass, k FROM u;
CREATE MATERIALIZED VIEW absent_table AS SELECT t.id, u.tableoid IS NULL AS none FROM t LEFT JOIN u ON u.k = t.id;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'rows'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
TABLE wrong;
SELECT * FROM nullable ORDER BY nullable::text COLLATE "C";
INSERT INTO t VALUES (4, 2, 'y', 2.00), (5, 1, NULL, 1.00);
INSERT INTO u VALUES (4, 'vier'), (2, 'zwei');
TABLE wrong;
UPDATE t SET w = w || 'z', a = a + 1 WHERE id < 4;
TABLE wrong;
WITH x AS (DELETE FROM u WHERE k = 1 RETURNING *) UPDATE t SET n = n * 1.00, id = -id;
TABLE wrong;
UPDATE u SET v = NULL, k = NULL WHERE k = 2;
TABLE wrong;
SELECT j, s FROM subquery ORDER BY s COLLATE "C";
BEGIN;
SAVEPOINT s;
TRUNCATE u;
TABLE wrong;
ROLLBACK TO s;
DELETE FROM t WHERE a IS NULL;
TABLE wrong;
COMMIT;
-- The row of a view without a match is NULL, and not a row of NULLs, where its subquery is evaluated as it stands, too.
CREATE VIEW pairs AS SELECT t.id AS i, u.k AS j FROM t LEFT JOIN u ON t.id + 1 = abs(u.k + t.a);
CREATE MATERIALIZED VIEW rows_of_view AS SELECT t.id, to_jsonb(p)::text AS p, p IS NULL AS no, (p).j AS j FROM t LEFT JOIN pairs p ON t.a = p.i AND t.id <= p.i + p.j;
CREATE MATERIALIZED VIEW first_of_view AS SELECT t.id, to_jsonb(f.p)::text AS p, num_nulls(f.p) AS n FROM t LEFT JOIN LATERAL (SELECT p FROM u LEFT JOIN pairs p ON p.i = u.k + 1 WHERE u.k = t.a ORDER BY p.i, p.j LIMIT 1) f ON true;
SELECT upkeep.register('rows_of_view'), upkeep.register('first_of_view');
TABLE wrong;
UPDATE u SET k = k + 1;
INSERT INTO t (id, a) VALUES (51, 1), (52, 2), (53, NULL);
TABLE wrong;
DELETE FROM u WHERE k < 3;
TABLE wrong;
DROP VIEW pairs CASCADE;
-- Another set of columns.
ALTER TABLE t RENAME w TO word;
TABLE wrong;
SELECT j FROM objects ORDER BY j COLLATE "C" LIMIT 1;
DROP MATERIALIZED VIEW typed, counted, full_sides, distinct_rows;
ALTER TABLE t ADD COLUMN extra int;
TABLE wrong;
INSERT INTO t VALUES (9, 1, 'new', 3, 7);
TABLE wrong;
SELECT s FROM texts WHERE id = 9;
CREATE TABLE heir () INHERITS (u);
SELECT code, what FROM upkeep.explain('SELECT tableoid, k FROM u');
SELECT code, what FROM upkeep.explain('SELECT id, ARRAY(SELECT ctid FROM u WHERE u.k = t.id) FROM t');
SELECT code, what, why, hint FROM upkeep.explain('SELECT xmin, id FROM t') \gx
