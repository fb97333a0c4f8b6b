-- name: find_number
-- The number of the first event that is not before $1: numbers grow as times do, and their middles are looked up until one is left.
with recursive search (lowest, highest) as (
    select min(id), max(id) + 1 from audit_events
    union all
    select case when e.at < $1 then e.id + 1 else s.lowest end, case when e.at < $1 then s.highest else s.lowest + (s.highest - s.lowest) / 2 end
    from search s
    cross join lateral (
        select id, at from audit_events where id >= s.lowest + (s.highest - s.lowest) / 2 order by id limit 1
    ) e
    where s.lowest < s.highest
)
select lowest from search where lowest >= highest

-- name: find_newest
select max(id) from audit_events where id < $1

-- name: find_begin
-- Before this moment nothing can have happened that the campaign $1 or the upload $2 had a part in; null where that isn't known.
select greatest(
    (select created_at from campaigns where id = $1::text), (select received_at from uploads where id = $2::text)
)

-- name: read_events
-- Numbers from $1 on and below $2, whatever else is asked for: so the time narrows every index.
select a.id, a.at, a.event, a.campaign_id, a.upload_id, a.actor, u.email as actor_email, host(a.source_address) as source_address,
    a.details
from audit_events a
left join users u on u.id = a.actor
where a.id >= $1 and a.id < $2
    and ($3::text is null or a.event = $3)
    and ($4::text is null or a.campaign_id = $4)
    and ($5::text is null or a.upload_id = $5)
    and ($6::text is null or a.actor = $6)
    and ($7::timestamptz is null or a.at >= $7)
    and ($8::timestamptz is null or a.at < $8)
order by a.id desc
limit $9
