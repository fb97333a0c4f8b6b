-- name: fetch_jobs
-- A job put back for later is as old as the time at which it may run again.
select entrypoint, count(*) filter (where status = 'queued') as queued, count(*) filter (where status = 'picked') as picked,
    count(*) filter (where status = 'failed') as held,
    min(greatest(created, execute_after)) filter (where status = 'queued' and execute_after <= now()) as oldest_at
from pgqueuer
group by entrypoint
order by entrypoint

-- name: fetch_undecided
select count(*) as uploads, min(since) as oldest_at from (
    select received_at as since from uploads where finished_at is null
    union all
    select case when checked is null then received_at else coalesce(deciding_since, now()) end
    from uploads where checked_at is not null and (checked is null or checked ? 'send')
) waiting

-- name: fetch_unmailed
select count(*) as uploads, min(created_at) as oldest_at from notifications where done_at is null

-- name: fetch_held
select count(*) from batches where held_since is not null and finished_at is null and ended_at is null

-- name: list_parts
-- Connections of this database by what they announce themselves as; those without a name of ours are listeners and tools.
select case when application_name like 'sftp-gateway queue %' then 'queue'
        when application_name like 'sftp-gateway %' then substr(application_name, 14) end as part,
    count(*) as connections
from pg_stat_activity
where datname = current_database() and application_name like 'sftp-gateway %'
group by 1
order by 1

-- name: count_connected
select count(*) from sftp_sessions where seen_at > now() - interval '90 seconds'

-- name: count_files
-- Files of the last day, by their batches' counts.
select coalesce(sum(total_messages), 0)::bigint as messages, coalesce(sum(success), 0)::bigint as success,
    coalesce(sum(failure), 0)::bigint as failure, coalesce(sum(sending + sent), 0)::bigint as under_way,
    coalesce(sum(sent_to_telco), 0)::bigint as sent_to_telco
from batches
where kind = 'batch' and created_at > now() - interval '24 hours'

-- name: count_singles
-- Single sends of the last hour, $1 at most. Numbers grow as times do, so that the hour's first one is looked up by middles.
with recursive search (lowest, highest) as (
    select min(batch_no), max(batch_no) + 1 from batches
    union all
    select case when b.created_at < now() - interval '1 hour' then b.batch_no + 1 else s.lowest end,
        case when b.created_at < now() - interval '1 hour' then s.highest else s.lowest + (s.highest - s.lowest) / 2 end
    from search s
    cross join lateral (
        select batch_no, created_at from batches where batch_no >= s.lowest + (s.highest - s.lowest) / 2 order by batch_no limit 1
    ) b
    where s.lowest < s.highest
)
select coalesce(sum(1), 0)::bigint as messages, coalesce(sum(b.success), 0)::bigint as success,
    coalesce(sum(b.failure), 0)::bigint as failure, coalesce(sum(b.sending + b.sent), 0)::bigint as under_way,
    coalesce(sum(b.sent_to_telco), 0)::bigint as sent_to_telco
from (
    select * from batches where batch_no >= (select lowest from search where lowest >= highest) order by batch_no desc limit $1
) b
where b.kind = 'single' and b.created_at > now() - interval '1 hour'

-- name: list_limited
-- Campaigns whose calls were refused for their rate, the latest first.
select u.campaign_id, c.name, sum(u.limited)::bigint as limited, max(u.last_at) as last_at
from api_uses u join campaigns c on c.id = u.campaign_id
where u.limited > 0 and u.last_at > now() - interval '7 days'
group by u.campaign_id, c.name
order by last_at desc, u.campaign_id
limit 20
