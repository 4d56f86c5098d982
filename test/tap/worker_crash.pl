# Writers stream in, the worker follows; a worker, a writer, the postmaster are killed, a standby is promoted in the middle of
# it. Afterwards every view is right, and the ledger of what was committed says that nothing is lost or doubled.
use strict;
use warnings;

use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'upkeep'
max_worker_processes = 16
max_prepared_transactions = 20
restart_after_crash = on
client_min_messages = warning
log_statement = none
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION upkeep;
	CREATE TABLE t (id serial PRIMARY KEY, g int NOT NULL, x int NOT NULL);
	CREATE TABLE u (g int PRIMARY KEY, name text);
	INSERT INTO u SELECT i, 'n' || i FROM generate_series(1, 9) i;
	INSERT INTO t (g, x) SELECT i % 9 + 1, i FROM generate_series(1, 100) i;
	CREATE MATERIALIZED VIEW v AS SELECT g, count(*) AS n, sum(x) AS s, max(x) AS m FROM t GROUP BY g;
	CREATE MATERIALIZED VIEW w AS SELECT t.id, t.x, u.name FROM t LEFT JOIN u USING (g);
	CREATE MATERIALIZED VIEW top AS SELECT sum(n) AS n, sum(s) AS s FROM v;
	CREATE MATERIALIZED VIEW c AS SELECT g, sum(x) AS s FROM t GROUP BY g;
	SELECT upkeep.register('v', 'deferred'), upkeep.register('w', 'deferred', max_staleness => '50 ms');
	SELECT upkeep.register('top', 'deferred'), upkeep.register('c', 'commit')});

sub is_right
{
	my ($server, $what) = @_;
	foreach my $view (qw(v w top))
	{
		is($server->safe_psql('postgres', "SELECT upkeep.wait('$view', '120 s')"), 't', "$what: $view is up to date");
	}
	foreach my $view (qw(v w top c))
	{
		is($server->safe_psql('postgres', "SELECT count(*) FROM upkeep.verify('$view')"), '0', "$what: $view is right");
	}
	is($server->safe_psql('postgres', 'SELECT (SELECT n FROM top) = count(*) FROM t'), 't', "$what: every row once");
}

is_right($node, 'built');

my $script = PostgreSQL::Test::Utils::tempdir() . '/writer.sql';
append_to_file($script, q{
\set g random(1, 9)
\set h random(1, 9)
\set end random(1, 10)
BEGIN;
INSERT INTO t (g, x) SELECT :g, i FROM generate_series(1, 3) i;
SAVEPOINT a;
UPDATE t SET x = x + 1, g = :h WHERE id IN (SELECT id FROM t ORDER BY id DESC LIMIT 2 FOR UPDATE SKIP LOCKED);
\if :end > 6
ROLLBACK TO a;
\endif
DELETE FROM t WHERE id IN (SELECT id FROM t WHERE g = :h ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED);
\if :end > 8
ROLLBACK;
\else
COMMIT;
\endif
});

sub writers
{
	my $seconds = shift;
	my ($out, $err) = ('', '');
	return start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-c', 3, '-j', 1, '-T', $seconds,
			'--max-tries', 100, '-f', $script, 'postgres' ], '<', \undef, '>', \$out, '2>', \$err);
}

sub is_streaming
{
	my $last = $node->safe_psql('postgres', 'SELECT max(id) FROM t');
	ok($node->poll_query_until('postgres', "SELECT max(id) > $last + 30 FROM t"), 'rows come');
}

sub pid_of
{
	return $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE datname = 'postgres' AND " . shift . ' LIMIT 1');
}

# A worker is terminated in the middle, again and again: writers go on.
my $bench = writers(4);
is_streaming();
foreach (1 .. 5)
{
	$node->safe_psql('postgres',
		q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type IN ('upkeep worker', 'upkeep builder')});
	$node->safe_psql('postgres', 'SELECT pg_sleep(0.2)');
}
ok(finish($bench), 'no writer has noticed');
is_right($node, 'after workers were terminated');

# kill -9 of a worker, and of a writer: the server starts all its processes again.
foreach my $victim (q{backend_type = 'upkeep worker'}, q{backend_type = 'client backend' AND pid <> pg_backend_pid() AND xact_start IS NOT NULL})
{
	$bench = writers(60);
	is_streaming();
	my $pid;
	foreach (1 .. 1000) { last if $pid = pid_of($victim) }
	kill 'KILL', $pid;
	finish($bench);
	ok($node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'upkeep worker'}),
		'there again');
	is_right($node, 'after kill -9');
}

# The server itself.
$bench = writers(60);
is_streaming();
$node->safe_psql('postgres', 'SELECT pg_sleep(0.5)');
$node->stop('immediate');
finish($bench);
$node->start;
is_right($node, 'after a crash');

# A standby: its views can be read, its workers sleep; promoted in the middle of the stream it goes on by itself.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'upkeep %'}), '0',
	'workers sleep');
$bench = writers(60);
is_streaming();
$node->safe_psql('postgres', 'SELECT pg_sleep(0.5)');
ok($standby->safe_psql('postgres', 'SELECT count(*) FROM v') > 0, 'views are read there');
$node->stop('immediate');
finish($bench);
$standby->promote;
ok($standby->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'upkeep worker'}), 'a worker after promotion');
is_right($standby, 'promoted');
$standby->safe_psql('postgres', 'INSERT INTO t (g, x) VALUES (1, 1)');
is_right($standby, 'and on');
$standby->stop;

done_testing();
