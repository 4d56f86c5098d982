# Tables that a subscription feeds: their rows change without statements. Deferred views log them row by row; views that
# writers maintain are refused.
use strict;
use warnings;
use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->append_conf('postgresql.conf', 'logical_decoding_work_mem = 64kB');
$publisher->start;
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init(allows_streaming => 'logical');
$subscriber->append_conf('postgresql.conf', "max_prepared_transactions = 5\nclient_min_messages = notice");
$subscriber->start;
my $connection = $publisher->connstr . ' dbname=postgres';

sub on { return $_[0]->safe_psql('postgres', $_[1]) }
sub subscribe { return $subscriber->psql('postgres', "CREATE SUBSCRIPTION $_[0] CONNECTION '$connection' PUBLICATION $_[1]") }

# Until the subscription follows its tables all together.
sub wait_for_copies
{
	$subscriber->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate <> 'r'}) or die;
}

# The number of change rows that a refresh consumes; everything is right afterwards.
sub follow
{
	my ($subscription, $what) = @_;
	$publisher->wait_for_catchup($subscription);
	my $rows = on($subscriber, 'SELECT upkeep.refresh()');
	is(on($subscriber, q{SELECT v.view, d.* FROM upkeep.views v, upkeep.verify(v.view) d WHERE v.state = 'active'}), '', "$what: right");
	is(on($subscriber, q{SELECT string_agg(view::text, ' ') FROM upkeep.views WHERE state <> 'active'}), '', "$what: active");
	return $rows;
}

# Views that writers maintain.
on($_, 'CREATE TABLE t (id int PRIMARY KEY, g int)') for ($publisher, $subscriber);
on($publisher, 'INSERT INTO t VALUES (1, 1); CREATE PUBLICATION pub FOR TABLE t');
on($subscriber, q{
	CREATE EXTENSION upkeep;
	CREATE MATERIALIZED VIEW m AS SELECT g, count(*) AS n FROM t GROUP BY g;
	SELECT upkeep.register('m')});
my ($code, $out, $err) = subscribe('sub', 'pub');
is($code, 0, 'the subscription is created');
like($err, qr/materialized view "m" is not kept up to date any more/, 'with a warning');
like($err, qr/HINT:  Register the materialized view with mode => 'deferred'/, 'and a hint');
is(on($subscriber, 'SELECT state FROM upkeep.views'), 'stale', 'an immediate view is stale, not silently wrong');
like(on($subscriber, 'SELECT why FROM upkeep.views'), qr/subscription/, 'and says why');
for my $mode ('immediate', 'commit')
{
	($code, $out, $err) = $subscriber->psql('postgres', "SELECT upkeep.register('m', '$mode')");
	like($err, qr/subscription feeds one of its tables/, "it cannot be registered as $mode");
	like($err, qr/mode => 'deferred'/, 'and is told what to do');
}
on($subscriber, "SELECT upkeep.register('m', 'manual')");
on($publisher, 'INSERT INTO t VALUES (2, 1), (3, 2)');
wait_for_copies();
follow('sub', 'a manual view');
is(on($subscriber, 'SELECT * FROM m ORDER BY g'), "1|2\n2|1", 'it has the rows');

# A deferred one.
on($subscriber, "SELECT upkeep.register('m', 'deferred')");
follow('sub', 'a deferred view that was another');
on($publisher, q{INSERT INTO t SELECT i, i % 3 FROM generate_series(10, 19) i; UPDATE t SET g = g + 1 WHERE id < 12; DELETE FROM t WHERE id = 19});
is(follow('sub', 'a stream'), 21, 'every row is logged once');
on($publisher, 'UPDATE t SET g = g WHERE id < 12');
is(follow('sub', 'changes of no column that is used'), 0, 'are not logged');
on($publisher, 'UPDATE t SET id = id + 100');
is(follow('sub', 'changed keys'), 0, 'are not used either');
on($publisher, 'TRUNCATE t; INSERT INTO t VALUES (1, 1)');
follow('sub', 'TRUNCATE');
is(on($subscriber, 'SELECT * FROM m'), '1|1', 'it has the rows');
on($subscriber, 'DROP SUBSCRIPTION sub');
is(on($subscriber, 'SELECT state FROM upkeep.views'), 'active', 'without the subscription it goes on');
on($subscriber, q{INSERT INTO t VALUES (5, 5); SELECT upkeep.refresh(); SELECT upkeep.register('m'); INSERT INTO t VALUES (9, 9)});
is(on($subscriber, "SELECT * FROM upkeep.verify('m')"), '', 'and can be immediate again');
on($subscriber, 'DROP MATERIALIZED VIEW m');
on($_, 'DROP TABLE t') for ($publisher, $subscriber);

# Sessions in replica role: the statement triggers have the rows, or the row triggers, not both.
on($subscriber, q{
	CREATE TABLE t (id int PRIMARY KEY, g int, big text);
	CREATE TABLE p (id int, g int, PRIMARY KEY (id)) PARTITION BY RANGE (id);
	CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
	CREATE TABLE p2 (g int, id int NOT NULL);
	ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (100) TO (1000);
	CREATE MATERIALIZED VIEW vt AS SELECT g, count(*) AS n, sum(length(big)) AS l FROM t GROUP BY g;
	CREATE MATERIALIZED VIEW vp AS SELECT g, count(*) AS n, sum(id) AS s FROM p GROUP BY g;
	CREATE MATERIALIZED VIEW vp2 AS SELECT g, count(*) AS n FROM p2 GROUP BY g;
	CREATE MATERIALIZED VIEW vj AS SELECT t.id, p.g, t.big FROM t JOIN p ON p.id = t.g;
	CREATE MATERIALIZED VIEW vi AS SELECT g, n FROM vt WHERE n > 1;
	SELECT upkeep.register(v, 'deferred') FROM unnest('{vt,vp,vp2,vj}'::regclass[]) v;
	SELECT upkeep.refresh();
	SELECT upkeep.register('vi')});
sub in_replica_role
{
	my ($expected, $what, $sql) = @_;
	on($subscriber, "SET session_replication_role = replica; $sql");
	is(on($subscriber, 'SELECT upkeep.refresh()'), $expected, "replica role, $what: counted once");
	is(on($subscriber, 'SELECT v.view, d.* FROM upkeep.views v, upkeep.verify(v.view) d'), '', "replica role, $what: right");
}
# Two views read t, and three p: vp2 reads the rows of the partition in the log of the root, too.
in_replica_role(20, 'INSERT', q{INSERT INTO t SELECT i, i, 'b' FROM generate_series(1, 10) i});
in_replica_role(30 + 30, 'a partitioned table', q{INSERT INTO p SELECT i * 20, i FROM generate_series(0, 9) i; UPDATE p SET g = g + 1 WHERE id < 100});
on($subscriber, 'SELECT upkeep.refresh()');
in_replica_role(2 + 2 + 2, 'a row that moves', 'UPDATE p SET id = id + 200 WHERE id = 20');
in_replica_role(4, 'MERGE', q{MERGE INTO t USING (VALUES (10), (11)) s (id) ON t.id = s.id
	WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.id, 'm')});
in_replica_role(6, 'INSERT ON CONFLICT', q{INSERT INTO t VALUES (1, 1, 'c'), (12, 12, 'c') ON CONFLICT (id) DO UPDATE SET big = 'd'});
in_replica_role(3 + 2, 'COPY', q{COPY p FROM PROGRAM 'printf "500\t5\n"'; COPY p1 FROM PROGRAM 'printf "99\t5\n"'});
on($subscriber, 'TRUNCATE t, p; SELECT upkeep.refresh()');

# The initial copy; partitions on both sides, on the subscriber's alone, through the root or not.
on($publisher, q{
	CREATE TABLE t (id int PRIMARY KEY, g int, big text);
	CREATE TABLE p (id int PRIMARY KEY, g int) PARTITION BY RANGE (id);
	CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
	CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (1000);
	INSERT INTO t SELECT i, i % 7, repeat(md5(i::text), i * 20) FROM generate_series(1, 40) i;
	INSERT INTO p SELECT i, i % 5 FROM generate_series(0, 199) i;
	CREATE PUBLICATION all_of_it FOR TABLE t, p});
# The copy of t waits.
on($subscriber, q{
	CREATE MATERIALIZED VIEW late AS SELECT count(*) AS n, sum(g) AS s FROM t;
	SELECT upkeep.register('late', 'deferred');
	BEGIN; LOCK TABLE t IN SHARE MODE; PREPARE TRANSACTION 'hold'});
($code, $out, $err) = $subscriber->psql('postgres',
	"CREATE SUBSCRIPTION sub CONNECTION '$connection' PUBLICATION all_of_it WITH (streaming = on)");
unlike($err, qr/WARNING/, 'deferred views follow when their tables are added to a subscription');
is(on($subscriber, q{SELECT string_agg(DISTINCT state, ' ') FROM upkeep.views WHERE view <> 'late'::regclass}), 'active',
	'and stay active');
$subscriber->poll_query_until('postgres',
	q{SELECT count(*) = 2 FROM pg_subscription_rel WHERE srrelid <> 't'::regclass AND srsubstate = 'r'});
($code, $out, $err) = $subscriber->psql('postgres', 'SELECT upkeep.refresh()');
like($err, qr/materialized view "?public.late"? is not built yet/, 'a view is not built from half of a table');
like($err, qr/initial copy of table public.t /, 'and says so');
is(on($subscriber, q{SELECT state, why FROM upkeep.views WHERE view = 'late'::regclass}),
	'building|the initial copy of table public.t is not finished', 'it is still building');
is(on($subscriber, q{SELECT upkeep.wait('late', '10 ms')}), 'f', 'nor is it waited for');
is(on($subscriber, q{SELECT count(*) FROM upkeep.verify('vp')}), '0', 'others are followed');
on($subscriber, q{ROLLBACK PREPARED 'hold'});
wait_for_copies();
follow('sub', 'the initial copy');
is(on($subscriber, 'SELECT n FROM late'), '40', 'all rows are there');

on($publisher, q{UPDATE t SET g = g + 1 WHERE id % 2 = 0});
is(follow('sub', 'unchanged toasted values'), 20 * 2 * 3, 'each is logged once for three views');
on($publisher, q{UPDATE t SET big = repeat(md5(big), 2 * id) WHERE id > 30; UPDATE t SET id = id + 1000 WHERE id = 1; DELETE FROM t WHERE id = 40});
follow('sub', 'toasted values');
on($publisher, q{ALTER TABLE t REPLICA IDENTITY FULL; UPDATE t SET g = g + 1; UPDATE t SET big = big || 'x' WHERE id < 10});
follow('sub', 'REPLICA IDENTITY FULL');
on($publisher, q{UPDATE p SET id = 1000 - id WHERE id IN (5, 150); UPDATE p SET g = g + 1 WHERE id % 3 = 0; DELETE FROM p2 WHERE id > 900});
follow('sub', 'partitions');
on($publisher, q{BEGIN; INSERT INTO p SELECT i, 3 FROM generate_series(200, 700) i; SAVEPOINT a; DELETE FROM p WHERE id < 400;
	ROLLBACK TO a; UPDATE p SET g = 4 WHERE id > 300; INSERT INTO t SELECT i, 1, 's' FROM generate_series(2000, 4000) i; COMMIT});
follow('sub', 'a large transaction that is streamed');
on($publisher, 'TRUNCATE p1');
follow('sub', 'TRUNCATE of a partition');
on($publisher, q{ALTER PUBLICATION all_of_it SET (publish_via_partition_root = true)});
on($subscriber, q{ALTER SUBSCRIPTION sub REFRESH PUBLICATION WITH (copy_data = false)});
on($publisher, q{INSERT INTO p SELECT i, i % 5 FROM generate_series(0, 50) i; UPDATE p SET id = id + 800 WHERE id BETWEEN 10 AND 20;
	UPDATE p SET g = g - 1 WHERE id > 805; DELETE FROM p WHERE id BETWEEN 20 AND 29});
follow('sub', 'partitions by their root');
on($publisher, 'TRUNCATE p; INSERT INTO p VALUES (1, 1), (101, 1)');
follow('sub', 'TRUNCATE of the root');
is(on($subscriber, 'SELECT * FROM vp'), '1|2|102', 'it has the rows');

# A table that is added when the view is there, its rows copied or not; what the subscriber's own triggers write.
on($_, 'CREATE TABLE extra (id int PRIMARY KEY, g int); CREATE TABLE more (id int PRIMARY KEY, g int)') for ($publisher, $subscriber);
on($publisher, q{INSERT INTO extra SELECT i, i % 3 FROM generate_series(1, 9) i; ALTER PUBLICATION all_of_it ADD TABLE extra, more});
on($subscriber, q{
	CREATE TABLE audit (id serial, g int);
	CREATE MATERIALIZED VIEW ve AS SELECT e.g, count(*) AS n, (SELECT count(*) FROM more) AS m FROM extra e GROUP BY e.g;
	CREATE MATERIALIZED VIEW va AS SELECT g, count(*) AS n FROM audit GROUP BY g;
	CREATE MATERIALIZED VIEW now AS SELECT g, count(*) AS n FROM audit GROUP BY g;
	SELECT upkeep.register('ve', 'deferred'), upkeep.register('va', 'deferred'), upkeep.register('now');
	CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		INSERT INTO public.audit (g) VALUES (1), (2); UPDATE public.more SET g = g + 1 WHERE id = NEW.id; RETURN NULL; END $$;
	CREATE TRIGGER note AFTER INSERT ON extra FOR EACH ROW EXECUTE FUNCTION note();
	ALTER TABLE extra ENABLE REPLICA TRIGGER note;
	SELECT upkeep.refresh()});
on($subscriber, 'ALTER SUBSCRIPTION sub REFRESH PUBLICATION');
is(on($subscriber, q{SELECT state FROM upkeep.views WHERE view = 've'::regclass}), 'active', 'a table is added');
wait_for_copies();
on($publisher, q{INSERT INTO more VALUES (10, 1), (11, 1); INSERT INTO extra VALUES (10, 1), (11, 2)});
follow('sub', 'a table that is added');
is(on($subscriber, 'SELECT sum(n) FROM ve'), '11', 'it has the rows');
is(on($subscriber, 'SELECT * FROM now ORDER BY g'), "1|11\n2|11", 'so has an immediate view of what a trigger writes');
is(on($subscriber, 'SELECT count(*) FROM more WHERE g = 2'), '2', 'which writes to a table that is fed');

# The subscriber is killed in mid-stream.
my $script = PostgreSQL::Test::Utils::tempdir() . '/writer.sql';
append_to_file($script, q{
\set id random(1, 900)
\set to random(1, 900)
BEGIN;
INSERT INTO p VALUES (:id, :to % 9) ON CONFLICT (id) DO UPDATE SET g = p.g + 1;
UPDATE t SET g = :to % 5 WHERE id IN (:id, :to + 2000);
DELETE FROM p WHERE id = :to;
COMMIT;
});
my ($bench_out, $bench_err) = ('', '');
my $bench = start([ 'pgbench', '-n', '-h', $publisher->host, '-p', $publisher->port, '-c', 3, '-j', 1, '-T', 6, '--max-tries', 100,
	'-f', $script, 'postgres' ], '<', \undef, '>', \$bench_out, '2>', \$bench_err);
for (1 .. 3)
{
	sleep 1;
	on($subscriber, 'SELECT upkeep.refresh()');
	sleep 1;
	$subscriber->stop('immediate');
	$subscriber->start;
}
finish $bench;
follow('sub', 'a crash in mid-stream');
my $contents = q{SELECT g, count(*), sum(id) FROM p GROUP BY g ORDER BY g};
is(on($subscriber, 'SELECT * FROM vp ORDER BY g'), on($publisher, $contents), 'the view shows what the publisher has');
like($bench_out, qr/number of transactions actually processed: [1-9]/, 'there were changes');
is(on($subscriber, 'SELECT upkeep.refresh()'), '0', 'nothing is pending any more');
unlike(slurp_file($subscriber->logfile), qr/PANIC|TRAP|signal 11|signal 6/, 'no process crashed');

on($subscriber, 'DROP SUBSCRIPTION sub');
$subscriber->stop;
$publisher->stop;
done_testing();
