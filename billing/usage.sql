-- name: fetch_lines
-- Of some campaigns, or of all that are on one agency's bill, on the days from $3 to $4: what isn't charged too.
with charged as (
    select * from unnest($5::text[], $6::text[], $7::boolean[]) as c (destination, outcome, own_expiry)
), chosen as (
    select id, channel from campaigns where id = any($1::text[])
    union all
    select id, channel from payable_campaigns($2) where $1 is null
), used as (
    select c.id, c.channel, u.destination, u.outcome, u.own_expiry,
        case u.destination when 'local' then p.local_mills else p.foreign_mills end as price,
        u.day >= $9::date as is_since, sum(u.attempts) as attempts, sum(u.segments) as segments
    from chosen c
    -- Each campaign's days are found by the key, whatever the planner thinks of their number.
    cross join lateral (
        select day, destination, outcome, own_expiry, attempts, segments from usage_days
        where campaign_id = c.id and day between $3 and $4 offset 0
    ) u
    join price_periods p on u.day >= p.begins and u.day < p.ends
    group by 1, 2, 3, 4, 5, 6, 7
)
select u.id as campaign_id, u.destination, u.outcome, u.own_expiry, u.price,
    $8::boolean and u.channel = 'public' and u.is_since and k.outcome is not null as charged,
    sum(u.attempts)::bigint as attempts, sum(u.segments)::bigint as segments
from used u
left join charged k on (k.destination, k.outcome, k.own_expiry) = (u.destination, u.outcome, u.own_expiry)
group by 1, 2, 3, 4, 5, 6
having sum(u.attempts) <> 0 or sum(u.segments) <> 0
order by 1, 2, 3, 4, 5, 6
