-- name: insert_checked
-- Nothing is inserted where the campaign has lost its access meanwhile. To programs of the release before it has failed, and has no
-- job and no original that they could do anything with.
insert into uploads (id, campaign_id, file_name, status, bytes, content_sha256, object_key, report_name, source_address,
                     connection_id, received_at, source, listed, creator_id, finished_at, support_id, checked_at)
select $1, c.id, $3, 'failed', $4, $5, $6, $7, $8, $9, $10, 'console', false, $11, $10, $12, $10
from campaigns c where c.id = $2 and c.status = 'active'
returning id

-- name: count_waiting
select count(*) from uploads where checked_at is not null and campaign_id = $1

-- name: begin_attempt
update uploads
set deciding_since = coalesce(deciding_since, now()), attempts = attempts + 1
where id = $1 and checked_at is not null and (checked is null or checked ? 'send')
returning deciding_since, attempts

-- name: lock_waiting
-- `is_over`: it has waited for so long since its check, or its receipt, that it is to be forgotten.
select campaign_id, file_name, content_sha256, checked, object_key, checked_at < now() - $2::interval as is_over
from uploads where id = $1 and checked_at is not null for update

-- name: lock_waiting_if_free
select campaign_id, file_name, content_sha256, checked, object_key, checked_at < now() - $2::interval as is_over
from uploads where id = $1 and checked_at is not null for update skip locked

-- name: record_checked
-- A check made anew, since nothing could be sent, doesn't prolong the wait.
update uploads
set checked_at = case when checked is null then now() else checked_at end, checked = $2::jsonb, has_unicode = $3,
    deciding_since = null, attempts = 0
where id = $1

-- name: is_active
select exists (select from campaigns where id = $1 and status = 'active')

-- name: end_waiting
-- In the transaction that gives it its outcome. What was found stays, for whoever asks later.
update uploads set checked_at = null where id = $1

-- name: record_withdrawn
update uploads
set checked_at = null, finished_at = now(), outcome = outcome + 1, withdrawn_at = now(), object_key = null
where id = $1

-- name: forget_object
update uploads set object_key = null where id = $1

-- name: fetch_checked
select id, campaign_id, file_name, bytes, content_sha256, object_key, creator_id, received_at, checked_at, checked, status,
       withdrawn_at, batch_id, support_id, report_key, num_rows, num_errors, error_reason, finished_at
from uploads where id = $1 and source = 'console'

-- name: wait_for_same_content
-- Two that ask for the same bytes of a campaign to be sent do so one after the other.
select pg_advisory_xact_lock(hashtextextended(campaign_id || ' ' || content_sha256, 7367470010))
from uploads where id = $1 and source = 'console'

-- name: find_same_content
-- The newest other upload of the same bytes within a day that has made a batch, by whatever way it came, or is about to.
select id, batch_id, finished_at from uploads
where campaign_id = $1 and received_at > now() - interval '24 hours' and id <> $2
  and (status = 'accepted' or (checked_at is not null and checked ? 'send'))
  and (content_sha256 = $3 or sha256 = $3)
order by received_at desc, id desc
limit 1

-- name: list_waiting
-- Those that a job is to do something about, and those that are to be forgotten.
select id, campaign_id, checked, checked_at < now() - $2::interval as is_over
from uploads
where checked_at is not null
  and (checked_at < now() - $2::interval or ((checked is null or checked ? 'send') and received_at < now() - $1::interval))
order by checked_at, id
limit 1000
