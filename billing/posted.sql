-- name: fetch_report
-- An agency's report of a month: that version, or the latest one.
select * from billing_reports where agency_id = $1 and month = $2 and version = coalesce($3, version) order by version desc limit 1

-- name: fetch_latest_reports
-- An agency's latest reports of the months from $2 to $3, in their order.
select distinct on (month) * from billing_reports
where agency_id = $1 and month between $2 and $3
order by month, version desc

-- name: fetch_posting
-- When a month was posted, or one behind it, before which all are closed.
select posted_at from billing_months where month >= $1 order by month limit 1

-- name: fetch_corrections
-- Why there are more versions of an agency's reports than the first, up to the version $4 where that is given.
select month, version, reason, posted_at from billing_reports
where agency_id = $1 and month between $2 and $3 and version between 2 and coalesce($4, version)
order by month, version

-- name: fetch_campaigns
-- The campaigns of some reports, each as the last of them, in the order given, has it; oldest first.
select campaign_id, name, creator, channel, created_at, deleted_at
from (
    select distinct on (c.campaign_id) c.*
    from unnest($1::bigint[]) with ordinality as r (id, place) join billing_report_campaigns c on c.report_id = r.id
    order by c.campaign_id, r.place desc
) latest
order by created_at, campaign_id

-- name: fetch_lines
select campaign_id, destination, outcome, own_expiry, price, charged, sum(attempts)::bigint as attempts,
    sum(segments)::bigint as segments
from billing_report_lines where report_id = any($1::bigint[])
group by 1, 2, 3, 4, 5, 6
order by 1, 2, 3, 4, 5, 6

-- name: sum_lines_of_campaigns
-- What was posted for some campaigns, by month: the latest versions. The months' dates with them, of whichever agency they are.
with reports as materialized (
    -- Those of these campaigns, by their index: all agencies' reports of these months would be far more.
    select distinct report_id as id from billing_report_campaigns where campaign_id = any($1::text[])
), latest as (
    select distinct on (agency_id, month) id, month, posted_at, dispute_by from reports join billing_reports using (id)
    where month between $2 and $3
    order by agency_id, month, version desc
)
select r.month, max(r.posted_at) as posted_at, max(r.dispute_by) as dispute_by,
    coalesce(sum(l.attempts) filter (where l.destination = 'local'), 0)::bigint as local_messages,
    coalesce(sum(l.segments) filter (where l.destination = 'local'), 0)::bigint as local_segments,
    coalesce(sum(l.segments * l.price) filter (where l.destination = 'local'), 0)::bigint as local_mills,
    coalesce(sum(l.attempts) filter (where l.destination = 'foreign'), 0)::bigint as foreign_messages,
    coalesce(sum(l.segments) filter (where l.destination = 'foreign'), 0)::bigint as foreign_segments,
    coalesce(sum(l.segments * l.price) filter (where l.destination = 'foreign'), 0)::bigint as foreign_mills
from latest r left join lateral (
    select * from billing_report_lines where report_id = r.id and campaign_id = any($1::text[]) and charged offset 0
) l on true
group by 1

-- name: sum_usage_by_month
-- What is charged of the days from $3 to $4, of some campaigns, or of all on one agency's bill.
with charged as (
    select * from unnest($5::text[], $6::text[], $7::boolean[]) as c (destination, outcome, own_expiry)
), chosen as (
    select id from campaigns where id = any($1::text[]) and channel = 'public'
    union all
    select id from payable_campaigns($2) where channel = 'public' and $1 is null
), days as (
    select u.day, u.destination, sum(u.attempts) as attempts, sum(u.segments) as segments
    from chosen c
    -- Each campaign's days are found by the key, whatever the planner thinks of their number.
    cross join lateral (
        select day, destination, outcome, own_expiry, attempts, segments from usage_days
        where campaign_id = c.id and day between $3 and $4 offset 0
    ) u
    join charged k on (k.destination, k.outcome, k.own_expiry) = (u.destination, u.outcome, u.own_expiry)
    group by 1, 2
)
select date_trunc('month', d.day::timestamp)::date as month,
    coalesce(sum(d.attempts) filter (where d.destination = 'local'), 0)::bigint as local_messages,
    coalesce(sum(d.segments) filter (where d.destination = 'local'), 0)::bigint as local_segments,
    coalesce(sum(d.segments * p.local_mills) filter (where d.destination = 'local'), 0)::bigint as local_mills,
    coalesce(sum(d.attempts) filter (where d.destination = 'foreign'), 0)::bigint as foreign_messages,
    coalesce(sum(d.segments) filter (where d.destination = 'foreign'), 0)::bigint as foreign_segments,
    coalesce(sum(d.segments * p.foreign_mills) filter (where d.destination = 'foreign'), 0)::bigint as foreign_mills
from days d join price_periods p on d.day >= p.begins and d.day < p.ends
group by 1

-- name: list_campaigns
-- A page of the campaigns that have something in a period, newest first: of the reports of the months from $3 to $4 that were posted
-- and, from the day $5 to $6, of those on the bill. $7: part of the name or of the id. ($9, $10): where the page
-- before ended. `total`: how many there are on all pages. `is_on_bill`: it is on the bill now, whoever's it was on when it was posted.
with posted as (
    select distinct c.campaign_id as id
    from billing_reports r join billing_report_campaigns c on c.report_id = r.id
    where r.agency_id = $2 and r.month between $3 and $4 and $1::text[] is null
    union
    -- Each campaign's reports, rather than all agencies' of these months.
    select p.id from unnest($1::text[]) p (id) cross join lateral (
        select from billing_report_campaigns c join billing_reports r on r.id = c.report_id
        where c.campaign_id = p.id and r.month between $3 and $4
        limit 1
    ) any_of_them
), payable as (
    select id, name, created_at from payable_campaigns($2) where $1::text[] is null
    union all
    select id, name, created_at from campaigns where id = any($1::text[])
), found as (
    -- Each campaign's days are found by the key here too: `exists` would be answered by reading everybody's.
    select id, name, created_at from payable p
    where id in (select id from posted) or coalesce(
        (
            select true from usage_days u
            where u.campaign_id = p.id and u.day between $5 and $6 and (u.attempts <> 0 or u.segments <> 0)
            limit 1
        ), false
    )
    union all
    select id, name, created_at from campaigns join (select id from posted except select id from payable) moved using (id)
), listed as (
    select id, created_at, count(*) over () as total from found
    where $7::text is null or strpos(lower(name), lower($7)) > 0 or strpos(id, $7) > 0
), page as (
    select * from listed
    where $9::timestamptz is null or (created_at, id) < ($9, $10::text)
    order by created_at desc, id desc
    limit $8
)
select c.id, c.name, c.channel, c.created_at, c.deleted_at, u.email as creator, p.total,
    p.id in (select id from payable) as is_on_bill
from page p join campaigns c using (id) left join users u on u.id = c.creator_id
order by c.created_at desc, c.id desc

-- name: fetch_posted_lines
-- The lines of some campaigns in the latest reports of the months from $3 to $4: of one agency, or of whichever it is.
with latest as (
    select distinct on (agency_id, month) id from billing_reports
    where month between $3 and $4 and (
        agency_id = $2
        or ($2::text is null and id in (select report_id from billing_report_campaigns where campaign_id = any($1::text[])))
    )
    order by agency_id, month, version desc
)
select l.campaign_id, l.destination, l.outcome, l.own_expiry, l.price, l.charged, sum(l.attempts)::bigint as attempts,
    sum(l.segments)::bigint as segments
from latest r join billing_report_lines l on l.report_id = r.id and l.campaign_id = any($1::text[])
group by 1, 2, 3, 4, 5, 6
