-- Indexes by which an agency's thousands of campaigns are found without their rows: those on its bill, all of it by their age, and
-- in which reports each is.
-- Programs that know step 17 only go on as before.
-- oldest program: 1

-- step: transaction
-- The campaigns on an agency's bill, as `campaigns_paid_by` says, which programs of the release before still ask. It has what lists
-- and sums want to know of each, and stands in a query's `from`, so that the planner sees what is in it.
create function payable_campaigns(payer text) returns table (id text, channel text, name text, created_at timestamptz)
language sql stable as $$
with recursive pairs as (
    (select billing_domain, agency_id from campaigns where billing_domain is not null order by 1, 2 limit 1)
    union all
    select n.billing_domain, n.agency_id from pairs p cross join lateral (
        select billing_domain, agency_id from campaigns c
        where (c.billing_domain, c.agency_id) > (p.billing_domain, p.agency_id) order by 1, 2 limit 1
    ) n
), own as materialized (
    select domain from agency_domains where agency_id = payer
), candidates as materialized (
    -- Those of the agency, and of its domains and what is below them: of the others nobody need be asked for the nearest domain.
    select p.billing_domain, p.agency_id from pairs p
    where p.agency_id = payer
        or exists (select from own where right('.' || p.billing_domain, length(own.domain) + 1) = '.' || own.domain)
)
select c.id, c.channel, c.name, c.created_at from candidates p join campaigns c using (billing_domain, agency_id)
where paying_agency(p.billing_domain, p.agency_id) = payer
$$;

-- step: alone
create index concurrently if not exists campaigns_payable
on campaigns (billing_domain, agency_id, id) include (channel, name, created_at)

-- step: alone
drop index concurrently if exists campaigns_of_billing_domain

-- step: alone
create index concurrently if not exists campaigns_of_agency_in_order
on campaigns (agency_id, created_at desc, id desc) include (status, name)

-- step: alone
drop index concurrently if exists campaigns_of_agency

-- step: alone
create index concurrently if not exists billing_reports_by_campaign on billing_report_campaigns (campaign_id, report_id)

-- step: alone
drop index concurrently if exists billing_reports_of_campaign
