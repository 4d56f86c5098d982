-- Row sources that are no tables: functions over the columns of a row, VALUES, WITH ORDINALITY, ROWS FROM.
SET client_min_messages = warning;
CREATE SCHEMA sources;
SET search_path = sources, public;
-- Rows that a view of this schema has and should not have, or the reverse; views that are no longer maintained.
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'sources'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";

CREATE TABLE t (id int, tags text[], doc jsonb, lo int, hi int);
INSERT INTO t VALUES (1, '{a,b,a}', '[{"k": 1}, {"k": null}]', 1, 3), (2, '{}', '[]', 2, 1), (3, NULL, NULL, NULL, 4);
CREATE TABLE docs (id int, body xml, list jsonb);
INSERT INTO docs VALUES (1, '<r><i n="1">x</i><i n="2"/></r>', '[{"a": 1, "b": "x"}, {"a": null}]'), (2, '<r/>', '[]'), (3, NULL, NULL);
CREATE TABLE n (tag text, weight int);
INSERT INTO n VALUES ('a', 1), ('b', 2), ('a', 3);
CREATE FUNCTION steps(lo int, hi int) RETURNS SETOF int LANGUAGE sql IMMUTABLE AS 'SELECT generate_series($1, $2, 2)';
CREATE MATERIALIZED VIEW series AS SELECT id, g FROM t, generate_series(t.lo, t.hi) g;
CREATE MATERIALIZED VIEW tagged AS SELECT id, tag FROM t CROSS JOIN LATERAL unnest(tags) AS tag WHERE tag <> 'z';
CREATE MATERIALIZED VIEW numbered AS SELECT id, tag, place FROM t, unnest(tags) WITH ORDINALITY AS u (tag, place);
CREATE MATERIALIZED VIEW elements AS SELECT id, e -> 'k' AS k FROM t, jsonb_array_elements(doc) e;
CREATE MATERIALIZED VIEW pairs AS SELECT t.id, p.key, p.value FROM t, jsonb_array_elements(t.doc) d, jsonb_each(d) p;
CREATE MATERIALIZED VIEW constant_series AS SELECT id, g FROM t JOIN generate_series(1, 3) g ON g < t.id;
CREATE MATERIALIZED VIEW listed AS SELECT t.id, v.name FROM t JOIN (VALUES (1, 'one'), (2, 'two'), (2, 'zwei')) v (id, name) USING (id);
CREATE MATERIALIZED VIEW lateral_values AS SELECT t.id, v.x FROM t, LATERAL (VALUES (t.lo), (t.hi), (0)) v (x);
CREATE MATERIALIZED VIEW rows_from AS SELECT id, r.* FROM t, ROWS FROM (unnest(tags), generate_series(lo, hi)) WITH ORDINALITY AS r (tag, g, place);
CREATE MATERIALIZED VIEW own_function AS SELECT id, s FROM t, steps(lo, hi) s;
CREATE MATERIALIZED VIEW scalar_function AS SELECT id, u FROM t, upper(tags[1]) u;
CREATE MATERIALIZED VIEW weights AS SELECT t.id, tag, n.weight FROM t, unnest(tags) tag JOIN n USING (tag);
CREATE MATERIALIZED VIEW tag_count AS SELECT tag, count(*) AS n, sum(id) AS s, min(id) AS first FROM t, unnest(tags) tag GROUP BY tag;
CREATE MATERIALIZED VIEW days AS SELECT id, d::date AS day FROM t, generate_series(date '2024-01-01' + lo, date '2024-01-01' + hi, interval '1 day') d;
CREATE MATERIALIZED VIEW xml_rows AS SELECT d.id, x.* FROM docs d, XMLTABLE('/r/i' PASSING d.body COLUMNS place FOR ORDINALITY, n int PATH '@n', word text PATH 'text()' DEFAULT 'none ' || d.id) x;
CREATE MATERIALIZED VIEW xml_left AS SELECT d.id, x.n FROM docs d LEFT JOIN XMLTABLE('/r/i' PASSING xml '<r><i>1</i><i>7</i></r>' COLUMNS n int PATH '.') x ON x.n = d.id;
CREATE MATERIALIZED VIEW records AS SELECT d.id, r.a, r.b FROM docs d, jsonb_to_recordset(d.list) AS r (a int, b text);
CREATE MATERIALIZED VIEW populated AS SELECT d.id, r.* FROM docs d, jsonb_populate_recordset(NULL::sources.n, d.list) r;
-- Over columns of several tables: never evaluated on pairs of rows that never stood together.
CREATE TABLE bounds (id int, step int, up int);
INSERT INTO bounds VALUES (1, 1, 5), (2, 2, 6), (1, 2, 4), (NULL, 1, 1);
CREATE MATERIALIZED VIEW several AS SELECT t.id, g FROM t JOIN bounds b USING (id), generate_series(t.lo, b.up, b.step) g;
CREATE MATERIALIZED VIEW several_listed AS SELECT t.id, b.step, generate_series(t.lo, b.up, b.step) AS g, x FROM t JOIN bounds b USING (id), LATERAL (VALUES (t.hi), (b.up)) v (x) WHERE x > 1;
CREATE MATERIALIZED VIEW several_tied AS SELECT t.id, g, n.tag FROM t JOIN bounds b USING (id), generate_series(t.lo, b.up) g JOIN n ON n.weight = g;
CREATE MATERIALIZED VIEW several_absent AS SELECT t.id, g FROM t JOIN bounds b USING (id), generate_series(t.lo, b.up) g WHERE NOT EXISTS (SELECT FROM n WHERE n.weight = g);
CREATE MATERIALIZED VIEW several_self AS SELECT x.id, y.up, q FROM bounds x JOIN bounds y ON y.id = x.id AND y.step <> x.step, generate_series(1, 12 / (y.step - x.step)) q;
CREATE MATERIALIZED VIEW several_chain AS SELECT t.id, g, h FROM t JOIN docs d ON d.id = t.id JOIN bounds b ON b.id = d.id, generate_series(t.lo, b.up) g, generate_series(g, t.hi) h;
CREATE MATERIALIZED VIEW several_count AS SELECT g, count(*) AS c, max(b.up) AS m FROM t JOIN bounds b USING (id), generate_series(t.lo, b.up) g GROUP BY g;
CREATE MATERIALIZED VIEW several_left AS SELECT b.id, b.up, s.g FROM bounds b LEFT JOIN (SELECT t.id, g FROM t JOIN docs d USING (id), generate_series(t.lo, d.id) g) s ON s.id = b.id;
CREATE MATERIALIZED VIEW paths AS SELECT d.id, p FROM docs d, jsonb_path_query(d.list, '$[*].a') p;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'sources'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
CREATE TEMP TABLE built AS SELECT view, last_maintenance FROM upkeep.views;
TABLE wrong;
INSERT INTO t VALUES (4, '{b,z,NULL}', '[{"a": [1]}, {"k": 1, "b": 2}]', 0, 2), (1, '{a}', '[{"k": 1}]', 3, 3);
TABLE wrong;
SELECT * FROM series ORDER BY 1, 2;
SELECT * FROM numbered ORDER BY 1, 3, 2;
SELECT * FROM elements ORDER BY 1, 2;
SELECT * FROM pairs ORDER BY pairs::text COLLATE "C";
SELECT * FROM lateral_values ORDER BY 1, 2;
SELECT * FROM rows_from ORDER BY rows_from::text COLLATE "C";
SELECT * FROM tag_count ORDER BY 1;
SELECT * FROM days ORDER BY 1, 2;
UPDATE t SET tags = tags || text 'b', hi = hi + 1;
TABLE wrong;
UPDATE t SET tags = array_remove(tags, 'a'), doc = doc || '{"k": 5}' WHERE id = 1;
TABLE wrong;
UPDATE n SET weight = weight + 1;
INSERT INTO n VALUES ('b', NULL), (NULL, 5);
TABLE wrong;
SELECT * FROM weights ORDER BY 1, 2, 3;
SELECT * FROM own_function ORDER BY 1, 2;
UPDATE docs SET body = '<r><i n="5">z</i></r>', list = list || '{"a": 7, "tag": "t"}' WHERE id = 1;
INSERT INTO docs SELECT id, body, list FROM docs;
TABLE wrong;
SELECT * FROM xml_rows ORDER BY 1, 2;
SELECT * FROM records ORDER BY 1, 2, 3;
UPDATE bounds SET step = step + 1;
TABLE wrong;
WITH x AS (UPDATE bounds SET up = up - 1 WHERE step = 2 RETURNING *) UPDATE t SET lo = lo + 1;
TABLE wrong;
BEGIN;
SAVEPOINT s;
UPDATE bounds SET step = 3 - step, id = NULL;
ROLLBACK TO s;
WITH x AS (INSERT INTO bounds VALUES (3, 1, 5), (1, 7, 8)), y AS (DELETE FROM n WHERE weight = 1) INSERT INTO t (id, lo, hi) VALUES (3, 2, 3), (1, 4, 9);
TABLE wrong;
COMMIT;
SELECT * FROM several ORDER BY 1, 2;
SELECT * FROM several_self ORDER BY 1, 2, 3;
WITH x AS (DELETE FROM t WHERE id = 4) UPDATE n SET tag = 'b';
TABLE wrong;
UPDATE t SET lo = NULL, tags = '{}';
DELETE FROM t WHERE id = 1;
DELETE FROM bounds;
SELECT * FROM tag_count ORDER BY 1;
SELECT * FROM constant_series ORDER BY 1, 2;
TABLE wrong;
DELETE FROM t;
SELECT count(*) FROM listed;
TABLE wrong;

-- None of this was a rebuild.
SELECT v.view FROM upkeep.views v JOIN built b ON b.view = v.view WHERE v.last_maintenance <> b.last_maintenance ORDER BY 1;
DROP TABLE built;
DROP SCHEMA sources CASCADE;
