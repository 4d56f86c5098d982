-- The hashes that identity indexes hold. Their values are not shown: they may depend on the byte order.
CREATE FUNCTION same(a bigint, b bigint) RETURNS boolean LANGUAGE sql AS 'SELECT a = b';

-- By the key operators: equal values hash alike, whatever their images.
SELECT same(upkeep.key_hash(1.0), upkeep.key_hash(1.00)) AS numeric,
       same(upkeep.key_hash('-0'::float8), upkeep.key_hash('0'::float8)) AS float,
       same(upkeep.key_hash('NaN'::float8), upkeep.key_hash('NaN'::float8)) AS nan,
       same(upkeep.key_hash('24 hours'::interval), upkeep.key_hash('1 day'::interval)) AS interval,
       same(upkeep.key_hash('{"a": 1.0}'::jsonb), upkeep.key_hash('{"a": 1.00}'::jsonb)) AS jsonb,
       same(upkeep.key_hash(ARRAY[1.0, NULL]), upkeep.key_hash(ARRAY[1.00, NULL])) AS "array",
       same(upkeep.key_hash('a '::char(3)), upkeep.key_hash('a'::char(1))) AS bpchar,
       same(upkeep.key_hash(5::int4), upkeep.key_hash(5::int8)) AS integer;

-- By image: what can be told apart differs.
SELECT same(upkeep.image_hash(1.0), upkeep.image_hash(1.00)) AS numeric,
       same(upkeep.image_hash('-0'::float8), upkeep.image_hash('0'::float8)) AS float,
       same(upkeep.image_hash('24 hours'::interval), upkeep.image_hash('1 day'::interval)) AS interval,
       same(upkeep.image_hash('{"a": 1}'::json), upkeep.image_hash('{"a":1}'::json)) AS json,
       same(upkeep.image_hash('{"a": 1}'::json), upkeep.image_hash('{"a": 1}'::json)) AS same_json;

-- NULLs have a hash; order counts; types without a hash function; types without an operator at all.
SELECT upkeep.key_hash(NULL::int) IS NULL AS is_null,
       same(upkeep.key_hash(NULL::int, 1), upkeep.key_hash(1, NULL::int)) AS swapped_null,
       same(upkeep.key_hash(1, 2), upkeep.key_hash(2, 1)) AS swapped,
       same(upkeep.key_hash('1'::money), upkeep.key_hash('2'::money)) AS money,
       same(upkeep.key_hash(point(1, 2)), upkeep.key_hash(point(2, 1))) AS point;

-- Whatever form a long value is stored in.
CREATE TABLE long_values (id int, v text);
ALTER TABLE long_values ALTER v SET STORAGE EXTERNAL;
INSERT INTO long_values SELECT g, repeat('abc', 3000) FROM generate_series(1, 2) g;
ALTER TABLE long_values ALTER v SET STORAGE EXTENDED;
INSERT INTO long_values SELECT g, repeat('abc', 3000) FROM generate_series(3, 4) g;
SELECT count(DISTINCT upkeep.key_hash(id % 1, v)) AS key, count(DISTINCT upkeep.image_hash(id % 1, v)) AS image,
       count(DISTINCT pg_column_size(v)) AS forms,
       bool_and(same(upkeep.key_hash(v), upkeep.key_hash(repeat('abc', 3000)))) AS in_memory
FROM long_values;

-- In an index, by which a row is found.
CREATE MATERIALIZED VIEW hashed AS SELECT g AS a, g::text AS b, NULL::json AS c FROM generate_series(1, 100) g;
CREATE INDEX ON hashed (upkeep.key_hash(a, b));
CREATE INDEX ON hashed (upkeep.image_hash(a, b, c));
SET enable_seqscan = off;
SELECT a FROM hashed WHERE upkeep.key_hash(a, b) = upkeep.key_hash(7, '7'::text);
SELECT a FROM hashed WHERE upkeep.image_hash(a, b, c) = upkeep.image_hash(8, '8'::text, NULL::json);
RESET enable_seqscan;

-- Refused.
SELECT upkeep.key_hash();
SELECT upkeep.image_hash(VARIADIC ARRAY[1, 2]);

DROP MATERIALIZED VIEW hashed;
DROP TABLE long_values;
DROP FUNCTION same;
