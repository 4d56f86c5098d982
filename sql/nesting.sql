-- Statements inside statements: maintenance runs once, when the outermost has ended; what a caught exception or a
-- savepoint undoes is forgotten, and nothing else is.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE TABLE parent (id int PRIMARY KEY, up int REFERENCES parent ON DELETE CASCADE);
CREATE TABLE child (id int PRIMARY KEY, pid int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, amount int NOT NULL);
CREATE TABLE leaf (id int PRIMARY KEY, cid int REFERENCES child ON DELETE SET NULL, amount int NOT NULL);
CREATE TABLE log (id int, what text, n int NOT NULL);
CREATE MATERIALIZED VIEW by_parent AS
  SELECT p.id, count(*) AS n, sum(c.amount) AS total FROM parent p JOIN child c ON c.pid = p.id GROUP BY p.id;
CREATE MATERIALIZED VIEW by_child AS SELECT cid, count(*) AS n, sum(amount) AS total FROM leaf GROUP BY cid;
CREATE MATERIALIZED VIEW by_what AS SELECT what, count(*) AS n, sum(n) AS total FROM log GROUP BY what;
SELECT upkeep.register('by_parent'), upkeep.register('by_child'), upkeep.register('by_what');
CREATE FUNCTION wrong(OUT view text, OUT side text, OUT contents text) RETURNS SETOF record LANGUAGE sql
  AS $$ SELECT 'by_parent', * FROM upkeep.verify('by_parent') UNION ALL SELECT 'by_child', * FROM upkeep.verify('by_child')
        UNION ALL SELECT 'by_what', * FROM upkeep.verify('by_what') $$;
INSERT INTO parent SELECT i, nullif(i / 2, 0) FROM generate_series(1, 31) i;
INSERT INTO child SELECT i, i, i FROM generate_series(1, 31) i;
INSERT INTO leaf SELECT i, i, i FROM generate_series(1, 31) i;
SELECT * FROM wrong();

-- foreign key actions over several levels
DELETE FROM parent WHERE id = 2;
UPDATE parent SET id = 100 WHERE id = 31;
SELECT * FROM wrong();
SELECT * FROM by_child WHERE cid IS NULL;

-- the cascade's own row triggers write, and catch exceptions
CREATE FUNCTION on_child() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO log VALUES (OLD.id, TG_WHEN, 1);
  BEGIN
    INSERT INTO log VALUES (OLD.id, 'perhaps', 1);
    PERFORM 1 / (OLD.id % 2);
  EXCEPTION WHEN division_by_zero THEN NULL;
  END;
  RETURN OLD;
END $$;
CREATE TRIGGER child_before BEFORE DELETE ON child FOR EACH ROW EXECUTE FUNCTION on_child();
CREATE TRIGGER child_after AFTER DELETE ON child FOR EACH ROW EXECUTE FUNCTION on_child();
DELETE FROM parent WHERE id = 6;
SELECT * FROM wrong();
SELECT * FROM by_what ORDER BY what;

-- inside the statement the views are as they were; TRUNCATE inside, kept and undone
CREATE FUNCTION inner_work(undo bool) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO log VALUES (1, 'first', 1);
  BEGIN
    TRUNCATE log;
    INSERT INTO log VALUES (1, 'truncated', 1);
    IF undo THEN RAISE EXCEPTION 'undo'; END IF;
  EXCEPTION WHEN raise_exception THEN NULL;
  END;
  INSERT INTO log VALUES (1, 'last', 1);
  RETURN (SELECT coalesce(sum(by_what.n), 0) FROM by_what);
END $$;
UPDATE leaf SET amount = inner_work(true) WHERE id = 1 RETURNING amount;
SELECT * FROM wrong();
UPDATE leaf SET amount = inner_work(false) WHERE id <= 2 RETURNING amount;
SELECT * FROM wrong();
SELECT * FROM by_what ORDER BY what;

-- many subtransactions in one statement
CREATE FUNCTION many(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO log VALUES (i, 'kept', 1);
  BEGIN DELETE FROM log; UPDATE leaf SET amount = 0; RAISE EXCEPTION 'x'; EXCEPTION WHEN raise_exception THEN NULL; END;
  BEGIN UPDATE log SET n = n + 1 WHERE id = i; EXCEPTION WHEN raise_exception THEN NULL; END;
  RETURN i;
END $$;
UPDATE leaf SET amount = many(id);
SELECT * FROM wrong();
INSERT INTO log SELECT many(i), 'outer', 1 FROM generate_series(1, 200) i;
SELECT * FROM wrong();

-- functions that write before the first change of the statement that calls them
WITH s AS MATERIALIZED (SELECT many(1) AS x), w AS (INSERT INTO leaf VALUES (1000, NULL, 1) RETURNING id)
SELECT x, (SELECT count(*) FROM w) FROM s WHERE many(2) > 0;
SELECT count(many(i)) FROM generate_series(1, 3) i;
SELECT * FROM wrong();

-- a user's statement triggers, before and after ours, that write to the same table
CREATE FUNCTION on_log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF pg_trigger_depth() < 2 THEN
    IF TG_WHEN = 'AFTER' THEN INSERT INTO log SELECT count(*), TG_NAME, 1 FROM added;
    END IF;
  END IF;
  RETURN NULL;
END $$;
CREATE FUNCTION on_log_before() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF pg_trigger_depth() < 2 THEN DELETE FROM log WHERE id = 5; UPDATE leaf SET amount = amount + 1 WHERE id = 3; END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER "!before" BEFORE INSERT ON log EXECUTE FUNCTION on_log_before();
CREATE TRIGGER zz_before BEFORE INSERT ON log EXECUTE FUNCTION on_log_before();
CREATE TRIGGER "!after" AFTER INSERT ON log REFERENCING NEW TABLE AS added EXECUTE FUNCTION on_log();
CREATE TRIGGER zz_after AFTER INSERT ON log REFERENCING NEW TABLE AS added EXECUTE FUNCTION on_log();
INSERT INTO log VALUES (5, 'st', 1), (6, 'st', 1);
SELECT * FROM wrong();
DROP TRIGGER "!before" ON log;
DROP TRIGGER zz_before ON log;
DROP TRIGGER "!after" ON log;
DROP TRIGGER zz_after ON log;

-- recursion on one table
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NEW.n < 0 THEN
    INSERT INTO log VALUES (NEW.id, 'again', NEW.n + 1);
    DELETE FROM log WHERE id = NEW.id AND n = NEW.n + 1;
    INSERT INTO log VALUES (NEW.id, 'once more', NEW.n + 1);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER again AFTER INSERT ON log FOR EACH ROW EXECUTE FUNCTION again();
INSERT INTO log VALUES (-1, 'start', -3);
SELECT * FROM wrong();
DROP TRIGGER again ON log;

-- deferred constraint triggers
CREATE FUNCTION deferred() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (NEW.id, 'deferred', 1); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON leaf DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION deferred();
BEGIN;
INSERT INTO leaf VALUES (2001, NULL, 1), (2002, NULL, 1);
SAVEPOINT s;
INSERT INTO leaf VALUES (2003, NULL, 1);
ROLLBACK TO s;
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
INSERT INTO leaf VALUES (2004, NULL, 1);
COMMIT;
SELECT * FROM wrong();
SELECT * FROM by_what WHERE what = 'deferred';

-- savepoints
BEGIN;
INSERT INTO log VALUES (80, 's', 1);
SAVEPOINT s;
DELETE FROM log WHERE id = 80;
SAVEPOINT t;
INSERT INTO log VALUES (81, 's', 1);
RELEASE t;
UPDATE log SET n = 3 WHERE id = 81;
ROLLBACK TO s;
INSERT INTO log VALUES (82, 's', 1);
SELECT 1 / 0;
ROLLBACK TO s;
INSERT INTO log VALUES (83, 's', 1);
SELECT * FROM wrong();
COMMIT;
SELECT * FROM by_what WHERE what = 's';

-- pending rows that spill to disk, some of them undone
SET work_mem = '64kB';
CREATE FUNCTION spill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO log SELECT i, repeat('x', 500), NEW.id FROM generate_series(1, 500) i;
  BEGIN
    INSERT INTO log SELECT i, repeat('y', 500), 1 FROM generate_series(1, 500) i;
    PERFORM 1 / (NEW.id % 2);
  EXCEPTION WHEN division_by_zero THEN NULL;
  END;
  DELETE FROM log WHERE id = 6;
  RETURN NEW;
END $$;
CREATE TRIGGER spill BEFORE INSERT ON parent FOR EACH ROW EXECUTE FUNCTION spill();
INSERT INTO parent VALUES (1001), (1002), (1003), (1004);
SELECT * FROM wrong();
RESET work_mem;

-- registering a view needs that no statement on a base table is running
CREATE MATERIALIZED VIEW late AS SELECT n FROM log;
CREATE FUNCTION register_late() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM upkeep.register('late'); RETURN 1; END $$;
UPDATE log SET n = register_late() WHERE id = 83;

TRUNCATE parent CASCADE;
SELECT * FROM wrong();
SELECT (SELECT count(*) FROM by_parent), (SELECT count(*) FROM by_child);
DROP MATERIALIZED VIEW by_parent, by_child, by_what, late;
DROP FUNCTION wrong, on_child, inner_work, many, on_log, on_log_before, again, deferred, spill, register_late CASCADE;
DROP TABLE parent, child, leaf, log;
