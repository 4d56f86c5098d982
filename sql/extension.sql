-- The extension's own shape: its schema, version, and that it cannot be moved.
SELECT e.extversion, n.nspname, e.extrelocatable
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'upkeep';
ALTER EXTENSION upkeep SET SCHEMA public;
LOAD 'upkeep';
