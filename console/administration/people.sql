-- name: list_ops
select id, email, added_at from users where is_ops order by email limit 200

-- name: find_user
select id, email, agency_id, is_service, is_ops, is_pic, may_create, added_at from users where id = $1

-- name: list_campaigns
select c.id, c.name, c.status, m.role
from members m join campaigns c on c.id = m.campaign_id
where m.user_id = $1
order by c.created_at desc, c.id
limit $2
