-- name: insert_notification
insert into notifications (upload_id, outcome, status, facts) values ($1, $2, $3, $4)

-- name: fetch_notification
select n.upload_id, n.outcome, n.status, n.facts, n.created_at, n.done_at,
       u.campaign_id, u.connection_id, u.file_name, c.name as campaign_name, c.notify_email
from notifications n
join uploads u on u.id = n.upload_id
join campaigns c on c.id = u.campaign_id
where n.upload_id = $1 and n.outcome = $2

-- name: record_done
update notifications set done_at = now() where upload_id = $1 and outcome = $2 and done_at is null returning outcome

-- name: record_notified
update uploads set notified_at = now() where id = $1 and outcome = $2

-- name: record_refused
update uploads set notification_refused_at = now(), notification_error = $3 where id = $1 and outcome = $2

-- name: list_notifications_without_job
select n.upload_id, n.outcome from notifications n
where n.done_at is null and n.created_at < now() - $1::interval
  and not exists (
      select from pgqueuer q
      where q.dedupe_key = 'notification ' || n.upload_id || '.' || n.outcome and q.status in ('queued', 'picked'))
order by n.created_at
limit 1000
