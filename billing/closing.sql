-- name: is_still_counting
select exists (select from batches where not usage_counted)

-- name: has_usage
-- In the order of an index: where no day has any, nothing else is read.
select coalesce(
    (select true from usage_days where day between $1 and $2 and (attempts <> 0 or segments <> 0) order by day limit 1), false
)

-- name: insert_reports
-- The first version of every agency's report of the days from $2 to $3, with its campaigns and lines; returns how many there are.
with charged as (
    select * from unnest($6::text[], $7::text[], $8::boolean[]) as c (destination, outcome, own_expiry)
), lines as materialized (
    select u.campaign_id, u.destination, u.outcome, u.own_expiry,
        case u.destination when 'local' then p.local_mills else p.foreign_mills end as price,
        c.channel = 'public' and k.outcome is not null as charged,
        sum(u.attempts)::bigint as attempts, sum(u.segments)::bigint as segments
    from usage_days u
    join campaigns c on c.id = u.campaign_id
    join price_periods p on u.day >= p.begins and u.day < p.ends
    left join charged k on (k.destination, k.outcome, k.own_expiry) = (u.destination, u.outcome, u.own_expiry)
    where u.day between $2 and $3
    group by 1, 2, 3, 4, 5, 6
    having sum(u.attempts) <> 0 or sum(u.segments) <> 0
), used as materialized (
    select id, name, channel, created_at, deleted_at, creator_id, agency_id, coalesce(billing_domain, '') as domain
    from campaigns where id in (select campaign_id from lines)
), payers as materialized (
    select domain, agency_id, paying_agency(domain, agency_id) as payer from (select distinct domain, agency_id from used) d
), sums as (
    select payer,
        coalesce(sum(attempts) filter (where charged and destination = 'local'), 0) as local_messages,
        coalesce(sum(segments) filter (where charged and destination = 'local'), 0) as local_segments,
        coalesce(sum(segments * price) filter (where charged and destination = 'local'), 0) as local_mills,
        coalesce(sum(attempts) filter (where charged and destination = 'foreign'), 0) as foreign_messages,
        coalesce(sum(segments) filter (where charged and destination = 'foreign'), 0) as foreign_segments,
        coalesce(sum(segments * price) filter (where charged and destination = 'foreign'), 0) as foreign_mills
    from lines l join used c on c.id = l.campaign_id join payers using (domain, agency_id)
    group by 1
), reports as (
    insert into billing_reports (
        agency_id, month, version, posted_at, dispute_by, agency_name, customer_id, sub_bu, contact,
        local_messages, local_segments, local_mills, foreign_messages, foreign_segments, foreign_mills
    )
    select a.id, $1, 1, $4, $5, a.name, a.customer_id, a.sub_bu, a.billing_contact,
        s.local_messages, s.local_segments, s.local_mills, s.foreign_messages, s.foreign_segments, s.foreign_mills
    from sums s join agencies a on a.id = s.payer
    returning id, agency_id
), listed as (
    insert into billing_report_campaigns (report_id, campaign_id, name, creator, channel, created_at, deleted_at)
    select r.id, c.id, c.name, u.email, c.channel, c.created_at, c.deleted_at
    from used c
    join payers p using (domain, agency_id)
    join reports r on r.agency_id = p.payer
    join users u on u.id = c.creator_id
    returning report_id, campaign_id
), detailed as (
    insert into billing_report_lines (
        report_id, campaign_id, destination, outcome, own_expiry, price, charged, attempts, segments
    )
    select c.report_id, l.* from lines l join listed c using (campaign_id)
)
select count(*) from reports
