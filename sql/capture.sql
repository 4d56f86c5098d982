-- Every way to change a base table is captured, once. verify() compares the view with its query after each.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE TABLE stock (id int PRIMARY KEY, kind int, gone int, doc json, amount int NOT NULL, note text, place point);
ALTER TABLE stock DROP COLUMN gone;
CREATE TABLE move (id int, stock_id int, amount int NOT NULL, doc json);
CREATE MATERIALIZED VIEW by_kind AS
  SELECT kind, count(*) AS n, sum(amount) AS total FROM stock GROUP BY kind;
CREATE MATERIALIZED VIEW moves AS
  SELECT s.kind, count(*) AS n, sum(m.amount) AS total FROM stock s JOIN move m ON m.stock_id = s.id GROUP BY s.kind;
SELECT upkeep.register('by_kind'), upkeep.register('moves');
CREATE FUNCTION wrong(OUT view text, OUT side text, OUT contents text) RETURNS SETOF record LANGUAGE sql
  AS $$ SELECT 'by_kind', * FROM upkeep.verify('by_kind') UNION ALL SELECT 'moves', * FROM upkeep.verify('moves') $$;
SELECT tgname, tgenabled, tgoldtable, tgnewtable FROM pg_trigger WHERE tgrelid = 'stock'::regclass ORDER BY tgname;

-- plain statements; unused columns of types without equality
INSERT INTO stock SELECT g, g % 3, '{}', g, 'n' || g, '(1,1)' FROM generate_series(1, 10) g;
INSERT INTO move SELECT g, g % 10 + 1, g, '[]' FROM generate_series(1, 20) g;
SELECT * FROM wrong();
UPDATE stock SET amount = amount + 1 WHERE id <= 3;
UPDATE stock SET place = '(2,2)', doc = '[1]';
UPDATE stock SET kind = kind;
DELETE FROM stock WHERE id = 10;
SELECT * FROM wrong();
SELECT * FROM by_kind ORDER BY kind;
SELECT * FROM moves ORDER BY kind;

-- a column that old rows do not have on disk
ALTER TABLE stock ADD COLUMN late int DEFAULT 7;
UPDATE stock SET kind = late WHERE id = 4;
SELECT * FROM wrong();

-- ON CONFLICT, MERGE
INSERT INTO stock VALUES (1, 7, '[1]', 5, NULL), (11, 7, '[1]', 5, NULL) ON CONFLICT (id) DO UPDATE SET kind = excluded.kind + 1;
INSERT INTO stock VALUES (1, 7, '[1]', 5, NULL) ON CONFLICT DO NOTHING;
SELECT * FROM wrong();
MERGE INTO stock USING (VALUES (1, 1), (2, 2), (20, 3), (21, 4)) s (id, kind) ON stock.id = s.id
  WHEN MATCHED AND stock.id = 2 THEN DELETE
  WHEN MATCHED THEN UPDATE SET kind = s.kind
  WHEN NOT MATCHED THEN INSERT (id, kind, amount) VALUES (s.id, s.kind, 9);
SELECT * FROM wrong();

-- one statement that changes both tables
WITH d AS (DELETE FROM stock WHERE id > 10 RETURNING *),
     i AS (INSERT INTO move SELECT id, 1, amount FROM d RETURNING *)
UPDATE stock SET amount = amount + (SELECT count(*) FROM i);
SELECT * FROM wrong();
WITH d AS (DELETE FROM move WHERE id = 11 RETURNING *), e AS (DELETE FROM move WHERE id = 20),
     u AS (UPDATE move SET amount = 0 WHERE id = 12)
INSERT INTO move SELECT 100, stock_id, 1 FROM d;
SELECT * FROM wrong();

-- COPY, also with FREEZE
COPY move (id, stock_id, amount) FROM STDIN;
200	1	5
201	3	5
202	999	5
\.
SELECT * FROM wrong();
BEGIN;
TRUNCATE move;
COPY move (id, stock_id, amount) FROM STDIN WITH (FREEZE);
300	1	5
301	3	6
\.
SELECT * FROM wrong();
COMMIT;

-- a rule, a view with an INSTEAD OF trigger
CREATE RULE also AS ON INSERT TO stock DO ALSO INSERT INTO move VALUES (NEW.id, NEW.id, NEW.amount);
INSERT INTO stock (id, kind, amount) VALUES (30, 1, 1), (31, 2, 2);
DROP RULE also ON stock;
CREATE VIEW front AS SELECT id, amount FROM stock;
CREATE FUNCTION front() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  UPDATE stock SET amount = NEW.amount WHERE id = NEW.id; INSERT INTO move VALUES (1, NEW.id, NEW.amount); RETURN NEW; END $$;
CREATE TRIGGER front INSTEAD OF UPDATE ON front FOR EACH ROW EXECUTE FUNCTION front();
UPDATE front SET amount = amount * 2 WHERE id IN (1, 3);
SELECT * FROM wrong();

-- functions whose DML returns rows that nobody fetches
CREATE FUNCTION first_row(int) RETURNS int LANGUAGE sql
  AS $$ INSERT INTO move SELECT g, 1, 1 FROM generate_series($1, $1 + 3) g RETURNING id $$;
CREATE FUNCTION all_rows(int) RETURNS SETOF int LANGUAGE sql
  AS $$ INSERT INTO move SELECT g, 1, 1 FROM generate_series($1, $1 + 3) g RETURNING id $$;
SELECT first_row(400);
SELECT * FROM all_rows(410) LIMIT 1;
SELECT all_rows(420) LIMIT 2;
DO $$ DECLARE r record; n int; BEGIN
  FOR r IN INSERT INTO move VALUES (600, 1, 1), (601, 3, 1) RETURNING * LOOP
    UPDATE move SET amount = 77 WHERE id = r.id;
    EXIT;
  END LOOP;
  EXECUTE 'INSERT INTO move VALUES (602, 1, 1) RETURNING id' INTO n;
  BEGIN
    INSERT INTO move VALUES (604, 1, 1), (605, 1, 1), (606, 1, 1) RETURNING id INTO n;
  EXCEPTION WHEN too_many_rows THEN NULL;
  END;
END $$;
SELECT * FROM wrong();

-- WHERE CURRENT OF, EXPLAIN ANALYZE, replica role
DO $$ DECLARE c CURSOR FOR SELECT * FROM move WHERE id >= 600 FOR UPDATE; r record; BEGIN
  OPEN c; FETCH c INTO r; UPDATE move SET amount = 5 WHERE CURRENT OF c; FETCH c INTO r; DELETE FROM move WHERE CURRENT OF c; CLOSE c;
END $$;
SELECT * FROM wrong();
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) INSERT INTO move VALUES (700, 1, 1);
SET session_replication_role = replica;
UPDATE move SET amount = amount + 1;
RESET session_replication_role;
SELECT * FROM wrong();

-- TRUNCATE, alone and of several tables
TRUNCATE move;
SELECT * FROM wrong();
INSERT INTO move SELECT g, g, 1 FROM generate_series(1, 5) g;
TRUNCATE stock, move;
SELECT * FROM wrong();
SELECT * FROM by_kind;

-- the triggers are repaired and go with the last view
SELECT upkeep.unregister('moves'), upkeep.unregister('by_kind');
SELECT tgname FROM pg_trigger WHERE tgrelid IN ('stock'::regclass, 'move'::regclass);
DROP MATERIALIZED VIEW moves, by_kind;
DROP FUNCTION wrong;
DROP VIEW front;
DROP TABLE stock, move;
DROP FUNCTION front, first_row, all_rows;
