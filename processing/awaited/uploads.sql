-- name: insert_awaited
-- Nothing is inserted where the campaign has lost its access meanwhile. No SFTP listing shows it.
insert into uploads (id, campaign_id, file_name, status, bytes, content_sha256, object_key, report_name, source_address,
                     connection_id, received_at, source, waiter, listed, creator_id)
select $1, c.id, $3, 'received', $4, $5, $6, $7, $8, $9, $10, $11, $12, false, $13
from campaigns c where c.id = $2 and c.status = 'active'
returning id

-- name: lock_undecided
select from uploads where id = $1 and finished_at is null for update

-- name: lock_undecided_if_free
select from uploads where id = $1 and finished_at is null for update skip locked

-- name: is_forsaken
-- Whoever asks shares the lock with others who ask, until its transaction ends: only one who waits keeps it from them.
select pg_try_advisory_xact_lock_shared($1)

-- name: record_findings
update uploads set findings = $2::jsonb, report_link = $3 where id = $1

-- name: record_withdrawn
-- Without its object's key it can't be judged anew. To programs of the release before it has failed.
update uploads
set status = 'failed', finished_at = now(), outcome = outcome + 1, support_id = $2, withdrawn_at = now(), object_key = null
where id = $1 and finished_at is null
returning campaign_id

-- name: forget_object
update uploads set object_key = null where id = $1

-- name: announce_outcome
select pg_notify('sftp_gateway_verdicts', $1)

-- name: fetch_outcome
select case when withdrawn_at is null then status else 'withdrawn' end as status, batch_id, report_link, num_rows, num_errors,
       has_avoidable_character as has_avoidable, has_unicode, error_reason, findings
from uploads where id = $1 and finished_at is not null

-- name: list_undecided
select id, campaign_id, waiter, received_at < now() - $2::interval as is_late from uploads
where finished_at is null and source <> 'sftp' and received_at < now() - $1::interval
order by received_at, id
limit 1000

-- name: hold_waiter
-- Tried and not waited for: after a lost connection, the server may think for a while that the old session still holds it.
select pg_try_advisory_lock($1)

-- name: release_waiter
select pg_advisory_unlock($1)
