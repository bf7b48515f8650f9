-- Makes the database, its two schemas and the two roles that own them; neither can read the other's.
-- Run by a superuser with psql 15 or newer: the official image does so at its first start,
-- `make run` does so for its own server. Safe to run again.
\set ON_ERROR_STOP on

SELECT $$CREATE DATABASE campus ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0$$
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'campus') \gexec
\connect campus

\getenv ticket_password TICKET_DATABASE_PASSWORD
\getenv analytics_password ANALYTICS_DATABASE_PASSWORD

SELECT format('CREATE ROLE %I LOGIN', name)
  FROM unnest(ARRAY['ticket_svc', 'analytics_svc']) AS name
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE ticket_svc PASSWORD :'ticket_password';
ALTER ROLE analytics_svc PASSWORD :'analytics_password';

REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE TEMPORARY ON DATABASE :DBNAME FROM PUBLIC;
-- Nor can a role enter the databases that come with a server, and fill its disk there.
REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC;

-- Extensions belong to nobody's schema; each role may use their functions and no more.
CREATE SCHEMA IF NOT EXISTS extensions;
GRANT USAGE ON SCHEMA extensions TO ticket_svc;
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA extensions;
CREATE EXTENSION IF NOT EXISTS unaccent SCHEMA extensions;
CREATE EXTENSION IF NOT EXISTS vector SCHEMA extensions;

CREATE SCHEMA IF NOT EXISTS tickets AUTHORIZATION ticket_svc;
CREATE SCHEMA IF NOT EXISTS analytics AUTHORIZATION analytics_svc;
ALTER ROLE ticket_svc SET search_path = tickets, extensions;
ALTER ROLE analytics_svc SET search_path = analytics;
-- Who hangs, or vanishes with its machine, must not hold locks for ever.
ALTER ROLE ticket_svc SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE analytics_svc SET idle_in_transaction_session_timeout = '60s';
-- Neither takes all connections: they share nine of ten, and the rest is for operators and backups.
SELECT format('ALTER ROLE %I CONNECTION LIMIT %s', name, share * current_setting('max_connections')::int / 10)
  FROM (VALUES ('ticket_svc', 6), ('analytics_svc', 3)) AS shares (name, share) \gexec

-- What every role of a database has by itself, and could hold or fill against its neighbours:
-- advisory locks, of which there are so many in the whole server, and large objects, which belong to
-- no schema. Nothing here uses either.
SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', oid::regprocedure)
  FROM pg_proc
 WHERE pronamespace = 'pg_catalog'::regnamespace
   AND proname ~ '^(lo_|loread$|lowrite$|pg_(try_)?advisory_(xact_)?lock)' \gexec
