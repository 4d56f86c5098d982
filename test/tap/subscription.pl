# A table that a subscription feeds changes without statement triggers: no immediate view may stand on it unnoticed.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->start;
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init(allows_streaming => 'logical');
$subscriber->start;

$_->safe_psql('postgres', 'CREATE TABLE t (id int PRIMARY KEY, g int)') for ($publisher, $subscriber);
$publisher->safe_psql('postgres', 'INSERT INTO t VALUES (1, 1); CREATE PUBLICATION pub FOR TABLE t');
$subscriber->safe_psql('postgres', q{
    CREATE EXTENSION upkeep;
    CREATE MATERIALIZED VIEW m AS SELECT g, count(*) AS n FROM t GROUP BY g;
    SELECT upkeep.register('m');
});
my $connection = $publisher->connstr . ' dbname=postgres';
my ($code, $out, $err) = $subscriber->psql('postgres', "CREATE SUBSCRIPTION sub CONNECTION '$connection' PUBLICATION pub");
is($code, 0, 'the subscription is created');
like($err, qr/materialized view "m" is not kept up to date any more/, 'with a warning');
is($subscriber->safe_psql('postgres', 'SELECT state FROM upkeep.views'), 'stale', 'the view is stale, not silently wrong');
like($subscriber->safe_psql('postgres', 'SELECT why FROM upkeep.views'), qr/subscription/, 'and says why');

($code, $out, $err) = $subscriber->psql('postgres', "SELECT upkeep.register('m')");
like($err, qr/subscription feeds it/, 'it cannot be registered as immediate');
$subscriber->safe_psql('postgres', "SELECT upkeep.register('m', 'manual')");
$publisher->safe_psql('postgres', 'INSERT INTO t VALUES (2, 1), (3, 2)');
$publisher->wait_for_catchup('sub');
$subscriber->safe_psql('postgres', "SELECT upkeep.refresh('m')");
is($subscriber->safe_psql('postgres', 'SELECT * FROM m ORDER BY g'), "1|2\n2|1", 'a manual view follows when refreshed');
is($subscriber->safe_psql('postgres', "SELECT * FROM upkeep.verify('m')"), '', 'and is right');

# A partition of a table that a subscription feeds is fed too.
$_->safe_psql('postgres', q{
    CREATE TABLE p (id int PRIMARY KEY, g int) PARTITION BY RANGE (id);
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
}) for ($publisher, $subscriber);
$subscriber->safe_psql('postgres', q{
    CREATE MATERIALIZED VIEW leaf AS SELECT g, count(*) AS n FROM p1 GROUP BY g;
    SELECT upkeep.register('leaf');
});
$publisher->safe_psql('postgres', 'CREATE PUBLICATION tree FOR TABLE p WITH (publish_via_partition_root = true)');
($code, $out, $err) = $subscriber->psql('postgres', "CREATE SUBSCRIPTION tree CONNECTION '$connection' PUBLICATION tree");
like($err, qr/materialized view "leaf" is not kept up to date any more/, 'a view of a partition is stale when its root is fed');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION tree; DROP TABLE p CASCADE');

$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION sub');
$subscriber->safe_psql('postgres', "SELECT upkeep.register('m'); INSERT INTO t VALUES (9, 9)");
is($subscriber->safe_psql('postgres', "SELECT * FROM upkeep.verify('m')"), '', 'without the subscription it is immediate again');

$subscriber->stop;
$publisher->stop;
done_testing();
