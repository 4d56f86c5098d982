# What upkeep.progress shows of a build, and that nothing stays when it ends in an error.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'upkeep'");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION upkeep;
	CREATE TABLE t (id int PRIMARY KEY, g int, x int);
	INSERT INTO t SELECT i, i % 10, i FROM generate_series(1, 1000) i;
	ANALYZE t;
	-- waits for an advisory lock in the middle of the table
	CREATE FUNCTION slow(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
		IF x = 500 THEN PERFORM pg_advisory_lock_shared(1), pg_advisory_unlock_shared(1); END IF;
		RETURN x; END $$;
	CREATE MATERIALIZED VIEW v AS SELECT g, sum(x) AS s FROM t GROUP BY g;
	CREATE MATERIALIZED VIEW w AS SELECT id, slow(x) AS x FROM t WITH NO DATA;
	CREATE MATERIALIZED VIEW m AS SELECT id, slow(x) AS x FROM t WITH NO DATA});
my $progress = q{SELECT view, phase, rows_done > 0, rows_estimated FROM upkeep.progress};

sub shows
{
	my ($row, $what) = @_;
	ok($node->poll_query_until('postgres', "SELECT EXISTS ($progress)"), "$what: a row");
	ok($node->poll_query_until('postgres', "SELECT (p.view::text, phase, rows_done > 0, rows_estimated)::text = '$row'
		FROM upkeep.progress p"), "$what: $row");
}

my $blocker = $node->background_psql('postgres');
$blocker->query_safe('BEGIN; INSERT INTO t VALUES (0, 0, 0)');
my $builder = $node->background_psql('postgres');
$builder->query_until(qr/begun/, "\\echo begun\nSELECT upkeep.register('v');\n");
shows('(v,"waiting for locks",f,)', 'a register behind a writer');
is($node->safe_psql('postgres', q{SELECT count(*) FROM upkeep.progress JOIN pg_stat_activity USING (pid)}), '1', 'of a session');
$blocker->query_safe('COMMIT');
$builder->query_safe('SELECT 1');
is($node->safe_psql('postgres', $progress), '', 'nothing after it');

$blocker->query_safe('SELECT pg_advisory_lock(1)');
for my $mode (qw(immediate manual deferred))
{
	my $view = $mode eq 'manual' ? 'm' : 'w';
	# A manual view's rows are counted when they are compared.
	my $rows = $mode eq 'manual' ? 'f,' : 't,1000';
	$node->safe_psql('postgres', q{SELECT upkeep.register('w', 'deferred')}) if $mode eq 'deferred';
	for my $end (qw(cancel terminate))
	{
		next if $mode eq 'deferred';
		my $session = $node->background_psql('postgres', on_error_stop => 0);
		$session->query_until(qr/begun/, "\\echo begun\nSELECT upkeep.register('$view', '$mode');\n");
		shows("($view,computing,$rows)", $mode);
		$node->safe_psql('postgres', "SELECT pg_${end}_backend(pid) FROM upkeep.progress");
		ok($node->poll_query_until('postgres', "SELECT NOT EXISTS ($progress)"), "nothing is left after $end");
		eval { $session->quit };
	}
}
# The worker builds what is deferred.
ok($node->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM upkeep.progress p JOIN pg_stat_activity USING (pid)
	WHERE p.view = 'w'::regclass AND phase = 'computing' AND backend_type ~ 'upkeep')}), 'a worker builds');
$blocker->query_safe('SELECT pg_advisory_unlock(1)');
ok($node->poll_query_until('postgres', q{SELECT state = 'active' FROM upkeep.views WHERE view = 'w'::regclass}), 'to the end');
is($node->safe_psql('postgres', $progress), '', 'nothing is left');

# An error that is caught.
$node->safe_psql('postgres', q{DO $$ BEGIN
	BEGIN CREATE MATERIALIZED VIEW z AS SELECT 1 / (x - 1) AS z FROM t WITH NO DATA; PERFORM upkeep.register('z');
	EXCEPTION WHEN division_by_zero THEN NULL; END;
	ASSERT NOT EXISTS (SELECT FROM upkeep.progress); END $$});
$blocker->quit;
$builder->quit;
$node->stop;

done_testing();
