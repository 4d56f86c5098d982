-- What a user may add to a view, and shapes at the edge of what can be stored.
CREATE SCHEMA attack_storage;
SET search_path = attack_storage;

-- values of a user's unique index change places
CREATE TABLE votes (team int, voter int);
INSERT INTO votes VALUES (1, 10), (2, 20), (2, 30);
CREATE MATERIALIZED VIEW ranks AS SELECT team, count(*) AS votes FROM votes GROUP BY team;
SELECT upkeep.register('ranks');
CREATE UNIQUE INDEX ON ranks (votes);
UPDATE votes SET team = 3 - team;
INSERT INTO votes VALUES (2, 40), (2, 50);
UPDATE votes SET team = 9 WHERE team = 2; -- a new group with a value that another one leaves
UPDATE votes SET team = 2 WHERE team = 9;
SELECT * FROM ranks ORDER BY team;
SELECT * FROM upkeep.verify('ranks');
INSERT INTO votes VALUES (1, 60); -- a real conflict is the user's
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE votes SET team = 3 - team;
UPDATE votes SET team = 3 - team;
COMMIT;
SELECT * FROM upkeep.verify('ranks');

DROP INDEX ranks_votes_idx;

-- names of the greatest length
DO $$
BEGIN
    EXECUTE format('CREATE MATERIALIZED VIEW %I AS SELECT voter::text, count(*) FROM votes GROUP BY 1', repeat('a', 63));
    EXECUTE format('CREATE MATERIALIZED VIEW %I AS SELECT voter::text, max(team) FROM votes GROUP BY 1', repeat('a', 62) || 'b');
    PERFORM upkeep.register(repeat('a', 63)::regclass);
    PERFORM upkeep.register((repeat('a', 62) || 'b')::regclass);
END $$;
INSERT INTO votes VALUES (4, 10);
DELETE FROM votes WHERE voter > 20;
SELECT count(*) FROM upkeep.verify(repeat('a', 63)::regclass);
SELECT count(*) FROM upkeep.verify((repeat('a', 62) || 'b')::regclass);

-- more columns than an index over all of them can have
DO $$
BEGIN
    EXECUTE (SELECT format('CREATE TABLE wide (%s)', string_agg(format('c%s int', i), ',')) FROM generate_series(1, 1500) i);
END $$;
CREATE MATERIALIZED VIEW wide_view AS SELECT * FROM wide;
SELECT upkeep.register('wide_view');
SET client_min_messages = warning;
DROP SCHEMA attack_storage CASCADE;
