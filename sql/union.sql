-- UNION ALL and UNION, over tables, joins and groups, nested, with arms of different types.
SET client_min_messages = warning;
CREATE SCHEMA uniting;
SET search_path = uniting, public;
-- Rows that a view of this schema has and should not have, or the reverse; views that are no longer maintained.
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'uniting'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";

CREATE TABLE a (id int, t text, n numeric);
CREATE TABLE b (id bigint, t varchar(10), n int);
INSERT INTO a VALUES (1, 'x', 1.0), (1, 'x', 1.0), (2, 'y', 2.5), (NULL, NULL, NULL);
INSERT INTO b VALUES (1, 'x', 1), (3, 'z', 3), (NULL, NULL, NULL);
CREATE MATERIALIZED VIEW all_rows AS SELECT id, t, n FROM a UNION ALL SELECT id, t, n FROM b;
CREATE MATERIALIZED VIEW distinct_rows AS SELECT id, t FROM a UNION SELECT id, t FROM b;
CREATE MATERIALIZED VIEW same_table AS SELECT id, 'low' AS level FROM a WHERE id < 2 UNION ALL SELECT id, 'high' FROM a WHERE id >= 2 UNION ALL SELECT id, NULL FROM a;
CREATE MATERIALIZED VIEW with_constants AS SELECT id FROM a UNION ALL SELECT 7 UNION ALL VALUES (8), (9);
CREATE MATERIALIZED VIEW joined AS SELECT a.t, b.n FROM a JOIN b ON a.id = b.id UNION ALL SELECT b.t, x.n FROM b, b x WHERE b.id < x.id;
CREATE MATERIALIZED VIEW nested AS (SELECT id FROM a UNION ALL SELECT id FROM b) UNION SELECT n FROM b UNION ALL SELECT 1;
CREATE MATERIALIZED VIEW nested2 AS SELECT id FROM a UNION ALL (SELECT id FROM b UNION SELECT id FROM a);
CREATE MATERIALIZED VIEW summed AS SELECT t, count(*) AS n, sum(id) AS s FROM (SELECT id, t FROM a UNION ALL SELECT id, t FROM b) u GROUP BY t;
CREATE MATERIALIZED VIEW group_arms AS SELECT t, count(*) AS n FROM a GROUP BY t UNION ALL SELECT 'all', count(*) FROM b UNION ALL SELECT t, id FROM b;
CREATE MATERIALIZED VIEW join_of_union AS SELECT u.src, u.id, b.t FROM (SELECT 'a' AS src, id FROM a UNION ALL SELECT 'b', id FROM b) u JOIN b USING (id);
CREATE MATERIALIZED VIEW ordered AS SELECT id, t FROM a UNION ALL SELECT id, t FROM b ORDER BY 2, 1;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'uniting'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
CREATE TEMP TABLE built AS SELECT view, last_maintenance FROM upkeep.views;
TABLE wrong;
INSERT INTO a VALUES (3, 'z', 3.00), (1, 'x', 1.00), (NULL, NULL, 7);
TABLE wrong;
INSERT INTO b VALUES (2, 'y', 2), (1, 'x', 1), (1, NULL, 1);
TABLE wrong;
SELECT * FROM all_rows ORDER BY all_rows::text COLLATE "C";
SELECT * FROM distinct_rows ORDER BY 1, 2;
SELECT * FROM summed ORDER BY summed::text COLLATE "C";
SELECT * FROM group_arms ORDER BY group_arms::text COLLATE "C";
SELECT * FROM with_constants ORDER BY 1;
UPDATE a SET id = id + 1;
TABLE wrong;
UPDATE b SET id = 4 - id, t = t || 'q';
TABLE wrong;
WITH x AS (DELETE FROM a WHERE t = 'x' RETURNING id) INSERT INTO b SELECT id, 'moved', 0 FROM x;
TABLE wrong;
DELETE FROM b WHERE t = 'moved' OR t IS NULL;
DELETE FROM a WHERE id IS NULL;
SELECT * FROM all_rows ORDER BY all_rows::text COLLATE "C";
SELECT * FROM distinct_rows ORDER BY 1, 2;
SELECT * FROM nested2 ORDER BY 1;
SELECT * FROM join_of_union ORDER BY 1, 2, 3;
TABLE wrong;
DELETE FROM a;
DELETE FROM b;
SELECT * FROM all_rows;
SELECT * FROM distinct_rows;
SELECT * FROM group_arms;
SELECT * FROM with_constants ORDER BY 1;
TABLE wrong;
INSERT INTO a SELECT i % 3, 't' || i % 2, i FROM generate_series(1, 30) i;
INSERT INTO b SELECT i % 4, 't' || i % 3, i FROM generate_series(1, 30) i;
SELECT * FROM distinct_rows ORDER BY 1, 2;
SELECT * FROM nested ORDER BY 1;
TABLE wrong;

-- None of this was a rebuild.
SELECT v.view FROM upkeep.views v JOIN built b ON b.view = v.view WHERE v.last_maintenance <> b.last_maintenance ORDER BY 1;
DROP TABLE built;
DROP SCHEMA uniting CASCADE;
