\echo Use "CREATE EXTENSION upkeep" to load this file. \quit

-- Schemas ----------------------------------------------------------------------------------------------------------
-- Members of the extension, so that they go with it; a schema of this name that somebody made before is not used.

CREATE SCHEMA upkeep;
REVOKE ALL ON SCHEMA upkeep FROM PUBLIC;
GRANT USAGE ON SCHEMA upkeep TO PUBLIC;
COMMENT ON SCHEMA upkeep IS 'keeping materialized views up to date';

CREATE SCHEMA upkeep_data;
-- The owner of a view may read its state tables, in the statements of its maintenance.
GRANT USAGE ON SCHEMA upkeep_data TO PUBLIC;
COMMENT ON SCHEMA upkeep_data IS 'state tables of upkeep; not for reading or writing';

-- Relations --------------------------------------------------------------------------------------------------------
-- What the user asked for is dumped (registration_by_name); what upkeep keeps at run time is not, so that a restored view
-- is recognized as not yet active. A regclass column could not be dumped: pg_dump creates some materialized views after
-- the data (those with GROUP BY a primary key), and the restore of all registrations would fail for one of them.

CREATE TABLE upkeep.registration (
    view regclass PRIMARY KEY,
    mode text NOT NULL CHECK (mode IN ('immediate', 'commit', 'deferred', 'manual')),
    max_staleness interval,
    every interval,
    name text NOT NULL
);
COMMENT ON TABLE upkeep.registration IS 'registered materialized views and their options, as register() was given them';

CREATE TABLE upkeep.registration_by_name (
    name text PRIMARY KEY,
    mode text NOT NULL CHECK (mode IN ('immediate', 'commit', 'deferred', 'manual')),
    max_staleness interval,
    every interval
);
COMMENT ON TABLE upkeep.registration_by_name IS
    'the same by qualified name, for pg_dump; a view that is here alone was restored and waits for its REFRESH';
SELECT pg_catalog.pg_extension_config_dump('upkeep.registration_by_name', '');

CREATE TABLE upkeep.activity (
    view oid PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('active', 'building', 'stale', 'failed')),
    why text,
    strategy text NOT NULL,
    layout text NOT NULL,
    identity_index oid NOT NULL,
    identity_definition text,
    last_rebuild timestamptz
);
COMMENT ON TABLE upkeep.activity IS 'run-time state of the views that this server maintains';

CREATE TABLE upkeep.source (
    view oid NOT NULL,
    relation oid NOT NULL,
    used int2[] NOT NULL,
    PRIMARY KEY (view, relation)
);
CREATE INDEX source_relation ON upkeep.source (relation);
COMMENT ON TABLE upkeep.source IS 'base tables of each view, with the columns that it uses';

CREATE TABLE upkeep.state_table (
    view oid NOT NULL,
    node int4 NOT NULL,
    relation oid NOT NULL,
    index oid NOT NULL,
    PRIMARY KEY (view, node)
);
COMMENT ON TABLE upkeep.state_table IS 'tables in schema upkeep_data that hold what a view''s own columns do not show';

CREATE TABLE upkeep.fact (
    view oid NOT NULL,
    classid oid NOT NULL,
    objid oid NOT NULL,
    subid int4 NOT NULL,
    kind text NOT NULL,
    fingerprint text NOT NULL,
    PRIMARY KEY (view, classid, objid, subid, kind)
);
COMMENT ON TABLE upkeep.fact IS 'properties of other objects that a view''s maintenance relies on';

CREATE TABLE upkeep.setting (
    view oid NOT NULL,
    name text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (view, name)
);
COMMENT ON TABLE upkeep.setting IS 'settings that a view''s contents depend on, as they were at registration';

CREATE TABLE upkeep.log (
    relation oid PRIMARY KEY,
    current int4 NOT NULL,
    segment1 oid NOT NULL,
    segment2 oid NOT NULL,
    segment3 oid NOT NULL,
    columns int2[] NOT NULL
);
COMMENT ON TABLE upkeep.log IS 'change logs of base tables with deferred views: tables in schema upkeep_data';

CREATE TABLE upkeep.frontier (
    view oid PRIMARY KEY,
    snapshot pg_snapshot NOT NULL,
    reached timestamptz NOT NULL,
    owed double precision
);
COMMENT ON TABLE upkeep.frontier IS 'the snapshot up to which each deferred view has consumed the logs';
COMMENT ON COLUMN upkeep.frontier.owed IS
    'NULL: the state tables hold the state at that snapshot; else only the view does, and so much more (in the planner''s units) refreshes have cost since than following the changes would have';

REVOKE ALL ON upkeep.log, upkeep.frontier FROM PUBLIC;
REVOKE ALL ON upkeep.registration, upkeep.registration_by_name, upkeep.activity, upkeep.source, upkeep.state_table,
    upkeep.fact, upkeep.setting FROM PUBLIC;
-- pg_dump reads it, whoever runs it.
GRANT SELECT ON upkeep.registration_by_name TO PUBLIC;

-- Functions --------------------------------------------------------------------------------------------------------

CREATE TYPE upkeep.explanation AS (
    step int4,
    trigger text,
    operator text,
    strategy text,
    sql text,
    index_wanted text,
    code text,
    what text,
    why text,
    hint text
);
COMMENT ON TYPE upkeep.explanation IS
    'a step of a maintenance plan (the first six columns) or a reason for a refusal (the last four)';

CREATE FUNCTION upkeep.stat(OUT view oid, OUT calls bigint, OUT rows_in bigint, OUT rows_changed bigint,
                            OUT total_time double precision, OUT mean_time double precision,
                            OUT max_time double precision, OUT rebuilds bigint, OUT waits bigint)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'upkeep_stat';
COMMENT ON FUNCTION upkeep.stat() IS
    'counters of the registered views in shared memory; NULL unless upkeep is in shared_preload_libraries';

CREATE FUNCTION upkeep.builds(OUT view oid, OUT pid int4, OUT phase text, OUT rows_done bigint, OUT rows_estimated bigint,
                              OUT started timestamptz)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'upkeep_builds';
COMMENT ON FUNCTION upkeep.builds() IS
    'views that are being built in this database; none are known unless upkeep is in shared_preload_libraries';

CREATE FUNCTION upkeep.verify(view regclass, OUT side text, OUT contents text)
RETURNS SETOF record STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'upkeep_verify';
COMMENT ON FUNCTION upkeep.verify(regclass) IS
    'runs the query of a materialized view and returns the rows that are in the view only or in the query only; none: it is right';

-- What identity indexes hold. Everybody may call them: index expressions run with the rights of whoever writes.
CREATE FUNCTION upkeep.key_hash(VARIADIC "any") RETURNS bigint
  LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_key_hash';
COMMENT ON FUNCTION upkeep.key_hash(VARIADIC "any") IS
  'hash of a key by the hash functions of its types'' default equality: equal keys have equal hashes, NULLs included';

CREATE FUNCTION upkeep.image_hash(VARIADIC "any") RETURNS bigint
  LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_image_hash';
COMMENT ON FUNCTION upkeep.image_hash(VARIADIC "any") IS
  'hash of the stored bits of a row, detoasted, of any types';

-- For statements of a refresh, which know its number.
CREATE FUNCTION upkeep.has_changed(run bigint, source integer, VARIADIC "any") RETURNS boolean
  LANGUAGE c STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'upkeep_has_changed';
COMMENT ON FUNCTION upkeep.has_changed(bigint, integer, VARIADIC "any") IS
  'whether the number of rows with these columns has changed in a relation, in the change that a refresh is at';

CREATE FUNCTION upkeep.old_rows(run bigint, source integer, columns int2[], equalities oid[], collations oid[],
                                VARIADIC "any") RETURNS SETOF record
  LANGUAGE c STABLE PARALLEL UNSAFE ROWS 5 AS 'MODULE_PATHNAME', 'upkeep_old_rows';
COMMENT ON FUNCTION upkeep.old_rows(bigint, integer, int2[], oid[], oid[], VARIADIC "any") IS
  'the rows that a relation had of the images that have changed, by keys, in the change that a refresh is at';

CREATE FUNCTION upkeep.register(view regclass, mode text DEFAULT 'immediate', max_staleness interval DEFAULT NULL,
                                every interval DEFAULT NULL)
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'upkeep_register';
COMMENT ON FUNCTION upkeep.register(regclass, text, interval, interval) IS
    'starts keeping a materialized view up to date, or changes the options of a registered one';

CREATE FUNCTION upkeep.unregister(view regclass)
RETURNS void LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'upkeep_unregister';
COMMENT ON FUNCTION upkeep.unregister(regclass) IS
    'stops keeping a materialized view up to date; it stays with its present rows';

CREATE FUNCTION upkeep.refresh(view regclass DEFAULT NULL)
RETURNS bigint LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'upkeep_refresh';
COMMENT ON FUNCTION upkeep.refresh(regclass) IS
    'brings one registered view, or all of the caller''s, up to date now; returns the number of change rows consumed (deferred) or rows written';

CREATE FUNCTION upkeep.wait(view regclass, timeout interval DEFAULT '10 s')
RETURNS boolean LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'upkeep_wait';
COMMENT ON FUNCTION upkeep.wait(regclass, interval) IS
    'waits until everything that was committed before the call is in a view; false: it is not after that time';

CREATE FUNCTION upkeep.log_state(view oid, OUT pending bigint, OUT log_size bigint)
RETURNS record LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'upkeep_log_state';
COMMENT ON FUNCTION upkeep.log_state(oid) IS
    'what the change logs hold for a deferred view: rows that it has not consumed; bytes of all its logs';

CREATE FUNCTION upkeep.explain(what text)
RETURNS SETOF upkeep.explanation LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'upkeep_explain';
COMMENT ON FUNCTION upkeep.explain(text) IS
    'the maintenance plan of a view or of a query, step by step, or the reason why it is refused';

CREATE FUNCTION upkeep.capture_before() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'upkeep_capture_before';
COMMENT ON FUNCTION upkeep.capture_before() IS 'notes that a statement on a base table begins';

CREATE FUNCTION upkeep.capture_after() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'upkeep_capture_after';
COMMENT ON FUNCTION upkeep.capture_after() IS 'records what a statement changed, and maintains the views when the outermost one ends';

CREATE FUNCTION upkeep.capture_row() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'upkeep_capture_row';
COMMENT ON FUNCTION upkeep.capture_row() IS 'records a changed row of a table that takes part in inheritance';

-- A further trigger on a base table that calls them would record its changes twice.
REVOKE EXECUTE ON FUNCTION upkeep.capture_before(), upkeep.capture_after(), upkeep.capture_row() FROM PUBLIC;

-- Views ------------------------------------------------------------------------------------------------------------

CREATE VIEW upkeep.views AS
SELECT r.view,
       r.mode,
       a.strategy,
       coalesce(a.state, 'stale') AS state,
       CASE WHEN a.view IS NULL THEN 'not active since it was restored: REFRESH MATERIALIZED VIEW activates it'
            ELSE a.why END AS why,
       CASE WHEN a.state = 'active' AND r.mode IN ('immediate', 'commit') THEN
                -- as far behind as the oldest of the views that it reads and that are refreshed by hand
                coalesce((WITH RECURSIVE below AS (
                              SELECT s.relation FROM upkeep.source s WHERE s.view = r.view
                              UNION
                              SELECT s.relation FROM below JOIN upkeep.source s ON s.view = below.relation)
                          SELECT max(pg_catalog.clock_timestamp() - b.last_rebuild)
                          FROM below
                              JOIN upkeep.registration n ON n.view = below.relation AND n.mode = 'manual'
                              JOIN upkeep.activity b ON b.view = n.view), interval '0')
            WHEN l.pending = 0 THEN interval '0'
            ELSE pg_catalog.clock_timestamp() - coalesce(f.reached, a.last_rebuild) END AS lag,
       CASE WHEN a.state = 'active' AND r.mode IN ('immediate', 'commit') THEN 0::bigint ELSE l.pending END AS pending,
       greatest(a.last_rebuild, f.reached) AS last_maintenance,
       (SELECT coalesce(sum(pg_catalog.pg_total_relation_size(t.relation)), 0)::bigint
        FROM upkeep.state_table t WHERE t.view = r.view) AS state_size,
       l.log_size
FROM (SELECT view, mode FROM upkeep.registration
      UNION ALL
      SELECT c.oid, n.mode
      FROM upkeep.registration_by_name n
          JOIN pg_catalog.pg_class c ON c.relkind = 'm'
          JOIN pg_catalog.pg_namespace s
              ON s.oid = c.relnamespace AND pg_catalog.format('%I.%I', s.nspname, c.relname) = n.name
      WHERE NOT EXISTS (SELECT FROM upkeep.registration r WHERE r.name = n.name)) r
    LEFT JOIN upkeep.activity a ON a.view = r.view
    LEFT JOIN upkeep.frontier f ON f.view = r.view
    CROSS JOIN LATERAL upkeep.log_state(r.view) l;
COMMENT ON VIEW upkeep.views IS 'registered materialized views and how up to date they are';
COMMENT ON COLUMN upkeep.views.view IS 'the materialized view';
COMMENT ON COLUMN upkeep.views.mode IS 'immediate: right after every statement; commit: right when a transaction commits; deferred: soon after, in the background; manual: when refresh() is called';
COMMENT ON COLUMN upkeep.views.strategy IS 'incremental, scoped or rebuild';
COMMENT ON COLUMN upkeep.views.state IS 'active, building, stale or failed';
COMMENT ON COLUMN upkeep.views.why IS 'why the view is not active';
COMMENT ON COLUMN upkeep.views.lag IS
    'how long the contents may be behind: zero for an active view of mode immediate or commit that reads no manual one, and for a deferred one with nothing pending';
COMMENT ON COLUMN upkeep.views.pending IS 'captured change rows that are not yet in the view; NULL where none are kept';
COMMENT ON COLUMN upkeep.views.last_maintenance IS 'when the view was last computed, or a deferred one brought up to date';
COMMENT ON COLUMN upkeep.views.state_size IS 'bytes of state kept beside the view''s own rows';
COMMENT ON COLUMN upkeep.views.log_size IS 'bytes of the change logs of a deferred view''s tables, which all their deferred views share';

CREATE VIEW upkeep.stat_views AS
SELECT s.view::regclass AS view, s.calls, s.rows_in, s.rows_changed, s.total_time, s.mean_time, s.max_time, s.rebuilds,
       s.waits
FROM upkeep.stat() s;
COMMENT ON VIEW upkeep.stat_views IS
    'what maintenance has done since the server started; NULL unless upkeep is in shared_preload_libraries';
COMMENT ON COLUMN upkeep.stat_views.view IS 'the materialized view';
COMMENT ON COLUMN upkeep.stat_views.calls IS 'maintenance runs';
COMMENT ON COLUMN upkeep.stat_views.rows_in IS 'changed rows of base tables that the runs consumed';
COMMENT ON COLUMN upkeep.stat_views.rows_changed IS 'rows of the view inserted, updated and deleted';
COMMENT ON COLUMN upkeep.stat_views.total_time IS 'time spent, in milliseconds';
COMMENT ON COLUMN upkeep.stat_views.mean_time IS 'time per run, in milliseconds';
COMMENT ON COLUMN upkeep.stat_views.max_time IS 'time of the longest run, in milliseconds';
COMMENT ON COLUMN upkeep.stat_views.rebuilds IS 'rebuilds by difference';
COMMENT ON COLUMN upkeep.stat_views.waits IS 'runs that waited for another transaction''s lock';

CREATE VIEW upkeep.progress AS
SELECT b.view::regclass AS view, b.pid, b.phase, b.rows_done, b.rows_estimated, b.started FROM upkeep.builds() b;
COMMENT ON VIEW upkeep.progress IS
    'views that are being built by register, REFRESH or a refresh; empty unless upkeep is in shared_preload_libraries';
COMMENT ON COLUMN upkeep.progress.view IS 'the materialized view';
COMMENT ON COLUMN upkeep.progress.pid IS 'process ID of the session or worker that builds it';
COMMENT ON COLUMN upkeep.progress.phase IS 'waiting for locks, computing, writing or catching up';
COMMENT ON COLUMN upkeep.progress.rows_done IS 'rows computed or written in this phase';
COMMENT ON COLUMN upkeep.progress.rows_estimated IS
    'computing: rows of the base tables, as last analyzed; writing: rows of the result; NULL where unknown';
COMMENT ON COLUMN upkeep.progress.started IS 'when the build began';

REVOKE ALL ON upkeep.views, upkeep.stat_views, upkeep.progress FROM PUBLIC;
GRANT SELECT ON upkeep.views, upkeep.stat_views, upkeep.progress TO PUBLIC;

-- Event triggers: last, since they watch every command from here on ---------------------------------------------------

CREATE FUNCTION upkeep.ddl_end()
RETURNS event_trigger LANGUAGE c AS 'MODULE_PATHNAME', 'upkeep_ddl_end';
COMMENT ON FUNCTION upkeep.ddl_end() IS 'follows REFRESH and changes of definition of registered views and their sources';

CREATE FUNCTION upkeep.ddl_start()
RETURNS event_trigger LANGUAGE c AS 'MODULE_PATHNAME', 'upkeep_ddl_start';
COMMENT ON FUNCTION upkeep.ddl_start() IS 'marks views stale whose partition is detached concurrently, until it is';

CREATE FUNCTION upkeep.sql_drop()
RETURNS event_trigger LANGUAGE c AS 'MODULE_PATHNAME', 'upkeep_sql_drop';
COMMENT ON FUNCTION upkeep.sql_drop() IS 'forgets dropped views; guards the indexes and triggers that maintenance needs';

REVOKE EXECUTE ON FUNCTION upkeep.ddl_start(), upkeep.ddl_end(), upkeep.sql_drop() FROM PUBLIC;

CREATE EVENT TRIGGER upkeep_ddl_start ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION upkeep.ddl_start();
CREATE EVENT TRIGGER upkeep_sql_drop ON sql_drop EXECUTE FUNCTION upkeep.sql_drop();
CREATE EVENT TRIGGER upkeep_ddl_end ON ddl_command_end EXECUTE FUNCTION upkeep.ddl_end();
ALTER EVENT TRIGGER upkeep_ddl_start ENABLE ALWAYS;
ALTER EVENT TRIGGER upkeep_sql_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER upkeep_ddl_end ENABLE ALWAYS;
