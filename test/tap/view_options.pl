# Options of upkeep in CREATE MATERIALIZED VIEW, with and without the library preloaded.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', q{
	CREATE DATABASE without;
	CREATE EXTENSION upkeep;
	CREATE TABLE t (x int);
	INSERT INTO t VALUES (1), (2)});

my $create = q{CREATE MATERIALIZED VIEW v WITH (upkeep.mode = 'immediate') AS SELECT count(*) AS n FROM t};
my ($status, $out, $error) = $node->psql('postgres', $create);
like($error, qr/unrecognized parameter namespace "upkeep"/, 'the server knows no options of a library that is not loaded');
$node->safe_psql('postgres', "LOAD 'upkeep'; BEGIN; $create; ROLLBACK");

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'upkeep'");
$node->restart;
$node->safe_psql('postgres', $create);
$node->safe_psql('postgres', 'INSERT INTO t VALUES (3)');
is($node->safe_psql('postgres', 'SELECT n FROM v'), '3', 'the view is registered by the first statement of a session');
$node->safe_psql('postgres', 'ALTER MATERIALIZED VIEW v RESET (upkeep.mode)');
is($node->safe_psql('postgres', 'SELECT count(*) FROM upkeep.views'), '0', 'and unregistered likewise');

($status, $out, $error) = $node->psql('without', $create =~ s/FROM t/FROM pg_class/r);
like($error, qr/parameters of "upkeep" need the extension "upkeep" in this database/, 'a database without the extension');
like($error, qr/HINT:  Create it with CREATE EXTENSION upkeep/, 'and what to do');
is($node->safe_psql('without', q{SELECT to_regclass('v') IS NULL}), 't', 'nothing is created there');
$node->safe_psql('without', q{
	CREATE MATERIALIZED VIEW v WITH (fillfactor = 90) AS SELECT 1 AS x;
	ALTER MATERIALIZED VIEW v SET (fillfactor = 80)});
($status, $out, $error) = $node->psql('without', q{ALTER MATERIALIZED VIEW v SET (upkeep.mode = 'manual')});
like($error, qr/parameters of "upkeep" need the extension/, 'nor altered');

# pg_dump knows nothing of the options: the registration is dumped with the extension.
$node->safe_psql('postgres', q{ALTER MATERIALIZED VIEW v SET (upkeep.mode = 'deferred', upkeep.every = '1 h')});
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-q', '-f', $dump, $node->connstr('restored') ], 'restored');
is($node->safe_psql('restored', 'SELECT mode, every FROM upkeep.views JOIN upkeep.registration USING (view, mode)'),
	'deferred|01:00:00', 'the options are there');
$node->stop;

done_testing();
