-- What is refused: the same code, reason and hint from explain(), as rows, and from register(), as an error.
SET client_min_messages = warning;
CREATE SCHEMA refusing;
SET search_path = refusing, public;
CREATE TABLE t (id int PRIMARY KEY, a int, b text, at timestamptz, j json, n numeric);
CREATE TABLE u (id int, a int);
CREATE TYPE pair AS (x int, y int);
CREATE FUNCTION roll() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
CREATE FUNCTION lookup(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT a FROM refusing.u WHERE id = $1';
CREATE AGGREGATE product(float8) (sfunc = float8mul, stype = float8);
CREATE TABLE child (x int) PARTITION BY RANGE (x);
CREATE UNLOGGED TABLE loose (id int);
CREATE TEMP TABLE brief (id int);
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE remote (id int) SERVER nowhere;
CREATE TABLE near PARTITION OF child FOR VALUES FROM (1) TO (2);
CREATE FOREIGN TABLE far PARTITION OF child FOR VALUES FROM (2) TO (3) SERVER nowhere;
CREATE TABLE guarded (id int);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
CREATE MATERIALIZED VIEW other AS SELECT id FROM t;
CREATE SEQUENCE seq;

CREATE TABLE refused (place serial, query text);
INSERT INTO refused (query) VALUES
    ('SELECT id FROM t LIMIT (SELECT count(*) FROM u WHERE u.id > random())'),
    ('SELECT a, sum(a) OVER (ROWS roll() PRECEDING) FROM t'),
    ('SELECT id, first_value(ROW(a, id)) OVER (ORDER BY id) FROM t'),
    ('WITH x AS (DELETE FROM t RETURNING id) SELECT id FROM x'),
    ('SELECT id FROM t FOR UPDATE'),
    ('SELECT id FROM t TABLESAMPLE system (10)'),
    ('SELECT ctid, id FROM t'),
    ('SELECT FROM t'),
    ('SELECT 1 AS one'),
    ('SELECT g FROM generate_series(1, 3) g'),
    ('SELECT id FROM remote'),
    ('SELECT id FROM brief'),
    ('SELECT id FROM loose'),
    ('SELECT id FROM other'),
    ('SELECT x FROM child'),
    ('SELECT x FROM near'),
    ('SELECT x FROM far'),
    ('SELECT last_value FROM seq'),
    ('SELECT relname FROM pg_class'),
    ('SELECT random(), id FROM t'),
    ('SELECT refusing.roll(), id FROM t'),
    ('SELECT refusing.lookup(a) FROM t'),
    ('SELECT id FROM t WHERE at > now()'),
    ('SELECT id FROM t WHERE at < CURRENT_DATE'),
    ('SELECT id, CURRENT_USER FROM t'),
    ('SELECT b::date FROM t'),
    ('SELECT x.d FROM t, jsonb_to_recordset(to_jsonb(n)) AS x (d date)'),
    ('SELECT x.d FROM t, XMLTABLE(''/a'' PASSING (b::xml) COLUMNS d timestamptz) x'),
    ('SELECT avg(DISTINCT n::float8) FROM t'),
    ('SELECT refusing.product(n::float8) FROM t');
SELECT r.query, e.code, regexp_replace(e.what, 'pg_temp_\d+', 'pg_temp') AS what, e.why, e.hint FROM refused r, upkeep.explain(r.query) e ORDER BY r.place \gx

-- A refusal stands alone: no step beside it, and no refusal has a step.
SELECT r.query, count(*) FROM refused r, upkeep.explain(r.query) e GROUP BY r.query HAVING count(*) > 1 OR count(e.operator) > 0;

-- What is run whole, because no rule covers it, is refused for the same reasons.
SELECT code, what FROM unnest(ARRAY['SELECT lag(s) OVER (ORDER BY a) IS NULL AS x, random() FROM (SELECT a, b FROM t) s',
    'SELECT lag(s) OVER (ORDER BY a) IS NULL AS x FROM (SELECT a, b FROM t TABLESAMPLE system (10)) s', 'SELECT lag(s) OVER (ORDER BY x) IS NULL AS x FROM (SELECT x FROM far) s',
    'SELECT lag(s) OVER (ORDER BY a) IS NULL AS x FROM (SELECT a, now() FROM t) s']) q, upkeep.explain(q);
-- What windows, DISTINCT ON and LIMIT evaluate over their rows.
SELECT code, what FROM unnest(ARRAY['SELECT sum(a + random()) OVER () AS x FROM t', 'SELECT lag(a) OVER (ORDER BY now()) AS x FROM t',
    'SELECT count(*) FILTER (WHERE random() > 0.5) OVER (PARTITION BY b) AS x FROM t', 'SELECT rank() OVER (PARTITION BY random()) AS x FROM t',
    'SELECT sum(a) OVER (ORDER BY a ROWS (random() * 3)::int PRECEDING) AS x FROM t',
    'SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, random()', 'SELECT a FROM t ORDER BY random() LIMIT 2',
    'SELECT a FROM t ORDER BY a LIMIT (random() * 3)::int']) WITH ORDINALITY q(q, n), upkeep.explain(q) ORDER BY n;

-- Rights and row-level security are those of the owner.
CREATE ROLE regress_refused;
GRANT USAGE ON SCHEMA refusing TO regress_refused;
GRANT SELECT ON guarded TO regress_refused;
SET ROLE regress_refused;
SELECT code, what, why, hint FROM upkeep.explain('SELECT id FROM refusing.guarded') \gx
SELECT code, what, why, hint FROM upkeep.explain('SELECT id FROM refusing.u') \gx
RESET ROLE;

-- register() says the same, and leaves nothing behind.
CREATE MATERIALIZED VIEW sampled AS SELECT id FROM t TABLESAMPLE system (10);
CREATE MATERIALIZED VIEW timed AS SELECT id FROM t WHERE at > now();
CREATE MATERIALIZED VIEW listed AS SELECT b, random() AS r FROM t;
CREATE VIEW ordinary AS SELECT id FROM t;
SELECT upkeep.register('sampled');
SELECT upkeep.register('timed');
SELECT upkeep.register('listed', mode => 'immediate');
SELECT upkeep.register('t');
SELECT upkeep.register('ordinary');
SELECT upkeep.register('nowhere.at_all');
SELECT upkeep.register(0);
SELECT upkeep.register(NULL);
SELECT upkeep.register('other', NULL);
SELECT upkeep.register('other', 'often');
SELECT upkeep.register('other', max_staleness => '1 s');
SELECT upkeep.register('other', every => '1 s');
SELECT upkeep.unregister('other');
SELECT upkeep.refresh('other');
SELECT count(*) FROM upkeep.views;
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('t'::regclass, 'u'::regclass);

-- explain() of what is no query.
SELECT * FROM upkeep.explain('SELECT');
SELECT * FROM upkeep.explain('SELECT 1; SELECT 2');
SELECT * FROM upkeep.explain('DELETE FROM t');
SELECT * FROM upkeep.explain('nosuch');
SELECT * FROM upkeep.explain('t');
SELECT code, what FROM upkeep.explain('sampled');
SELECT code, what FROM upkeep.explain('refusing.timed');
SELECT trigger, operator, strategy FROM upkeep.explain('ordinary');
SELECT trigger, operator, strategy FROM upkeep.explain('SELECT a, max(n) FROM t GROUP BY a');
DROP SCHEMA refusing CASCADE;
DROP ROLE regress_refused;
DROP FOREIGN DATA WRAPPER nothing CASCADE;
