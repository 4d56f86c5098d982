# Twenty-two views over the same tables and four bulk writers fit into the default lock table, and single-statement
# transactions do not deadlock: each writer changes rows of its own, and all of them join and group with all others'.
use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = 1200;
my $rounds = 2;
my $writers = 4;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off");
$node->start;

$node->safe_psql('postgres', q{
	CREATE EXTENSION upkeep;
	CREATE TABLE a (id int PRIMARY KEY, k int NOT NULL, x int NOT NULL);
	CREATE TABLE b (id int PRIMARY KEY, k int NOT NULL, m int NOT NULL, y int);
	CREATE TABLE c (id int PRIMARY KEY, m int NOT NULL, label text NOT NULL);
	CREATE INDEX ON a (k);
	CREATE INDEX ON b (k);
	CREATE INDEX ON b (m);
	CREATE INDEX ON c (m);
	INSERT INTO b SELECT -i, i, i, i FROM generate_series(1, 1500, 10) i;
});

my @queries = (
	(map { "SELECT a.k, count(*) AS n, sum(a.x) AS s FROM a JOIN b USING (k) WHERE a.x % 7 <> $_ GROUP BY a.k" } 0 .. 3),
	(map { "SELECT a.x % 50 AS g, avg(b.y) AS y FROM a JOIN b USING (k) WHERE b.y % 7 <> $_ GROUP BY a.x % 50" } 0 .. 3),
	(map { "SELECT a.x, b.y, c.label FROM a JOIN b USING (k) JOIN c USING (m) WHERE a.x % 10 = $_" } 0 .. 3),
	(map { "SELECT c.label, count(*) AS n, min(a.x) AS lo FROM a JOIN b USING (k) JOIN c USING (m) WHERE a.x % 5 = $_ GROUP BY c.label" } 0 .. 1),
	(map { "SELECT b.id AS b, c.id AS c, b.y, c.label FROM b JOIN c USING (m) WHERE b.y % 3 = $_" } 0 .. 2),
	"SELECT label, count(*) AS n FROM c GROUP BY label",
	"SELECT label, sum(m) FILTER (WHERE m > 10) AS s FROM c GROUP BY label HAVING count(*) > 1",
	"SELECT DISTINCT k % 100 AS k FROM b",
	"SELECT p.x AS p, q.x AS q FROM a AS p JOIN a AS q ON q.k = p.x WHERE p.id % 4 = 0",
	"SELECT k, min(x) AS lo, max(x) AS hi FROM a GROUP BY k");
is(scalar @queries, 22, 'there are 22 views');
for my $i (0 .. $#queries)
{
	$node->safe_psql('postgres',
		"CREATE MATERIALIZED VIEW v$i AS $queries[$i]; SELECT upkeep.register('v$i')");
}

# Every statement is a transaction. Each writer starts at another one, so that different sides change at a time.
sub script
{
	my ($writer) = @_;
	my @all;
	for my $round (1 .. $rounds)
	{
		my $first = ($writer * 100 + $round) * 10000;
		my $mine = "id > " . ($writer * 1000000) . " AND id < " . (($writer + 1) * 1000000);
		my @statements = (
			"INSERT INTO a SELECT $first + i, i, i * 13 % 1500 FROM generate_series(1, $rows) i",
			"INSERT INTO b SELECT $first + i, i, i, i % 100 FROM generate_series(1, $rows) i",
			"INSERT INTO c SELECT $first + i, i, 'label ' || i % 90 FROM generate_series(1, $rows) i",
			"UPDATE b SET y = y + 1, m = m % 1000 WHERE $mine",
			"UPDATE a SET k = k % 700 + 1, x = x + 1 WHERE $mine",
			"UPDATE c SET label = label || '" . $round . "' WHERE $mine",
			"DELETE FROM a WHERE $mine AND id % 10 < 8",
			"DELETE FROM c WHERE $mine AND id % 10 < 7",
			"DELETE FROM b WHERE $mine AND id % 10 < 9");
		push @all, map { $statements[($_ + 3 * $writer) % @statements] } 0 .. $#statements;
	}
	return join(";\n", @all) . ";\n";
}

my @clients;
for my $writer (1 .. $writers)
{
	my ($in, $out, $err) = (script($writer), '', '');
	my $client = { err => \$err };
	$client->{handle} = IPC::Run::start(
		[ 'psql', '-X', '-q', '-d', $node->connstr('postgres') ],
		'<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(180));
	push @clients, $client;
}
for my $client (@clients)
{
	$client->{handle}->finish;
	is(${ $client->{err} }, '', 'a writer met no error');
}
for my $i (0 .. $#queries)
{
	is($node->safe_psql('postgres', "SELECT * FROM upkeep.verify('v$i') LIMIT 5"), '', "v$i is right");
}

# A single transaction of very many statements goes coarse instead of filling the lock table.
my ($status, $out, $err) = $node->psql('postgres', join("\n", 'BEGIN;',
	(map { "INSERT INTO a VALUES (" . (9000000 + $_) . ", $_, $_);" } 1 .. 2000), 'COMMIT;'));
is($err, '', 'two thousand statements in one transaction');
is($node->safe_psql('postgres', "SELECT * FROM upkeep.verify('v0') LIMIT 5"), '', 'and the view is right');
$node->stop;

done_testing();
