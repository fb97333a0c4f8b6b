-- name: insert_agency
insert into agencies (id, name) values ($1, $2) on conflict (name) do nothing returning id

-- name: insert_domain
insert into agency_domains (domain, agency_id, member_only) values ($1, $2, $3) on conflict (domain) do nothing returning domain

-- name: find_agency
select id, name, added_at, customer_id, sub_bu, billing_contact,
    array(select domain from agency_domains where agency_id = agencies.id and not member_only order by domain) as domains,
    array(select domain from agency_domains where agency_id = agencies.id and member_only order by domain) as member_domains
from agencies where name = $1

-- name: fetch_agency
select id, name, added_at, customer_id, sub_bu, billing_contact,
    array(select domain from agency_domains where agency_id = agencies.id and not member_only order by domain) as domains,
    array(select domain from agency_domains where agency_id = agencies.id and member_only order by domain) as member_domains
from agencies where id = $1

-- name: list_agencies
select id, name, added_at, customer_id, sub_bu, billing_contact,
    array(select domain from agency_domains where agency_id = agencies.id and not member_only order by domain) as domains,
    array(select domain from agency_domains where agency_id = agencies.id and member_only order by domain) as member_domains
from agencies
where ($2::text is null or name > $2)
    and ($1::text is null or strpos(lower(name), lower($1)) > 0 or exists (
        select from agency_domains where agency_id = agencies.id and strpos(domain, lower($1)) > 0
    ))
order by name
limit $3

-- name: find_domain
-- The nearest of an address's domain and those that it is below, which are given nearest first.
select d.domain, d.agency_id, d.member_only
from agency_domains d
where d.domain = any($1::text[])
order by length(d.domain) desc
limit 1

-- name: count_campaigns
select count(*) from campaigns where agency_id = $1 and status <> 'deleted'

-- name: update_payment_form
-- Null leaves a field as it is, an empty text clears it.
update agencies set
    customer_id = nullif(coalesce($2, customer_id), ''),
    sub_bu = nullif(coalesce($3, sub_bu), ''),
    billing_contact = nullif(coalesce($4, billing_contact), '')
where id = $1
