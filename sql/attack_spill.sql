-- Changes that do not fit into work_mem leave no file behind, and a failure leaves no trace in the session.
CREATE SCHEMA attack_spill;
SET search_path = attack_spill;
SET work_mem = '64kB';
CREATE TABLE items (id int, g int, t text);
CREATE MATERIALIZED VIEW pairs AS SELECT a.id, b.g FROM items a JOIN items b ON a.id = b.id;
CREATE MATERIALIZED VIEW groups AS SELECT g, count(*) AS n, max(t) AS t, sum(id) AS s FROM items GROUP BY g;
SELECT upkeep.register('pairs');
SELECT upkeep.register('groups');
INSERT INTO items SELECT i, i % 100, repeat('x', i % 300) FROM generate_series(1, 5000) i;
UPDATE items SET g = g + 1;
SET temp_file_limit = '64kB';
UPDATE items SET g = g + 1;
RESET temp_file_limit;
DO $$
BEGIN
    FOR i IN 1 .. 12 LOOP
        BEGIN
            UPDATE items SET g = g + 1, t = t || i WHERE id <= 200 * i;
            IF i % 2 = 0 THEN
                RAISE 'roll back';
            END IF;
        EXCEPTION WHEN raise_exception THEN
            DELETE FROM items WHERE id = i;
        END;
    END LOOP;
END $$;
SELECT count(*) FROM items;
SELECT * FROM upkeep.verify('pairs');
SELECT * FROM upkeep.verify('groups');
SET client_min_messages = warning;
DROP SCHEMA attack_spill CASCADE;
