# A change log that cannot be written (a file that may not grow stands for a full disk): the statement fails as a whole,
# the view misses nothing. Segments rotate under a load, beside a prepared transaction.
use strict;
use warnings;

use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => ['--wal-segsize=1']);
$node->append_conf('postgresql.conf', "max_prepared_transactions = 5\nclient_min_messages = warning\nautovacuum = off\nlock_timeout = 60s");
$node->start;
# Each partition stays small where the log of the root, which gets the rows of all, does not.
$node->safe_psql('postgres', q{
	CREATE EXTENSION upkeep;
	CREATE TABLE t (id int, g int, big text) PARTITION BY HASH (id);
	SELECT format('CREATE TABLE t%s PARTITION OF t FOR VALUES WITH (MODULUS 8, REMAINDER %s)', i, i) FROM generate_series(0, 7) i \gexec
	CREATE MATERIALIZED VIEW v AS SELECT g, count(*) AS n, max(length(big)) AS l FROM t GROUP BY g;
	CREATE MATERIALIZED VIEW now AS SELECT g, count(*) AS n FROM t GROUP BY g;
	SELECT upkeep.register('v', 'deferred'), upkeep.register('now');
	SELECT upkeep.refresh()});
my $wrong = q{SELECT v.view, d.* FROM upkeep.views v, upkeep.verify(v.view) d};

sub is_right
{
	my $what = shift;
	$node->safe_psql('postgres', 'SELECT upkeep.refresh()');
	is($node->safe_psql('postgres', $wrong), '', "$what: right");
	is($node->safe_psql('postgres', 'SELECT DISTINCT state FROM upkeep.views'), 'active', "$what: active");
}

my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
sub limit_files { return system_log('prlimit', '--pid', $postmaster, "--fsize=$_[0]:") }

SKIP:
{
	skip 'prlimit does not do here', 9 if limit_files(4 * 1024 * 1024) != 0;
	my $fill = q{INSERT INTO t SELECT i, i % 3, repeat('x', 1900) FROM generate_series(%d, %d) i};
	$node->safe_psql('postgres', sprintf($fill, 1, 1000));
	my ($code, $out, $err) = $node->psql('postgres', sprintf($fill, 1001, 3000));
	like($err, qr/could not (extend|write)/, 'the log cannot grow');
	is($node->safe_psql('postgres', 'SELECT count(*), max(id) FROM t'), '1000|1000', 'the statement has changed nothing');
	is($node->safe_psql('postgres', q{SELECT state, pending FROM upkeep.views WHERE view = 'v'::regclass}), 'active|1000', 'nor has it logged anything');
	is($node->safe_psql('postgres', q{SELECT sum(n) FROM now}), '1000', 'nor does an immediate view show anything of it');
	# In a subtransaction; what comes before it stays.
	$node->safe_psql('postgres', q{
		DO $$ BEGIN
			INSERT INTO t VALUES (5001, 1, 'before');
			BEGIN
				INSERT INTO t SELECT i, i % 3, repeat('x', 1900) FROM generate_series(1001, 3000) i;
			EXCEPTION WHEN OTHERS THEN RAISE DEBUG '%', SQLERRM;
			END;
		END $$});
	is($node->safe_psql('postgres', q{SELECT pending FROM upkeep.views WHERE view = 'v'::regclass}), '1001', 'after an error that was caught');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), '1001', 'its rows are not there');
	is($node->safe_psql('postgres', 'SELECT upkeep.refresh()'), '1001', 'a refresh takes the others');
	limit_files('unlimited');
	$node->safe_psql('postgres', 'DELETE FROM t WHERE id < 10');
	is_right('after errors');
}

# Writers whose rows make the segments rotate; a prepared transaction, of a group of its own, keeps one of them.
$node->safe_psql('postgres', q{BEGIN; INSERT INTO t VALUES (9001, 9, 'prepared'); PREPARE TRANSACTION 'one'});
my $dir = PostgreSQL::Test::Utils::tempdir();
append_to_file("$dir/writer.sql", q{
\set id random(10000, 1000000)
INSERT INTO t SELECT :id + i, i % 3, repeat('y', 1900) FROM generate_series(1, 200) i;
DELETE FROM t WHERE id BETWEEN :id AND :id + 150;
});
append_to_file("$dir/refresher.sql", "SELECT upkeep.refresh();\n");

sub bench
{
	my ($script, $clients, $seconds) = @_;
	my ($out, $err) = ('', '');
	return start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-c', $clients, '-j', 1, '-T', $seconds,
			'--max-tries', 100, '-f', "$dir/$script.sql", 'postgres' ], '<', \undef, '>', \$out, '2>', \$err);
}
my @runs = (bench('writer', 2, 4), bench('refresher', 2, 4));
finish $_ for @runs;
is_right('after a stream');
my $segments = q{SELECT count(*) FROM upkeep.log, unnest(ARRAY[segment1, segment2, segment3]) s (segment)
	WHERE relation = 't'::regclass AND pg_relation_size(segment) > 0};
$node->restart;
$node->safe_psql('postgres', q{COMMIT PREPARED 'one'});
is($node->safe_psql('postgres', q{SELECT pending FROM upkeep.views WHERE view = 'v'::regclass}), '1', 'what was prepared is still in the log');
is_right('after COMMIT PREPARED');
$node->safe_psql('postgres', 'SELECT upkeep.refresh()');
cmp_ok($node->safe_psql('postgres', $segments), '<=', 1, 'no segment but the current one is kept');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|signal 11|signal 6/, 'no process crashed');
$node->stop;

done_testing();
