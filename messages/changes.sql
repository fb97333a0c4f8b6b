-- name: lock_batch
select b.batch_no, b.id, b.campaign_id, b.status, b.total_messages, b.cursor_row, b.taken_at, b.held_since, b.released_at, b.ended_at,
    b.ended_because, b.finished_at, b.retrying, b.enqueued, b.sending, b.failure,
    b.total_messages - b.retrying - b.enqueued - b.sending - b.sent - b.sent_to_telco - b.success - b.failure as unclaimed,
    l.sender_id, l.priority, c.status as campaign_status
from batches b join campaigns c on c.id = b.campaign_id left join lanes l on l.id = b.lane_id
where b.id = $1 and ($2::text is null or b.campaign_id = $2)
for no key update of b

-- name: fetch_batch_of_message
select id from batches where message_id_stem(id) = $1 and length(id) = 42

-- name: fetch_last_attempt
-- Attempt 0 stands for a message of which there is none.
select coalesce(a.attempt, 0) as attempt, a.status, a.error
from messages m
left join lateral (
    select attempt, status, error from attempts where batch_no = m.batch_no and row_number = m.row_number
    order by attempt desc limit 1
) a on true
where m.batch_no = $1 and m.row_number = $2

-- name: insert_expired_attempts
-- What never left has failed without an attempt. Before it is retried, that gets its row.
insert into attempts (batch_no, row_number, attempt, status, error, created_at, updated_at)
select m.batch_no, m.row_number, 1, 6, 'server_unknown_error', b.ended_at, b.ended_at
from messages m join batches b using (batch_no)
where m.batch_no = $1 and ($2::integer is null or m.row_number = $2)
    and not exists (select from attempts a where a.batch_no = m.batch_no and a.row_number = m.row_number offset 0)

-- name: pass_all_rows
update batches set cursor_row = (select max(row_number) from messages where batch_no = $1) where batch_no = $1

-- name: insert_retries
-- One more attempt for each message that has failed, if it may be retried once more: as many as have each code.
with last as (
    select distinct on (row_number) row_number, attempt, status, error
    from attempts where batch_no = $1 and ($2::integer is null or row_number = $2)
    order by row_number, attempt desc
), retried as (
    select row_number, attempt + 1 as attempt, error from last
    where status = 6 and error is distinct from 'stopped' and attempt <= $3::integer
), begun as (
    insert into attempts (batch_no, row_number, attempt, status, created_at, updated_at)
    select $1, row_number, attempt, 0, $4::timestamptz, $4 from retried
), waiting as (
    insert into due (at, sender_id, class, campaign_id, batch_no, row_number, attempt)
    select $4, $5::integer, $6::smallint, $7::text, $1, row_number, attempt from retried
)
select error, count(*) as messages from retried group by error

-- name: count_retries
-- What `insert_expired_attempts` and `insert_retries` would begin anew, as things are.
with last as (
    select distinct on (row_number) row_number, attempt, status, error, may_have_arrived
    from attempts where batch_no = $1
    order by row_number, attempt desc
), failed as (
    select row_number, attempt, may_have_arrived from last where status = 6 and error is distinct from 'stopped'
    union all
    select m.row_number, 1, false from messages m join batches b using (batch_no)
    where m.batch_no = $1 and b.ended_because = 'expired'
        and not exists (select from attempts a where a.batch_no = m.batch_no and a.row_number = m.row_number offset 0)
), counted as (
    select f.attempt <= $2::integer as is_retried, f.may_have_arrived, m.segments, m.recipient like '65%' as is_local
    from failed f join messages m on m.batch_no = $1 and m.row_number = f.row_number
)
select count(*) filter (where is_retried) as messages,
    coalesce(sum(segments) filter (where is_retried), 0) as segments,
    coalesce(sum(segments) filter (where is_retried and is_local), 0) as local_segments,
    count(*) filter (where is_retried and may_have_arrived) as may_have_arrived,
    count(*) filter (where not is_retried) as at_limit
from counted

-- name: set_enqueuing_failed
update batches set status = 'messages_enqueuing_failed' where batch_no = $1

-- name: end_rows
update batches set ended_at = $2, ended_because = coalesce(ended_because, $3), stopped_at = $2, waiting = false where batch_no = $1

-- name: lock_waiting_attempts
-- Of a message only the last attempt may wait.
select from attempts
where batch_no = (select batch_no from batches where id = $1) and status in (0, 1) and row_number = any(array(
    select d.row_number from due d join batches b using (batch_no) where b.id = $1 and d.class < 3
))
order by row_number
for no key update

-- name: end_waiting_attempts
-- Those that wait to go again, or to be retried. What a claim has taken meanwhile has left.
with gone as (
    delete from due where batch_no = $1 and class < 3 returning row_number
), before as (
    select row_number, status from attempts
    where batch_no = $1 and status in (0, 1) and row_number = any(array(select row_number from gone))
    for no key update
), ended as (
    update attempts set status = 6, error = $3, updated_at = $2
    where batch_no = $1 and status in (0, 1) and row_number = any(array(select row_number from before))
)
select status, count(*) as messages from before group by status

-- name: release
update batches
set released_at = $2,
    waiting = taken_at is not null and ended_at is null
        and total_messages > retrying + enqueued + sending + sent + sent_to_telco + success + failure
where batch_no = $1

-- name: release_due
update due set at = $2 where batch_no = $1 and at = 'infinity'

-- name: hold_restored
-- What was not all handed over when the database was as old as it is again. What ops have released since stays so.
update batches b set held_since = $1, held_because = 'restored', released_at = null, waiting = false
from (
    select batch_no from batches
    where finished_at is null and ended_at is null and created_at < pg_postmaster_start_time()
        and (held_since is null or released_at < pg_postmaster_start_time())
        and (total_messages > sending + sent + sent_to_telco + success + failure)
    order by batch_no
    for no key update
) t
where b.batch_no = t.batch_no
returning b.batch_no

-- name: hold_due
-- Their put-backs and retries wait with them. Look-ups go on.
update due set at = 'infinity' where batch_no = any ($1::integer[]) and class < 3

-- name: announce_batch
select pg_notify('sftp_gateway_batches', $1)
