-- name: plan_by_keys
-- Until the transaction ends each row is found by its key, also in tables that were never analysed, which seem small. What is
-- found for one row stands in a subquery of its own, with `offset 0`, so that the whole key is used.
select set_config(name, 'off', true) from unnest('{enable_hashjoin,enable_mergejoin,enable_seqscan}'::text[]) name

-- name: take_look_ups
-- Their time is moved on first: the next look-up is due then, if this one brings nothing.
with moved as (
    update due d
    set tries = least(d.tries + 1, 30000),
        at = $1 + make_interval(secs => ($2::double precision[])[least(d.tries + 1, cardinality($2))])
    where d.ctid = any(array(
        select ctid from due where class = 3 and at <= $1::timestamptz order by at limit $3 for update skip locked
    ))
    returning d.batch_no, d.row_number, d.attempt, d.sender_id, d.campaign_id
)
select d.batch_no, d.row_number, d.attempt, d.sender_id, a.status <> 2 as is_over, a.provider_id, a.updated_at,
    m.recipient, m.language, m."values",
    -- Handed over under another account than is asked now.
    exists (
        select from twilio_accounts t
        where t.campaign_id = d.campaign_id and t.account_since > a.updated_at offset 0
    ) as is_foreign_account
from moved d
cross join lateral (
    select * from attempts where batch_no = d.batch_no and row_number = d.row_number and attempt = d.attempt offset 0
) a
cross join lateral (select * from messages where batch_no = d.batch_no and row_number = d.row_number offset 0) m

-- name: drop_look_ups
delete from due d
using unnest($1::integer[], $2::integer[], $3::smallint[]) as n (batch_no, row_number, attempt)
where d.batch_no = n.batch_no and d.row_number = n.row_number and d.attempt = n.attempt and d.class = 3
    and d.batch_no = any($4::integer[]) and d.row_number = any($5::integer[])

-- name: take_batches
-- Those that may have attempts without news and weren't looked through lately, by any node.
update batches b set looked_at = $1
from (
    select b.batch_no, b.looked_at as looked_before
    from batches b join lanes l on l.id = b.lane_id join senders s on s.id = l.sender_id
    where b.finished_at is null and b.sending + b.sent + b.sent_to_telco > 0
        and s.provider <> 'loadtest'
        and b.taken_at <= $1::timestamptz - make_interval(secs => $2::double precision)
        and (
            b.looked_at is null
            or b.looked_at <= $1 - make_interval(secs => $3::double precision * (1 + b.total_messages / $4::integer))
        )
    order by b.looked_at nulls first, b.batch_no
    limit $5
    for no key update of b skip locked
) t
where b.batch_no = t.batch_no
returning b.batch_no, b.total_messages, t.looked_before

-- name: fetch_without_news
-- A batch has one open attempt a row at most. Numbers outside Singapore, whose country code is 65, are foreign.
select a.batch_no, a.row_number, a.attempt, a.status, a.updated_at, coalesce(a.sent_at, a.created_at) as handed_over_at,
    a.provider_id, m.recipient, m.recipient not like '65%' as is_foreign, l.sender_id, d.is_due is not null as is_due
from unnest($1::integer[]) as n (batch_no)
join batches b on b.batch_no = n.batch_no
join lanes l on l.id = b.lane_id
cross join lateral (
    select * from attempts
    where batch_no = n.batch_no and row_number > $2
        and ((status = 2 and updated_at <= $3::timestamptz) or (status in (3, 4) and updated_at <= $4::timestamptz))
    order by row_number, attempt
    limit $5
) a
cross join lateral (select recipient from messages where batch_no = a.batch_no and row_number = a.row_number offset 0) m
left join lateral (
    select true as is_due from due
    where batch_no = a.batch_no and row_number = a.row_number and attempt = a.attempt offset 0
) d on true
order by a.batch_no, a.row_number, a.attempt

-- name: finish_foreign
-- For foreign numbers `sent_to_telco` is terminal: a later receipt still moves it.
update batches b set finished_at = $2::timestamptz
where b.batch_no = any($1::integer[]) and b.finished_at is null and b.sent_to_telco > 0
    and b.retrying + b.enqueued + b.sending + b.sent = 0
    and (b.ended_at is not null or b.total_messages = b.sent_to_telco + b.success + b.failure)
    and not exists (
        select from attempts a
        cross join lateral (
            select recipient from messages where batch_no = a.batch_no and row_number = a.row_number offset 0
        ) m
        where a.batch_no = b.batch_no and a.status = 4 and m.recipient like '65%'
        offset 0
    )
