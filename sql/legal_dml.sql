-- DML that is legal stays legal: odd columns, open cursors, caught errors, self-joins, ON CONFLICT, MERGE, rules, COPY.
SET client_min_messages = warning;
CREATE SCHEMA legal;
SET search_path = legal, public;
-- Rows that a view of this schema has and should not have, or the reverse; views that are no longer maintained.
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'legal'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";

-- Columns that the view does not use may have any type, and are not touched.
CREATE TABLE t (id int PRIMARY KEY, v int, j json, x xml, p point, big text, g int GENERATED ALWAYS AS (v * 2) STORED);
CREATE MATERIALIZED VIEW by_v AS SELECT v, count(*) AS n, sum(g) AS g FROM t GROUP BY v;
CREATE MATERIALIZED VIEW list AS SELECT id, v FROM t WHERE v > 0;
CREATE MATERIALIZED VIEW same AS SELECT a.id AS a, b.id AS b FROM t a JOIN t b ON a.v = b.v AND a.id < b.id;
SELECT upkeep.register('by_v'), upkeep.register('list'), upkeep.register('same');
INSERT INTO t (id, v, j, x, p) SELECT i, i % 3, '{"a": 1}', '<a/>', point(i, i) FROM generate_series(1, 6) i;
UPDATE t SET j = '{"a": 2}', p = NULL;
UPDATE t SET j = NULL, x = '<b/>', v = v + 1 WHERE id < 3;
SELECT * FROM by_v ORDER BY v;
TABLE wrong;

-- A self-join, and an update that keeps the values of some rows.
UPDATE t SET v = CASE WHEN id % 2 = 0 THEN v ELSE 9 END;
UPDATE t SET v = v;
UPDATE t SET id = id;
SELECT * FROM same ORDER BY 1, 2;
TABLE wrong;

-- An open cursor on the view: the writer goes on, the cursor shows what it showed.
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT * FROM list ORDER BY id;
DECLARE live CURSOR FOR SELECT * FROM by_v;
FETCH 1 FROM c;
FETCH 1 FROM live;
UPDATE t SET v = v + 1;
DELETE FROM t WHERE id = 3;
FETCH ALL FROM c;
MOVE ALL FROM live;
SELECT * FROM list ORDER BY id;
TABLE wrong;
COMMIT;
CREATE FUNCTION write_while_reading() RETURNS int LANGUAGE plpgsql AS $$
DECLARE r record; n int := 0;
BEGIN
    FOR r IN SELECT * FROM legal.list ORDER BY id LOOP
        UPDATE legal.t SET v = v + 1 WHERE id = r.id;
        n := n + 1;
    END LOOP;
    RETURN n;
END $$;
SELECT write_while_reading();
TABLE wrong;
BEGIN;
DECLARE o CURSOR FOR SELECT * FROM t ORDER BY id FOR UPDATE;
FETCH 2 FROM o;
UPDATE t SET v = 50 WHERE CURRENT OF o;
FETCH 1 FROM o;
DELETE FROM t WHERE CURRENT OF o;
COMMIT;
SELECT * FROM list ORDER BY id;
TABLE wrong;

-- Exceptions caught inside a running statement: by a function that it calls, in a row trigger.
CREATE TABLE audit (id int PRIMARY KEY, v int);
CREATE MATERIALIZED VIEW audits AS SELECT v, count(*) AS n FROM audit GROUP BY v;
SELECT upkeep.register('audits');
CREATE FUNCTION try(x int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        INSERT INTO legal.audit VALUES (x, x);
        INSERT INTO legal.t (id, v) VALUES (x + 100, x);
        IF x % 2 = 0 THEN PERFORM 1 / 0; END IF;
    EXCEPTION WHEN division_by_zero THEN
        INSERT INTO legal.audit VALUES (-x, 0);
    END;
    RETURN x;
END $$;
UPDATE t SET v = try(id) WHERE id < 7;
SELECT * FROM audit ORDER BY id;
SELECT * FROM audits ORDER BY v;
TABLE wrong;
CREATE FUNCTION row_writer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        INSERT INTO legal.audit VALUES (new.id * 1000, new.v);
        IF new.v % 2 = 1 THEN RAISE EXCEPTION 'odd'; END IF;
    EXCEPTION WHEN raise_exception THEN NULL;
    END;
    RETURN new;
END $$;
CREATE TRIGGER row_writer BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION row_writer();
INSERT INTO t (id, v) VALUES (11, 1), (12, 2), (13, 3), (14, 4);
SELECT * FROM audits ORDER BY v;
TABLE wrong;
DROP TRIGGER row_writer ON t;
DO $$ BEGIN
    INSERT INTO t (id, v) VALUES (11, 1);
EXCEPTION WHEN unique_violation THEN
    INSERT INTO t (id, v) VALUES (15, 1);
END $$;
TABLE wrong;

-- ON CONFLICT, MERGE, RETURNING, COPY, rules, views, writable CTEs that meet themselves.
INSERT INTO t (id, v) VALUES (11, 70), (30, 70) ON CONFLICT (id) DO UPDATE SET v = excluded.v + t.v RETURNING id, v;
INSERT INTO t (id, v) VALUES (11, 0), (31, 0) ON CONFLICT DO NOTHING;
TABLE wrong;
MERGE INTO t USING (VALUES (11, 5), (30, 0), (40, 7)) s (id, v) ON s.id = t.id
    WHEN MATCHED AND s.v = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.v);
TABLE wrong;
COPY t (id, v) FROM stdin;
50	5
51	5
52	\N
\.
TABLE wrong;
CREATE VIEW updatable AS SELECT id, v FROM t WHERE v < 10 WITH CHECK OPTION;
UPDATE updatable SET v = 8 WHERE id = 50;
INSERT INTO updatable VALUES (53, 9);
CREATE RULE also AS ON DELETE TO audit DO ALSO INSERT INTO t (id, v) VALUES (old.id + 500, old.v);
DELETE FROM audit WHERE id > 0 AND id < 10;
WITH d AS (DELETE FROM t WHERE id < 10 RETURNING *), i AS (INSERT INTO t (id, v) SELECT id + 600, v FROM d RETURNING id, v)
INSERT INTO audit SELECT id, v FROM i;
SELECT * FROM list WHERE id > 40 ORDER BY id;
TABLE wrong;
PREPARE twice AS UPDATE t SET v = v + $1 WHERE id = $2;
EXECUTE twice(1, 50);
ALTER TABLE t ADD COLUMN later json;
EXECUTE twice(1, 50);
ALTER TABLE t DROP COLUMN p;
EXECUTE twice(1, 51);
TABLE wrong;
TRUNCATE t, audit;
SELECT count(*) FROM list;
TABLE wrong;
DROP SCHEMA legal CASCADE;
