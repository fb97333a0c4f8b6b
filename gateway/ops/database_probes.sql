-- name: look_at_standbys
-- Each row of the view is a standby, whatever of it this role may see.
select (select count(*) from pg_stat_replication) as standbys,
       current_setting('synchronous_standby_names') <> '' as synchronous,
       current_setting('synchronous_commit') as commit

-- name: look_at_locks
-- The tables and indexes of all ranges, each of which is locked while a plan is made that can't know which of them it needs.
select coalesce(sum(1 + (select count(*) from pg_index where indrelid = inhrelid)), 0)::integer as relations,
       current_setting('max_locks_per_transaction')::integer as locks
from pg_inherits
where inhparent in (to_regclass('messages'), to_regclass('attempts'), to_regclass('audit_events'))

-- name: announce
select pg_notify($1, '')

-- name: ask_server
select pg_backend_pid()

-- name: name_server
select current_database(), pg_postmaster_start_time()

-- name: look_at_isolation
-- What a session begins with, whoever sets it: server, database or role.
select reset_val from pg_settings where name = 'default_transaction_isolation'
