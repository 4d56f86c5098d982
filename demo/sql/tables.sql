-- The records have no key of their own, so a flight gets a number. Departures are in the airport's local time.
CREATE TABLE airports (
    iata text PRIMARY KEY,
    name text NOT NULL,
    city text,
    state text,
    country text,
    latitude double precision,
    longitude double precision
);

CREATE TABLE flights (
    id bigint GENERATED ALWAYS AS IDENTITY,
    departed timestamp NOT NULL,
    delay_min int NOT NULL,
    distance_mi int NOT NULL,
    origin text NOT NULL,
    destination text NOT NULL
);

CREATE TEMPORARY TABLE record (departed timestamp, delay_min int, distance_mi int, origin text, destination text);
