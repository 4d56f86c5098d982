CREATE TABLE person (
    id bigint NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    credit_card text NOT NULL,
    city text NOT NULL,
    state text NOT NULL,
    date_time timestamp(3) NOT NULL,
    extra text NOT NULL
);

CREATE TABLE auction (
    id bigint NOT NULL,
    item_name text NOT NULL,
    description text NOT NULL,
    initial_bid bigint NOT NULL,
    reserve bigint NOT NULL,
    date_time timestamp(3) NOT NULL,
    expires timestamp(3) NOT NULL,
    seller bigint NOT NULL,
    category bigint NOT NULL,
    extra text NOT NULL
);

-- Bids have no key: two equal rows are two bids.
CREATE TABLE bid (
    auction bigint NOT NULL,
    bidder bigint NOT NULL,
    price bigint NOT NULL,
    channel text NOT NULL,
    url text NOT NULL,
    date_time timestamp(3) NOT NULL,
    extra text NOT NULL
);

CREATE TABLE side_input (
    key bigint NOT NULL,
    value text NOT NULL
);

CREATE FUNCTION count_char(text, "char") RETURNS bigint
    LANGUAGE sql IMMUTABLE AS
$$ SELECT length($1) - length(replace($1, $2::text, '')) $$;
