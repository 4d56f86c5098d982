CREATE TYPE tier AS ENUM ('none', 'bronze', 'silver', 'gold');
CREATE DOMAIN money_amount AS numeric(12, 2) CHECK (VALUE >= 0);
CREATE TYPE place AS (city text, state text);

CREATE TABLE dates (
    day date NOT NULL,
    year integer NOT NULL,
    quarter integer NOT NULL,
    month integer NOT NULL,
    week integer NOT NULL,
    weekday integer NOT NULL,
    holiday boolean NOT NULL
);

CREATE TABLE stores (
    id integer NOT NULL,
    name text NOT NULL,
    place place NOT NULL,
    opened date NOT NULL,
    area numeric(8, 1) NOT NULL,
    tags text[] NOT NULL
);

CREATE TABLE categories (
    id integer NOT NULL,
    parent integer,
    name text NOT NULL
);

CREATE TABLE items (
    id integer NOT NULL,
    category integer,
    brand text NOT NULL,
    name text NOT NULL,
    price money_amount NOT NULL,
    cost money_amount NOT NULL,
    attributes jsonb NOT NULL,
    active boolean NOT NULL
);

CREATE TABLE addresses (
    id integer NOT NULL,
    city text NOT NULL,
    state text NOT NULL,
    zip char(5) NOT NULL,
    country text
);

CREATE TABLE customers (
    id integer NOT NULL,
    name text NOT NULL,
    address integer,
    email text,
    birth date,
    tier tier NOT NULL,
    preferences jsonb NOT NULL
);

CREATE TABLE promotions (
    id integer NOT NULL,
    name text NOT NULL,
    item integer,
    channel text NOT NULL,
    valid daterange NOT NULL,
    discount numeric(4, 2) NOT NULL
);

CREATE TABLE store_sales (
    id bigint NOT NULL,
    sold_on date NOT NULL,
    store integer NOT NULL,
    customer integer,
    item integer NOT NULL,
    promotion integer,
    quantity integer NOT NULL,
    price numeric(10, 2) NOT NULL,
    amount numeric(12, 2) GENERATED ALWAYS AS (quantity * price) STORED
) PARTITION BY RANGE (sold_on);
CREATE TABLE store_sales_2022 PARTITION OF store_sales FOR VALUES FROM ('2022-01-01') TO ('2023-01-01');
CREATE TABLE store_sales_2023 PARTITION OF store_sales FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')
    PARTITION BY RANGE (sold_on);
CREATE TABLE store_sales_2023a PARTITION OF store_sales_2023 FOR VALUES FROM ('2023-01-01') TO ('2023-07-01');
CREATE TABLE store_sales_2023b PARTITION OF store_sales_2023 FOR VALUES FROM ('2023-07-01') TO ('2024-01-01');
CREATE TABLE store_sales_later PARTITION OF store_sales DEFAULT;

CREATE TABLE web_sales (
    id bigint NOT NULL,
    sold_at timestamptz NOT NULL,
    site text NOT NULL,
    customer integer NOT NULL,
    item integer NOT NULL,
    promotion integer,
    ship_to integer,
    quantity integer NOT NULL,
    price numeric(10, 2) NOT NULL
);

CREATE TABLE catalog_sales (
    id bigint NOT NULL,
    sold_on date NOT NULL,
    page integer,
    customer integer NOT NULL,
    item integer NOT NULL,
    quantity integer NOT NULL,
    price numeric(10, 2) NOT NULL,
    weight double precision NOT NULL
);

CREATE TABLE returns (
    id bigint NOT NULL,
    channel text NOT NULL,
    sale bigint,
    customer integer,
    item integer NOT NULL,
    returned_on date NOT NULL,
    quantity integer NOT NULL,
    reason text
);

CREATE TABLE inventory (
    week date NOT NULL,
    store integer NOT NULL,
    item integer NOT NULL,
    on_hand integer NOT NULL
);

CREATE TABLE feedback (
    customer integer NOT NULL,
    item integer NOT NULL,
    stars integer NOT NULL,
    words text
);
CREATE TABLE store_feedback (store integer NOT NULL) INHERITS (feedback);
CREATE TABLE web_feedback (site text) INHERITS (feedback);

CREATE FUNCTION channel_fee(channel text, amount numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE channel WHEN 'web' THEN amount * 0.03 WHEN 'catalog' THEN amount * 0.05 ELSE 0 END $$;

CREATE FUNCTION price_band(price numeric) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT AS
$$ BEGIN RETURN CASE WHEN price < 10 THEN 'low' WHEN price < 50 THEN 'middle' ELSE 'high' END; END $$;

-- An ordinary view that definitions read: all sales of all channels.
CREATE VIEW all_sales AS
SELECT 'store' AS channel, id, sold_on, customer, item, quantity, price FROM store_sales
UNION ALL
SELECT 'web', id, (sold_at AT TIME ZONE 'UTC')::date, customer, item, quantity, price FROM web_sales
UNION ALL
SELECT 'catalog', id, sold_on, customer, item, quantity, price FROM catalog_sales;
