-- name: name_connection
-- A queue's connection is named after it, so that others see whether it lives.
select set_config('application_name', 'sftp-gateway queue ' || $1, false)

-- name: prepare_queue
-- The statement that picks a job takes three times as long to plan as to run: it is planned once. Such a plan is made without the
-- numbers at hand, mostly while the table is empty, and must be good when ten thousand wait: it takes the indexes.
select set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false),
       set_config('enable_sort', 'off', false), set_config('jit', 'off', false)

-- name: fetch_outlook
-- Whether a job is due, whether there is one at all, and when the next is due that isn't yet.
select (select count(*) from (
            select from pgqueuer where entrypoint = any ($1) and status = 'queued' and execute_after <= now() limit 1) due) as eligible,
       (select count(*) from (
            select from pgqueuer where entrypoint = any ($1) and status = 'queued' limit 1) waiting) as queued,
       (select min(execute_after) - now() from pgqueuer
            where entrypoint = any ($1) and status = 'queued' and execute_after > now()) as eta

-- name: release_jobs_of_dead
-- A killed process's connections are closed at once: its jobs need not wait for their heartbeat to time out.
update pgqueuer q set heartbeat = 'epoch'
where q.status = 'picked' and q.queue_manager_id is not null and q.heartbeat <> 'epoch'
  and not exists (
      select from pg_stat_activity a where a.application_name = 'sftp-gateway queue ' || q.queue_manager_id)

-- name: release_dedupe_key
update pgqueuer set dedupe_key = null where dedupe_key = $1 and status = 'picked'

-- name: list_subjects_without_job
-- $1 and $2 belong together: a subject, and the key that its job would have.
select given.subject_id
from unnest($1::text[], $2::text[]) with ordinality as given (subject_id, dedupe_key, position)
where not exists (
    select from pgqueuer q where q.dedupe_key = given.dedupe_key and q.status in ('queued', 'picked'))
order by given.position

-- name: remove_log
delete from pgqueuer_log where created < now() - $1::interval and aggregated

-- name: remove_statistics
-- What the queue counted of its log, a line for each second: nobody reads it.
delete from pgqueuer_statistics where created < now() - $1::interval
