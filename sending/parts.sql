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

-- name: match_receipts
-- Of these ids, or of all that wait where none are given, the receipts whose part is known, oldest first. An aggregator may give an id
-- again after some days: then it is the newest part's.
select r.id, r.status, r.error, r.raw_code, r.at, p.batch_no, p.row_number, p.attempt, p.part
from part_receipts r
cross join lateral (
    select batch_no, row_number, attempt, part from message_parts
    where provider_id = r.provider_id
    order by added_at desc limit 1
) p
where $1::text[] is null or r.provider_id = any($1::text[])
order by r.id
limit $2

-- name: lock_parts
select p.batch_no, p.row_number, p.attempt, p.part, p.parts, p.provider_id, p.status, p.error, p.raw_code, p.at
from message_parts p
join unnest($1::integer[], $2::integer[], $3::smallint[]) as n (batch_no, row_number, attempt)
    using (batch_no, row_number, attempt)
where p.batch_no = any($1::integer[]) and p.row_number = any($2::integer[])
order by p.batch_no, p.row_number, p.attempt, p.part
for no key update of p

-- name: update_parts
update message_parts p
set status = n.status, error = nullif(n.error, ''), raw_code = nullif(n.raw_code, ''), at = n.at
from unnest(
    $1::integer[], $2::integer[], $3::smallint[], $4::smallint[], $5::smallint[], $6::text[], $7::text[], $8::timestamptz[]
) as n (batch_no, row_number, attempt, part, status, error, raw_code, at)
where p.batch_no = n.batch_no and p.row_number = n.row_number and p.attempt = n.attempt and p.part = n.part
    and p.batch_no = any($1::integer[]) and p.row_number = any($2::integer[])

-- name: delete_receipts
delete from part_receipts where id = any($1::bigint[])

-- name: fetch_strays
-- Receipts for these recipients that have no part, and have waited for one.
select r.provider_id, r.recipient, min(r.received_at) as received_at
from part_receipts r
where r.recipient = any($1::text[]) and r.received_at < now() - $2::interval
    and not exists (select from message_parts p where p.provider_id = r.provider_id)
group by r.provider_id, r.recipient
order by min(r.id)

-- name: fetch_rivals
-- How many messages to these recipients wait for a look-up, of whatever campaign: class 3 of `due`.
select m.recipient, count(*) as attempts
from due d join messages m using (batch_no, row_number)
where d.class = 3 and m.recipient = any($1::text[])
group by m.recipient

-- name: fetch_known_parts
select part from message_parts
where batch_no = $1 and row_number = $2 and attempt = $3 and provider_id is not null

-- name: adopt_part
insert into message_parts (batch_no, row_number, attempt, part, parts, provider_id) values ($1, $2, $3, $4, $5, $6)
on conflict (batch_no, row_number, attempt, part) do update set provider_id = excluded.provider_id
where message_parts.provider_id is null

-- name: count_strays
with found as (
    update part_receipts set counted = true where not counted and received_at < now() - $1::interval returning 1
)
select count(*) from found

-- name: delete_old_receipts
delete from part_receipts where received_at < now() - $1::interval

-- name: delete_old_parts
delete from message_parts where added_at < now() - $1::interval
