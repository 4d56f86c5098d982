# With the library preloaded, a read of a stale view warns, and SERIALIZABLE transactions read the base tables of a view.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "default_transaction_isolation = 'serializable'");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION upkeep;
	CREATE TABLE t (id serial PRIMARY KEY, g int, x int);
	INSERT INTO t (g, x) SELECT i % 100, i FROM generate_series(1, 1000) i;
	CREATE TABLE other (x int);
	CREATE MATERIALIZED VIEW immediate AS SELECT g, count(*) AS n FROM t GROUP BY g;
	CREATE MATERIALIZED VIEW above AS SELECT g, n FROM immediate WHERE n > 0;
	CREATE MATERIALIZED VIEW at_commit AS SELECT g, sum(x) AS s FROM t GROUP BY g;
	SELECT upkeep.register('immediate'), upkeep.register('above'), upkeep.register('at_commit', 'commit')});

# Runs steps of two sessions; returns the SQLSTATEs of the errors.
sub interleave
{
	my @steps = @_;
	my %session = map { $_ => $node->background_psql('postgres', on_error_stop => 0) } (1, 2);
	$session{$_}->query_until(qr/ready/, "\\set VERBOSITY sqlstate\n\\echo ready\n") for (1, 2);
	for (my $i = 0; $i < @steps; $i += 2)
	{
		$session{ $steps[$i] }->query($steps[ $i + 1 ]);
	}
	my $errors = join ' ', map { $session{$_}{stderr} =~ /ERROR:\s+(\w+)/g } (1, 2);
	$session{$_}->quit for (1, 2);
	return $errors;
}

# Each decides by a group what to write to another one: no order of the two explains both.
sub skews
{
	my ($view, $expected, $what) = @_;
	my $read = sub { "SELECT * FROM $view WHERE g = $_[0]" };
	my $write = sub { "INSERT INTO t (g, x) VALUES ($_[0], 1)" };
	like(interleave(1, 'BEGIN', 2, 'BEGIN', 1, $read->(1), 2, $read->(2), 1, $write->(2), 2, $write->(1), 1, 'COMMIT', 2, 'COMMIT'),
		$expected, "$view: reads before writes, $what");
	# The second commits before the first reads the view, though not before its snapshot.
	like(interleave(1, 'BEGIN', 1, 'TABLE other', 2, 'BEGIN', 2, $read->(2), 2, $write->(1), 2, 'COMMIT',
			1, $read->(1), 1, $write->(2), 1, 'COMMIT'),
		$expected, "$view: a read after the other's write, $what");
	return;
}

skews($_, qr/^$/, 'is not noticed without preloading') for qw(immediate above at_commit);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'upkeep'");
$node->restart;
skews($_, qr/^40001( 40001| 25P02)*$/, 'is found') for qw(immediate above at_commit);
is(interleave(1, 'BEGIN', 2, 'BEGIN', 1, 'SELECT * FROM immediate WHERE g = 1', 2, 'INSERT INTO t (g, x) VALUES (2, 1)', 2, 'COMMIT', 1, 'COMMIT'),
	'', 'a reader and a writer do not meet');
is(interleave(1, 'BEGIN ISOLATION LEVEL READ COMMITTED', 2, 'BEGIN ISOLATION LEVEL READ COMMITTED',
		1, 'SELECT * FROM immediate WHERE g = 1', 2, 'SELECT * FROM immediate WHERE g = 2',
		1, 'INSERT INTO t (g, x) VALUES (2, 1)', 2, 'INSERT INTO t (g, x) VALUES (1, 1)', 1, 'COMMIT', 2, 'COMMIT'),
	'', 'nor do others at READ COMMITTED');
is($node->safe_psql('postgres', q{SELECT count(*) FROM upkeep.views v, upkeep.verify(v.view)}), '0', 'all are right');

# Warnings.
sub warnings_of
{
	my ($out, $err);
	$node->psql('postgres', $_[0], stdout => \$out, stderr => \$err);
	return $err;
}
$node->append_conf('postgresql.conf', "default_transaction_isolation = 'read committed'");
$node->reload;
is(warnings_of('SELECT count(*) FROM immediate'), '', 'no warning for a view that is right');
$node->safe_psql('postgres', 'ALTER TABLE t SET UNLOGGED');
my $read = 'SELECT count(*) FROM immediate';
like(warnings_of($read), qr/WARNING:  materialized view public.immediate is not up to date\nDETAIL:  An unlogged table.*\nHINT:/,
	'a stale view');
is(scalar(() = warnings_of("$read; $read; SELECT * FROM immediate i JOIN immediate j USING (g) LIMIT 1") =~ /WARNING/g), 1,
	'once in a session');
is(scalar(() = warnings_of("CREATE VIEW o AS SELECT * FROM above; SELECT count(*) FROM o, immediate") =~ /WARNING/g), 2, 'once for each view');
is(warnings_of("EXPLAIN $read"), '', 'not for EXPLAIN');
is(warnings_of("SELECT count(*) FROM upkeep.verify('immediate'), upkeep.verify('above'); REFRESH MATERIALIZED VIEW above") =~ /is not up to date/, '',
	'not for verify and REFRESH');
$node->safe_psql('postgres', 'ALTER TABLE t SET LOGGED; REFRESH MATERIALIZED VIEW immediate');
is(warnings_of($read), '', 'not when it is right again');
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query($read);
$node->safe_psql('postgres', 'REFRESH MATERIALIZED VIEW immediate WITH NO DATA');
$session->query('SELECT count(*) FROM above');
$session->query('SELECT count(*) FROM above');
is(scalar(() = $session->{stderr} =~ /WARNING:  materialized view public.above/g), 1, 'in a session that has read it before');
$session->quit;
is(warnings_of('CREATE DATABASE without'), '', 'another database');
$node->safe_psql('without', 'CREATE MATERIALIZED VIEW m AS SELECT 1 AS x; BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT * FROM m; COMMIT');
$node->stop;

done_testing();
