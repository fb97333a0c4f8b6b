-- name: insert_user
insert into users (id, email, agency_id) values ($1, $2, $3) on conflict (email) do nothing

-- name: insert_service_user
insert into users (id, email, agency_id, is_service) values ($1, $2, $3, true) on conflict (email) do nothing

-- name: find_user
select id, email, agency_id, is_service, is_ops, is_pic, may_create, added_at from users where email = $1

-- name: lock_user
select id, email, agency_id, is_service, is_ops, is_pic, may_create, added_at from users where email = $1 for no key update

-- name: fetch_user
select id, email, agency_id, is_service, is_ops, is_pic, may_create, added_at from users where id = $1

-- name: list_in_charge
select id, email, agency_id, is_service, is_ops, is_pic, may_create, added_at from users
where agency_id = $1 and (is_pic or may_create) order by email

-- name: set_rights
update users set is_ops = $2, is_pic = $3, may_create = $4, agency_id = $5 where id = $1
