-- name: fetch_claims
-- The newest claim, the newest that was written to the bucket, and whether there is anything to send at all.
select max(claimed_at) as newest, max(marked_at) as marked, exists (select from batches) as has_batches,
    pg_postmaster_start_time() as server_started, 'senders'::regclass::bigint as senders_table
from senders

-- name: pause_all
-- The mark is known from now on, so that a resumption holds.
update senders
set paused_since = coalesce(paused_since, now()), paused_because = $2, paused_until = null,
    marked_at = greatest(marked_at, $1::timestamptz)
returning name

-- name: record_mark
update senders set marked_at = $1::timestamptz where marked_at is null or marked_at < $1
