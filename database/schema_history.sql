-- name: create_history
-- The first release had the first three columns only. Its own `migrate` and its check of the schema still work on this
-- table: it writes a row when a migration is finished, which is what the defaults say of such a row.
create table if not exists schema_migrations (
    number integer primary key,
    name text not null,
    applied_at timestamptz not null default now()
)

-- name: has_all_columns
select count(*) = 4 from pg_attribute
where attrelid = 'schema_migrations'::regclass and not attisdropped
  and attname in ('oldest_program', 'steps_done', 'position', 'finished')

-- name: add_columns
alter table schema_migrations
    -- The oldest program that may start on this schema, named by the last migration that it knows.
    add column if not exists oldest_program integer not null default 1,
    add column if not exists steps_done integer not null default 1,
    -- How far the back-fill has come that is under way.
    add column if not exists position text,
    add column if not exists finished boolean not null default true

-- name: list_begun
select number, steps_done, coalesce(position, '') as position, finished from schema_migrations

-- name: record_step
insert into schema_migrations as m (number, name, oldest_program, steps_done, finished)
values ($1, $2, $3, $4, $5)
on conflict (number) do update
set steps_done = excluded.steps_done, finished = excluded.finished, position = null, applied_at = now()

-- name: record_position
update schema_migrations set position = $2 where number = $1

-- name: has_history
select to_regclass('schema_migrations') is not null

-- name: fetch_state
-- As JSON, since on a database of the first release the newer columns are missing.
select coalesce(max(number) filter (where coalesce((to_jsonb(m) ->> 'finished')::boolean, true)), 0) as number,
       coalesce(max((to_jsonb(m) ->> 'oldest_program')::integer), 1) as oldest_program
from schema_migrations m

-- name: take_lock
-- Asked again and again rather than waited for: a statement that waits keeps a snapshot, and whoever builds an index
-- concurrently under this lock would wait for that snapshot to go.
select pg_try_advisory_lock($1)

-- name: prepare_session
-- A role's own limits are meant for small statements and for sessions that ask often, and a migration pauses while others hold a
-- lock. Each step sets those limits that it needs. transaction_timeout exists from PostgreSQL 17 on.
select set_config(name, '0', false) from pg_settings
where name in ('statement_timeout', 'transaction_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout',
               'idle_session_timeout')
union all
select set_config('default_transaction_isolation', 'read committed', false)
union all
-- Where this program's machine dies, the server ends the session, which frees the lock, after 30 s.
select set_config(name, value, false)
from (values ('tcp_keepalives_idle', '15'), ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '3'),
             ('tcp_user_timeout', '30000')) as kept (name, value)

-- name: watch_client
-- A server that builds an index looks for its client at the end only, unless told: a killed `migrate` would keep the lock.
set client_connection_check_interval = '5s'

-- name: limit_statements
select set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true)

-- name: limit_build
select set_config('lock_timeout', $1, false)

-- name: find_index
select indisvalid from pg_index where indexrelid = to_regclass($1)
