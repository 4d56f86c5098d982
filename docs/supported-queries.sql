-- Examples for every row of the tables in supported-queries.md. A line that begins with three dashes repeats the first
-- cell of a row, or the start of it; the queries below it are accepted or refused as the row says. Other statements
-- are run as they are. A bare name is that of a view. Codes that no row names follow at the end.
-- scripts/check documentation compares.

CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL, region text, at timestamptz, tags text[], j jsonb);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customer, day date, at timestamptz, total numeric(10,2));
CREATE TABLE line (order_id int, product text, quantity int, price numeric, weight float8, gift boolean, took interval);
CREATE TABLE odd (id int, p point, j json, n numeric, f float8, fees money, spans int4range);
CREATE INDEX ON orders (customer_id);
CREATE VIEW big_orders AS SELECT id, customer_id FROM orders WHERE total > 100;
CREATE TABLE measure (at date, value int) PARTITION BY RANGE (at);
CREATE TABLE measure_old PARTITION OF measure FOR VALUES FROM ('2000-01-01') TO ('2020-01-01');
CREATE TABLE measure_new PARTITION OF measure FOR VALUES FROM ('2020-01-01') TO ('2040-01-01');
CREATE TABLE parent (id int PRIMARY KEY, x int);
CREATE TABLE child (y int) INHERITS (parent);
CREATE MATERIALIZED VIEW per_region AS SELECT region, count(*) AS n FROM customer GROUP BY region;
SELECT upkeep.register('per_region');
CREATE MATERIALIZED VIEW not_registered AS SELECT id FROM orders;
CREATE TEMP TABLE brief (id int);
CREATE UNLOGGED TABLE loose (id int);
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE remote (id int) SERVER nowhere;
CREATE TABLE guarded (id int);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE TABLE secret (id int);
CREATE ROLE documentation_reader;
GRANT SELECT ON guarded TO documentation_reader;
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
CREATE FUNCTION lookup(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT name FROM customer WHERE id = $1';
CREATE AGGREGATE product(float8) (sfunc = float8mul, stype = float8);
CREATE TYPE pair AS (x int, y int);

--- one table
SELECT id, upper(name) AS name FROM customer WHERE region = 'north';

--- `INNER JOIN … ON / USING`
SELECT o.id, c.name FROM orders o JOIN customer c ON c.id = o.customer_id;
SELECT * FROM (SELECT id, total FROM orders) a NATURAL JOIN (SELECT id, name FROM customer) b;
SELECT o.id, l.product FROM orders o, line l WHERE l.order_id = o.id AND l.quantity > o.id;
SELECT a.id AS a, b.id AS b FROM customer a CROSS JOIN parent b;

--- self-join
SELECT a.id, b.id AS other FROM orders a JOIN orders b ON a.customer_id = b.customer_id AND a.id < b.id;

--- `LEFT`, `RIGHT`, `FULL JOIN`
SELECT c.id, o.id AS order_id FROM customer c LEFT JOIN orders o ON o.customer_id = c.id;
SELECT c.id, o.id AS order_id FROM orders o RIGHT JOIN customer c ON o.customer_id = c.id AND o.total > 5;
SELECT c.id, o.id AS order_id FROM customer c FULL JOIN orders o ON o.customer_id = c.id;
SELECT c.id, o.id AS order_id, l.product FROM customer c FULL JOIN orders o ON o.customer_id = c.id FULL JOIN line l ON l.order_id = o.id;
SELECT c.id, coalesce(l.product, 'none') AS product
FROM customer c LEFT JOIN (orders o JOIN line l ON l.order_id = o.id) ON o.customer_id = c.id;
SELECT c.id, o1.id AS a, o2.id AS b, o3.id AS c, o4.id AS d, o5.id AS e, o6.id AS f, o7.id AS g
FROM customer c LEFT JOIN orders o1 ON o1.customer_id = c.id AND o1.total > 1 LEFT JOIN orders o2 ON o2.customer_id = o1.id LEFT JOIN orders o3 ON o3.customer_id = c.id AND o3.total > 3
    LEFT JOIN orders o4 ON o4.customer_id = o3.id LEFT JOIN orders o5 ON o5.customer_id = c.id AND o5.total > 5 LEFT JOIN orders o6 ON o6.customer_id = c.id AND o6.total > 6 LEFT JOIN orders o7 ON o7.customer_id = c.id;

--- subquery, CTE (`WITH`), ordinary view
SELECT x.id FROM (SELECT id, total FROM orders) x WHERE x.total > 10;
WITH x AS MATERIALIZED (SELECT id, total FROM orders) SELECT id FROM x;
SELECT id FROM big_orders;

--- subquery, CTE or ordinary view with `GROUP BY`
SELECT sum(x.total) AS all_of_them FROM (SELECT customer_id, sum(total) AS total FROM orders GROUP BY customer_id) x;
WITH x AS (SELECT DISTINCT region FROM customer) SELECT count(*) AS n FROM x;

--- the same in a join
SELECT c.name, x.total
FROM customer c JOIN (SELECT customer_id, sum(total) AS total FROM orders GROUP BY customer_id) x ON x.customer_id = c.id;

--- `WITH RECURSIVE`
WITH RECURSIVE r AS (SELECT id, customer_id FROM orders UNION SELECT o.id, o.customer_id FROM r JOIN orders o ON o.customer_id = r.id)
SELECT * FROM r;

--- set-returning function, `LATERAL` or not
SELECT id, tag FROM customer, unnest(tags) AS tag;
SELECT id, place, tag FROM customer, unnest(tags) WITH ORDINALITY AS x (tag, place);
SELECT o.id, v.rate FROM orders o JOIN (VALUES (1, 10), (2, 20)) v (id, rate) ON v.id = o.customer_id;

--- `LATERAL` subquery without aggregates
SELECT c.id, x.id AS order_id FROM customer c, LATERAL (SELECT o.id FROM orders o WHERE o.customer_id = c.id) x;

--- `LATERAL` subquery with aggregates
SELECT c.id, x.n FROM customer c, LATERAL (SELECT count(*) AS n FROM orders o WHERE o.customer_id = c.id) x;
SELECT c.id, x.day FROM customer c, LATERAL (SELECT DISTINCT o.day FROM orders o WHERE o.customer_id = c.id) x;
SELECT c.id, x.id AS order_id
FROM customer c LEFT JOIN LATERAL (SELECT o.id FROM orders o WHERE o.customer_id = c.id ORDER BY o.total LIMIT 2) x ON true;

--- `TABLESAMPLE`
SELECT id FROM orders TABLESAMPLE bernoulli (10);

--- `XMLTABLE`
SELECT id, x.word FROM customer, XMLTABLE('/a' PASSING (xmlelement(name a, name)) COLUMNS word text) x;

--- `jsonb_to_recordset`
SELECT id, x.d FROM customer, jsonb_to_recordset(j) AS x (d date);

--- partitioned table
SELECT at, sum(value) AS value FROM measure GROUP BY at;
SELECT at, value FROM measure_old;

--- table with children or parents
SELECT id, x FROM parent;
SELECT id, y FROM child;
SELECT id, x FROM ONLY parent;

--- registered materialized view
SELECT sum(n) AS n FROM per_region;

--- foreign, temporary, unlogged table
SELECT id FROM remote;
SELECT id FROM brief;
SELECT id FROM loose;
SELECT relname FROM pg_class;
SELECT id FROM not_registered;

--- table with row-level security
SET ROLE documentation_reader;
SELECT id FROM guarded;
RESET ROLE;

--- immutable operators and functions
SELECT id, CASE WHEN region IS NULL THEN 'none' ELSE coalesce(name, '') END AS label, tags || 'x'::text AS tags, j -> 'a' AS a,
    twice(id) AS double
FROM customer;

--- built-in STABLE functions
SELECT date_trunc('day', at) AS day, to_char(at, 'YYYY') AS year, at + interval '1 day' AS next, format('%s', id) AS id, at::date AS d
FROM orders;
SELECT to_tsvector(name) AS words, jsonb_build_object('id', id, 'at', at) AS o FROM customer;

--- other STABLE functions
SELECT lookup(customer_id) AS name FROM orders;

--- `now()`
SELECT id FROM orders WHERE at > now();
SELECT id FROM orders WHERE day = CURRENT_DATE;
SELECT id, CURRENT_USER AS who FROM orders;

--- VOLATILE functions
SELECT id, random() AS r FROM orders;

--- `EXISTS`, `NOT EXISTS`
SELECT id FROM customer c WHERE EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id);
SELECT id FROM customer c WHERE NOT EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id) AND region = 'north';
SELECT id FROM customer WHERE id IN (SELECT customer_id FROM orders WHERE total > 10);
SELECT id FROM customer WHERE id = ANY (SELECT customer_id FROM orders);
SELECT region, count(*) AS n FROM customer GROUP BY region HAVING EXISTS (SELECT FROM orders o WHERE o.customer_id = count(customer.id));

--- `NOT IN (SELECT …)`
SELECT id FROM customer WHERE id NOT IN (SELECT customer_id FROM orders);
SELECT id FROM customer WHERE id <> ALL (SELECT customer_id FROM orders);

--- `EXISTS` and `IN (SELECT …)` under `OR`
SELECT id FROM customer c WHERE region = 'north' OR EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id);
SELECT id, id IN (SELECT customer_id FROM orders) AS buys FROM customer;

--- scalar subquery that shows a built-in aggregate
SELECT id, (SELECT max(total) FROM orders o WHERE o.customer_id = c.id) AS most FROM customer c;
SELECT id FROM orders o WHERE total > (SELECT avg(total) FROM orders p WHERE p.customer_id = o.customer_id);
SELECT region, count(*) AS n FROM customer GROUP BY region HAVING count(*) > (SELECT count(*) FROM orders);
SELECT customer_id, (SELECT count(*) FROM line l WHERE l.order_id = o.customer_id) AS n FROM orders o GROUP BY customer_id;
SELECT sum((SELECT count(*) FROM orders o WHERE o.customer_id = c.id)) AS s FROM customer c;
SELECT c.id, o.id AS o FROM customer c JOIN orders o ON o.customer_id = c.id AND o.total > (SELECT avg(total) FROM orders);

--- other scalar subqueries
SELECT id, (SELECT name FROM customer c WHERE c.id = o.customer_id) AS name FROM orders o;
SELECT id, ARRAY(SELECT o.id FROM orders o WHERE o.customer_id = c.id) AS ids FROM customer c;
SELECT c.id, o.id AS o FROM customer c LEFT JOIN orders o ON o.customer_id = c.id AND o.total > (SELECT avg(total) FROM orders);
SELECT sum((SELECT max(total) FROM orders o WHERE o.customer_id = c.id)) FILTER (WHERE region = 'north') AS s FROM customer c;

--- whole-row reference
SELECT o FROM orders o;
SELECT count(o) AS n, row_to_json(c)::text AS c FROM orders o JOIN customer c ON c.id = o.customer_id GROUP BY c;

--- `tableoid`
SELECT tableoid, id FROM orders;

--- other system columns
SELECT ctid, id FROM orders;
SELECT xmin, id FROM orders;

--- set-returning functions in the select list
SELECT id, unnest(tags) AS tag FROM customer;
SELECT unnest(tags) AS tag, count(*) AS n FROM customer GROUP BY 1;

--- `GROUPING()`
SELECT region, grouping(region) AS all_regions, count(*) AS n FROM customer GROUP BY ROLLUP (region);

--- a condition over both sides
SELECT c.id, o.id AS order_id FROM customer c LEFT JOIN orders o ON o.at > c.at;
SELECT id FROM customer c WHERE EXISTS (SELECT FROM orders o WHERE o.customer_id IS NOT DISTINCT FROM c.id);

--- the same in `FULL JOIN`
SELECT c.id, o.id AS order_id FROM customer c FULL JOIN orders o ON o.customer_id = c.id AND o.at > c.at;

--- an equality with columns of both sides
SELECT c.id, o.id AS order_id FROM customer c LEFT JOIN orders o ON o.customer_id = c.id + o.id;

--- a subquery that reads columns of a query two levels up
SELECT id FROM customer c
WHERE EXISTS (SELECT FROM orders o WHERE EXISTS (SELECT FROM line l WHERE l.order_id = o.id AND l.quantity = c.id));

--- a set-returning function or `VALUES` on the inner side
SELECT id FROM customer c WHERE EXISTS (SELECT FROM unnest(c.tags) AS tag WHERE tag = 'x');

--- a `UNION ALL` on the inner side
SELECT c.id FROM customer c LEFT JOIN (SELECT customer_id FROM orders UNION ALL SELECT 7) x ON x.customer_id = c.id;

--- `LIMIT` in the subquery
SELECT id FROM customer c WHERE id IN (SELECT customer_id FROM orders o WHERE o.at > c.at ORDER BY total LIMIT 3);

--- `EXISTS` over a subquery without `FROM`
SELECT id FROM customer c WHERE EXISTS (SELECT 1 WHERE c.region = 'north');

--- `GROUP BY` columns or expressions
SELECT region, count(*) AS n FROM customer GROUP BY region;
SELECT count(*) AS n FROM customer GROUP BY lower(region), id % 2;
SELECT c.id, c.name, count(*) AS n FROM customer c JOIN orders o ON o.customer_id = c.id GROUP BY c.id;

--- key types whose equal values
SELECT price, count(*) AS n FROM line GROUP BY price;
SELECT weight, took, sum(quantity) AS n FROM line GROUP BY weight, took;

--- keys that are rows
SELECT ROW(day, customer_id)::text AS key, count(*) AS n FROM orders GROUP BY ROW(day, customer_id);

--- aggregate without `GROUP BY`
SELECT count(*) AS n, sum(total) AS total FROM orders;

--- `count(*)`, `count(x)`
SELECT region, count(*) AS n, count(at) AS dated FROM customer GROUP BY region;

--- `sum`, `avg` of integers
SELECT product, sum(quantity) AS q, avg(quantity) AS aq, sum(price) AS p, avg(weight) AS w, sum(took) AS t FROM line GROUP BY product;
SELECT id, sum(fees) AS fees FROM odd GROUP BY id;

--- `variance`
SELECT product, variance(price) AS v, stddev_pop(quantity) AS s, var_samp(weight) AS w FROM line GROUP BY product;

--- `bool_and`
SELECT order_id, bool_and(gift) AS all_gifts, bool_or(gift) AS some, every(gift) AS e FROM line GROUP BY order_id;

--- `min`, `max`
SELECT customer_id, min(day) AS first, max(total) AS most FROM orders GROUP BY customer_id;

--- `FILTER (WHERE …)`
SELECT region, count(*) FILTER (WHERE name LIKE 'a%') AS n FROM customer GROUP BY region;

--- `DISTINCT` inside `min`
SELECT region, max(DISTINCT name) AS m FROM customer GROUP BY region;

--- `DISTINCT` inside `count`
SELECT customer_id, count(DISTINCT day) AS days FROM orders GROUP BY customer_id;
SELECT count(*) AS n, count(DISTINCT day) AS days, count(DISTINCT customer_id) FILTER (WHERE total > 10) AS customers, sum(DISTINCT customer_id) AS s FROM orders;

--- `DISTINCT` inside any other
SELECT customer_id, string_agg(DISTINCT day::text, ', ') AS days, count(DISTINCT total) AS totals FROM orders GROUP BY customer_id;
SELECT customer_id, count(DISTINCT (day, total)) AS both FROM orders GROUP BY customer_id;

--- `string_agg`, `array_agg`
SELECT customer_id, array_agg(id ORDER BY id) AS ids, string_agg(day::text, ', ') AS days, bit_or(id) AS b FROM orders GROUP BY customer_id;
SELECT product, jsonb_agg(price) AS prices, product(weight) AS p FROM line GROUP BY product;
SELECT id, range_agg(spans) AS spans FROM odd GROUP BY id;

--- ordered-set and hypothetical-set aggregates
SELECT product, percentile_cont(0.5) WITHIN GROUP (ORDER BY price) AS median, mode() WITHIN GROUP (ORDER BY quantity) AS m
FROM line GROUP BY product;

--- `corr`, `covar_pop`
SELECT product, corr(weight, quantity) AS c FROM line GROUP BY product;

--- expressions over aggregates
SELECT region, coalesce(sum(id), 0) / nullif(count(*), 0) AS mean FROM customer GROUP BY region;

--- `HAVING`
SELECT region, count(*) AS n FROM customer GROUP BY region HAVING count(*) > 2;

--- `GROUPING SETS`
SELECT region, name, count(*) AS n FROM customer GROUP BY CUBE (region, name);
SELECT region, count(*) AS n FROM customer GROUP BY GROUPING SETS ((region), ());

--- `SELECT DISTINCT`, `UNION`
SELECT DISTINCT region FROM customer;
SELECT name FROM customer UNION SELECT product FROM line;

--- `UNION ALL`
SELECT name FROM customer UNION ALL SELECT product FROM line;

--- `INTERSECT`, `EXCEPT`
SELECT id FROM customer INTERSECT SELECT customer_id FROM orders;
SELECT id FROM customer EXCEPT SELECT customer_id FROM orders;

--- `INTERSECT ALL`, `EXCEPT ALL`
SELECT name FROM customer INTERSECT ALL SELECT product FROM line;
SELECT name FROM customer EXCEPT ALL SELECT product FROM line;

--- `DISTINCT ON`
SELECT DISTINCT ON (customer_id) customer_id, id, total FROM orders ORDER BY customer_id, total DESC;

--- window functions
SELECT id, row_number() OVER (PARTITION BY customer_id ORDER BY day) AS n FROM orders;
SELECT id, total / sum(total) OVER w AS share, lag(total) OVER (w ORDER BY day) AS before FROM orders WINDOW w AS
(PARTITION BY customer_id);
SELECT * FROM (SELECT id, customer_id, rank() OVER (PARTITION BY customer_id ORDER BY total) AS r FROM orders) x WHERE r <= 3;

--- `ORDER BY`
SELECT id, total FROM orders ORDER BY total DESC;

--- `LIMIT`, `OFFSET`
SELECT id, total FROM orders ORDER BY total DESC LIMIT 10;
SELECT id, total FROM orders ORDER BY total DESC OFFSET 3 ROWS FETCH FIRST 2 ROWS WITH TIES;
SELECT count(*) AS n FROM (SELECT id FROM orders ORDER BY total LIMIT 5) x;
SELECT id, total FROM orders ORDER BY total DESC LIMIT (SELECT count(*) / 10 FROM customer) OFFSET (SELECT min(id) FROM customer);

--- `FOR UPDATE`
SELECT id FROM orders FOR UPDATE;
SELECT id FROM orders FOR SHARE;

--- a query that reads no table
SELECT 1 AS one;
SELECT g FROM generate_series(1, 3) g;
SELECT FROM orders;

--- `unsupported-key`
SELECT id, lag(p) OVER (ORDER BY id) AS q, lag(ROW(id, n)) OVER (ORDER BY id) AS r FROM odd;

--- `ambiguous-column`
SELECT id, x, count(*) AS n FROM parent GROUP BY id;

--- `subscription-table`
CREATE TABLE replicated (id int);
CREATE SUBSCRIPTION documentation CONNECTION 'dbname=none' PUBLICATION none WITH (connect = false);
SET allow_system_table_mods = on;
INSERT INTO pg_subscription_rel (srsubid, srrelid, srsubstate) SELECT oid, 'replicated'::regclass, 'r' FROM pg_subscription;
SELECT id FROM replicated;
DELETE FROM pg_subscription_rel;
ALTER SUBSCRIPTION documentation SET (slot_name = NONE);
DROP SUBSCRIPTION documentation;

--- `stale-view`
CREATE TABLE fading (id int);
CREATE MATERIALIZED VIEW faded AS SELECT id FROM fading;
DO $$ BEGIN PERFORM upkeep.register('faded'); END $$;
ALTER TABLE fading SET UNLOGGED;
SELECT id FROM faded;

--- `reads-itself`
CREATE VIEW between_them AS SELECT id FROM orders;
CREATE MATERIALIZED VIEW around AS SELECT id FROM between_them;
CREATE MATERIALIZED VIEW further AS SELECT id FROM around;
DO $$ BEGIN PERFORM upkeep.register('around', 'manual'); PERFORM upkeep.register('further'); END $$;
CREATE OR REPLACE VIEW between_them AS SELECT id FROM further;
around

--- `no-right`
SET ROLE documentation_reader;
SELECT id FROM secret;
RESET ROLE;

--- `too-many-columns`
CREATE TABLE very_wide (n int);
DO $$ BEGIN EXECUTE (SELECT 'CREATE MATERIALIZED VIEW too_wide AS SELECT ' || string_agg(format('n + %s AS c%1$s', i), ', ') || ' FROM very_wide' FROM generate_series(1, 501) i); END $$;
too_wide

--- `open-path`
WITH RECURSIVE r AS (SELECT id FROM customer UNION ALL SELECT DISTINCT o.id FROM r JOIN orders o ON o.customer_id = r.id) SEARCH DEPTH FIRST BY id SET place
SELECT id FROM r;

--- a subquery that a window function decides about
SELECT id, coalesce(lag(total) OVER (PARTITION BY customer_id ORDER BY id), (SELECT price FROM line WHERE line.order_id = orders.id)) AS before FROM orders;

--- `SELECT last_value FROM` a sequence
CREATE SEQUENCE numbers;
SELECT last_value FROM numbers;
WITH gone AS (DELETE FROM orders RETURNING id) SELECT id FROM gone;

--- more than 60 relations in one join
SELECT count(*) AS n FROM orders, generate_series(1, 1) g0, generate_series(1, 1) g1, generate_series(1, 1) g2,
generate_series(1, 1) g3, generate_series(1, 1) g4, generate_series(1, 1) g5, generate_series(1, 1) g6,
generate_series(1, 1) g7, generate_series(1, 1) g8, generate_series(1, 1) g9, generate_series(1, 1) g10,
generate_series(1, 1) g11, generate_series(1, 1) g12, generate_series(1, 1) g13, generate_series(1, 1) g14,
generate_series(1, 1) g15, generate_series(1, 1) g16, generate_series(1, 1) g17, generate_series(1, 1) g18,
generate_series(1, 1) g19, generate_series(1, 1) g20, generate_series(1, 1) g21, generate_series(1, 1) g22,
generate_series(1, 1) g23, generate_series(1, 1) g24, generate_series(1, 1) g25, generate_series(1, 1) g26,
generate_series(1, 1) g27, generate_series(1, 1) g28, generate_series(1, 1) g29, generate_series(1, 1) g30,
generate_series(1, 1) g31, generate_series(1, 1) g32, generate_series(1, 1) g33, generate_series(1, 1) g34,
generate_series(1, 1) g35, generate_series(1, 1) g36, generate_series(1, 1) g37, generate_series(1, 1) g38,
generate_series(1, 1) g39, generate_series(1, 1) g40, generate_series(1, 1) g41, generate_series(1, 1) g42,
generate_series(1, 1) g43, generate_series(1, 1) g44, generate_series(1, 1) g45, generate_series(1, 1) g46,
generate_series(1, 1) g47, generate_series(1, 1) g48, generate_series(1, 1) g49, generate_series(1, 1) g50,
generate_series(1, 1) g51, generate_series(1, 1) g52, generate_series(1, 1) g53, generate_series(1, 1) g54,
generate_series(1, 1) g55, generate_series(1, 1) g56, generate_series(1, 1) g57, generate_series(1, 1) g58,
generate_series(1, 1) g59;

--- a whole row of a subquery, or `ROW(…)`, that a window function gives
SELECT id, to_jsonb(lag(x) OVER (ORDER BY id)) AS before FROM (SELECT id, total FROM orders) x;
SELECT count(*) AS n FROM (SELECT customer_id, total FROM orders) x GROUP BY x;

--- a `SEARCH` or `CYCLE` column of rows
WITH RECURSIVE r AS (SELECT id FROM customer UNION ALL SELECT o.id FROM r JOIN orders o ON o.customer_id = r.id) CYCLE id SET c USING p
SELECT p[1] IS NULL AS first FROM r;
WITH RECURSIVE r AS (SELECT id FROM customer UNION ALL SELECT o.id FROM r JOIN orders o ON o.customer_id = r.id) SEARCH DEPTH FIRST BY id SET place
SELECT id, row_number() OVER (ORDER BY place) AS n FROM r;
