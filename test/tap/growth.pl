# A backend that runs very many maintained statements does not grow. Single statements from a client: a PL/pgSQL loop
# with COMMIT grows by itself.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $statements = 100_000;
my $tolerance = 64 * 1024;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
fsync = off
synchronous_commit = off
autovacuum = off
jit = off
CONF
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION upkeep;
CREATE TABLE t (id int PRIMARY KEY, grp int NOT NULL, val int NOT NULL, amount numeric NOT NULL);
CREATE TABLE u (grp int PRIMARY KEY, name text NOT NULL);
INSERT INTO u SELECT i, 'name ' || i FROM generate_series(0, 9) i;
INSERT INTO t SELECT i, i % 10, i % 7, i / 3.0 FROM generate_series(1, 100) i;
CREATE INDEX ON t (grp);
CREATE MATERIALIZED VIEW totals AS SELECT grp, count(*) AS n, sum(val) AS total, avg(amount) FROM t GROUP BY grp;
CREATE MATERIALIZED VIEW names AS SELECT t.id, t.val, u.name FROM t JOIN u USING (grp);
CREATE MATERIALIZED VIEW extremes AS SELECT grp, min(val), max(amount), count(*) AS n FROM t GROUP BY grp;
CREATE TABLE sizes (moment text, name text, parent text, bytes bigint);
SQL

# A view at a time, so that a growth has a name.
my $turn = "INSERT INTO t VALUES (1000, 3, 4, 5.5);\n"
	. "UPDATE t SET val = val + 1, amount = amount + 1 WHERE id = 1000;\n"
	. "UPDATE t SET grp = 4 WHERE id = 1000;\n"
	. "DELETE FROM t WHERE id = 1000;\n";
my $measure = "INSERT INTO sizes SELECT 'MOMENT', name, parent, sum(total_bytes) FROM pg_backend_memory_contexts"
	. " GROUP BY name, parent;\n";

# The views share the statements; the measuring statement itself is warmed up like the others.
foreach my $case ([ 'totals', 'immediate' ], [ 'names', 'immediate' ], [ 'extremes', 'immediate' ], [ 'totals', 'deferred' ])
{
	my ($view, $mode) = @$case;
	my $turns = int($statements / 3 / 4);
	my $script = "TRUNCATE sizes;\nSELECT upkeep.register('$view', '$mode');\n";
	$script .= $turn x 250;
	$script .= $measure =~ s/MOMENT/warm/r x 2;
	$script .= "DELETE FROM sizes;\n" . $measure =~ s/MOMENT/before/r;
	$script .= $turn x $turns;
	$script .= $measure =~ s/MOMENT/after/r;
	$script .= "DO \$\$ BEGIN PERFORM upkeep.refresh('$view'); END \$\$;\n" if $mode eq 'deferred';
	$script .= "SELECT count(*) FROM upkeep.verify('$view');\n";
	is($node->safe_psql('postgres', "SET client_min_messages = warning;\n$script") =~ s/^\s+//r,
		'0', "$view, $mode, is right in the end");
	my $growth = $node->safe_psql('postgres', <<'SQL');
SELECT sum(bytes) FILTER (WHERE moment = 'after') - sum(bytes) FILTER (WHERE moment = 'before') FROM sizes
SQL
	cmp_ok($growth, '<=', $tolerance, "$view, $mode: a backend grows by $growth bytes in " . 4 * $turns . ' statements')
		or diag($node->safe_psql('postgres', <<'SQL'));
SELECT name, parent, sum(bytes) FILTER (WHERE moment = 'before') AS before, sum(bytes) FILTER (WHERE moment = 'after') AS after
FROM sizes GROUP BY name, parent
HAVING sum(bytes) FILTER (WHERE moment = 'after') IS DISTINCT FROM sum(bytes) FILTER (WHERE moment = 'before') ORDER BY name
SQL
	$node->safe_psql('postgres', "SELECT upkeep.unregister('$view')");
}
$node->stop;

done_testing();
