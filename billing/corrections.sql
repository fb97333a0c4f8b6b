-- name: fetch_campaign
-- A campaign, and whose report of a month it is on: the one that has it, else that of who pays for it.
select c.channel, coalesce(
    (
        select r.agency_id from billing_report_campaigns b join billing_reports r on r.id = b.report_id
        where b.campaign_id = c.id and r.month = $2
        limit 1
    ),
    paying_agency(c.billing_domain, c.agency_id)
) as payer
from campaigns c where c.id = $1

-- name: fetch_latest
select id, version, dispute_by from billing_reports where agency_id = $1 and month = $2 order by version desc limit 1

-- name: sum_charged
-- What a report has of a campaign so far, to one kind of numbers.
select coalesce(sum(segments), 0)::bigint as segments, coalesce(sum(segments * price), 0)::bigint as mills
from billing_report_lines where report_id = $1 and campaign_id = $2 and destination = $3 and charged

-- name: insert_correction
-- The next version of report $1, with so many segments more ($5) of a campaign to one kind of numbers at this price ($6).
with report as (
    insert into billing_reports (
        agency_id, month, version, posted_at, dispute_by, reason, agency_name, customer_id, sub_bu, contact,
        local_messages, local_segments, local_mills, foreign_messages, foreign_segments, foreign_mills
    )
    select a.id, r.month, r.version + 1, $2, r.dispute_by, $3, a.name, a.customer_id, a.sub_bu, a.billing_contact,
        r.local_messages,
        r.local_segments + case $4::text when 'local' then $5::bigint else 0 end,
        r.local_mills + case $4 when 'local' then $5 * $6::bigint else 0 end,
        r.foreign_messages,
        r.foreign_segments + case $4 when 'foreign' then $5 else 0 end,
        r.foreign_mills + case $4 when 'foreign' then $5 * $6 else 0 end
    from billing_reports r join agencies a on a.id = r.agency_id
    where r.id = $1
    returning id, version
), campaigns as (
    insert into billing_report_campaigns (report_id, campaign_id, name, creator, channel, created_at, deleted_at)
    select n.id, c.* from report n cross join (
        select campaign_id, name, creator, channel, created_at, deleted_at from billing_report_campaigns where report_id = $1
        union all
        select c.id, c.name, u.email, c.channel, c.created_at, c.deleted_at
        from campaigns c join users u on u.id = c.creator_id
        where c.id = $7 and not exists (select from billing_report_campaigns where report_id = $1 and campaign_id = $7)
    ) c
), lines as (
    insert into billing_report_lines (
        report_id, campaign_id, destination, outcome, own_expiry, price, charged, attempts, segments
    )
    select n.id, l.* from report n cross join (
        select campaign_id, destination, outcome, own_expiry, price, charged, sum(attempts), sum(segments)
        from (
            select campaign_id, destination, outcome, own_expiry, price, charged, attempts, segments
            from billing_report_lines where report_id = $1
            union all
            select $7, $4, 'correction', false, $6, true, 0, $5
        ) each
        group by 1, 2, 3, 4, 5, 6
    ) l
)
select version from report
