-- name: insert_upload
-- Nothing is inserted where the campaign has lost its access since the login.
insert into uploads (id, campaign_id, file_name, status, bytes, sha256, object_key, report_name, source_address,
                     connection_id, received_at, modified_at)
select $1, c.id, $3, 'received', $4, $5, $6, $7, $8, $9, $10, $11
from campaigns c where c.id = $2 and c.status = 'active'
returning id

-- name: insert_refused_upload
insert into uploads (id, campaign_id, file_name, status, bytes, sha256, object_key, report_name, source_address,
                     connection_id, received_at, finished_at, outcome, refusal_code, error_reason, num_rows,
                     num_errors, has_avoidable_character, has_unicode, listed)
select $1, c.id, $3, 'rejected', $4, $5, $6, $7, $8, $9, $10, $10, 1, $11, $12, 0, 1, false, false, false
from campaigns c where c.id = $2
returning id

-- name: take_untold
-- Only a program of the release before still writes such rows.
update uploads set untold = false where campaign_id = $1 and untold returning refusal_code

-- name: upload_exists
select exists (select from uploads where id = $1)

-- name: fetch_upload
select id, campaign_id, file_name, status, bytes, sha256, object_key, report_name, report_key, connection_id, received_at,
       deciding_since, attempts, finished_at, outcome, refusal_code, error_reason, batch_id, total_messages,
       duplicate_of, num_rows, num_errors, has_avoidable_character, has_unicode, support_id, notified_at,
       notification_refused_at, notification_error, source, content_sha256, waiter, withdrawn_at, creator_id, checked_at,
       checked is not null as has_check
from uploads where id = $1

-- name: fetch_upload_by_support_id
select id, campaign_id, file_name, status, bytes, sha256, object_key, report_name, report_key, connection_id, received_at,
       deciding_since, attempts, finished_at, outcome, refusal_code, error_reason, batch_id, total_messages,
       duplicate_of, num_rows, num_errors, has_avoidable_character, has_unicode, support_id, notified_at,
       notification_refused_at, notification_error, source, content_sha256, waiter, withdrawn_at, creator_id, checked_at,
       checked is not null as has_check
from uploads where support_id = $1

-- name: list_uploads
select id, campaign_id, file_name, status, bytes, sha256, object_key, report_name, report_key, connection_id, received_at,
       deciding_since, attempts, finished_at, outcome, refusal_code, error_reason, batch_id, total_messages,
       duplicate_of, num_rows, num_errors, has_avoidable_character, has_unicode, support_id, notified_at,
       notification_refused_at, notification_error, source, content_sha256, waiter, withdrawn_at, creator_id, checked_at,
       checked is not null as has_check
from uploads
where ($1::text is null or campaign_id = $1)
  -- To the database one that was withdrawn, or waits to be sent, has failed: so programs of the release before can read it.
  and ($2::text is null or $2 = upload_word(status, attempts, withdrawn_at, checked_at, checked is not null))
  and ($3::timestamptz is null or received_at >= $3)
  and ($5::timestamptz is null or (received_at, id) < ($5, $6::text))
order by received_at desc, id desc
limit $4

-- name: list_campaign_uploads
-- Of the newest $2 uploads, each name once.
select distinct on (file_name) file_name, bytes, modified_at, received_at
from (
    select file_name, bytes, modified_at, received_at
    from uploads
    where campaign_id = $1 and listed and received_at > now() - interval '24 hours'
    order by received_at desc
    limit $2
) newest
order by file_name, received_at desc

-- name: find_campaign_upload
select file_name, bytes, modified_at, received_at
from uploads
where campaign_id = $1 and file_name = $2 and listed and received_at > now() - interval '24 hours'
order by received_at desc
limit 1

-- name: has_upload_since
select exists (
    select from uploads where campaign_id = $1 and file_name = any ($2) and received_at >= $3 and source = 'sftp')

-- name: unlist_upload
update uploads set listed = false where campaign_id = $1 and file_name = $2 and listed

-- name: set_modified_at
update uploads set modified_at = $3
where id = (select id from uploads where campaign_id = $1 and file_name = $2 and listed order by received_at desc limit 1)

-- name: count_undecided
select count(*) from uploads where campaign_id = $1 and finished_at is null

-- name: sum_recent
-- What the campaign sent within the last hour, and before that what still waits: rows where they are known.
select coalesce(sum(bytes), 0)::float8 as bytes, coalesce(sum(coalesce(total_messages, num_rows)), 0)::float8 as rows
from uploads
where campaign_id = $1 and object_key is not null and duplicate_of is null
  and (finished_at is null or received_at > now() - interval '1 hour')

-- name: begin_attempt
-- The attempt is counted before anything is judged, so that an upload that kills its worker is counted too.
update uploads
set status = 'validating', deciding_since = coalesce(deciding_since, now()), attempts = attempts + 1
where id = $1 and finished_at is null
returning deciding_since, attempts

-- name: begin_first_of_twins
-- As above, where no earlier upload of the same content still waits for its outcome; and whether one has made a batch of it.
with begun as (
    update uploads u
    set status = 'validating', deciding_since = coalesce(deciding_since, now()), attempts = attempts + 1
    where u.id = $1 and u.finished_at is null and u.source = 'sftp' and not exists (
        select from uploads o
        where o.campaign_id = u.campaign_id and o.sha256 = u.sha256 and o.file_name = u.file_name
          and o.finished_at is null and (o.received_at, o.id) < (u.received_at, u.id)
          and u.received_at - o.received_at <= $2)
    returning id, campaign_id, file_name, status, bytes, sha256, object_key, report_name, report_key, connection_id,
              received_at, deciding_since, attempts, finished_at, outcome, refusal_code, error_reason, batch_id,
              total_messages, duplicate_of, num_rows, num_errors, has_avoidable_character, has_unicode, support_id,
              notified_at, notification_refused_at, notification_error, source, content_sha256, waiter, withdrawn_at,
              creator_id, checked_at, false as has_check
)
select u.*, exists (
    select from uploads o
    where o.campaign_id = u.campaign_id and o.sha256 = u.sha256 and o.file_name = u.file_name
      and o.id <> u.id and o.status = 'accepted' and o.duplicate_of is null
      and u.received_at - o.received_at between -$2::interval and $2::interval) as has_accepted_twin
from begun u

-- name: lock_upload
select status, outcome from uploads where id = $1 and finished_at is null for update

-- name: lock_content
-- The same bytes under the same name from the same campaign get one outcome at a time.
select pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2 || ' ' || $3, 7367470002))

-- name: fetch_earlier_undecided
select o.id from uploads o join uploads u on u.id = $1
where o.campaign_id = u.campaign_id and o.sha256 = u.sha256 and o.file_name = u.file_name
  and o.finished_at is null and (o.received_at, o.id) < (u.received_at, u.id)
  and u.received_at - o.received_at <= $2
limit 1

-- name: fetch_accepted_twin
select o.id, o.batch_id, o.total_messages from uploads o join uploads u on u.id = $1
where o.campaign_id = u.campaign_id and o.sha256 = u.sha256 and o.file_name = u.file_name
  and o.id <> u.id and o.status = 'accepted' and o.duplicate_of is null
  and u.received_at - o.received_at between -$2::interval and $2::interval
order by o.received_at
limit 1

-- name: lock_waiting_twins
-- The same content, received after this upload, that waits for its outcome.
select o.id, o.campaign_id, o.file_name, o.status, o.bytes, o.sha256, o.object_key, o.report_name, o.report_key,
       o.connection_id, o.received_at, o.deciding_since, o.attempts, o.finished_at, o.outcome, o.refusal_code,
       o.error_reason, o.batch_id, o.total_messages, o.duplicate_of, o.num_rows, o.num_errors,
       o.has_avoidable_character, o.has_unicode, o.support_id, o.notified_at, o.notification_refused_at,
       o.notification_error, o.source, o.content_sha256, o.waiter, o.withdrawn_at, o.creator_id, o.checked_at,
       false as has_check
from uploads o join uploads u on u.id = $1
where o.campaign_id = u.campaign_id and o.sha256 = u.sha256 and o.file_name = u.file_name
  and o.finished_at is null and (o.received_at, o.id) > (u.received_at, u.id)
  and o.received_at - u.received_at <= $2
order by o.received_at, o.id
for update of o

-- name: record_accepted
-- Here and below, the columns notified_at, notification_refused_at and notification_error are left alone: the database fills
-- them from the notification of the latest outcome, which is written in the same transaction.
update uploads
set status = 'accepted', finished_at = now(), outcome = outcome + 1, batch_id = $2, total_messages = $3,
    duplicate_of = $4, num_rows = 0, num_errors = 0, has_avoidable_character = false, has_unicode = $5,
    report_key = null, error_reason = null, support_id = null
where id = $1
returning outcome

-- name: record_rejected
update uploads
set status = 'rejected', finished_at = now(), outcome = outcome + 1, report_key = $2, num_rows = $3, num_errors = $4,
    has_avoidable_character = $5, has_unicode = $6, error_reason = $7, support_id = null
where id = $1
returning outcome

-- name: record_failed
update uploads
set status = 'failed', finished_at = now(), outcome = outcome + 1, support_id = $2
where id = $1
returning outcome

-- name: reopen_upload
-- A failed upload on retry, an interrupted one on release: from here on it is judged like a new one.
update uploads
set status = 'received', finished_at = null, deciding_since = null, attempts = 0, refusal_code = null, held = null,
    error_reason = null, num_rows = null, num_errors = null, has_avoidable_character = null, has_unicode = null
where id = $1 and object_key is not null
  and source = 'sftp'
  and (($2 = 'retry' and status = 'failed') or ($2 = 'release' and status = 'rejected' and refusal_code = 'upload_interrupted'))
returning campaign_id

-- name: list_undecided
-- One that waits for a twin needs no job: the twin's outcome is its outcome, or gives it one.
select u.id, u.campaign_id, u.received_at from uploads u
where u.finished_at is null and u.source = 'sftp' and u.received_at < now() - $1::interval
  and ($2::timestamptz is null or (u.received_at, u.id) > ($2, $3))
  and not exists (
      select from uploads o
      where o.campaign_id = u.campaign_id and o.sha256 = u.sha256 and o.file_name = u.file_name
        and o.finished_at is null and (o.received_at, o.id) < (u.received_at, u.id)
        and u.received_at - o.received_at <= $5)
order by u.received_at, u.id
limit $4

-- name: forget_originals
-- Gone from the bucket, an upload can't be judged anew: `upload retry` and `release` then say so.
update uploads set object_key = null
where object_key is not null and finished_at is not null and received_at < now() - $1::interval

-- name: forget_superseded
-- Of a name that was interrupted again and again, only the newest copy is kept. A day back is enough, since this is done often.
with newest as (
    select campaign_id, file_name, max(received_at) as received_at from uploads
    where received_at > now() - interval '1 day' and refusal_code = 'upload_interrupted' and object_key is not null
    group by campaign_id, file_name
)
update uploads u set object_key = null from newest n
where u.campaign_id = n.campaign_id and u.file_name = n.file_name and u.received_at < n.received_at
  and u.status = 'rejected' and u.refusal_code = 'upload_interrupted' and u.object_key is not null
returning u.id, u.campaign_id

-- name: list_kept_originals
select object_key from uploads
where object_key is not null and (finished_at is null or received_at < now() - $1::interval + interval '1 day')
