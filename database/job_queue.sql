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
-- $1 and $2 belong together: a subject, and the key that its job would have. One that is held waits for somebody to requeue it.
select given.subject_id
from unnest($1::text[], $2::text[]) with ordinality as given (subject_id, dedupe_key, position)
where not exists (
    select from pgqueuer q where q.dedupe_key = given.dedupe_key and q.status in ('queued', 'picked'))
  and not exists (
    select from pgqueuer q where q.dedupe_key = given.dedupe_key and q.status = 'failed')
order by given.position

-- name: remove_log
delete from pgqueuer_log where created < now() - $1::interval and aggregated

-- name: remove_statistics
-- What the queue counted of its log, a line for each second: nobody reads it.
delete from pgqueuer_statistics where created < now() - $1::interval

-- name: take_over_jobs_of_dead
-- A job that gives no sign of life any more crashed, with its process. At its $3rd crash it is held, for somebody to look at it.
with dead as (
    select id, coalesce((headers ->> 'crashes')::int, 0) + 1 as crashes
    from pgqueuer
    where status = 'picked' and entrypoint = $1 and heartbeat < now() - $2::interval
    for update skip locked
), taken as (
    update pgqueuer q
    set status = (case when dead.crashes < $3 then 'queued' else 'failed' end)::pgqueuer_status,
        headers = coalesce(nullif(q.headers, 'null'), '{}') || jsonb_build_object('crashes', dead.crashes),
        queue_manager_id = null, updated = now()
    from dead
    where q.id = dead.id
    returning q.id, q.entrypoint, q.priority, q.status, q.payload, dead.crashes
), logged as (
    insert into pgqueuer_log (job_id, status, entrypoint, priority) select id, status, entrypoint, priority from taken
)
select id, convert_from(payload, 'UTF8') as subject_id, crashes, status = 'failed' as is_held from taken

-- name: count_crash
-- The library writes no headers as JSON's null.
update pgqueuer set headers = coalesce(nullif(headers, 'null'), '{}') || jsonb_build_object('crashes', $2::int) where id = $1

-- name: give_back_jobs
-- The process that ran them lost its connection, and lives: none of these has crashed.
with given_back as (
    update pgqueuer set status = 'queued', queue_manager_id = null, updated = now()
    where status = 'picked' and queue_manager_id = $1
    returning id, entrypoint, priority
)
insert into pgqueuer_log (job_id, status, entrypoint, priority) select id, 'queued', entrypoint, priority from given_back
