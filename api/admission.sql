-- name: admit_calls
select place, verdict, campaign_id, nric, extract(epoch from at)::double precision as at, extract(epoch from until)::double precision as until
from admit_calls($1, $2, $3, $4, $5, $6)

-- name: fetch_makers
-- The users who made these keys; those of the command line have none.
select k.prefix, u.id, u.email from api_keys k join users u on u.id = k.creator_id where k.prefix = any($1::text[])

-- name: fetch_campaigns
select id, header, otp, created_at, creator_id, (select email from users where users.id = creator_id) as creator_email,
    array(select language from template_bodies where campaign_id = campaigns.id order by position) as languages,
    array(select body from template_bodies where campaign_id = campaigns.id order by position) as bodies
from campaigns
where id = any($1::text[])
