-- name: list_campaigns
-- All that may have totals, or ought to.
select id from campaigns union select campaign_id from usage_days order by 1

-- name: fetch_differences
select * from usage_differences($1)

-- name: lock_night
-- Any fixed number: one worker at a time looks whether the night's campaign was recounted. It goes with its transaction.
select pg_try_advisory_xact_lock(7367470017)

-- name: is_checked
select exists (select from usage_checks where night = $1)

-- name: list_counted_campaigns
-- Those with usage, by jumping from one to the next through the index.
with recursive counted as (
    (select campaign_id from usage_days order by 1 limit 1)
    union all
    select n.campaign_id from counted c cross join lateral (
        select campaign_id from usage_days where campaign_id > c.campaign_id order by 1 limit 1
    ) n
)
select campaign_id from counted

-- name: record_check
insert into usage_checks as u (campaign_id, checked_at, night, differences) values ($1, $2, $3, $4)
on conflict (campaign_id) do update
set checked_at = excluded.checked_at, night = coalesce(excluded.night, u.night), differences = excluded.differences
