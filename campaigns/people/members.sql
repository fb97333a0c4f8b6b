-- name: set_member
insert into members (campaign_id, user_id, role) values ($1, $2, $3)
on conflict (campaign_id, user_id) do update set role = excluded.role

-- name: delete_member
delete from members where campaign_id = $1 and user_id = $2

-- name: list_members
select u.id as user_id, u.email, m.role, m.added_at
from members m join users u on u.id = m.user_id
where m.campaign_id = $1
order by m.added_at, u.email

-- name: fetch_memberships
-- Those that were added last first.
select campaign_id, role from members where user_id = $1 order by added_at desc, campaign_id
