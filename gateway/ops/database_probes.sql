-- name: look_at_standbys
-- Each row of the view is a standby, whatever of it this role may see.
select (select count(*) from pg_stat_replication) as standbys,
       current_setting('synchronous_standby_names') <> '' as synchronous,
       current_setting('synchronous_commit') as commit

-- name: announce
select pg_notify($1, '')

-- name: ask_server
select pg_backend_pid()

-- name: name_server
select current_database(), pg_postmaster_start_time()

-- name: look_at_isolation
-- What a session begins with, whoever sets it: server, database or role.
select reset_val from pg_settings where name = 'default_transaction_isolation'
