-- name: insert_parts
-- A part without an id has no answer: whether it was taken isn't known.
insert into message_parts (batch_no, row_number, attempt, part, parts, provider_id)
select batch_no, row_number, attempt, part, parts, nullif(provider_id, '')
from unnest($1::integer[], $2::integer[], $3::smallint[], $4::smallint[], $5::smallint[], $6::text[])
    as n (batch_no, row_number, attempt, part, parts, provider_id)
on conflict (batch_no, row_number, attempt, part) do nothing

-- name: insert_receipts
insert into part_receipts (provider_id, recipient, status, error, raw_code, at)
select provider_id, nullif(recipient, ''), status, nullif(error, ''), nullif(raw_code, ''), at
from unnest($1::text[], $2::text[], $3::smallint[], $4::text[], $5::text[], $6::timestamptz[])
    as n (provider_id, recipient, status, error, raw_code, at)

-- name: find_parts_by_key
-- For the rest of the transaction: a plan that is made once, while a table is small, may read it whole.
select set_config('enable_seqscan', 'off', true)

-- name: match_receipts
-- Of these ids, each given once, the receipts that wait and whose part is known, oldest first. An aggregator may give an id again
-- after some days: then it is the newest part's. What has one id stands in a subquery of its own, with `offset 0`, so that it is
-- found by the id: the index by time has the newest first, but among all parts.
select r.id, r.status, r.error, r.raw_code, r.at, p.batch_no, p.row_number, p.attempt, p.part, p.parts, p.provider_id
from unnest($1::text[]) as n (id)
cross join lateral (
    select id, status, error, raw_code, at from part_receipts where provider_id = n.id offset 0
) r
cross join lateral (
    select * from (select * from message_parts where provider_id = n.id offset 0) of_id
    order by added_at desc limit 1
) p
order by r.id
limit $2

-- name: match_waiting
-- As match_receipts, of all that wait.
select r.id, r.status, r.error, r.raw_code, r.at, p.batch_no, p.row_number, p.attempt, p.part, p.parts, p.provider_id
from part_receipts r
cross join lateral (
    select * from (select * from message_parts where provider_id = r.provider_id offset 0) of_id
    order by added_at desc limit 1
) p
order by r.id
limit $1

-- name: fetch_parts
-- Whose these ids are, as in match_receipts.
select p.batch_no, p.row_number, p.attempt, p.part, p.parts, p.provider_id
from unnest($1::text[]) as n (id)
cross join lateral (
    select * from (select * from message_parts where provider_id = n.id offset 0) of_id
    order by added_at desc limit 1
) p

-- name: lock_parts
-- The keys are in order, each given once; so are the locks.
select p.batch_no, p.row_number, p.attempt, p.part, p.parts, p.provider_id, p.status, p.error, p.raw_code, p.at
from unnest($1::integer[], $2::integer[], $3::smallint[]) as n (batch_no, row_number, attempt)
cross join lateral (
    select * from message_parts
    where batch_no = n.batch_no and row_number = n.row_number and attempt = n.attempt
    order by part
    for no key update
) p

-- name: update_parts
-- They are locked, so they stay where they are found.
update message_parts p
set status = n.status, error = nullif(n.error, ''), raw_code = nullif(n.raw_code, ''), at = n.at
from unnest(
    $1::integer[], $2::integer[], $3::smallint[], $4::smallint[], $5::smallint[], $6::text[], $7::text[], $8::timestamptz[]
) as n (batch_no, row_number, attempt, part, status, error, raw_code, at)
cross join lateral (
    select ctid as place from message_parts
    where batch_no = n.batch_no and row_number = n.row_number and attempt = n.attempt and part = n.part
    offset 0
) found
where p.ctid = found.place

-- name: delete_receipts
delete from part_receipts where id = any($1::bigint[])

-- name: fetch_strays
-- Receipts for these recipients, each given once, that have no part, and have waited for one.
select r.provider_id, n.recipient, min(r.received_at) as received_at
from unnest($1::text[]) as n (recipient)
cross join lateral (
    select id, provider_id, received_at from part_receipts
    where recipient = n.recipient and received_at < now() - $2::interval
    offset 0
) r
where not exists (select from message_parts p where p.provider_id = r.provider_id offset 0)
group by r.provider_id, n.recipient
order by min(r.id)

-- name: fetch_rivals
-- How many messages to these recipients wait for a look-up, of whatever campaign: class 3 of `due`.
select m.recipient, count(*) as attempts
from due d
cross join lateral (
    select recipient from messages where batch_no = d.batch_no and row_number = d.row_number offset 0
) m
where d.class = 3 and m.recipient = any($1::text[])
group by m.recipient

-- name: adopt_parts
insert into message_parts (batch_no, row_number, attempt, part, parts, provider_id)
select batch_no, row_number, attempt, part, parts, provider_id
from unnest($1::integer[], $2::integer[], $3::smallint[], $4::smallint[], $5::smallint[], $6::text[])
    as n (batch_no, row_number, attempt, part, parts, provider_id)
on conflict (batch_no, row_number, attempt, part) do update set provider_id = excluded.provider_id
where message_parts.provider_id is null

-- name: count_strays
with found as (
    update part_receipts set counted = true where not counted and received_at < now() - $1::interval returning 1
)
select count(*) from found

-- name: delete_old_receipts
delete from part_receipts
where ctid = any(array(
    select ctid from part_receipts where received_at < now() - $1::interval order by received_at limit $2
))

-- name: delete_old_parts
delete from message_parts
where ctid = any(array(
    select ctid from message_parts where added_at < now() - $1::interval order by added_at limit $2
))
