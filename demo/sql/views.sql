-- Created twice: in schema public, where they are registered, and in schema twin, where they stay ordinary
-- materialized views, whose REFRESH can be timed.
CREATE MATERIALIZED VIEW delay_by_origin_day AS
SELECT origin,
       date_trunc('day', departed) AS day,
       count(*) AS flights,
       avg(delay_min) AS average_delay,
       sum(delay_min) AS total_delay,
       max(delay_min) AS longest_delay,
       count(*) FILTER (WHERE delay_min > 15) AS late
FROM flights
GROUP BY origin, date_trunc('day', departed);

CREATE INDEX delay_by_origin_day_day ON delay_by_origin_day (day);

CREATE MATERIALIZED VIEW busiest_routes AS
SELECT o.state AS from_state,
       d.state AS to_state,
       count(*) AS flights,
       sum(f.distance_mi) AS miles,
       avg(f.delay_min) AS average_delay
FROM flights f
    JOIN airports o ON o.iata = f.origin
    JOIN airports d ON d.iata = f.destination
GROUP BY o.state, d.state;

CREATE MATERIALIZED VIEW worst_airports AS
SELECT a.iata,
       a.name,
       a.city,
       count(*) AS flights,
       round(avg(f.delay_min), 1) AS average_delay,
       100 * count(*) FILTER (WHERE f.delay_min > 15) / count(*) AS late_percent
FROM flights f
    JOIN airports a ON a.iata = f.origin
GROUP BY a.iata, a.name, a.city
HAVING count(*) >= 1000;

CREATE MATERIALIZED VIEW distinct_routes AS
SELECT DISTINCT origin, destination FROM flights;

CREATE MATERIALIZED VIEW late_long_flights AS
SELECT f.departed, f.delay_min, f.distance_mi, o.name AS origin, d.name AS destination
FROM flights f
    JOIN airports o ON o.iata = f.origin
    JOIN airports d ON d.iata = f.destination
WHERE f.delay_min > 120 AND f.distance_mi > 1500;
