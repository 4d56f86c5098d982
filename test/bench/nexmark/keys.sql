ALTER TABLE person ADD PRIMARY KEY (id);
ALTER TABLE auction ADD PRIMARY KEY (id);
ALTER TABLE side_input ADD PRIMARY KEY (key);
CREATE INDEX ON auction (seller);
CREATE INDEX ON bid (auction);
CREATE INDEX ON bid (bidder);
CREATE INDEX ON bid (date_time);
CREATE INDEX ON bid (mod(auction, 10000));
CREATE INDEX ON bid (date_bin('10 seconds', date_time, '2024-01-01'));
