# Views are right after crashes of backends and of the server, after prepared transactions, timeouts and cancels.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'upkeep'
max_prepared_transactions = 5
restart_after_crash = on
CONF
$node->start;

$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION upkeep;
CREATE TABLE accounts (id int PRIMARY KEY, region text, balance numeric);
CREATE TABLE moves (account int, amount numeric, note text);
INSERT INTO accounts SELECT i, 'r' || i % 20, i FROM generate_series(1, 2000) i;
INSERT INTO moves SELECT 1 + i % 2000, i % 7, 'n' FROM generate_series(1, 6000) i;
CREATE INDEX ON moves (account);
CREATE MATERIALIZED VIEW totals AS
    SELECT region, count(*) AS n, sum(balance) AS s, avg(balance) AS a, max(id) AS m FROM accounts GROUP BY region;
CREATE MATERIALIZED VIEW flows AS
    SELECT a.region, sum(m.amount) AS s, count(*) AS n FROM accounts a JOIN moves m ON m.account = a.id
    GROUP BY a.region HAVING count(*) > 1;
CREATE MATERIALIZED VIEW bag AS SELECT region, note FROM accounts a JOIN moves m ON m.account = a.id;
CREATE MATERIALIZED VIEW kinds AS SELECT DISTINCT note FROM moves;
SELECT upkeep.register(v) FROM unnest('{totals,flows,bag,kinds}'::regclass[]) v;
SQL

# Every view is active and holds what its query returns.
sub is_right
{
	my ($what) = @_;
	is($node->safe_psql('postgres', <<'SQL'), '4|0', $what);
SELECT count(*) FILTER (WHERE state = 'active'),
       (SELECT count(*) FROM upkeep.views v, upkeep.verify(v.view)) FROM upkeep.views
SQL
}

sub wait_for_server
{
	$node->poll_query_until('postgres', 'SELECT true') or die 'the server did not come back';
}

# A client that writes in transactions until its connection ends.
sub start_writer
{
	my ($seed) = @_;
	my %writer = (in => '', out => '', err => '');
	$writer{handle} = IPC::Run::start(
		[ 'psql', '-XqAt', '-d', $node->connstr('postgres') ],
		'<', \$writer{in}, '>', \$writer{out}, '2>', \$writer{err}, IPC::Run::timeout(60));
	$writer{in} .= <<"SQL";
DO \$\$
BEGIN
    PERFORM setseed($seed);
    LOOP
        INSERT INTO moves SELECT 1 + (random() * 1999)::int, 3, 'n' || (random() * 5)::int FROM generate_series(1, 20);
        UPDATE accounts SET balance = balance + 1 WHERE id = (random() * 1999)::int;
        COMMIT;
        DELETE FROM moves WHERE account = (random() * 1999)::int;
        UPDATE accounts SET region = 'r' || (random() * 22)::int WHERE id = (random() * 1999)::int;
        COMMIT;
    END LOOP;
END \$\$;
SQL
	$writer{handle}->pump_nb;
	return \%writer;
}

sub finish_writers
{
	for my $writer (@_)
	{
		eval { $writer->{in} .= "\\q\n"; $writer->{handle}->finish; };
	}
}

# A bulk statement is killed while it maintains.
{
	my ($in, $out, $err) = ('', '', '');
	my $bulk = IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres') ],
		'<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(60));
	$in .= "SELECT pg_backend_pid();\n";
	$bulk->pump until $out =~ /(\d+)\n/;
	my ($pid) = $out =~ /(\d+)\n/;
	$in .= "DO \$\$ BEGIN FOR i IN 1 .. 1000 LOOP UPDATE accounts SET balance = balance + 1; END LOOP; END \$\$;\n";
	$bulk->pump_nb;
	usleep(700_000);
	kill 'KILL', $pid;
	eval { $bulk->finish; };
	usleep(300_000);
	wait_for_server();
	is_right('after a backend was killed in a bulk statement');
	$node->safe_psql('postgres', 'UPDATE accounts SET balance = balance + 1; DELETE FROM moves WHERE account % 10 = 1');
	is_right('and writes go on');
}

# The server is stopped as by a loss of power, twice, with several writers.
for my $round (1, 2)
{
	my @writers = map { start_writer($_ / 10) } 1 .. 3;
	usleep(1_200_000);
	$node->stop('immediate');
	finish_writers(@writers);
	$node->start;
	is_right("after an immediate stop, round $round");
	$node->safe_psql('postgres', "INSERT INTO moves VALUES ($round, 5, 'after'); DELETE FROM accounts WHERE id = 1990 + $round");
	is_right("and writes go on, round $round");
}

# The postmaster is killed.
{
	my @writers = map { start_writer($_ / 7) } 1 .. 3;
	usleep(1_000_000);
	my @pids = split /\n/, $node->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity');
	$node->kill9;
	usleep(200_000);
	kill 'KILL', @pids; # a busy backend would write on without its postmaster, and hold up the next one
	finish_writers(@writers);
	for (1 .. 100)
	{
		last unless kill 0, @pids;
		usleep(100_000);
	}
	usleep(500_000);
	$node->start;
	is_right('after the postmaster was killed');
}

# Changes that are maintained and prepared survive a crash.
$node->safe_psql('postgres', <<'SQL');
BEGIN;
UPDATE accounts SET balance = balance + 7, region = 'prepared' WHERE id <= 3;
INSERT INTO moves SELECT i, 9, 'prepared' FROM generate_series(1, 3) i;
SAVEPOINT s;
DELETE FROM moves WHERE account < 3;
ROLLBACK TO s;
PREPARE TRANSACTION 'kept';
BEGIN; -- of another group, and so it does not wait
SET LOCAL lock_timeout = '20s';
DELETE FROM moves WHERE account = 1015;
PREPARE TRANSACTION 'dropped';
SQL
is_right('while transactions are prepared');
$node->stop('immediate');
$node->start;
is_right('after a crash with prepared transactions');
$node->safe_psql('postgres', "COMMIT PREPARED 'kept'");
is($node->safe_psql('postgres', "SELECT n FROM totals WHERE region = 'prepared'"), '3', 'what was prepared is in the view');
is_right('after COMMIT PREPARED');
$node->safe_psql('postgres', "ROLLBACK PREPARED 'dropped'");
$node->safe_psql('postgres', 'DELETE FROM moves WHERE account BETWEEN 1010 AND 1020; UPDATE accounts SET balance = 0 WHERE id < 20');
is_right('after ROLLBACK PREPARED, and writes go on');

# Timeouts at any moment of maintenance, in a session that goes on.
{
	my $script = '';
	for my $ms (3, 5, 8, 12, 20, 30, 45, 60, 90, 130)
	{
		$script .= <<"SQL";
SET statement_timeout = '${ms}ms';
UPDATE accounts SET balance = balance + 1, region = 'r' || (id + $ms) % 23;
UPDATE moves SET note = 'n' || (account + $ms) % 9 WHERE account < 900;
RESET statement_timeout;
UPDATE accounts SET balance = balance - 1 WHERE id = $ms;
DELETE FROM moves WHERE account = $ms;
SQL
	}
	my ($out, $err) = ('', '');
	$node->psql('postgres', $script, stdout => \$out, stderr => \$err, on_error_stop => 0);
	like($err, qr/statement timeout/, 'statements ran into their timeout');
	unlike($err, qr/stale|rebuilt|deadlock|XX000/, 'and into nothing else');
	is_right('after statement timeouts');
}

# Cancels from another session.
{
	my @writers = map { start_writer($_ / 3) } 1 .. 2;
	for (1 .. 10)
	{
		usleep(60_000);
		$node->safe_psql('postgres',
			"SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'DO %' AND pid <> pg_backend_pid()");
	}
	finish_writers(@writers);
	is_right('after cancels');
}

unlike(slurp_file($node->logfile), qr/PANIC|TRAP|signal 11|signal 6|not kept up to date|is stale/,
	'no crash of its own, and no view given up');
$node->stop;

done_testing();
