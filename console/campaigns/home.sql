-- name: list_campaigns
-- Of all, of the agency where the user is in charge, the user's own, or those whose member the user is.
select c.id, c.name, c.channel, c.status, c.created_at, u.email as creator_email, v.opened_at
from campaigns c
join users u on u.id = c.creator_id
left join campaign_visits v on v.campaign_id = c.id and v.user_id = $1
where ($2::boolean
    or ($3::text is not null and c.agency_id = $3)
    or (c.status <> 'deleted' and (
        c.creator_id = $1 or exists (select from members m where m.campaign_id = c.id and m.user_id = $1)
    )))
order by v.opened_at desc nulls last, c.created_at desc, c.id
limit 100
