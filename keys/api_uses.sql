-- name: add_uses
-- Rows are taken in one order, so that no two processes wait for each other. A key belongs to one campaign for ever.
insert into api_uses as u (prefix, source_address, campaign_id, last_at, admitted, unauthorized, forbidden, limited)
select a.prefix, a.source_address::inet, k.campaign_id, a.last_at, a.admitted, a.unauthorized, a.forbidden, a.limited
from unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
    as a (prefix, source_address, last_at, admitted, unauthorized, forbidden, limited)
join api_keys k on k.prefix = a.prefix
order by 1, 2
on conflict (prefix, source_address, campaign_id) do update
set last_at = greatest(u.last_at, excluded.last_at), admitted = u.admitted + excluded.admitted,
    unauthorized = u.unauthorized + excluded.unauthorized, forbidden = u.forbidden + excluded.forbidden,
    limited = u.limited + excluded.limited
returning campaign_id, xmax = 0 as is_new

-- name: delete_beyond
-- An address that was ever let in is remembered before all that never were.
delete from api_uses u using (
    select prefix, source_address, campaign_id,
        row_number() over (partition by campaign_id order by admitted > 0 desc, last_at desc) as place
    from api_uses where campaign_id = any($1::text[])
) o
where o.place > $2 and u.prefix = o.prefix and u.source_address = o.source_address and u.campaign_id = o.campaign_id

-- name: list_uses
select prefix, source_address, last_at, admitted, unauthorized, forbidden, limited
from api_uses where campaign_id = $1
order by last_at desc
