-- Every supported aggregate, rows in and out again, with FILTER and over NULLs.
SET client_min_messages = warning;
SET lc_monetary = 'C';
CREATE SCHEMA aggregating;
SET search_path = aggregating, public;
-- Rows that a view of this schema has and should not have, or the reverse; views that are no longer maintained.
CREATE VIEW wrong AS
    SELECT v.view, v.state, d.side, d.contents
    FROM upkeep.views v JOIN pg_class c ON c.oid = v.view
        LEFT JOIN LATERAL upkeep.verify(v.view) d ON true
    WHERE c.relnamespace = 'aggregating'::regnamespace AND (v.state <> 'active' OR d.side IS NOT NULL)
    ORDER BY v.view::text COLLATE "C", d.side, d.contents COLLATE "C";

CREATE TABLE v (k int, i2 int2, i4 int4, i8 int8, n numeric, c numeric(6,2), f4 float4, f8 float8, iv interval, m money,
                b boolean, t text COLLATE "C", d date, ts timestamptz, tm time, u uuid, a int[], o oid, ip inet, ch char(3), bp bpchar, e float8);
CREATE MATERIALIZED VIEW counts AS SELECT k, count(*) AS n, count(i4) AS c4, count(t) AS ct, count(a) FILTER (WHERE i4 > 2) AS cf, count('x') AS cx FROM v GROUP BY k;
CREATE MATERIALIZED VIEW sums AS SELECT k, sum(i2) AS i2, sum(i4) AS i4, sum(i8) AS i8, sum(n) AS n, sum(c) AS c, sum(iv) AS iv, sum(m) AS m, sum(f4) AS f4, sum(f8) AS f8, sum(i4 * i8) AS p FROM v GROUP BY k;
CREATE MATERIALIZED VIEW avgs AS SELECT k, avg(i2) AS i2, avg(i4) AS i4, avg(i8) AS i8, avg(n) AS n, avg(c) AS c, avg(iv) AS iv, avg(f4) AS f4, avg(f8) AS f8 FROM v GROUP BY k;
CREATE MATERIALIZED VIEW variances AS
    SELECT k, var_pop(i2) AS vp2, var_samp(i4) AS vs4, variance(i8) AS v8, stddev(i4) AS sd4, stddev_pop(n) AS spn, stddev_samp(n) AS ssn, var_pop(c) AS vpc, variance(n) AS vn,
           var_pop(f8) AS vpf, var_samp(f4) AS vsf, stddev_pop(f8) AS spf, stddev(f8) AS sf FROM v GROUP BY k;
CREATE MATERIALIZED VIEW bools AS SELECT k, bool_and(b) AS a, bool_or(b) AS o, every(i4 > 1) AS e, bool_or(b) FILTER (WHERE i4 > 2) AS f, bool_and(DISTINCT b) AS d FROM v GROUP BY k;
CREATE MATERIALIZED VIEW lows AS
    SELECT k, min(i2) AS i2, min(i4) AS i4, min(i8) AS i8, min(n) AS n, min(f4) AS f4, min(f8) AS f8, min(iv) AS iv, min(m) AS m, min(t) AS t, min(d) AS d, min(ts) AS ts, min(tm) AS tm,
           min(a) AS a, min(o) AS o, min(ip) AS ip, min(ch) AS ch FROM v GROUP BY k;
CREATE MATERIALIZED VIEW highs AS
    SELECT k, max(i2) AS i2, max(i4) AS i4, max(i8) AS i8, max(n) AS n, max(f4) AS f4, max(f8) AS f8, max(iv) AS iv, max(m) AS m, max(t) AS t, max(d) AS d, max(ts) AS ts, max(tm) AS tm,
           max(a) AS a, max(o) AS o, max(ip) AS ip, max(ch) AS ch, max(t) FILTER (WHERE b) AS tb, max(DISTINCT i4) AS dist FROM v GROUP BY k;
CREATE MATERIALIZED VIEW whole AS SELECT sum(n) AS n, avg(i4) AS a, min(t) AS lo, max(t) AS hi, stddev(f8) AS sd, bool_or(b) AS b, sum(iv) AS iv, count(*) AS c FROM v;
CREATE MATERIALIZED VIEW extremes AS SELECT k, max(t COLLATE "C") AS c, min(least(i4, i8)) AS l, max(d - date '2024-01-01') AS days, min(lower(t)) AS low, count(*) AS n FROM v GROUP BY k;
CREATE MATERIALIZED VIEW over_join AS SELECT x.k, sum(y.i4) AS s, avg(y.n) AS a, max(y.t) AS m, min(x.f8) AS f, variance(y.i8) AS var FROM v x JOIN v y ON y.k = x.i4 GROUP BY x.k;
SELECT upkeep.register(oid::regclass) FROM pg_class WHERE relnamespace = 'aggregating'::regnamespace AND relkind = 'm' ORDER BY relname COLLATE "C";
CREATE TEMP TABLE built AS SELECT view, last_maintenance FROM upkeep.views;
TABLE wrong;
CREATE FUNCTION make(id int) RETURNS v LANGUAGE sql AS $$
    SELECT id % 3, id::int2, id, id * 1000000007::int8, id * 1.10, id / 4.0, id / 8.0, id * 0.1, make_interval(months => id % 5, days => id, hours => id % 7), (id * 1.5)::numeric::money,
           id % 4 > 0, 't' || id % 10, date '2024-01-01' + id, timestamptz '2024-01-01 00:00+00' + make_interval(hours => id), time '00:00' + make_interval(mins => id),
           NULL::uuid, ARRAY[id % 4, id], id::oid, ('10.0.0.' || id)::inet, id::text, id::text, 0 $$;
-- Into empty groups, one at a time and many; a group of NULLs only.
INSERT INTO v SELECT (make(1)).*;
TABLE wrong;
INSERT INTO v SELECT m.* FROM generate_series(2, 20) i, make(i) m;
INSERT INTO v (k) VALUES (0), (7), (7), (NULL);
TABLE wrong;
SELECT * FROM counts ORDER BY k;
SELECT k, i2, i4, i8, n, c, iv, m::numeric, f4, round(f8::numeric, 6) AS f8, p FROM sums ORDER BY k;
SELECT k, i2, i4, i8, n, c, iv, f4, round(f8::numeric, 6) AS f8 FROM avgs ORDER BY k;
SELECT k, round(vp2, 6) AS vp2, round(vs4, 6) AS vs4, round(sd4, 6) AS sd4, round(spn, 6) AS spn, round(vpc, 6) AS vpc, round(vpf::numeric, 6) AS vpf, round(sf::numeric, 6) AS sf FROM variances ORDER BY k;
SELECT * FROM bools ORDER BY k;
SELECT i2, i4, i8, n, f4, f8, t, d, a, ch FROM lows ORDER BY k;
SELECT i2, i4, i8, n, f4, f8, t, d, a, ch, tb, dist FROM highs ORDER BY k;
SELECT n, a, lo, hi, b, iv, c FROM whole;
-- The extremes go, and what no row equals any more.
DELETE FROM v WHERE i4 IN (1, 2, 3, 18, 19, 20);
TABLE wrong;
SELECT i2, i4, i8, n, f4, f8, t, d, a, ch FROM lows ORDER BY k;
UPDATE v SET i4 = -i4, n = n + 0.001, f8 = f8 * 3, b = NOT b, t = upper(t), iv = -iv WHERE k = 1;
TABLE wrong;
UPDATE v SET k = k + 1, i8 = NULL, c = NULL WHERE i4 % 5 = 0;
TABLE wrong;
SELECT * FROM bools ORDER BY k;
SELECT i2, i4, i8, n, f4, round(f8::numeric, 6) AS f8, t, d, a, ch, tb, dist FROM highs ORDER BY k;
-- All out, one group at a time, down to a single row and to none.
DELETE FROM v WHERE k = 0 AND i4 <> 6;
DELETE FROM v WHERE k = 7 AND ctid = (SELECT min(ctid) FROM v WHERE k = 7);
TABLE wrong;
SELECT k, i2, i4, i8, n, c, iv, f4, round(f8::numeric, 6) AS f8 FROM avgs WHERE k IN (0, 7) ORDER BY k;
SELECT * FROM variances WHERE k IN (0, 7) ORDER BY k;
DELETE FROM v;
TABLE wrong;
SELECT count(*) FROM sums;
SELECT * FROM whole;
INSERT INTO v SELECT m.* FROM generate_series(30, 40) i, make(i) m;
TABLE wrong;

-- None of this was a rebuild.
SELECT v.view FROM upkeep.views v JOIN built b ON b.view = v.view WHERE v.last_maintenance <> b.last_maintenance ORDER BY 1;
DROP TABLE built;
DROP SCHEMA aggregating CASCADE;
