-- Settings: those at registration win, whatever the writer has set.
SET TimeZone = 'America/New_York';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
SET extra_float_digits = 1;
SET lc_monetary = 'C';
SET lc_numeric = 'C';
SET default_text_search_config = 'pg_catalog.english';
SET client_min_messages = warning;
CREATE SCHEMA settled;
SET search_path = settled, public;
-- Rows that a view of this schema has and should not have, or the reverse; views that are no longer maintained.
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'settled'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";

CREATE TABLE e (id int PRIMARY KEY, at timestamptz, d date, i interval, f float8, b bytea, n numeric, x text, m money);
INSERT INTO e VALUES (1, '2024-03-10 02:30+00', '2024-02-01', '1 day 02:00', 0.1, '\x01', 1234.5, 'The cats', '1.50');
CREATE MATERIALIZED VIEW per_day AS SELECT date_trunc('day', at) AS day, count(*) AS n, min(at) AS first FROM e GROUP BY 1;
CREATE MATERIALIZED VIEW per_date AS SELECT at::date AS day, extract(hour FROM at) AS hour, count(*) AS n FROM e GROUP BY 1, 2;
CREATE MATERIALIZED VIEW texts AS
    SELECT id, at::text AS at, d::text AS d, i::text AS i, f::text AS f, b::text AS b, to_char(at, 'YYYY-MM-DD HH24 TZ') AS c, to_char(n, '9G999D00') AS n,
           to_tsvector(x) AS v, m::text AS m, concat(d, '/', at) AS both, d || '!' AS bang, to_json(at) AS j, format('%s', i) AS fmt FROM e;
CREATE MATERIALIZED VIEW local AS SELECT id, at AT TIME ZONE 'UTC' AS utc, at::timestamp AS here, at::time AS clock, at + interval '1 day' AS next, d::timestamptz AS midnight FROM e WHERE at >= d;
CREATE MATERIALIZED VIEW hours AS SELECT e.id, h FROM e, generate_series(date_trunc('day', at), date_trunc('day', at) + interval '1 day', interval '12 hours') h;
CREATE MATERIALIZED VIEW pairs AS SELECT x.id, y.id AS other, x.at::date AS day FROM e x JOIN e y ON x.at::date = y.at::date AND x.id < y.id;
CREATE MATERIALIZED VIEW digits AS SELECT id, (f / 3)::text AS f, sum(f / 7)::text || '!' AS s FROM e GROUP BY id;
CREATE MATERIALIZED VIEW bytes AS SELECT b::text AS b, count(*) AS n FROM e GROUP BY 1;
CREATE MATERIALIZED VIEW places AS SELECT id, point(f, 0)::text AS p FROM e;
CREATE MATERIALIZED VIEW immutable AS SELECT id, n + 1 AS n1 FROM e;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'settled'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";

TABLE wrong;
SELECT v.view, count(*) AS settings FROM upkeep.views v JOIN upkeep.setting s USING (view) WHERE v.view IN ('per_day'::regclass, 'immutable'::regclass) GROUP BY 1 ORDER BY 1;
INSERT INTO e SELECT i, timestamptz '2024-03-10 02:30+00' + i * interval '1 hour', '2024-02-10', '1 day 02:00', 0.3 + i, '\x0203', i, 'dogs', '-2' FROM generate_series(2, 4) i;
TABLE wrong;
-- A session with other settings.
\c -
SET client_min_messages = warning;
SET search_path = settled, public;
SET TimeZone = 'Asia/Tokyo';
SET DateStyle = 'German';
SET IntervalStyle = 'iso_8601';
SET extra_float_digits = -3;
SET bytea_output = 'escape';
SET default_text_search_config = 'pg_catalog.simple';
INSERT INTO e SELECT i, timestamptz '2024-03-10 02:30+00' + i * interval '1 hour', '2024-02-10', '1 day 02:00', 0.3 + i, '\x0203', i, 'The dogs', '-2' FROM generate_series(5, 8) i;
UPDATE e SET at = at + interval '3 hours', d = d + 1 WHERE id IN (1, 2, 5);
-- What was stored under these settings is found again under others.
SET TimeZone = 'Australia/Lord_Howe';
BEGIN;
SET LOCAL DateStyle = 'SQL, DMY';
DELETE FROM e WHERE id IN (3, 6);
SET LOCAL TimeZone = 'Pacific/Kiritimati';
UPDATE e SET f = f + 0.2, i = i * 2;
COMMIT;
PREPARE add(int) AS INSERT INTO e VALUES ($1, '2024-03-11 00:00+00', '2024-03-12', '-1 mon', 1e-5, '\xff', -1, 'cat', '0');
EXECUTE add(20);
SET TimeZone = 'UTC';
EXECUTE add(21);
SHOW TimeZone;
SHOW DateStyle;
-- verify() judges by the settings of the view, not of the session.
TABLE wrong;
SELECT date_part('epoch', day), n FROM per_day ORDER BY 1;
SELECT to_char(day, 'YYYY-MM-DD') AS day, hour, n FROM per_date ORDER BY 1, 2;
SELECT id, at, d, i, f, b FROM texts ORDER BY id;
SELECT id, c, n, v, m FROM texts ORDER BY id;
SELECT "both", bang, j, fmt FROM texts ORDER BY id;
SELECT id, to_char(here, 'MM-DD HH24:MI') AS here, clock, date_part('epoch', midnight) AS midnight FROM local ORDER BY id;
SELECT id, date_part('epoch', h) FROM hours WHERE id < 5 ORDER BY 1, 2;
SELECT id, other FROM pairs ORDER BY 1, 2;
-- Registered again after the settings changed: those of the first time stay.
SELECT upkeep.register('per_date');
INSERT INTO e SELECT i, timestamptz '2024-03-10 02:30+00' + i * interval '1 hour' FROM generate_series(30, 33) i;
TABLE wrong;
SELECT to_char(day, 'YYYY-MM-DD') AS day, hour, n FROM per_date ORDER BY 1, 2;
-- In the arguments of a window function.
RESET DateStyle;
SET TimeZone = 'America/New_York';
CREATE MATERIALIZED VIEW running AS SELECT id, string_agg(at::text, ',') OVER (ORDER BY at, id) AS l FROM e WHERE id > 39;
SELECT upkeep.register('running', 'commit');
BEGIN;
SET LOCAL DateStyle = 'SQL, DMY';
SET LOCAL TimeZone = 'UTC';
EXECUTE add(40);
COMMIT;
TABLE running;
SELECT * FROM upkeep.verify('running');
DROP SCHEMA settled CASCADE;
