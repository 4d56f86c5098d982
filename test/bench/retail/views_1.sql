-- Ordinary joins and groups.

CREATE MATERIALIZED VIEW sales_by_store_and_month AS
SELECT s.store, d.year, d.month, count(*) AS sales, sum(s.amount) AS revenue, avg(s.price) AS mean_price
FROM store_sales s JOIN dates d ON d.day = s.sold_on
GROUP BY s.store, d.year, d.month;

CREATE MATERIALIZED VIEW brand_sales_on_holidays AS
SELECT d.year, i.brand, sum(s.quantity * s.price) AS revenue, sum(s.quantity * i.cost) AS cost
FROM store_sales s, items i, dates d
WHERE s.item = i.id AND d.day = s.sold_on AND d.holiday AND i.active
GROUP BY d.year, i.brand
HAVING sum(s.quantity * s.price) > 10;

CREATE MATERIALIZED VIEW sales_wide AS
SELECT s.id, s.sold_on, st.name AS store, (st.place).state, c.name AS customer, c.tier, i.name AS item, i.brand, s.amount
FROM store_sales s JOIN stores st ON st.id = s.store JOIN items i ON i.id = s.item LEFT JOIN customers c ON c.id = s.customer;

CREATE MATERIALIZED VIEW weekday_pattern AS
SELECT i.brand,
       count(*) FILTER (WHERE d.weekday IN (6, 7)) AS weekend,
       count(*) FILTER (WHERE d.weekday < 6) AS workday,
       sum(s.amount) FILTER (WHERE d.holiday) AS holiday_revenue
FROM store_sales s JOIN items i ON i.id = s.item JOIN dates d ON d.day = s.sold_on
GROUP BY i.brand;

CREATE MATERIALIZED VIEW price_bands AS
SELECT price_band(s.price) AS band, count(*) AS sales, min(s.price) AS lowest, max(s.price) AS highest,
       stddev_samp(s.price) AS spread
FROM store_sales s
GROUP BY price_band(s.price);

CREATE MATERIALIZED VIEW channel_totals AS
SELECT channel, date_trunc('month', sold_on)::date AS month, sum(quantity * price) AS revenue,
       sum(channel_fee(channel, quantity * price)) AS fees, count(DISTINCT customer) AS customers
FROM all_sales
GROUP BY channel, date_trunc('month', sold_on)::date;

CREATE MATERIALIZED VIEW overall AS
SELECT count(*) AS sales, sum(quantity * price) AS revenue, max(price) AS highest, min(sold_on) AS first
FROM all_sales;

-- Correlated averages, scalar subqueries.

CREATE MATERIALIZED VIEW frequent_returners AS
WITH returned AS (SELECT customer, channel, sum(quantity) AS pieces FROM returns GROUP BY customer, channel)
SELECT c.id, c.name, r1.channel, r1.pieces
FROM returned r1 JOIN customers c ON c.id = r1.customer
WHERE r1.pieces > (SELECT avg(r2.pieces) * 1.2 FROM returned r2 WHERE r2.channel = r1.channel);

CREATE MATERIALIZED VIEW items_above_category_price AS
SELECT i.id, i.name, i.price
FROM items i
WHERE i.price > 1.2 * (SELECT avg(j.price) FROM items j WHERE j.category = i.category);

CREATE MATERIALIZED VIEW item_with_counts AS
SELECT i.id, i.name, (SELECT count(*) FROM store_sales s WHERE s.item = i.id) AS in_stores,
       (SELECT coalesce(sum(w.quantity), 0) FROM web_sales w WHERE w.item = i.id) AS on_the_web,
       (SELECT max(r.returned_on) FROM returns r WHERE r.item = i.id AND r.reason = 'broken') AS last_broken
FROM items i;

CREATE MATERIALIZED VIEW customer_with_address AS
SELECT c.id, c.name, (SELECT a.city || ', ' || a.state FROM addresses a WHERE a.id = c.address) AS lives_in,
       (SELECT min(w.sold_at) FROM web_sales w WHERE w.customer = c.id) AS first_order
FROM customers c;

CREATE MATERIALIZED VIEW stores_above_average AS
SELECT s.store, sum(s.amount) AS revenue
FROM store_sales s
GROUP BY s.store
HAVING sum(s.amount) > (SELECT avg(x.revenue) FROM (SELECT sum(amount) AS revenue FROM store_sales GROUP BY store) x);

CREATE MATERIALIZED VIEW discounted_below_cost AS
SELECT i.brand, sum(w.quantity * (i.cost - w.price)) AS loss
FROM web_sales w JOIN items i ON i.id = w.item
WHERE w.price < 0.5 * (SELECT avg(v.price) FROM web_sales v WHERE v.item = w.item)
GROUP BY i.brand;

CREATE MATERIALIZED VIEW share_of_best_day AS
SELECT d.year, d.month, sum(s.amount) / (SELECT max(t.total) FROM (SELECT sum(amount) AS total FROM store_sales
                                                                   GROUP BY sold_on) t) AS of_best_day
FROM store_sales s JOIN dates d ON d.day = s.sold_on
GROUP BY d.year, d.month;

-- EXISTS, IN, NOT IN, ANY, ALL, under AND, OR and NOT.

CREATE MATERIALIZED VIEW customers_of_every_channel AS
SELECT c.id, c.name
FROM customers c
WHERE EXISTS (SELECT FROM store_sales s WHERE s.customer = c.id)
  AND EXISTS (SELECT FROM web_sales w WHERE w.customer = c.id)
  AND c.id IN (SELECT customer FROM catalog_sales);

CREATE MATERIALIZED VIEW customers_store_and_other AS
SELECT c.tier, count(*) AS customers, avg(extract(year FROM c.birth)) AS born
FROM customers c LEFT JOIN addresses a ON a.id = c.address
WHERE EXISTS (SELECT FROM store_sales s JOIN dates d ON d.day = s.sold_on WHERE s.customer = c.id AND d.year = 2023)
  AND (EXISTS (SELECT FROM web_sales w WHERE w.customer = c.id)
       OR EXISTS (SELECT FROM catalog_sales k WHERE k.customer = c.id AND k.quantity > 2))
GROUP BY c.tier;

CREATE MATERIALIZED VIEW items_never_returned AS
SELECT i.id, i.name FROM items i WHERE NOT EXISTS (SELECT FROM returns r WHERE r.item = i.id);

CREATE MATERIALIZED VIEW items_not_in_promotion AS
SELECT i.id, i.brand, i.price FROM items i WHERE i.id NOT IN (SELECT p.item FROM promotions p WHERE p.item IS NOT NULL);

CREATE MATERIALIZED VIEW sales_without_known_return AS
SELECT s.id, s.sold_on, s.amount
FROM store_sales s
WHERE s.id NOT IN (SELECT r.sale FROM returns r WHERE r.channel = 'store' AND r.item = s.item);

CREATE MATERIALIZED VIEW inactive_or_unsold AS
SELECT i.id, i.name, i.active
FROM items i
WHERE NOT i.active OR NOT EXISTS (SELECT FROM store_sales s WHERE s.item = i.id)
   OR i.category IN (SELECT k.id FROM categories k WHERE k.parent IS NULL);

CREATE MATERIALIZED VIEW dearest_of_brand AS
SELECT i.id, i.brand, i.price FROM items i WHERE i.price >= ALL (SELECT j.price FROM items j WHERE j.brand = i.brand);

CREATE MATERIALIZED VIEW web_price_below_some_store_price AS
SELECT w.id, w.item, w.price FROM web_sales w WHERE w.price < ANY (SELECT s.price FROM store_sales s WHERE s.item = w.item);

CREATE MATERIALIZED VIEW customers_flags AS
SELECT c.id, EXISTS (SELECT FROM returns r WHERE r.customer = c.id) AS returns_things,
       c.id IN (SELECT w.customer FROM web_sales w WHERE w.quantity > 3) AS buys_much,
       ARRAY(SELECT DISTINCT k.page FROM catalog_sales k WHERE k.customer = c.id AND k.page IS NOT NULL ORDER BY 1) AS pages
FROM customers c;

CREATE MATERIALIZED VIEW brands_where_all_is_active AS
SELECT i.brand, count(*) AS items
FROM items i
GROUP BY i.brand
HAVING bool_and(i.active) AND NOT EXISTS (SELECT FROM promotions p JOIN items j ON j.id = p.item WHERE j.brand = i.brand);

CREATE MATERIALIZED VIEW sold_by_two_stores AS
SELECT DISTINCT s.item, s.sold_on
FROM store_sales s
WHERE EXISTS (SELECT FROM store_sales t WHERE t.item = s.item AND t.store <> s.store AND t.sold_on = s.sold_on)
  AND NOT EXISTS (SELECT FROM returns r WHERE r.sale = s.id AND r.channel = 'store');

CREATE MATERIALIZED VIEW customers_two_levels AS
SELECT c.id
FROM customers c
WHERE EXISTS (SELECT FROM web_sales w
              WHERE w.customer = c.id
                AND NOT EXISTS (SELECT FROM web_sales v
                                WHERE v.customer = c.id AND v.item = w.item AND v.sold_at > w.sold_at));

-- Ratios to totals, ranks, running sums: windows.

CREATE MATERIALIZED VIEW revenue_share AS
SELECT i.category, i.brand, sum(s.amount) AS revenue,
       sum(s.amount) * 100 / sum(sum(s.amount)) OVER (PARTITION BY i.category) AS share
FROM store_sales s JOIN items i ON i.id = s.item
GROUP BY i.category, i.brand;

CREATE MATERIALIZED VIEW monthly_deviation AS
SELECT * FROM (
    SELECT st.name, d.year, d.month, sum(s.amount) AS revenue,
           avg(sum(s.amount)) OVER (PARTITION BY st.name, d.year) AS mean,
           lag(sum(s.amount)) OVER w AS before, lead(sum(s.amount)) OVER w AS after,
           rank() OVER w AS month_number
    FROM store_sales s JOIN stores st ON st.id = s.store JOIN dates d ON d.day = s.sold_on
    GROUP BY st.name, d.year, d.month
    WINDOW w AS (PARTITION BY st.name ORDER BY d.year, d.month)) x
WHERE abs(revenue - mean) > 0.1 * mean;

CREATE MATERIALIZED VIEW running_total AS
SELECT sold_on, store, day_total, sum(day_total) OVER (PARTITION BY store ORDER BY sold_on) AS so_far,
       avg(day_total) OVER (PARTITION BY store ORDER BY sold_on ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) AS last_seven
FROM (SELECT sold_on, store, sum(amount) AS day_total FROM store_sales GROUP BY sold_on, store) d;

CREATE MATERIALIZED VIEW best_items_per_store AS
SELECT store, item, revenue, place
FROM (SELECT store, item, sum(amount) AS revenue,
             row_number() OVER (PARTITION BY store ORDER BY sum(amount) DESC, item) AS place
      FROM store_sales GROUP BY store, item) r
WHERE place <= 3;

CREATE MATERIALIZED VIEW latest_web_order AS
SELECT customer, id, sold_at, item
FROM (SELECT w.*, row_number() OVER (PARTITION BY customer ORDER BY sold_at DESC, id DESC) AS n FROM web_sales w) x
WHERE n = 1;

CREATE MATERIALIZED VIEW price_quartiles AS
SELECT id, category, price, ntile(4) OVER (PARTITION BY category ORDER BY price, id) AS quartile,
       percent_rank() OVER (PARTITION BY category ORDER BY price) AS percent,
       first_value(name) OVER (PARTITION BY category ORDER BY price, id) AS cheapest
FROM items;

CREATE MATERIALIZED VIEW days_between_orders AS
SELECT customer, id, sold_at - lag(sold_at) OVER (PARTITION BY customer ORDER BY sold_at, id) AS waited,
       count(*) OVER (PARTITION BY customer ORDER BY sold_at RANGE BETWEEN interval '30 days' PRECEDING AND CURRENT ROW) AS in_30_days
FROM web_sales;

CREATE MATERIALIZED VIEW items_ranked_overall AS
SELECT item, sum(quantity) AS pieces, dense_rank() OVER (ORDER BY sum(quantity) DESC) AS place
FROM store_sales
GROUP BY item;

-- Years beside each other: self-joins of an aggregate.

CREATE MATERIALIZED VIEW year_over_year AS
WITH yearly AS (
    SELECT c.id AS customer, c.tier, d.year, sum(s.amount) AS total
    FROM customers c JOIN store_sales s ON s.customer = c.id JOIN dates d ON d.day = s.sold_on
    GROUP BY c.id, c.tier, d.year)
SELECT y1.customer, y1.tier, y1.total AS total_2022, y2.total AS total_2023, y2.total / y1.total AS growth
FROM yearly y1 JOIN yearly y2 ON y2.customer = y1.customer
WHERE y1.year = 2022 AND y2.year = 2023 AND y1.total > 0;

CREATE MATERIALIZED VIEW growth_web_against_store AS
WITH totals AS (
    SELECT customer, 'store' AS channel, extract(year FROM sold_on) AS year, sum(amount) AS total
    FROM store_sales GROUP BY customer, extract(year FROM sold_on)
    UNION ALL
    SELECT customer, 'web', extract(year FROM sold_at AT TIME ZONE 'UTC'), sum(quantity * price)
    FROM web_sales GROUP BY customer, extract(year FROM sold_at AT TIME ZONE 'UTC'))
SELECT s1.customer, s2.total / s1.total AS store_growth, w2.total / w1.total AS web_growth
FROM totals s1, totals s2, totals w1, totals w2
WHERE s2.customer = s1.customer AND w1.customer = s1.customer AND w2.customer = s1.customer
  AND s1.channel = 'store' AND s2.channel = 'store' AND w1.channel = 'web' AND w2.channel = 'web'
  AND s1.year = 2022 AND s2.year = 2023 AND w1.year = 2022 AND w2.year = 2023 AND s1.total > 0 AND w1.total > 0;

CREATE MATERIALIZED VIEW weeks_compared AS
WITH weekly AS (
    SELECT s.store, d.year, d.week, sum(s.amount) FILTER (WHERE d.weekday = 1) AS monday,
           sum(s.amount) FILTER (WHERE d.weekday = 6) AS saturday
    FROM store_sales s JOIN dates d ON d.day = s.sold_on
    GROUP BY s.store, d.year, d.week)
SELECT a.store, a.week, b.monday / nullif(a.monday, 0) AS monday, b.saturday / nullif(a.saturday, 0) AS saturday
FROM weekly a JOIN weekly b ON b.store = a.store AND b.week = a.week AND b.year = a.year + 1;
