-- name: list_campaigns
-- By the index on agency and time; what is older than ($2, $3).
select c.id, c.name, c.status, c.created_at, u.email as creator_email
from campaigns c join users u on u.id = c.creator_id
where c.agency_id = $1 and ($2::timestamptz is null or (c.created_at, c.id) < ($2, $3::text))
order by c.created_at desc, c.id desc
limit $4

-- name: list_members
-- The first ones of each campaign, and how many there are.
select * from (
    select m.campaign_id, u.email, m.role, count(*) over (partition by m.campaign_id) as members,
        row_number() over (partition by m.campaign_id order by m.role = 'owner' desc, u.email) as place
    from members m join users u on u.id = m.user_id
    where m.campaign_id = any($1::text[])
) ranked
where place <= $2
order by campaign_id, place
