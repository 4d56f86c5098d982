-- Rollups, cubes, grouping sets.

CREATE MATERIALIZED VIEW rollup_by_place AS
SELECT (st.place).state AS state, (st.place).city AS city, st.id, sum(s.amount) AS revenue,
       grouping((st.place).state, (st.place).city, st.id) AS level
FROM store_sales s JOIN stores st ON st.id = s.store
GROUP BY ROLLUP ((st.place).state, (st.place).city, st.id);

CREATE MATERIALIZED VIEW cube_of_channels AS
SELECT channel, i.brand, extract(year FROM sold_on) AS year, sum(quantity) AS pieces, sum(quantity * a.price) AS revenue
FROM all_sales a JOIN items i ON i.id = a.item
GROUP BY CUBE (channel, i.brand, extract(year FROM sold_on));

CREATE MATERIALIZED VIEW sets_with_having AS
SELECT i.brand, d.quarter, d.weekday, count(*) AS sales, max(s.price) AS highest
FROM store_sales s JOIN items i ON i.id = s.item JOIN dates d ON d.day = s.sold_on
GROUP BY GROUPING SETS ((i.brand, d.quarter), (d.weekday), ())
HAVING count(*) > 2;

CREATE MATERIALIZED VIEW rollup_ranked AS
SELECT category, brand, margin, rank() OVER (PARTITION BY level, CASE WHEN level = 0 THEN category END ORDER BY margin) AS place
FROM (SELECT i.category, i.brand, sum(s.amount - s.quantity * i.cost) / nullif(sum(s.amount), 0) AS margin,
             grouping(i.category, i.brand) AS level
      FROM store_sales s JOIN items i ON i.id = s.item
      GROUP BY ROLLUP (i.category, i.brand)) r;

-- Sets of customers.

CREATE MATERIALIZED VIEW bought_everywhere AS
SELECT customer, item FROM store_sales
INTERSECT
SELECT customer, item FROM web_sales
INTERSECT
SELECT customer, item FROM catalog_sales;

CREATE MATERIALIZED VIEW only_on_the_web AS
SELECT w.customer, c.name FROM web_sales w JOIN customers c ON c.id = w.customer
EXCEPT
(SELECT s.customer, c.name FROM store_sales s JOIN customers c ON c.id = s.customer
 UNION
 SELECT k.customer, c.name FROM catalog_sales k JOIN customers c ON c.id = k.customer);

CREATE MATERIALIZED VIEW repeated_in_both AS
SELECT customer, item FROM web_sales
INTERSECT ALL
SELECT customer, item FROM catalog_sales;

CREATE MATERIALIZED VIEW web_sales_beyond_catalog AS
SELECT item, quantity FROM web_sales
EXCEPT ALL
SELECT item, quantity FROM catalog_sales;

CREATE MATERIALIZED VIEW count_of_common_customers AS
SELECT count(*) AS customers
FROM (SELECT DISTINCT customer, sold_on FROM store_sales WHERE customer IS NOT NULL
      INTERSECT
      SELECT DISTINCT customer, sold_on FROM catalog_sales) x;

CREATE MATERIALIZED VIEW all_partners AS
SELECT name::text AS who, 'customer' AS kind, tier::text AS detail FROM customers
UNION
SELECT name, 'store', (place).state FROM stores
UNION
SELECT brand, 'brand', NULL FROM items
ORDER BY 1;

-- The first rows: LIMIT, WITH TIES, DISTINCT ON, LATERAL.

CREATE MATERIALIZED VIEW hundred_largest_sales AS
SELECT id, sold_on, store, amount FROM store_sales ORDER BY amount DESC, id LIMIT 100;

CREATE MATERIALIZED VIEW second_page_of_customers AS
SELECT c.id, c.name, sum(w.quantity * w.price) AS spent
FROM customers c JOIN web_sales w ON w.customer = c.id
GROUP BY c.id, c.name
ORDER BY spent DESC, c.id
OFFSET 10 FETCH FIRST 10 ROWS ONLY;

CREATE MATERIALIZED VIEW best_prices_with_ties AS
SELECT id, brand, price FROM items WHERE active ORDER BY price DESC FETCH FIRST 5 ROWS WITH TIES;

CREATE MATERIALIZED VIEW newest_return_of_item AS
SELECT DISTINCT ON (item) item, returned_on, id, reason FROM returns ORDER BY item, returned_on DESC, id;

CREATE MATERIALIZED VIEW three_dearest_of_category AS
SELECT k.id, k.name AS category, t.item, t.price
FROM categories k,
     LATERAL (SELECT i.id AS item, i.price FROM items i WHERE i.category = k.id ORDER BY i.price DESC, i.id LIMIT 3) t;

CREATE MATERIALIZED VIEW last_orders_of_customer AS
SELECT c.id, c.name, o.id AS sale, o.sold_at
FROM customers c
LEFT JOIN LATERAL (SELECT w.id, w.sold_at FROM web_sales w WHERE w.customer = c.id ORDER BY w.sold_at DESC, w.id LIMIT 2) o
       ON true;

CREATE MATERIALIZED VIEW store_summary AS
SELECT st.id, st.name, x.sales, x.revenue, y.item AS favourite
FROM stores st
CROSS JOIN LATERAL (SELECT count(*) AS sales, sum(s.amount) AS revenue FROM store_sales s WHERE s.store = st.id) x
LEFT JOIN LATERAL (SELECT s.item FROM store_sales s WHERE s.store = st.id GROUP BY s.item
                   ORDER BY count(*) DESC, s.item LIMIT 1) y ON true;

CREATE MATERIALIZED VIEW latest_stock AS
SELECT DISTINCT ON (n.store, n.item) n.store, n.item, n.week, n.on_hand, i.name
FROM inventory n JOIN items i ON i.id = n.item
ORDER BY n.store, n.item, n.week DESC;

-- Nested and repeated CTEs, aggregates of aggregates.

CREATE MATERIALIZED VIEW best_customers AS
WITH frequent_items AS (
    SELECT item FROM store_sales GROUP BY item HAVING count(*) > 4),
spending AS (
    SELECT customer, sum(amount) AS spent FROM store_sales WHERE customer IS NOT NULL GROUP BY customer),
most AS (
    SELECT max(spent) AS spent FROM spending),
best AS (
    SELECT s.customer, s.spent FROM spending s, most m WHERE s.spent > 0.5 * m.spent)
SELECT c.name, sum(k.quantity * k.price) AS by_catalog
FROM catalog_sales k JOIN customers c ON c.id = k.customer
WHERE k.item IN (SELECT item FROM frequent_items) AND k.customer IN (SELECT customer FROM best)
GROUP BY c.name;

CREATE MATERIALIZED VIEW basket_sizes AS
SELECT pieces, count(*) AS days, avg(revenue) AS mean_revenue
FROM (SELECT store, sold_on, sum(quantity) AS pieces, sum(amount) AS revenue FROM store_sales GROUP BY store, sold_on) b
GROUP BY pieces;

CREATE MATERIALIZED VIEW gross_and_net AS
WITH sold AS MATERIALIZED (SELECT item, sum(quantity) AS pieces, sum(amount) AS amount FROM store_sales GROUP BY item),
     back AS (SELECT item, sum(quantity) AS pieces FROM returns WHERE channel = 'store' GROUP BY item)
SELECT i.id, coalesce(sold.pieces, 0) AS sold, coalesce(back.pieces, 0) AS back,
       coalesce(sold.pieces, 0) - coalesce(back.pieces, 0) AS net
FROM items i LEFT JOIN sold ON sold.item = i.id LEFT JOIN back ON back.item = i.id;

CREATE MATERIALIZED VIEW inventory_turnover AS
WITH stock AS (
    SELECT store, item, date_trunc('month', week)::date AS month, avg(on_hand) AS mean, stddev_pop(on_hand) AS spread
    FROM inventory GROUP BY store, item, date_trunc('month', week)::date)
SELECT a.store, a.item, a.month, a.mean, a.spread, b.mean AS next_mean
FROM stock a LEFT JOIN stock b ON b.store = a.store AND b.item = a.item AND b.month = (a.month + interval '1 month')::date
WHERE CASE WHEN a.mean = 0 THEN 0 ELSE a.spread / a.mean END > 0.1;

CREATE MATERIALIZED VIEW averages_of_maxima AS
SELECT category, avg(highest) AS mean_of_highest, count(*) AS brands
FROM (SELECT category, brand, max(price) AS highest FROM items GROUP BY category, brand HAVING count(*) > 1) x
GROUP BY category;

-- Outer joins.

CREATE MATERIALIZED VIEW store_and_catalog_days AS
SELECT coalesce(s.sold_on, k.sold_on) AS day, s.revenue AS in_stores, k.revenue AS by_catalog
FROM (SELECT sold_on, sum(amount) AS revenue FROM store_sales GROUP BY sold_on) s
FULL JOIN (SELECT sold_on, sum(quantity * price) AS revenue FROM catalog_sales GROUP BY sold_on) k ON k.sold_on = s.sold_on;

CREATE MATERIALIZED VIEW promotions_and_sales AS
SELECT p.id AS promotion, p.name, w.id AS sale, w.price
FROM promotions p FULL JOIN web_sales w ON w.promotion = p.id AND w.quantity > 1;

CREATE MATERIALIZED VIEW items_complete AS
SELECT i.id, i.name, k.name AS category, up.name AS above, p.name AS promotion
FROM items i LEFT JOIN (categories k LEFT JOIN categories up ON up.id = k.parent) ON k.id = i.category
LEFT JOIN promotions p ON p.item = i.id AND p.discount > 0.1;

CREATE MATERIALIZED VIEW effective_promotions AS
SELECT s.id, s.item, p.id AS promotion, p.discount
FROM store_sales s LEFT JOIN promotions p ON p.item = s.item AND s.sold_on <@ p.valid;

CREATE MATERIALIZED VIEW return_rate AS
SELECT i.brand, count(s.id) AS sales, count(r.id) AS returns, count(r.id)::numeric / count(s.id) AS rate
FROM store_sales s JOIN items i ON i.id = s.item LEFT JOIN returns r ON r.sale = s.id AND r.channel = 'store'
GROUP BY i.brand;

CREATE MATERIALIZED VIEW moved_customers AS
SELECT c.id, a.state AS home, b.state AS shipped_to, count(*) AS orders
FROM web_sales w RIGHT JOIN customers c ON c.id = w.customer LEFT JOIN addresses a ON a.id = c.address
LEFT JOIN addresses b ON b.id = w.ship_to
WHERE a.state IS DISTINCT FROM b.state
GROUP BY c.id, a.state, b.state;

-- Recursion.

CREATE MATERIALIZED VIEW category_tree AS
WITH RECURSIVE tree AS (
    SELECT id, name, 1 AS depth, name::text AS path, id AS root FROM categories WHERE parent IS NULL
    UNION ALL
    SELECT k.id, k.name, t.depth + 1, t.path || ' > ' || k.name, t.root FROM categories k JOIN tree t ON k.parent = t.id)
SELECT id, depth, path, root FROM tree;

CREATE MATERIALIZED VIEW revenue_by_root AS
WITH RECURSIVE above (id, root) AS (
    SELECT id, id FROM categories
    UNION
    SELECT a.id, k.parent FROM above a JOIN categories k ON k.id = a.root WHERE k.parent IS NOT NULL)
SELECT a.root, k.name, sum(s.amount) AS revenue
FROM above a JOIN categories k ON k.id = a.root JOIN items i ON i.category = a.id JOIN store_sales s ON s.item = i.id
GROUP BY a.root, k.name;

-- Other aggregates.

CREATE MATERIALIZED VIEW items_of_brand AS
SELECT brand, string_agg(name, ', ' ORDER BY name, id) AS names, array_agg(id ORDER BY id) AS ids,
       jsonb_object_agg(id, price ORDER BY id) AS prices
FROM items
GROUP BY brand;

CREATE MATERIALIZED VIEW price_statistics AS
SELECT item, percentile_cont(0.5) WITHIN GROUP (ORDER BY price) AS median,
       percentile_disc(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY price) AS tails,
       mode() WITHIN GROUP (ORDER BY quantity) AS usual_quantity,
       rank(10.0) WITHIN GROUP (ORDER BY price) AS below_ten
FROM store_sales
GROUP BY item;

CREATE MATERIALIZED VIEW weights AS
SELECT item, sum(weight) AS weight, avg(weight) AS mean, var_samp(weight) AS variance, bit_or(quantity) AS bits,
       every(price > 5) AS dear, max(weight) - min(weight) AS span
FROM catalog_sales
GROUP BY item;

CREATE MATERIALIZED VIEW weight_and_price AS
SELECT page, corr(weight, price::float8) AS correlation, regr_slope(price::float8, weight) AS slope,
       covar_pop(weight, quantity::float8) AS covariance
FROM catalog_sales
GROUP BY page;

CREATE MATERIALIZED VIEW promotion_periods AS
SELECT channel, range_agg(valid) AS periods, max(discount) AS best, count(DISTINCT item) AS items
FROM promotions
GROUP BY channel;

CREATE MATERIALIZED VIEW order_documents AS
SELECT c.id, jsonb_agg(jsonb_build_object('item', i.name, 'at', w.sold_at, 'total', w.quantity * w.price)
                       ORDER BY w.sold_at, w.id) AS orders
FROM customers c JOIN web_sales w ON w.customer = c.id JOIN items i ON i.id = w.item
GROUP BY c.id;

-- Types and functions: jsonb, arrays, ranges, composites, whole rows, set-returning functions.

CREATE MATERIALIZED VIEW items_by_tag AS
SELECT t.tag, count(*) AS items, min(i.price) AS cheapest
FROM items i CROSS JOIN LATERAL jsonb_array_elements_text(i.attributes -> 'tags') AS t (tag)
GROUP BY t.tag;

CREATE MATERIALIZED VIEW stores_by_tag AS
SELECT s.id, s.name, t.tag, t.place AS tag_place, (s.place).city
FROM stores s, unnest(s.tags) WITH ORDINALITY AS t (tag, place);

CREATE MATERIALIZED VIEW promotion_days AS
SELECT p.id, d::date AS day, count(s.id) AS sales
FROM promotions p CROSS JOIN LATERAL generate_series(lower(p.valid)::timestamp, (upper(p.valid) - 1)::timestamp, interval '1 day') AS d
LEFT JOIN store_sales s ON s.promotion = p.id AND s.sold_on = d::date
GROUP BY p.id, d::date;

CREATE MATERIALIZED VIEW colour_preference AS
SELECT i.attributes ->> 'colour' AS colour, c.preferences ->> 'colour' AS preferred, count(*) AS sales
FROM store_sales s JOIN items i ON i.id = s.item JOIN customers c ON c.id = s.customer
WHERE i.attributes ? 'colour' AND coalesce((c.preferences ->> 'mail')::boolean, false)
GROUP BY 1, 2;

CREATE MATERIALIZED VIEW customers_as_rows AS
SELECT c, a.city, to_jsonb(c) ->> 'name' AS name FROM customers c JOIN addresses a ON a.id = c.address;

CREATE MATERIALIZED VIEW target_revenue AS
SELECT t.tier, t.target, coalesce(sum(w.quantity * w.price), 0) AS revenue
FROM (VALUES ('bronze'::tier, 1000), ('silver', 2000), ('gold', 5000)) AS t (tier, target)
LEFT JOIN (web_sales w JOIN customers c ON c.id = w.customer) ON c.tier = t.tier
GROUP BY t.tier, t.target;

CREATE MATERIALIZED VIEW tags_in_select_list AS
SELECT i.id, jsonb_object_keys(i.attributes) AS key FROM items i WHERE i.active;

CREATE MATERIALIZED VIEW stars AS
SELECT f.item, count(*) AS opinions, avg(f.stars) AS stars, (SELECT count(*) FROM ONLY feedback o WHERE o.item = f.item) AS plain
FROM feedback f
GROUP BY f.item;

CREATE MATERIALIZED VIEW second_half_of_2023 AS
SELECT store, sum(amount) AS revenue, count(*) AS sales FROM store_sales_2023b GROUP BY store;

-- Views over materialized views that are registered themselves: a chain and a diamond.

CREATE MATERIALIZED VIEW sales_by_store_and_year AS
SELECT store, year, sum(sales) AS sales, sum(revenue) AS revenue FROM sales_by_store_and_month GROUP BY store, year;

CREATE MATERIALIZED VIEW best_year_of_store AS
SELECT DISTINCT ON (store) store, year, revenue FROM sales_by_store_and_year ORDER BY store, revenue DESC, year;

CREATE MATERIALIZED VIEW month_beside_year AS
SELECT m.store, m.year, m.month, m.revenue, y.revenue AS of_year, m.revenue / nullif(y.revenue, 0) AS share
FROM sales_by_store_and_month m JOIN sales_by_store_and_year y ON y.store = m.store AND y.year = m.year;

-- What cannot be maintained: it changes without any change of data.

CREATE MATERIALIZED VIEW sales_of_last_days AS
SELECT store, sum(amount) AS revenue FROM store_sales WHERE sold_on > current_date - 30 GROUP BY store;

CREATE MATERIALIZED VIEW lucky_customers AS
SELECT id, name, random() AS number FROM customers;

CREATE MATERIALIZED VIEW sampled_sales AS
SELECT count(*) AS sales FROM web_sales TABLESAMPLE SYSTEM (50);
