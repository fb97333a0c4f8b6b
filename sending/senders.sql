-- name: update_sender
update senders set provider = $2, rate = $3 where name = $1 and (provider <> $2 or rate <> $3)

-- name: insert_sender
-- It is asked for each second: an insert that is refused only by the conflict would use an id up each time.
insert into senders (name, provider, rate)
select $1, $2, $3 where not exists (select from senders where name = $1)
on conflict do nothing

-- name: list_internal_services
select distinct service_sid from twilio_accounts

-- name: lanes_elsewhere
-- A campaign whose account has changed leaves by another sender from now on.
select l.id as lane_id, l.sender_id as old_sender, s.id as new_sender
from lanes l
join campaigns c on c.id = l.campaign_id and c.channel = 'internal'
join twilio_accounts t on t.campaign_id = l.campaign_id
join senders s on s.name = t.service_sid
where s.id <> l.sender_id

-- name: lock_senders
select from senders where id = any($1::integer[]) order by id for no key update

-- name: move_lane
with moved as (
    update lanes set sender_id = $2, virtual_time = 0 where id = $1 returning campaign_id, priority, id
)
update due set sender_id = $2 from moved
where due.campaign_id = moved.campaign_id and (due.class = moved.priority or due.class = 3)

-- name: list_senders
select s.id, s.name, s.provider, s.rate,
    extract(epoch from s.next_at)::double precision as next_at,
    extract(epoch from clock_timestamp())::double precision as now,
    s.paused_since is not null and (s.paused_until is null or s.paused_until > clock_timestamp()) as is_paused,
    extract(epoch from s.paused_until)::double precision as paused_until,
    exists (
        select from lanes_with_work(s.id, clock_timestamp()) l
        cross join lateral (select status from campaigns where id = l.campaign_id offset 0) c
        where l.paused_since is null and c.status = 'active'
    ) as has_waiting,
    -- Of the account that is in use, as campaigns/twilio_accounts.sql chooses it.
    (
        select t.set_at from twilio_accounts t join campaigns c on c.id = t.campaign_id
        where t.service_sid = s.name order by c.status = 'deleted', t.set_at desc limit 1
    ) as account_set_at,
    case when s.provider = 'twilio' then (select max(k.id) from secret_keys k) end as secret_key_id
from senders s
where $1::integer is null or s.id = $1
order by s.id

-- name: pause_sender
-- A pause that nobody lifts but people stays as it is.
update senders
set paused_since = coalesce(paused_since, now()), paused_because = $2, paused_until = now() + make_interval(secs => $3)
where id = $1 and (
    paused_since is null
    or (paused_until is not null and ($3::double precision is null or paused_until < now() + make_interval(secs => $3)))
)

-- name: pause_suspended_senders
select pause_suspended_senders($1, $2, $3, $4, $5) as name
