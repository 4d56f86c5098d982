# A dump restores registered views without a step by hand: REFRESH, which every restore ends with, activates them.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE origin');
$node->safe_psql('origin', q{
	CREATE EXTENSION upkeep;
	CREATE TABLE sale (id int PRIMARY KEY, region text, amount numeric(10, 2), at timestamptz);
	CREATE TABLE region (name text PRIMARY KEY, country text);
	INSERT INTO region VALUES ('north', 'A'), ('south', 'B');
	INSERT INTO sale SELECT i, CASE WHEN i % 2 = 0 THEN 'north' ELSE 'south' END, i, '2024-01-01 00:00Z'
	FROM generate_series(1, 20) i;
	CREATE TABLE log (day int, v int, made int GENERATED ALWAYS AS (v * 2) STORED) PARTITION BY RANGE (day);
	CREATE TABLE log1 PARTITION OF log FOR VALUES FROM (0) TO (10);
	CREATE TABLE log2 (v int, made int GENERATED ALWAYS AS (v * 2) STORED, day int);
	ALTER TABLE log ATTACH PARTITION log2 FOR VALUES FROM (10) TO (20);
	INSERT INTO log VALUES (1, 1), (11, 11);
	CREATE TABLE house (id int, v int);
	CREATE TABLE castle (towers int) INHERITS (house);
	INSERT INTO house VALUES (1, 1);
	INSERT INTO castle VALUES (1, 10, 4);
	CREATE TABLE part (k int, v int) PARTITION BY LIST (k);
	CREATE TABLE part1 PARTITION OF part FOR VALUES IN (1, 2);
	CREATE MATERIALIZED VIEW by_day AS SELECT day, sum(made) AS v FROM log GROUP BY day;
	CREATE MATERIALIZED VIEW by_house AS SELECT id, sum(v) AS v FROM house GROUP BY id;
	CREATE MATERIALIZED VIEW by_part AS SELECT k, count(*) AS n FROM part GROUP BY k;
	CREATE MATERIALIZED VIEW by_region AS SELECT region, count(*) AS n, avg(amount) AS mean FROM sale GROUP BY region;
	CREATE MATERIALIZED VIEW "By Country" AS
		SELECT r.country, sum(s.amount) AS total FROM sale s JOIN region r ON r.name = s.region GROUP BY r.country;
	CREATE MATERIALIZED VIEW by_hand AS SELECT region FROM sale;
	-- views of views, whose names sort before those that they read
	CREATE VIEW busy AS SELECT * FROM by_region WHERE n > 1;
	CREATE MATERIALIZED VIEW "A chain" AS
		SELECT r.country, sum(b.n) AS n, max(b.mean) AS best FROM busy b JOIN region r ON r.name = b.region GROUP BY r.country;
	CREATE MATERIALIZED VIEW "A chain's end" AS
		SELECT a.country, a.n, c.total, (SELECT count(*) FROM by_hand) AS by_hand
		FROM "A chain" a LEFT JOIN "By Country" c ON c.country = a.country;
	CREATE MATERIALIZED VIEW later AS SELECT region, max(amount) AS most, count(*) AS n FROM sale GROUP BY region;
	CREATE MATERIALIZED VIEW "later by day" AS SELECT day, sum(made) AS v FROM log GROUP BY day;
	SELECT upkeep.register('by_region');
	SELECT upkeep.register('later', 'deferred', max_staleness => '1 s'), upkeep.register('"later by day"', 'deferred'), upkeep.refresh();
	CREATE MATERIALIZED VIEW "A reader of later" AS SELECT n, count(*) AS regions FROM later GROUP BY n;
	SELECT upkeep.register('"A reader of later"', 'deferred'), upkeep.refresh();
	SELECT upkeep.register('by_day');
	SELECT upkeep.register('by_house');
	SELECT upkeep.register('by_part');
	SELECT upkeep.register('"By Country"');
	SELECT upkeep.register('by_hand', mode => 'manual');
	SELECT upkeep.register('"A chain"');
	SELECT upkeep.register('"A chain''s end"', mode => 'commit');
	INSERT INTO sale VALUES (21, 'north', 21, '2024-01-02 00:00Z'); -- pending for deferred views
});

my $views = q{SELECT view, mode, state FROM upkeep.views ORDER BY view::text};
my $wrong = q{SELECT count(*) FROM upkeep.views v, upkeep.verify(v.view)};
my $wrong_immediate = qq{$wrong WHERE v.mode <> 'manual'};
my $wrong_at_once = qq{$wrong WHERE v.mode NOT IN ('manual', 'deferred')};
my $active = qq{"A chain"|immediate|active\n"A chain's end"|commit|active\n"A reader of later"|deferred|active\n"By Country"|immediate|active\n}
	. qq{"later by day"|deferred|active\nby_day|immediate|active\nby_hand|manual|active\nby_house|immediate|active\nby_part|immediate|active\n}
	. qq{by_region|immediate|active\nlater|deferred|active};

sub check_restored
{
	my ($database, $how) = @_;
	is($node->safe_psql($database, $views), $active, "$how: the views are active");
	$node->safe_psql($database, 'SELECT upkeep.refresh()') if $how eq 'template'; # its deferred views are as far as those of the origin
	is($node->safe_psql($database, $wrong_immediate), '0', "$how: the views are right");
	is($node->safe_psql($database, q{SELECT sum(pending) FROM upkeep.views WHERE mode = 'deferred'}), '0', "$how: nothing is pending");
	is($node->safe_psql($database, q{SELECT max_staleness FROM upkeep.registration WHERE view = 'later'::regclass}), '00:00:01',
		"$how: options are restored");
	$node->safe_psql($database, q{
		INSERT INTO sale VALUES (22, 'south', 22, '2024-01-03 00:00Z');
		UPDATE region SET country = 'C' WHERE name = 'south';
		INSERT INTO log VALUES (2, 2), (12, 12);
		INSERT INTO log2 (day, v) VALUES (13, 13);
		UPDATE house SET v = v + 1;
		INSERT INTO part VALUES (1, 1);
		INSERT INTO part1 VALUES (2, 2);
		SELECT upkeep.refresh('by_hand');
	});
	is($node->safe_psql($database, q{SELECT view, pending FROM upkeep.views WHERE mode = 'deferred' ORDER BY view::text}),
		qq{"A reader of later"|0\n"later by day"|3\nlater|1}, "$how: changes are logged");
	is($node->safe_psql($database, $wrong_at_once), '0', "$how: views that writers maintain are kept up to date");
	is($node->safe_psql($database, 'SELECT upkeep.refresh() > 0'), 't', "$how: deferred views are refreshed");
	is($node->safe_psql($database, $wrong), '0', "$how: the views are kept up to date");
	is($node->safe_psql($database, q{SELECT count(*) FROM "By Country" WHERE country = 'C'}),
		'1', "$how: a change has arrived");
}

my $dir = PostgreSQL::Test::Utils::tempdir;
$node->command_ok([ 'pg_dump', '-f', "$dir/dump.sql", 'origin' ], 'pg_dump');
unlike(slurp_file("$dir/dump.sql"), qr/upkeep_data/, 'state tables are not in the dump');
$node->safe_psql('postgres', 'CREATE DATABASE plain');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'plain', '-f', "$dir/dump.sql" ], 'restore');
check_restored('plain', 'plain');

$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/dump.custom", 'origin' ], 'pg_dump -Fc');
$node->safe_psql('postgres', 'CREATE DATABASE parallel');
$node->command_ok([ 'pg_restore', '-e', '-j', '2', '-d', 'parallel', "$dir/dump.custom" ], 'pg_restore -j 2');
check_restored('parallel', 'parallel');

# A copy of the database as files needs no activation at all.
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE origin');
check_restored('copy', 'template');

# Without its data, a view waits for its REFRESH.
$node->command_ok([ 'pg_dump', '-f', "$dir/part.sql", '--exclude-table-data=by_region',
	'--exclude-table-data="A chain"', '--exclude-table-data=later', '--exclude-table-data="A reader of later"', q{--exclude-table-data="A chain's end"}, 'origin' ], 'partial dump');
$node->safe_psql('postgres', 'CREATE DATABASE part');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'part', '-f', "$dir/part.sql" ], 'restore');
is($node->safe_psql('part', q{SELECT state FROM upkeep.views WHERE view = 'by_region'::regclass}),
	'stale', 'a view that was not refreshed is not active');
is($node->safe_psql('part', q{SELECT state, pending FROM upkeep.views WHERE view = 'later'::regclass}), 'stale|', 'nor is a deferred one');
$node->safe_psql('part', q{INSERT INTO sale VALUES (23, 'south', 23, '2024-01-03 00:00Z')});
is($node->psql('part', 'REFRESH MATERIALIZED VIEW "A chain"'), 3, 'nor can one that reads it be refreshed');
$node->safe_psql('part', q{
	REFRESH MATERIALIZED VIEW by_region;
	REFRESH MATERIALIZED VIEW "A chain";
	REFRESH MATERIALIZED VIEW "A chain's end";
	REFRESH MATERIALIZED VIEW later;
	REFRESH MATERIALIZED VIEW "A reader of later";
});
check_restored('part', 'partial');

$node->stop;
done_testing();
