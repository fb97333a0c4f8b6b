-- name: pause_senders
-- What people ask for is lifted by people alone. A pause with a cause of its own that they must lift keeps that cause.
update senders
set paused_since = coalesce(paused_since, now()),
    paused_because = case when paused_since is not null and paused_until is null then paused_because else $2 end,
    paused_until = null
where $1::text is null or name = $1
returning name

-- name: any_paused_because
select exists (select from senders where ($1::text is null or name = $1) and paused_because = $2)

-- name: any_paused_since_restore
select exists (select from senders where paused_because = $1)

-- name: resume_senders
-- News of what was handed over before it says nothing about the sender any more.
update senders
set paused_since = null, paused_because = null, paused_until = null, resumed_at = now()
where ($1::text is null or name = $1) and paused_since is not null
returning name

-- name: sender_exists
select exists (select from senders where name = $1)

-- name: complete_lanes
-- A pause holds for what the campaign may send later, too: it has lanes of all priorities then, to the sender of those it has, or
-- to its channel's.
insert into lanes (sender_id, campaign_id, priority)
select s.id, c.id, priority
from campaigns c
left join twilio_accounts t on t.campaign_id = c.id
join senders s on s.id = coalesce(
    (select min(sender_id) from lanes where campaign_id = c.id),
    (select id from senders where name = case c.channel when 'public' then 'public' else coalesce(t.service_sid, 'internal') end)
)
cross join generate_series(0, 2) as priority
where c.id = $1
on conflict do nothing

-- name: pause_lanes
update lanes set paused_since = coalesce(paused_since, now()), paused_because = coalesce(paused_because, $2)
where campaign_id = $1
returning id

-- name: resume_lanes
update lanes set paused_since = null, paused_because = null where campaign_id = $1 and paused_since is not null returning id
