# The extension survives a crash of the server, and a server that preloads the library starts.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'upkeep'");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION upkeep');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', "SELECT extversion FROM pg_extension WHERE extname = 'upkeep'"),
	'1.0', 'the extension is there after a crash');
$node->stop;

done_testing();
