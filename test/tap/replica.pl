# A streaming standby shows the maintained views; after its promotion they are maintained there.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "shared_preload_libraries = 'upkeep'");
$primary->start;
$primary->safe_psql('postgres', <<'SQL');
CREATE EXTENSION upkeep;
CREATE TABLE sales (id int, region text, amount numeric);
INSERT INTO sales SELECT i, 'r' || i % 5, i FROM generate_series(1, 100) i;
CREATE MATERIALIZED VIEW totals AS SELECT region, count(*) AS n, avg(amount) AS a FROM sales GROUP BY region;
SELECT upkeep.register('totals');
SQL

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

$primary->safe_psql('postgres', <<'SQL');
CREATE MATERIALIZED VIEW pairs AS SELECT a.id, b.amount FROM sales a JOIN sales b USING (region, id);
SELECT upkeep.register('pairs');
UPDATE sales SET amount = amount + 1 WHERE id % 2 = 0;
DELETE FROM sales WHERE region = 'r3';
INSERT INTO sales VALUES (1000, 'new', 1.50), (1001, NULL, 2);
SQL
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));

my $contents = 'SELECT * FROM totals ORDER BY region; SELECT count(*), sum(id), sum(amount) FROM pairs';
is($standby->safe_psql('postgres', $contents), $primary->safe_psql('postgres', $contents), 'the standby shows the views');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM upkeep.views v, upkeep.verify(v.view)'), '0',
	'they are right there');
is($standby->safe_psql('postgres', 'SELECT string_agg(state, $$,$$) FROM upkeep.views'), 'active,active',
	'the standby knows their state');
my ($status, $out, $err) = $standby->psql('postgres', "SELECT upkeep.register('totals')");
like($err, qr/read-only|recovery/, 'nothing is registered on a standby');

$primary->stop('immediate');
$standby->promote;
$standby->safe_psql('postgres', <<'SQL');
UPDATE sales SET amount = amount * 2, region = 'moved' WHERE id < 20;
DELETE FROM sales WHERE region = 'new';
INSERT INTO sales SELECT i, 'r' || i % 7, i FROM generate_series(2000, 2100) i;
SQL
is($standby->safe_psql('postgres', 'SELECT count(*) FROM upkeep.views v, upkeep.verify(v.view)'), '0',
	'after promotion, writes are maintained');
is($standby->safe_psql('postgres', "SELECT n FROM totals WHERE region = 'moved'"),
	$standby->safe_psql('postgres', "SELECT count(*) FROM sales WHERE region = 'moved'"), 'and shown');
$standby->safe_psql('postgres', 'REFRESH MATERIALIZED VIEW totals; INSERT INTO sales VALUES (1, $$again$$, 1)');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM upkeep.views v, upkeep.verify(v.view)'), '0',
	'and after REFRESH');
unlike(slurp_file($standby->logfile), qr/PANIC|TRAP|signal 11|signal 6|stale/, 'no crash');
$standby->stop;

done_testing();
