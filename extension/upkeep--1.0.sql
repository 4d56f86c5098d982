\echo Use "CREATE EXTENSION upkeep" to load this file. \quit

-- Relations --------------------------------------------------------------------------------------------------------
-- What the user asked for is dumped (registration); what upkeep keeps at run time is not, so that a restored view is
-- recognized as not yet active.

CREATE TABLE upkeep.registration (
    view regclass PRIMARY KEY,
    mode text NOT NULL CHECK (mode IN ('immediate', 'manual')),
    max_staleness interval,
    every interval
);
COMMENT ON TABLE upkeep.registration IS 'registered materialized views and their options, as register() was given them';
SELECT pg_catalog.pg_extension_config_dump('upkeep.registration', '');

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

REVOKE ALL ON upkeep.registration, upkeep.activity, upkeep.source, upkeep.state_table, upkeep.fact, upkeep.setting
    FROM PUBLIC;
-- pg_dump reads it, whoever runs it.
GRANT SELECT ON upkeep.registration TO PUBLIC;

CREATE SCHEMA upkeep_data;
REVOKE ALL ON SCHEMA upkeep_data FROM PUBLIC;
COMMENT ON SCHEMA upkeep_data IS 'state tables of upkeep; not for reading or writing';

REVOKE ALL ON SCHEMA upkeep FROM PUBLIC;
GRANT USAGE ON SCHEMA upkeep TO PUBLIC;

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

-- Views ------------------------------------------------------------------------------------------------------------

CREATE VIEW upkeep.views AS
SELECT r.view,
       r.mode,
       a.strategy,
       coalesce(a.state, 'stale') AS state,
       CASE WHEN a.view IS NULL THEN 'not active since it was restored: REFRESH MATERIALIZED VIEW activates it'
            ELSE a.why END AS why,
       CASE WHEN a.state = 'active' AND r.mode = 'immediate' THEN interval '0'
            ELSE pg_catalog.clock_timestamp() - a.last_rebuild END AS lag,
       CASE WHEN a.state = 'active' AND r.mode = 'immediate' THEN 0::bigint END AS pending,
       a.last_rebuild AS last_maintenance,
       (SELECT coalesce(sum(pg_catalog.pg_total_relation_size(t.relation)), 0)::bigint
        FROM upkeep.state_table t WHERE t.view = r.view) AS state_size
FROM upkeep.registration r
    LEFT JOIN upkeep.activity a ON a.view = r.view;
COMMENT ON VIEW upkeep.views IS 'registered materialized views and how up to date they are';
COMMENT ON COLUMN upkeep.views.view IS 'the materialized view';
COMMENT ON COLUMN upkeep.views.mode IS 'immediate: right after every statement; manual: when refresh() is called';
COMMENT ON COLUMN upkeep.views.strategy IS 'incremental, scoped or rebuild';
COMMENT ON COLUMN upkeep.views.state IS 'active, building, stale or failed';
COMMENT ON COLUMN upkeep.views.why IS 'why the view is not active';
COMMENT ON COLUMN upkeep.views.lag IS 'how long the contents may be behind: zero for an active immediate view';
COMMENT ON COLUMN upkeep.views.pending IS 'captured change rows that are not yet in the view; NULL where none are kept';
COMMENT ON COLUMN upkeep.views.last_maintenance IS 'when the whole view was last computed';
COMMENT ON COLUMN upkeep.views.state_size IS 'bytes of state kept beside the view''s own rows';

REVOKE ALL ON upkeep.views FROM PUBLIC;
GRANT SELECT ON upkeep.views TO PUBLIC;

-- What identity indexes hold. Everybody may call them: index expressions run with the rights of whoever writes.
CREATE FUNCTION upkeep.key_hash(VARIADIC "any") RETURNS bigint
  LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_key_hash';
COMMENT ON FUNCTION upkeep.key_hash(VARIADIC "any") IS
  'hash of a key by the hash functions of its types'' default equality: equal keys have equal hashes, NULLs included';

CREATE FUNCTION upkeep.image_hash(VARIADIC "any") RETURNS bigint
  LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_image_hash';
COMMENT ON FUNCTION upkeep.image_hash(VARIADIC "any") IS
  'hash of the stored bits of a row, detoasted, of any types';
