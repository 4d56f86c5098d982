# The background: a worker finds its database, refreshes deferred views when a writer commits, survives what befalls it, and
# is in nobody's way.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'upkeep'
max_prepared_transactions = 20
max_worker_processes = 16
client_min_messages = warning
restart_after_crash = on
});
$node->start;

sub sql { return $node->safe_psql('postgres', shift); }

sub processes
{
	my ($type, $database) = @_;
	$database //= 'postgres';
	return "SELECT count(*) FROM pg_stat_activity WHERE backend_type = '$type' AND datname = '$database'";
}

sub waits_for
{
	my ($query, $expected, $what) = @_;
	ok($node->poll_query_until('postgres', $query, $expected), $what);
}

sub is_right
{
	my ($what, @views) = @_;
	foreach my $view (@views)
	{
		is(sql("SELECT upkeep.wait('$view', '60 s')"), 't', "$what: $view is up to date");
		is(sql("SELECT count(*) FROM upkeep.verify('$view')"), '0', "$what: $view is right");
	}
}

# The launcher is there from the start, a worker once there is an extension.
is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'upkeep launcher'}), '1', 'launcher');
is(sql(processes('upkeep worker')), '0', 'no worker without the extension');
sql('CREATE EXTENSION upkeep');
waits_for(processes('upkeep worker'), '1', 'CREATE EXTENSION brings a worker');

sql(q{
	CREATE TABLE t (id serial PRIMARY KEY, g int NOT NULL, x int);
	CREATE TABLE u (g int PRIMARY KEY, name text);
	INSERT INTO u SELECT i, 'n' || i FROM generate_series(1, 9) i;
	INSERT INTO t (g, x) SELECT i % 9 + 1, i FROM generate_series(1, 1000) i;
	CREATE MATERIALIZED VIEW v AS SELECT g, count(*) AS n, sum(x) AS s FROM t GROUP BY g;
	CREATE MATERIALIZED VIEW w AS SELECT t.id, t.x, u.name FROM t LEFT JOIN u USING (g);
	SELECT upkeep.register('v', 'deferred'), upkeep.register('w', 'deferred', max_staleness => '100 ms')});
is_right('built', 'v', 'w');
is(sql(q{SELECT string_agg(state, ' ' ORDER BY view::text) FROM upkeep.views}), 'active active', 'active');

# Nobody calls refresh() from here on.
sql('INSERT INTO t (g, x) VALUES (1, 5), (2, NULL)');
is_right('INSERT', 'v', 'w');
sql(q{UPDATE u SET name = 'one' WHERE g = 1});
is_right('UPDATE', 'v', 'w');
sql('TRUNCATE u');
is_right('TRUNCATE', 'v', 'w');
sql(q{BEGIN; INSERT INTO t (g, x) VALUES (3, 7); PREPARE TRANSACTION 'p'});
is_right('beside a prepared transaction', 'v');
sql(q{COMMIT PREPARED 'p'});
waits_for(q{SELECT n > 0 FROM (SELECT count(*) AS n FROM w JOIN t USING (id) WHERE t.g = 3 AND w.x = 7) q}, 't',
	'COMMIT PREPARED wakes the worker');
is_right('COMMIT PREPARED', 'v', 'w');

# A view above another, in one transaction.
sql(q{
	CREATE MATERIALIZED VIEW top AS SELECT max(n) AS most, sum(s) AS all_of_it FROM v;
	SELECT upkeep.register('top', 'deferred')});
is_right('above', 'top');
sql('DELETE FROM t WHERE g = 4');
is_right('a change below', 'v', 'top');

# every: on its period, not before; somebody who waits is served at once.
sql(q{
	CREATE MATERIALIZED VIEW hourly AS SELECT count(*) AS n FROM t;
	SELECT upkeep.register('hourly', 'deferred', every => '1 hour')});
is_right('built', 'hourly');
sql('INSERT INTO t (g, x) VALUES (5, 5)');
is_right('another of its table', 'v');
is(sql(q{SELECT pending FROM upkeep.views WHERE view = 'hourly'::regclass}), '1', 'its period is not over');
is_right('awaited', 'hourly');

# Paused: changes wait in the log.
$node->append_conf('postgresql.conf', 'upkeep.paused = on');
$node->reload;
waits_for(q{SELECT current_setting('upkeep.paused')}, 'on', 'paused');
sql('SELECT pg_sleep(0.2)'); # the worker has read it, too, or refreshes once more
sql('INSERT INTO t (g, x) VALUES (6, 6)');
is(sql(q{SELECT upkeep.wait('v', '300 ms')}), 'f', 'nothing happens');
is(sql(q{SELECT upkeep.refresh('w')}), '1', 'by hand it does');
$node->append_conf('postgresql.conf', 'upkeep.paused = off');
$node->reload;
is_right('resumed', 'v', 'w');

# A view that fails holds up nobody, says why, and recovers.
sql(q{
	CREATE MATERIALIZED VIEW fragile AS SELECT id, 100 / x AS y FROM t WHERE x IS NOT NULL;
	SELECT upkeep.register('fragile', 'deferred')});
is_right('built', 'fragile');
sql('INSERT INTO t (g, x) VALUES (7, 0)');
is_right('beside one that fails', 'v', 'w');
waits_for(q{SELECT state || ': ' || why FROM upkeep.views WHERE view = 'fragile'::regclass}, 'failed: division by zero',
	'it says why');
sql('INSERT INTO t (g, x) VALUES (7, 1)');
is_right('again beside it', 'v', 'w');
sql('DELETE FROM t WHERE x = 0');
is_right('the cause is gone', 'fragile');
is(sql(q{SELECT state FROM upkeep.views WHERE view = 'fragile'::regclass}), 'active', 'it has recovered');

# One that fails above another does not hold up that one.
sql(q{
	CREATE MATERIALIZED VIEW above AS SELECT g, 1 / (n - 1) AS y FROM v;
	SELECT upkeep.register('above', 'deferred')});
is_right('built', 'above');
sql('INSERT INTO t (g, x) VALUES (100, 1)');
is_right('below one that fails', 'v', 'top');
waits_for(q{SELECT state FROM upkeep.views WHERE view = 'above'::regclass}, 'failed', 'it has failed');
sql('INSERT INTO t (g, x) VALUES (100, 2), (101, 3), (101, 4)');
is_right('recovered', 'above', 'v');
sql(q{SELECT upkeep.unregister('above'), upkeep.unregister('fragile')});
sql('DROP MATERIALIZED VIEW above, fragile');

# A stale view of mode immediate is made right again.
sql(q{
	CREATE TABLE k (a int);
	CREATE MATERIALIZED VIEW i AS SELECT a, count(*) AS n FROM k GROUP BY a;
	SELECT upkeep.register('i');
	ALTER TABLE k SET UNLOGGED});
is(sql(q{SELECT state FROM upkeep.views WHERE view = 'i'::regclass}), 'stale', 'stale');
sql('INSERT INTO k VALUES (1)');
sql('ALTER TABLE k SET LOGGED');
waits_for(q{SELECT state FROM upkeep.views WHERE view = 'i'::regclass}, 'active', 'the worker makes it active');
is(sql(q{SELECT count(*) FROM upkeep.verify('i')}), '0', 'and right');
sql(q{REFRESH MATERIALIZED VIEW i WITH NO DATA});
sql('INSERT INTO k VALUES (1)');
is_right('meanwhile', 'v');
is(sql(q{SELECT relispopulated FROM pg_class WHERE oid = 'i'::regclass}), 'f', 'one that is suspended stays so');

# Another worker comes when one is terminated; the launcher, too.
my $pid = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'upkeep worker' AND datname = 'postgres'});
sql("SELECT pg_terminate_backend($pid)");
waits_for(processes('upkeep worker') . " AND pid <> $pid", '1', 'another worker');
sql('INSERT INTO t (g, x) VALUES (8, 8)');
is_right('by another worker', 'v', 'w');
sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'upkeep launcher'});
waits_for(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'upkeep launcher'}, '1', 'another launcher');
$pid = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'upkeep worker' AND datname = 'postgres'});
sql("SELECT pg_terminate_backend($pid)");
waits_for(processes('upkeep worker') . " AND pid <> $pid", '1', 'it starts workers as well');
is_right('after all that', 'v', 'w');

# In nobody's way: a database that is copied, renamed, dropped.
sql('CREATE DATABASE copy TEMPLATE postgres');
waits_for(processes('upkeep worker', 'copy'), '1', 'a copy has a worker');
waits_for(processes('upkeep worker'), '1', 'the original again, too');
$node->safe_psql('copy', 'INSERT INTO t (g, x) VALUES (1, 1)');
is($node->safe_psql('copy', q{SELECT upkeep.wait('v', '60 s')}), 't', 'which serves it');
is($node->safe_psql('copy', q{SELECT count(*) FROM upkeep.verify('v')}), '0', 'right');
sql('ALTER DATABASE copy RENAME TO moved');
waits_for(processes('upkeep worker', 'moved'), '1', 'a renamed one');
sql('DROP DATABASE moved');
is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'upkeep worker'}), '1', 'a dropped one');
sql('CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION upkeep');
waits_for(processes('upkeep worker', 'other'), '1', 'another database');
$node->safe_psql('other', 'DROP EXTENSION upkeep');
waits_for(processes('upkeep worker', 'other'), '0', 'DROP EXTENSION sends it away');

# What a refresh would compute anew, and for long, goes to a builder, and the worker goes on with the others.
sql(q{
	CREATE TABLE large (id int PRIMARY KEY, g int NOT NULL);
	INSERT INTO large SELECT i, i % 7 FROM generate_series(1, 20000) i;
	CREATE MATERIALIZED VIEW counted AS SELECT g, count(*) AS n FROM large GROUP BY g;
	SELECT upkeep.register('counted', 'deferred', max_staleness => '0')});
is_right('built', 'counted');
waits_for(processes('upkeep builder'), '0', 'its builder has gone');
my $seen = -s $node->logfile;
$node->append_conf('postgresql.conf', "cpu_tuple_cost = 1\nlog_min_messages = debug1"); # all takes a hundred times as long
$node->reload;
sql('BEGIN; UPDATE large SET g = g + 1; UPDATE large SET g = g + 1; UPDATE large SET g = g + 1; COMMIT');
is_right('all has changed', 'counted');
like(slurp_file($node->logfile, $seen), qr/starting background worker process "upkeep builder"/, 'by a builder');
waits_for(processes('upkeep builder'), '0', 'which has gone');
$seen = -s $node->logfile;
sql('UPDATE large SET g = g + 1 WHERE id <= 10');
is_right('little has changed', 'counted');
unlike(slurp_file($node->logfile, $seen), qr/"upkeep builder"/, 'by the worker');
$node->append_conf('postgresql.conf', "cpu_tuple_cost = 0.01\nlog_min_messages = warning");
$node->reload;

# Fewer processes than databases: they take turns.
$node->append_conf('postgresql.conf', 'upkeep.max_workers = 1');
$node->reload;
$node->safe_psql('other', q{
	CREATE EXTENSION upkeep;
	CREATE TABLE t (x int);
	CREATE MATERIALIZED VIEW v AS SELECT sum(x) AS s FROM t;
	SELECT upkeep.register('v', 'deferred')});
is($node->safe_psql('other', q{SELECT upkeep.wait('v', '60 s')}), 't', 'one of two');
sql('INSERT INTO t (g, x) VALUES (9, 9)');
is_right('the other one', 'v', 'w');
$node->safe_psql('other', 'INSERT INTO t VALUES (1)');
is($node->safe_psql('other', q{SELECT upkeep.wait('v', '60 s')}), 't', 'and back');
is($node->safe_psql('other', 'SELECT s FROM v'), '1', 'with what was written');
$node->append_conf('postgresql.conf', 'upkeep.max_workers = 4');
$node->reload;

# After a crash of the server, and of a worker.
sql('INSERT INTO t (g, x) VALUES (1, 11)');
$node->stop('immediate');
$node->start;
is_right('after a crash', 'v', 'w', 'top');
waits_for(processes('upkeep worker'), '1', 'a worker');
sql('INSERT INTO t (g, x) VALUES (2, 22)');
$pid = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'upkeep worker' AND datname = 'postgres'});
kill 'KILL', $pid;
ok($node->poll_query_until('postgres', processes('upkeep worker') . " AND pid <> $pid", '1'), 'killed, and there again');
is_right('after kill -9 of the worker', 'v', 'w', 'top');

$node->stop;
done_testing();
