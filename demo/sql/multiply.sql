-- The same records again, one week later each time: the days of the week stay what they were.
INSERT INTO flights (departed, delay_min, distance_mi, origin, destination)
SELECT departed + week * interval '7 days', delay_min, distance_mi, origin, destination
FROM generate_series(0, 49) AS week, record;

-- Some airports are still without their state; corrections bring it in later.
UPDATE airports SET state = NULL
WHERE iata IN ('BGM', 'DRO', 'SUX', 'BZN', 'TRI', 'FAY', 'MLB', 'MOT');

-- The indexes that an analyst of flights has anyway.
ALTER TABLE flights ADD PRIMARY KEY (id);
CREATE INDEX flights_origin_day ON flights (origin, date_trunc('day', departed));
CREATE INDEX flights_destination ON flights (destination);
