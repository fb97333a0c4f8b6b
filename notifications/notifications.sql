-- name: insert_notification
insert into notifications (upload_id, outcome, status, facts) values ($1, $2, $3, $4)

-- name: fetch_notification
select n.upload_id, n.outcome, n.status, n.facts, n.created_at, n.done_at,
       u.campaign_id, u.connection_id, u.file_name, c.name as campaign_name, c.notify_email
from notifications n
join uploads u on u.id = n.upload_id
join campaigns c on c.id = u.campaign_id
where n.upload_id = $1 and n.outcome = $2

-- name: record_sent
-- The upload's own columns notified_at, notification_refused_at and notification_error follow by a trigger.
update notifications set done_at = now(), sent_at = now()
where upload_id = $1 and outcome = $2 and done_at is null

-- name: record_refused
update notifications set done_at = now(), refused_at = now(), error = $3
where upload_id = $1 and outcome = $2 and done_at is null

-- name: list_undone
select upload_id, outcome from notifications
where done_at is null and created_at < now() - $1::interval
order by created_at
