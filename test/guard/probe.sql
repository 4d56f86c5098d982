\set VERBOSITY verbose
\set SHOW_CONTEXT never
CREATE FUNCTION bad_alloc() RETURNS void AS :'probe', 'probe_bad_alloc' LANGUAGE c;
CREATE FUNCTION exception() RETURNS void AS :'probe', 'probe_exception' LANGUAGE c;
CREATE FUNCTION through_server() RETURNS void AS :'probe', 'probe_through_server' LANGUAGE c;
CREATE FUNCTION raises() RETURNS void AS :'probe', 'probe_ereport' LANGUAGE c;
CREATE FUNCTION twice(int) RETURNS int AS :'probe', 'probe_twice' LANGUAGE c STRICT;
SELECT twice(21);
SELECT bad_alloc();
SELECT exception();
SELECT through_server();
SELECT raises();
-- Caught inside a statement, again and again, with an ordinary error afterwards in the same backend.
CREATE FUNCTION caught(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT ' || call;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SELECT c, count(*) FROM generate_series(1, 1000) i,
    LATERAL (SELECT caught((ARRAY['bad_alloc()', 'exception()', 'through_server()', 'raises()'])[1 + i % 4]) c) s
GROUP BY c ORDER BY c;
SELECT 1 / 0;
SELECT twice(21);
