-- explain(): a step for every source of change, groups and keys below included, and what each would have to scan.
SET client_min_messages = warning;
CREATE SCHEMA explaining;
SET search_path = explaining, public;
CREATE TABLE c (id int PRIMARY KEY, region text, at int);
CREATE TABLE o (id int PRIMARY KEY, cid int, total int, day date);
CREATE TABLE queries (place serial, query text);
INSERT INTO queries (query) VALUES
    ('SELECT region FROM explaining.c'),
    ('SELECT region FROM explaining.c WHERE EXISTS (SELECT FROM explaining.o WHERE o.cid = c.id)'),
    ('SELECT at FROM explaining.c WHERE region IN (SELECT day::text FROM explaining.o)'),
    ('SELECT id FROM explaining.c WHERE NOT EXISTS (SELECT FROM explaining.o WHERE o.total = c.at)'),
    ('SELECT c.region, o.total FROM explaining.c LEFT JOIN explaining.o ON o.cid = c.id'),
    ('SELECT c.region, x.n FROM explaining.c JOIN (SELECT cid, count(*) AS n FROM explaining.o GROUP BY cid) x ON x.cid = c.at'),
    ('SELECT max(n) AS m FROM (SELECT cid, count(*) AS n FROM explaining.o GROUP BY cid) x'),
    ('SELECT id, row_number() OVER (PARTITION BY region ORDER BY at) AS r FROM explaining.c'),
    ('SELECT id, (SELECT sum(total) FROM explaining.o WHERE o.cid = c.id) AS s FROM explaining.c'),
    ('SELECT c.region, o.total FROM explaining.c, explaining.o'),
    ('SELECT c.region, o.total FROM explaining.c JOIN explaining.o ON o.total > c.at'),
    ('SELECT id FROM explaining.c WHERE region = ''x'' OR EXISTS (SELECT FROM explaining.o WHERE o.cid = c.at AND o.total > c.id)'),
    ('SELECT id, ARRAY(SELECT day FROM explaining.o ORDER BY day LIMIT 3) AS days FROM explaining.c'),
    ('SELECT region FROM explaining.c UNION SELECT day::text FROM explaining.o'),
    ('SELECT id, sum(at) OVER (PARTITION BY r) AS s FROM (SELECT id, at, rank() OVER (PARTITION BY region ORDER BY at) AS r FROM explaining.c) x'),
    ('SELECT cid, max(n) AS m FROM (SELECT cid, day, count(*) AS n FROM explaining.o GROUP BY cid, day) x GROUP BY cid');
SELECT q.place, e.step, e.trigger, e.operator, e.strategy, e.sql IS NOT NULL AS runs_sql, e.index_wanted
FROM queries q, upkeep.explain(q.query) e ORDER BY q.place, e.step;

-- Nothing is wanted any more where the indexes are there.
CREATE INDEX ON o (cid);
CREATE INDEX ON o (total);
CREATE INDEX ON c (region);
CREATE INDEX ON c (at);
SELECT q.place, e.step, e.trigger, e.operator, e.index_wanted
FROM queries q, upkeep.explain(q.query) e WHERE e.index_wanted IS NOT NULL ORDER BY q.place, e.step;

-- The statement that rows of a step below run.
SELECT sql FROM upkeep.explain('SELECT c.region, x.n FROM explaining.c JOIN (SELECT cid, count(*) AS n FROM explaining.o GROUP BY cid) x ON x.cid = c.at')
WHERE trigger LIKE 'rows of step%' AND operator = 'join';
DROP SCHEMA explaining CASCADE;
