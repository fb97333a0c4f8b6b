-- name: insert_export
insert into log_exports (id, campaign_id, user_id, query, file_name, rows_expected, expires_at)
values ($1, $2, $3, $4, $5, $6, now() + $7::interval)

-- name: count_unfinished
select count(*) from log_exports where user_id = $1 and finished_at is null

-- name: list_exports
select id, campaign_id, user_id, query, file_name, requested_at, rows_done, rows_expected, object_key, bytes, finished_at, error,
    expires_at
from log_exports
where user_id = $1 and campaign_id = $2 and expires_at > now()
order by requested_at desc, id desc
limit $3

-- name: fetch_export
select id, campaign_id, user_id, query, file_name, requested_at, rows_done, rows_expected, object_key, bytes, finished_at, error,
    expires_at
from log_exports where id = $1 and expires_at > now()

-- name: record_progress
update log_exports set rows_done = $2 where id = $1 and finished_at is null

-- name: record_finished
-- Whoever is first has made it: the other one's file was the same object.
update log_exports
set finished_at = now(), rows_done = $2, object_key = $3, bytes = $4, expires_at = now() + $5::interval
where id = $1 and finished_at is null
returning id

-- name: record_failed
update log_exports set finished_at = now(), error = $2 where id = $1 and finished_at is null returning id

-- name: list_unfinished
select id, requested_at < now() - $2::interval as is_late from log_exports
where finished_at is null and requested_at < now() - $1::interval
order by requested_at, id
limit 1000

-- name: list_expired
select id, object_key from log_exports where expires_at <= now() order by expires_at limit 1000

-- name: delete_exports
delete from log_exports where id = any($1)
