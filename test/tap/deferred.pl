# Deferred views through prepared transactions, a crash in mid-stream, and concurrent refreshes: nothing is lost or
# counted twice.
use strict;
use warnings;

use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "max_prepared_transactions = 20\nclient_min_messages = warning");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION upkeep;
	CREATE TABLE t (id serial PRIMARY KEY, g int NOT NULL, x int NOT NULL);
	CREATE TABLE u (g int PRIMARY KEY, name text);
	INSERT INTO u SELECT i, 'n' || i FROM generate_series(1, 9) i;
	CREATE MATERIALIZED VIEW v AS SELECT g, count(*) AS n, sum(x) AS s FROM t GROUP BY g;
	CREATE MATERIALIZED VIEW w AS SELECT t.id, t.x, u.name FROM t LEFT JOIN u USING (g);
	CREATE MATERIALIZED VIEW c AS SELECT g, sum(x) AS s, max(x) AS m FROM t GROUP BY g;
	SELECT upkeep.register('v', 'deferred'), upkeep.register('w', 'deferred'), upkeep.register('c', 'commit')});
$node->safe_psql('postgres', 'SELECT upkeep.refresh()');

my $wrong = q{SELECT count(*) FROM (SELECT * FROM upkeep.verify('v') UNION ALL SELECT * FROM upkeep.verify('w')
	UNION ALL SELECT * FROM upkeep.verify('c')) d};

sub is_right
{
	my $what = shift;
	$node->safe_psql('postgres', 'SELECT upkeep.refresh()');
	is($node->safe_psql('postgres', $wrong), '0', $what);
}

# A prepared transaction outlives refreshes and a crash.
$node->safe_psql('postgres', q{
	BEGIN; INSERT INTO t (g, x) VALUES (1, 10), (2, 20); SAVEPOINT a; DELETE FROM t WHERE g = 2; RELEASE a;
	INSERT INTO t (g, x) VALUES (3, 30); PREPARE TRANSACTION 'one'});
$node->safe_psql('postgres', q{INSERT INTO t (g, x) VALUES (5, 11), (4, 40)});
is_right('beside a prepared transaction');
$node->stop('immediate');
$node->start;
is_right('after a crash');
$node->safe_psql('postgres', q{COMMIT PREPARED 'one'});
is($node->safe_psql('postgres', q{SELECT upkeep.wait('v', '10 ms')}), 'f', 'what was prepared is pending');
is_right('after COMMIT PREPARED');
is($node->safe_psql('postgres', q{SELECT string_agg(g || ':' || s, ' ' ORDER BY g) FROM v}), '1:10 3:30 4:40 5:11',
	'every row is there once');

# Writers with savepoints and rollbacks, and refreshes, at the same time; the server is killed in the middle.
my $writer = PostgreSQL::Test::Utils::tempdir() . '/writer.sql';
append_to_file($writer, q{
\set g random(1, 9)
\set h random(1, 9)
\set end random(1, 10)
BEGIN;
INSERT INTO t (g, x) SELECT :g, i FROM generate_series(1, 3) i;
SAVEPOINT a;
UPDATE t SET x = x + 1, g = :h WHERE id IN (SELECT id FROM t ORDER BY id DESC LIMIT 2 FOR UPDATE SKIP LOCKED);
\if :end > 5
ROLLBACK TO a;
\endif
DELETE FROM t WHERE id IN (SELECT id FROM t WHERE g = :h ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED);
\if :end > 8
ROLLBACK;
\else
COMMIT;
\endif
});
my $refresher = PostgreSQL::Test::Utils::tempdir() . '/refresher.sql';
append_to_file($refresher, "SELECT upkeep.refresh();\n");

sub bench
{
	my ($script, $clients, $seconds) = @_;
	my ($out, $err) = ('', '');
	return start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-c', $clients, '-j', 1, '-T', $seconds,
			'--max-tries', 100, '-f', $script, 'postgres' ], '<', \undef, '>', \$out, '2>', \$err);
}

my @runs = (bench($writer, 3, 3), bench($refresher, 2, 3));
finish $_ for @runs;
is_right('after a stream of changes and refreshes');
ok($node->safe_psql('postgres', 'SELECT count(*) FROM t') > 0, 'there were changes');

@runs = (bench($writer, 3, 20), bench($refresher, 2, 20));
sleep 2;
$node->stop('immediate');
finish $_ for @runs;
$node->start;
is_right('after a crash in mid-stream');
is($node->safe_psql('postgres', 'SELECT upkeep.refresh()'), '0', 'nothing is pending any more');

# Everything goes on from the frontier after a restart.
$node->safe_psql('postgres', q{INSERT INTO t (g, x) VALUES (7, 7)});
$node->restart;
is($node->safe_psql('postgres', 'SELECT upkeep.refresh()'), '2', 'two views consume one row each');
is_right('after a restart');
$node->stop;

done_testing();
