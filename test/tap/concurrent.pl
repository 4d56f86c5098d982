# A soak: clients at all three isolation levels write single rows and many at a time, retry after serialization failures
# and deadlocks, while views are refreshed; in the end every view of every kind is right.
use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{SOAK_SECONDS} || 20;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\ndeadlock_timeout = '20ms'");
$node->start;

$node->safe_psql('postgres', q{
	CREATE EXTENSION upkeep;
	CREATE TABLE r (id int PRIMARY KEY, k int, x int NOT NULL, boss int);
	CREATE TABLE s (id int PRIMARY KEY, k int, m int, y numeric);
	CREATE TABLE t (id int PRIMARY KEY, m int, label text);
	CREATE INDEX ON r (k);
	CREATE INDEX ON s (k);
	CREATE INDEX ON s (m);
	CREATE INDEX ON t (m);
	INSERT INTO r SELECT i, i % 40, i, i / 2 FROM generate_series(1, 400) i;
	INSERT INTO s SELECT i, i % 40, i % 30, i FROM generate_series(1, 400) i;
	INSERT INTO t SELECT i, i % 30, 'label ' || i % 20 FROM generate_series(1, 400) i;
});

my %views = (
	group_in_view => 'SELECT k, count(*) AS n, sum(x) AS s FROM r GROUP BY k',
	group_in_state => 'SELECT m, sum(y) AS s, avg(y) AS a FROM s GROUP BY m',
	text_key => 'SELECT label, count(*) AS n FROM t GROUP BY label',
	text_key_state => 'SELECT label, avg(m) AS a, min(m) AS lo FROM t GROUP BY label',
	bag => 'SELECT k, m FROM s WHERE y > 50',
	join_bag => 'SELECT r.x, s.y FROM r JOIN s USING (k) WHERE r.x % 3 = 0',
	join_keyed => 'SELECT r.id AS r, t.id AS t, label FROM r JOIN t ON t.m = r.k',
	join_grouped => 'SELECT r.k, min(x) AS lo, max(y) AS hi, sum(y) AS s FROM r JOIN s USING (k) GROUP BY r.k',
	chain => 'SELECT label, count(*) AS n, avg(x) AS a FROM r JOIN s USING (k) JOIN t USING (m) WHERE r.x < 60 GROUP BY label',
	self_join => 'SELECT b.id AS boss, count(*) AS n, sum(e.x) AS s FROM r AS e JOIN r AS b ON b.id = e.boss GROUP BY b.id',
	untied => 'SELECT r.id AS r, t.id AS t FROM r JOIN t ON r.x < t.m - 25 WHERE r.k < 5',
	distinct_rows => 'SELECT DISTINCT k, m FROM s',
	having_limit => 'SELECT k, count(*) AS n FROM r GROUP BY k HAVING count(*) > 9',
	no_group => 'SELECT count(*) AS n, sum(x) AS s, max(k) AS hi FROM r WHERE x BETWEEN 10 AND 14',
	read_again => 'SELECT m, array_agg(y ORDER BY id) AS l FROM s WHERE k < 20 GROUP BY m',
	left_join => 'SELECT r.id AS r, t.id AS t, r.x, t.label FROM r LEFT JOIN t ON t.m = r.k',
	not_exists => 'SELECT id, x FROM r WHERE NOT EXISTS (SELECT FROM t WHERE t.m = r.k)',
	join_subquery => 'SELECT r.id, r.x, g.n, g.s FROM r JOIN (SELECT k, count(*) AS n, sum(y) AS s FROM s GROUP BY k) AS g USING (k)');
for my $view (sort keys %views)
{
	$node->safe_psql('postgres',
		"CREATE MATERIALIZED VIEW $view AS $views{$view}; SELECT upkeep.register('$view')");
}

my $dir = PostgreSQL::Test::Utils::tempdir();
my $random = q{
\set id random(1, 500)
\set other random(1, 500)
\set k random(0, 45)
\set m random(0, 32)
\set x random(1, 500)
};
my %scripts = (
	'r@6' => q{INSERT INTO r VALUES (:id, :k, :x, :other)
		ON CONFLICT (id) DO UPDATE SET k = excluded.k, x = excluded.x, boss = excluded.boss;},
	's@6' => q{INSERT INTO s VALUES (:id, :k, nullif(:m, 0), nullif(:x, 7) / 4.0)
		ON CONFLICT (id) DO UPDATE SET k = excluded.k, m = excluded.m, y = excluded.y;},
	't@6' => q{INSERT INTO t VALUES (:id, :m, 'label ' || :k)
		ON CONFLICT (id) DO UPDATE SET m = excluded.m, label = excluded.label;},
	'delete@6' => q{DELETE FROM r WHERE id = :id; DELETE FROM s WHERE id = :other; DELETE FROM t WHERE id = :x;},
	'several@2' => q{BEGIN; UPDATE r SET k = :k WHERE id = :id; SAVEPOINT a; UPDATE s SET k = :k WHERE id = :id;
		ROLLBACK TO a; UPDATE s SET m = :m WHERE id = :other; UPDATE t SET label = NULL WHERE id = :id; COMMIT;},
	'both@3' => q{WITH d AS (DELETE FROM r WHERE id = :id RETURNING id, k) UPDATE s SET k = d.k, y = y + 1 FROM d WHERE s.id = d.id;},
	'rolled_back@1' => q{BEGIN; UPDATE r SET x = x + 1 WHERE k = :k; INSERT INTO t VALUES (1000 + :id, :m, 'gone') ON CONFLICT DO NOTHING; ROLLBACK;},
	'bulk_r@1' => q{INSERT INTO r SELECT i, (i + :k) % 45, i, i % 50 FROM generate_series(:id, :id + 60) i WHERE i <= 500
		ON CONFLICT (id) DO UPDATE SET k = excluded.k, x = excluded.x;},
	'bulk_s@1' => q{UPDATE s SET k = (id + :k) % 45, y = y - 1 WHERE id BETWEEN :id AND :id + 60;},
	'bulk_t@1' => q{UPDATE t SET m = (id + :m) % 30, label = 'label ' || (id + :k) % 30 WHERE id BETWEEN :id AND :id + 60;},
	'bulk_delete@1' => q{DELETE FROM s WHERE id BETWEEN :id AND :id + 20; DELETE FROM t WHERE id BETWEEN :other AND :other + 20;});
my @files;
for my $name (sort keys %scripts)
{
	my ($base, $weight) = split /@/, $name;
	(my $sql = $scripts{$name}) =~ s/\s+/ /g;
	append_to_file("$dir/$base.sql", $random . join(";\n", split(/; */, $sql)) . ";\n");
	push @files, '-f', "$dir/$base.sql\@$weight";
}
append_to_file("$dir/refresh.sql", join('', map { "\\sleep 300 ms\nREFRESH MATERIALIZED VIEW $_;\n" } qw(chain text_key join_keyed)));

my @runs;
sub start_pgbench
{
	my ($level, @options) = @_;
	my ($out, $err) = ('', '');
	local $ENV{PGOPTIONS} = "-c default_transaction_isolation='$level'";
	$ENV{PGOPTIONS} =~ s/(read|repeatable) /$1\\ /;
	$ENV{PGOPTIONS} =~ s/'//g;
	my $handle = IPC::Run::start(
		[ 'pgbench', '-n', '-T', $seconds, '--max-tries', 100, @options, $node->connstr('postgres') ],
		'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout($seconds + 120));
	push @runs, { level => $level, handle => $handle, out => \$out, err => \$err };
}
for my $level ('read committed', 'repeatable read', 'serializable')
{
	start_pgbench($level, '-c', 3, @files);
}
start_pgbench('read committed', '-c', 1, '-f', "$dir/refresh.sql");
for my $run (@runs)
{
	ok($run->{handle}->finish, "the clients at $run->{level} finished") or diag(${ $run->{err} });
	unlike(${ $run->{err} }, qr/aborted|ERROR/, 'with no error but those that call for a retry');
	note(${ $run->{out} });
}

for my $view (sort keys %views)
{
	is($node->safe_psql('postgres', "SELECT * FROM upkeep.verify('$view') LIMIT 5"), '', "$view is right");
}
is($node->safe_psql('postgres', "SELECT view, why FROM upkeep.views WHERE state <> 'active'"), '', 'none has become stale');
unlike(slurp_file($node->logfile), qr/is stale|was terminated by signal|out of shared memory/, 'nor ever was');
$node->stop;

done_testing();
