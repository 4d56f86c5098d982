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
	SELECT upkeep.register('by_region');
	SELECT upkeep.register('"By Country"');
	SELECT upkeep.register('by_hand', mode => 'manual');
	SELECT upkeep.register('"A chain"');
	SELECT upkeep.register('"A chain''s end"', mode => 'commit');
	INSERT INTO sale VALUES (21, 'north', 21, '2024-01-02 00:00Z');
});

my $views = q{SELECT view, mode, state FROM upkeep.views ORDER BY view::text};
my $wrong = q{SELECT count(*) FROM upkeep.views v, upkeep.verify(v.view)};
my $wrong_immediate = qq{$wrong WHERE v.mode <> 'manual'};
my $active = qq{"A chain"|immediate|active\n"A chain's end"|commit|active\n"By Country"|immediate|active\nby_hand|manual|active\nby_region|immediate|active};

sub check_restored
{
	my ($database, $how) = @_;
	is($node->safe_psql($database, $views), $active, "$how: the views are active");
	is($node->safe_psql($database, $wrong_immediate), '0', "$how: the views are right");
	$node->safe_psql($database, q{
		INSERT INTO sale VALUES (22, 'south', 22, '2024-01-03 00:00Z');
		UPDATE region SET country = 'C' WHERE name = 'south';
		SELECT upkeep.refresh('by_hand');
	});
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
	'--exclude-table-data="A chain"', q{--exclude-table-data="A chain's end"}, 'origin' ], 'partial dump');
$node->safe_psql('postgres', 'CREATE DATABASE part');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'part', '-f', "$dir/part.sql" ], 'restore');
is($node->safe_psql('part', q{SELECT state FROM upkeep.views WHERE view = 'by_region'::regclass}),
	'stale', 'a view that was not refreshed is not active');
$node->safe_psql('part', q{INSERT INTO sale VALUES (23, 'south', 23, '2024-01-03 00:00Z')});
is($node->psql('part', 'REFRESH MATERIALIZED VIEW "A chain"'), 3, 'nor can one that reads it be refreshed');
$node->safe_psql('part', q{
	REFRESH MATERIALIZED VIEW by_region;
	REFRESH MATERIALIZED VIEW "A chain";
	REFRESH MATERIALIZED VIEW "A chain's end";
});
check_restored('part', 'partial');

$node->stop;
done_testing();
