# Deferred views on a streaming standby, and after its promotion in the middle of writers and refreshes: they go on from
# the frontier, and nothing is lost or counted twice.
use strict;
use warnings;

use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "max_prepared_transactions = 10\nclient_min_messages = warning");
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION upkeep;
	CREATE TABLE t (id serial PRIMARY KEY, g int NOT NULL, x int NOT NULL);
	CREATE TABLE u (g int PRIMARY KEY, name text);
	CREATE TABLE ledger (g int, dn int, dx int); -- of the changes of t, in the transactions that make them
	INSERT INTO u SELECT i, 'n' || i FROM generate_series(1, 9) i;
	CREATE MATERIALIZED VIEW v AS SELECT g, count(*) AS n, sum(x) AS s FROM t GROUP BY g;
	CREATE MATERIALIZED VIEW w AS SELECT t.id, t.x, u.name FROM t LEFT JOIN u USING (g);
	CREATE MATERIALIZED VIEW unbuilt AS SELECT max(x) AS m FROM t;
	CREATE MATERIALIZED VIEW plain AS SELECT 1 AS one;
	SELECT upkeep.register('v', 'deferred'), upkeep.register('w', 'deferred');
	SELECT upkeep.refresh();
	CREATE MATERIALIZED VIEW above AS SELECT n, count(*) AS groups FROM v GROUP BY n;
	SELECT upkeep.register('above'), upkeep.register('unbuilt', 'deferred')});

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

sub replay { $primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert')) }
sub on { return $_[0]->safe_psql('postgres', $_[1]) }
my $wrong = q{SELECT v.view, d.* FROM upkeep.views v, upkeep.verify(v.view) d};

# Reading on a standby.
on($primary, q{INSERT INTO t (g, x) SELECT i % 9 + 1, i FROM generate_series(1, 90) i; SELECT upkeep.refresh('v'), upkeep.refresh('w');
	INSERT INTO t (g, x) VALUES (1, 1000)});
replay();
my $shown = q{SELECT * FROM v ORDER BY g; SELECT count(*), sum(x) FROM w; SELECT * FROM above ORDER BY n};
is(on($standby, $shown), on($primary, $shown), 'the standby shows the views');
my $state = q{SELECT view, mode, state, why, pending FROM upkeep.views ORDER BY view::text};
is(on($standby, $state), "above|immediate|active||0\nunbuilt|deferred|building||\nv|deferred|active||1\nw|deferred|active||1",
	'it knows their state');
is(on($standby, q{SELECT bool_and(log_size > 0) FROM upkeep.views WHERE mode = 'deferred'}), 't', 'and the size of the logs');
is(on($standby, q{SELECT count(*) FROM upkeep.verify('v')}), '2', 'verify sees what is pending');
cmp_ok(on($standby, q{SELECT count(*) FROM upkeep.explain('w')}), '>', 2, 'explain shows the plan of a view');
is(on($standby, q{SELECT code FROM upkeep.explain('SELECT now() FROM t')}), 'current-time', 'and refuses a query');
is(on($standby, q{SELECT count(*) FROM upkeep.stat_views}), '4', 'counters can be read');
is(on($standby, q{SELECT upkeep.wait('v', '10 ms')}), 'f', 'what is pending is waited for');
on($primary, 'SELECT upkeep.refresh()');
replay();
is(on($standby, q{SELECT upkeep.wait('v')}), 't', 'until it has come');
is(on($standby, $wrong), '', 'a refresh arrives');

# What would write.
for my $call ("upkeep.register('plain', 'deferred')", "upkeep.register('v')", 'upkeep.refresh()', "upkeep.refresh('v')",
	"upkeep.refresh('above')", "upkeep.unregister('v')")
{
	my ($name) = $call =~ /^(upkeep\.\w+)/;
	my ($code, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT $call");
	is($err, 'psql:<stdin>:2: ERROR:  25006', "$call on a standby");
	($code, $out, $err) = $standby->psql('postgres', "SELECT $call");
	like($err, qr/cannot execute \Q$name\E\(\) during recovery/, 'says why');
	($code, $out, $err) = $primary->psql('postgres', "BEGIN READ ONLY; SELECT $call; ROLLBACK");
	like($err, qr/cannot execute \Q$name\E\(\) in a read-only transaction/, "$call in a read-only transaction");
}

# Promotion in mid-stream: with writers, refreshes, and a prepared transaction.
my $dir = PostgreSQL::Test::Utils::tempdir();
append_to_file("$dir/writer.sql", q{
\set g random(1, 9)
\set x random(1, 1000)
\set end random(1, 10)
BEGIN;
INSERT INTO t (g, x) VALUES (:g, :x), (:g, 1);
INSERT INTO ledger VALUES (:g, 2, :x + 1);
SAVEPOINT a;
WITH gone AS (DELETE FROM t WHERE id IN (SELECT id FROM t WHERE g = :g ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING g, x)
	INSERT INTO ledger SELECT g, -1, -x FROM gone;
\if :end > 5
ROLLBACK TO a;
\endif
WITH old AS (SELECT id, x FROM t WHERE g = :g ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED),
	changed AS (UPDATE t SET x = t.x + 5 FROM old WHERE t.id = old.id RETURNING g)
	INSERT INTO ledger SELECT g, 0, 5 FROM changed;
\if :end > 8
ROLLBACK;
\else
COMMIT;
\endif
});
append_to_file("$dir/refresher.sql", "SELECT upkeep.refresh();\n");

sub bench
{
	my ($node, $script, $clients, $seconds) = @_;
	my ($out, $err) = ('', '');
	return start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-c', $clients, '-j', 1, '-T', $seconds,
			'--max-tries', 100, '-f', "$dir/$script.sql", 'postgres' ], '<', \undef, '>', \$out, '2>', \$err);
}

sub is_right
{
	my ($node, $what) = @_;
	on($node, 'SELECT upkeep.refresh()');
	is(on($node, $wrong), '', "$what: right");
	is(on($node, q{SELECT DISTINCT state FROM upkeep.views}), 'active', "$what: active");
	is(on($node, 'SELECT * FROM v WHERE n <> 0 ORDER BY g'),
		on($node, 'SELECT g, sum(dn), sum(dx) FROM ledger GROUP BY g HAVING sum(dn) <> 0 ORDER BY g'), "$what: as the ledger says");
}

on($primary, 'TRUNCATE t; SELECT upkeep.refresh()');
my @runs = (bench($primary, 'writer', 3, 20), bench($primary, 'refresher', 1, 20));
sleep 1;
on($primary, q{BEGIN; INSERT INTO t (g, x) VALUES (1, 7), (2, 8); INSERT INTO ledger VALUES (1, 1, 7), (2, 1, 8); PREPARE TRANSACTION 'over'});
replay();
sleep 1;
$standby->promote;
my $before = on($standby, 'SELECT count(*) FROM ledger');
$primary->stop('immediate');
finish $_ for @runs;
cmp_ok($before, '>', 10, 'there were changes before the promotion');
is_right($standby, 'after the promotion');
is(on($standby, 'SELECT upkeep.refresh()'), '0', 'nothing is pending');
on($standby, q{INSERT INTO t (g, x) VALUES (3, 9); INSERT INTO ledger VALUES (3, 1, 9)});
is_right($standby, 'a change beside a prepared transaction');
on($standby, q{COMMIT PREPARED 'over'});
is(on($standby, q{SELECT pending FROM upkeep.views WHERE view = 'v'::regclass}), '2', 'what was prepared on the primary is pending');
is_right($standby, 'after COMMIT PREPARED');

@runs = (bench($standby, 'writer', 3, 3), bench($standby, 'refresher', 1, 3));
finish $_ for @runs;
cmp_ok(on($standby, 'SELECT count(*) FROM ledger'), '>', $before, 'there were changes after it');
is_right($standby, 'after a stream on the new primary');
unlike(slurp_file($standby->logfile), qr/PANIC|TRAP|signal 11|signal 6/, 'no process crashed');
$standby->stop;

done_testing();
