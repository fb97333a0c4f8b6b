-- name: list_held
select id, entrypoint, convert_from(payload, 'UTF8') as subject_id, coalesce((headers ->> 'crashes')::int, 0) as crashes,
    created as created_at, updated as held_at
from pgqueuer where status = 'failed' and ($2::timestamptz is null or (updated, id) < ($2, $3::bigint))
order by updated desc, id desc limit $1

-- name: find_held
select id, entrypoint, convert_from(payload, 'UTF8') as subject_id, coalesce((headers ->> 'crashes')::int, 0) as crashes,
    created as created_at, updated as held_at
from pgqueuer where status = 'failed' and id = $1

-- name: fetch_held
select id, entrypoint, convert_from(payload, 'UTF8') as subject_id, coalesce((headers ->> 'crashes')::int, 0) as crashes,
    created as created_at, updated as held_at
from pgqueuer where status = 'failed' and dedupe_key = any ($1::text[]) order by id desc limit 1

-- name: lock_held
select id, entrypoint, convert_from(payload, 'UTF8') as subject_id, coalesce((headers ->> 'crashes')::int, 0) as crashes,
    created as created_at, updated as held_at
from pgqueuer where status = 'failed' and id = $1 for update

-- name: lock_overdue
select id, entrypoint, convert_from(payload, 'UTF8') as subject_id, coalesce((headers ->> 'crashes')::int, 0) as crashes,
    created as created_at, updated as held_at
from pgqueuer where status = 'failed' and entrypoint = any ($1::text[]) and updated < now() - $2::interval
for update skip locked

-- name: forget_doubled
-- Of a subject one job is queued or running at most: where there is one, or a later one is held, this one would do nothing more.
delete from pgqueuer h
where h.id = any ($1::bigint[]) and h.status = 'failed' and exists (
    select from pgqueuer q
    where q.dedupe_key = h.dedupe_key and q.id <> h.id
        and (q.status in ('queued', 'picked') or q.status = 'failed' and q.id > h.id and q.id = any ($1::bigint[])))

-- name: requeue
with requeued as (
    update pgqueuer
    set status = 'queued', execute_after = now(), updated = now(), attempts = 0, queue_manager_id = null,
        headers = coalesce(nullif(headers, 'null'), '{}') - 'crashes' - 'given_up' || $2::jsonb
    where id = any ($1::bigint[]) and status = 'failed'
    returning id, entrypoint, priority
)
insert into pgqueuer_log (job_id, status, entrypoint, priority) select id, 'queued', entrypoint, priority from requeued

-- name: is_on_queue
select exists (select from pgqueuer where id = $1 and status in ('queued', 'picked'))
