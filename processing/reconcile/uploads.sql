-- name: list_missing
select k.id from unnest($1::text[]) k (id) where not exists (select from uploads u where u.id = k.id)

-- name: list_undecided
select id, campaign_id, received_at, outcome, attempts from uploads
where finished_at is null and received_at < $1 and (campaign_id, id) > ($2, $3)
order by campaign_id, id
limit $4

-- name: list_checked
-- Those of the console wait with an outcome, as the release before sees them.
select id, campaign_id, received_at, outcome, attempts from uploads
where checked_at is not null and received_at < $1 and (campaign_id, id) > ($2, $3)
order by campaign_id, id
limit $4

-- name: newest_before_start
-- The newest trace of the time before this server was started, as it was after a restore.
select greatest(
    (select at from audit_events where at < pg_postmaster_start_time() order by id desc limit 1),
    (
        select max(last_at) from archives
        where kind = 'audit_events' and state = 'archived' and last_at < pg_postmaster_start_time()
    )
)

-- name: is_of_before_start
select received_at < pg_postmaster_start_time() from uploads where id = $1

-- name: campaign_exists
select exists (select from campaigns where id = $1 and status <> 'deleted')

-- name: insert_restored
insert into uploads (id, campaign_id, file_name, status, bytes, sha256, content_sha256, object_key, report_name, report_key,
                     source_address, connection_id, received_at, modified_at, listed, finished_at, outcome, refusal_code,
                     error_reason, batch_id, total_messages, duplicate_of, num_rows, num_errors, has_avoidable_character,
                     has_unicode, support_id, source, creator_id, checked_at, held)
select id, campaign_id, file_name, status, bytes, sha256, content_sha256, object_key, report_name, report_key,
       source_address, connection_id, received_at, modified_at, listed, finished_at, outcome, refusal_code,
       error_reason, batch_id, total_messages, duplicate_of, num_rows, num_errors, has_avoidable_character,
       has_unicode, support_id, source, creator_id, checked_at, held
from jsonb_populate_record(null::uploads, $1::jsonb)
on conflict (id) do nothing
returning id

-- name: hold_undecided
-- From here on it has its outcome, which nobody is told.
update uploads u
set status = r.status, finished_at = r.finished_at, outcome = u.outcome + 1, batch_id = r.batch_id,
    total_messages = r.total_messages, num_rows = r.num_rows, num_errors = r.num_errors,
    has_avoidable_character = r.has_avoidable_character, has_unicode = r.has_unicode, report_key = r.report_key,
    support_id = r.support_id, checked_at = null, held = r.held
from jsonb_populate_record(null::uploads, $2::jsonb) r
where u.id = $1 and (u.finished_at is null or u.checked_at is not null)
returning u.id

-- name: fetch_held_twin
-- The same content, whose outcome was this one's too.
select id, status, batch_id, total_messages, duplicate_of, num_rows, num_errors, has_avoidable_character, has_unicode, report_key
from uploads
where campaign_id = $1 and sha256 = $2 and file_name = $3 and held is not null and status in ('accepted', 'rejected')
  and received_at between $4::timestamptz - $5::interval and $4 + $5
order by duplicate_of is not null, received_at
limit 1

-- name: list_held
select id from uploads
where held is not null and ($1::text is null or campaign_id = $1) and ($2::timestamptz is null or received_at >= $2)
  and ($4::timestamptz is null or (received_at, id) < ($4, $5::text))
order by received_at desc, id desc
limit $3

-- name: fetch_hold
select held from uploads where id = $1 and held is not null

-- name: release_held
-- It is judged like a new one, and its outcome is told like a first one.
update uploads
set status = 'received', finished_at = null, deciding_since = null, attempts = 0, batch_id = null, total_messages = null,
    duplicate_of = null, num_rows = null, num_errors = null, has_avoidable_character = null, has_unicode = null,
    report_key = null, support_id = null, held = null
where id = $1 and held is not null and source = 'sftp' and object_key is not null
returning id

-- name: release_held_unmailed
-- Who sent it was told by an answer or a page. Its batch is made as one of the console's is, once somebody has asked for that.
update uploads
set status = 'failed', deciding_since = null, attempts = 0, batch_id = null, total_messages = null, duplicate_of = null,
    support_id = $2, checked_at = now(), checked = $3::jsonb, held = null
where id = $1 and held is not null and source <> 'sftp' and object_key is not null
returning id

-- name: refuse_held
update uploads set held = null where id = $1 and held is not null returning id
