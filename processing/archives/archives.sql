-- name: try_lock
-- Any fixed number: one at a time archives or restores.
select pg_try_advisory_xact_lock(7367470018)

-- name: keep_open
-- A role's own limits would end the transaction that holds this lock, while the work goes on. transaction_timeout is PostgreSQL 17's.
select set_config(name, '0', true) from pg_settings where name in ('idle_in_transaction_session_timeout', 'transaction_timeout')

-- name: list_archives
select name, kind, begins, ends, state, generation, first_at, last_at, sealed_at, touched_at, archived_at, restored_at
from archives where $1::text is null or name = $1 order by kind, begins

-- name: seal
select seal_archive($1, $2, $3, $4, $5)

-- name: unseal
select unseal_archive($1)

-- name: count_usage
select count_archived_usage($1)

-- name: keep_events
select keep_archived_events($1)

-- name: finish
select finish_archive($1)

-- name: begin_restore
select begin_restore($1)

-- name: list_unfinished
-- An archive's rows are in tables of these names, where nobody sees them, until all are there.
select name from archives a
where state = 'archived' and exists (
    select from unnest(archive_parents(a.kind)) parent
    where pg_relation_size(to_regclass('public.' || parent || '_to_' || a.ends)) > 0
)
order by kind, begins

-- name: finish_restore
select finish_restore($1)

-- name: insert_file
insert into archive_files (
    archive, generation, holds, number, object_key, sha256, bytes, rows, first_batch_no, first_row, last_batch_no, last_row,
    first_id, last_id
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)

-- name: list_files
select holds, number, object_key, sha256, bytes, rows, first_batch_no, first_row, last_batch_no, last_row, first_id, last_id
from archive_files where archive = $1 and generation = $2 order by number, holds desc

-- name: list_older_files
select object_key from archive_files where archive = $1 and generation < $2

-- name: delete_older_files
delete from archive_files where archive = $1 and generation < $2

-- name: find_files
-- The files in which a message, and its attempts, would be.
select holds, number, object_key, sha256, bytes, rows, first_batch_no, first_row, last_batch_no, last_row, first_id, last_id
from archive_files f join archives a on a.name = f.archive and a.generation = f.generation
where a.name = $1 and (first_batch_no, first_row) <= ($2::integer, $3::integer)
    and (last_batch_no, last_row) >= ($2::integer, $3::integer)

-- name: sum_up
-- Of each archive: rows and bytes of its files.
select f.archive, sum(f.rows) filter (where f.holds <> 'attempts')::bigint as rows, sum(f.bytes)::bigint as bytes
from archive_files f join archives a on a.name = f.archive and a.generation = f.generation
group by f.archive
