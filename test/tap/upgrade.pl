# pg_upgrade carries registered views over as they are: active, with their state, triggers and identity indexes.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = PostgreSQL::Test::Cluster->new('old');
$old->init;
$old->start;
$old->safe_psql('postgres', q{
	CREATE EXTENSION upkeep;
	CREATE FUNCTION twice(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 * 2; END';
	CREATE TABLE sale (id int PRIMARY KEY, region text, amount numeric, n int NOT NULL);
	INSERT INTO sale SELECT i, 'r' || i % 3, i / 3.0, i FROM generate_series(1, 20) i;
	CREATE MATERIALIZED VIEW by_region AS
		SELECT region, count(*) AS c, avg(amount) AS mean, sum(twice(n)) AS s FROM sale GROUP BY region;
	SELECT upkeep.register('by_region');
	CREATE TABLE log (day int, v int) PARTITION BY RANGE (day);
	CREATE TABLE log1 PARTITION OF log FOR VALUES FROM (0) TO (10);
	CREATE TABLE log2 (gone int, v int, day int);
	ALTER TABLE log2 DROP COLUMN gone;
	ALTER TABLE log ATTACH PARTITION log2 FOR VALUES FROM (10) TO (20);
	CREATE TABLE house (id int, v int);
	CREATE TABLE castle (towers int) INHERITS (house);
	INSERT INTO log VALUES (1, 1), (11, 11);
	INSERT INTO castle VALUES (1, 10, 4);
	CREATE MATERIALIZED VIEW by_day AS SELECT day, sum(v) AS v FROM log GROUP BY day;
	CREATE MATERIALIZED VIEW by_house AS SELECT id, sum(v) AS v FROM house GROUP BY id;
	SELECT upkeep.register('by_day'), upkeep.register('by_house');
	CREATE TYPE mood AS ENUM ('sad', 'glad');
	CREATE TABLE person (id int PRIMARY KEY, how mood, note text);
	INSERT INTO person SELECT i, 'sad', repeat('n', 3000) FROM generate_series(1, 10) i;
	CREATE MATERIALIZED VIEW moods AS SELECT how, count(*) AS n, sum(length(note)) AS l FROM person GROUP BY how;
	CREATE MATERIALIZED VIEW unbuilt AS SELECT count(*) AS n FROM person;
	SELECT upkeep.register('moods', 'deferred'), upkeep.refresh(), upkeep.register('unbuilt', 'deferred');
	INSERT INTO person VALUES (11, 'glad', 'new');
	UPDATE person SET how = 'glad' WHERE id < 4;
	DELETE FROM person WHERE id = 10;
});
$old->stop;

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;
my $bin = $old->config_data('--bindir');
chdir PostgreSQL::Test::Utils::tempdir;
command_ok(
	[
		'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $bin, '-B', $bin,
		'-s', $new->host, '-p', $old->port, '-P', $new->port
	],
	'pg_upgrade');

$new->start;
my $wrong = q{SELECT count(*) FROM upkeep.verify('by_region')};
is($new->safe_psql('postgres', 'SELECT view, mode, state FROM upkeep.views ORDER BY view::text'),
	"by_day|immediate|active\nby_house|immediate|active\nby_region|immediate|active\nmoods|deferred|active\nunbuilt|deferred|building",
	'the views are active');
# What was pending is still, and what was consumed is not consumed again.
is($new->safe_psql('postgres', q{SELECT pending FROM upkeep.views WHERE view = 'moods'::regclass}), '8', 'the log was carried over');
$new->safe_psql('postgres', q{INSERT INTO person VALUES (12, 'glad', 'newer')});
is($new->safe_psql('postgres', q{SELECT upkeep.refresh('moods')}), '9', 'a refresh goes on from the frontier');
is($new->safe_psql('postgres', q{SELECT upkeep.refresh(); SELECT * FROM moods ORDER BY how}), "0\nsad|6|18000\nglad|5|9008",
	'every change is in it once');
is($new->safe_psql('postgres', q{SELECT * FROM upkeep.verify('moods'); SELECT * FROM upkeep.verify('unbuilt')}), '', 'and right');
$new->safe_psql('postgres', q{
	INSERT INTO log VALUES (2, 2), (12, 12);
	INSERT INTO log2 (day, v) VALUES (13, 13);
	CREATE TABLE log3 PARTITION OF log DEFAULT;
	INSERT INTO log VALUES (30, 30);
	UPDATE house SET v = v + 1;
});
is($new->safe_psql('postgres', q{
	SELECT (SELECT count(*) FROM upkeep.verify('by_day')), (SELECT count(*) FROM upkeep.verify('by_house')),
		(SELECT sum(v) FROM by_day), (SELECT sum(v) FROM by_house)}),
	'0|0|69|11', 'views of partitions and children are kept up to date');
$new->safe_psql('postgres', q{INSERT INTO sale VALUES (21, 'r9', 1, 1); DELETE FROM sale WHERE id < 5;});
is($new->safe_psql('postgres', $wrong), '0', 'the view is kept up to date');

# OIDs of functions are new: what the view relies on is found again.
$new->safe_psql('postgres', q{
	CREATE OR REPLACE FUNCTION twice(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 * 20; END';
});
is($new->safe_psql('postgres', $wrong), '0', 'a changed function is noticed');
is($new->safe_psql('postgres', 'SELECT DISTINCT state FROM upkeep.views'), 'active', 'the views are still active');
$new->safe_psql('postgres', q{DROP MATERIALIZED VIEW by_region, by_day, by_house, moods, unbuilt});
is($new->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relnamespace = 'upkeep_data'::regnamespace}),
	'0', 'nothing stays behind');
$new->stop;
done_testing();
