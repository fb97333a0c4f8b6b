-- name: fetch_jobs
-- A job put back for later is as old as the time at which it may run again.
select entrypoint, status::text as status, count(*) as jobs,
    coalesce(max(extract(epoch from now() - greatest(created, execute_after)))
        filter (where status = 'queued' and execute_after <= now()), 0)::float8 as oldest_seconds
from pgqueuer
group by entrypoint, status;

-- name: fetch_undecided
-- Of the console, those that are being checked or sent; one that waits until somebody sends it, waits for nobody here.
select count(*) as uploads, coalesce(max(extract(epoch from now() - since)), 0)::float8 as oldest_seconds
from (
    select received_at as since from uploads where finished_at is null
    union all
    select case when checked is null then received_at else coalesce(deciding_since, now()) end
    from uploads where checked_at is not null and (checked is null or checked ? 'send')
) waiting;

-- name: fetch_unmailed
-- Refusals that one e-mail sums up have no notification of their own: they aren't waited for.
select count(*) as notifications, coalesce(max(extract(epoch from now() - created_at)), 0)::float8 as oldest_seconds
from notifications
where done_at is null;

-- name: fetch_waiting
-- Batches that wait are few; of what goes again, each lane's oldest is the first of its part of an index.
with waiting as (
    select coalesce(l.priority, case when b.kind = 'batch' then 2 when c.otp then 0 else 1 end) as class, b.created_at as since
    from batches b join campaigns c on c.id = b.campaign_id left join lanes l on l.id = b.lane_id
    where c.status = 'active' and (b.waiting or (b.taken_at is null and b.held_since is null and b.ended_at is null))
    union all
    select l.priority, d.at
    from senders s cross join lateral lanes_with_work(s.id, now()) l
    cross join lateral (select status from campaigns where id = l.campaign_id offset 0) c
    cross join lateral (
        select min(at) as at from due where sender_id = l.sender_id and class = l.priority and campaign_id = l.campaign_id
    ) d
    where c.status = 'active' and d.at < now()
)
select class, extract(epoch from now() - min(since))::float8 as oldest_seconds from waiting group by class;

-- name: fetch_paused
select count(*) filter (where paused_until > now()) as later, count(*) filter (where paused_until is null) as resumed
from senders where paused_since is not null;

-- name: fetch_held
select held_because, count(*) as batches from batches
where held_since is not null and finished_at is null and ended_at is null group by held_because;

-- name: fetch_unprovided
-- One that was taken up has its sender; an internal campaign's has none before the campaign has its account.
select count(*) as batches
from batches b join campaigns c on c.id = b.campaign_id
left join lanes l on l.id = b.lane_id left join senders s on s.id = l.sender_id
where c.status = 'active' and (b.waiting or (b.taken_at is null and b.held_since is null and b.ended_at is null))
    and coalesce(
        s.provider = 'none',
        c.channel = 'internal' and not exists (select from twilio_accounts t where t.campaign_id = c.id)
    );

-- name: fetch_checks
select coalesce(sum(differences), 0)::integer as differences,
    extract(epoch from now() - max(checked_at) filter (where night is not null))::float8 as seconds
from usage_checks

-- name: fetch_numbers_used
-- The part of all batch numbers that is used up: they are integers.
select coalesce(max(batch_no), 0) / 2147483647.0::float8 from batches

-- name: fetch_posted
-- Seconds since the end of the last month that was posted; null where none was.
select extract(epoch from now() - (max(month) + interval '1 month') at time zone interval '08:00')::float8 from billing_months
