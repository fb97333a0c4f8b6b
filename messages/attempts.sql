-- Each statement names the rows twice: with `= any(…)` beside the join, PostgreSQL finds them by the key also in tables that
-- were never analysed. These arrays hold each batch and each row once, or it would expect too many and read the table whole.

-- name: find_by_key
-- For the rest of the transaction. A plan that is made once for arrays of any length expects ten keys: it may compare each row with
-- each key, which is 4,000,000 times for 2,000 of them, or read a table whole that was small when the plan was made.
select set_config('enable_nestloop', 'off', true), set_config('enable_seqscan', 'off', true)

-- name: lock_attempts
select a.batch_no, a.row_number, a.attempt, a.status, a.created_at, a.updated_at, a.sent_at, a.delivered_at, a.claimed_at,
    a.error, a.raw_code, a.provider_id, a.put_backs, a.may_have_arrived, a.expired
from attempts a
join unnest($1::integer[], $2::integer[], $3::smallint[]) as n (batch_no, row_number, attempt)
    using (batch_no, row_number, attempt)
where a.batch_no = any($4::integer[]) and a.row_number = any($5::integer[])
order by a.batch_no, a.row_number, a.attempt
for no key update of a

-- name: lock_batches
select b.batch_no, b.campaign_id, b.stopped_at, l.sender_id, l.priority, coalesce(s.provider, '') as provider
from batches b left join lanes l on l.id = b.lane_id left join senders s on s.id = l.sender_id
where b.batch_no = any($1)
order by b.batch_no
for no key update of b

-- name: update_attempts
update attempts a
set status = n.status, updated_at = n.updated_at, sent_at = n.sent_at, delivered_at = n.delivered_at, error = nullif(n.error, ''),
    raw_code = nullif(n.raw_code, ''), provider_id = nullif(n.provider_id, ''), put_backs = n.put_backs,
    may_have_arrived = n.may_have_arrived, expired = n.expired, claimed_at = n.claimed_at
from unnest(
    $1::integer[], $2::integer[], $3::smallint[], $4::smallint[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[],
    $8::text[], $9::text[], $10::text[], $11::smallint[], $12::boolean[], $13::boolean[],
    $14::timestamptz[]
) as n (
    batch_no, row_number, attempt, status, updated_at, sent_at, delivered_at, error, raw_code, provider_id, put_backs,
    may_have_arrived, expired, claimed_at
)
where a.batch_no = n.batch_no and a.row_number = n.row_number and a.attempt = n.attempt
    and a.batch_no = any($15::integer[]) and a.row_number = any($16::integer[])

-- name: insert_due
-- A put-back takes the place of a look-up, never the other way round.
insert into due (batch_no, row_number, attempt, at, class, sender_id, campaign_id)
select * from unnest(
    $1::integer[], $2::integer[], $3::smallint[], $4::timestamptz[], $5::smallint[], $6::integer[], $7::text[]
)
on conflict (batch_no, row_number, attempt) do update set at = excluded.at, class = excluded.class, tries = 0
where excluded.class < due.class

-- name: delete_due
delete from due d
using unnest($1::integer[], $2::integer[], $3::smallint[]) as n (batch_no, row_number, attempt)
where d.batch_no = n.batch_no and d.row_number = n.row_number and d.attempt = n.attempt
    and d.batch_no = any($4::integer[]) and d.row_number = any($5::integer[])

-- name: move_counts
update batches b
set retrying = b.retrying + d.retrying, enqueued = b.enqueued + d.enqueued, sending = b.sending + d.sending,
    sent = b.sent + d.sent, sent_to_telco = b.sent_to_telco + d.sent_to_telco, success = b.success + d.success,
    failure = b.failure + d.failure,
    errors = case when d.errors = '{}' then b.errors else (
        select coalesce(jsonb_object_agg(code, n) filter (where n <> 0), '{}') from (
            select code, sum(n::integer) as n
            from (select * from jsonb_each_text(b.errors) union all select * from jsonb_each_text(d.errors)) as both_of (code, n)
            group by code
        ) as summed
    ) end
from unnest(
    $1::integer[], $2::integer[], $3::integer[], $4::integer[], $5::integer[], $6::integer[], $7::integer[], $8::integer[],
    $9::jsonb[]
) as d (batch_no, retrying, enqueued, sending, sent, sent_to_telco, success, failure, errors)
where b.batch_no = d.batch_no and b.batch_no = any($1)
