-- name: insert_key
insert into api_keys (prefix, campaign_id, digest, name, made_by, creator_id) values ($1, $2, $3, $4, $5, $6)
on conflict (prefix) do nothing
returning made_at

-- name: is_in_force
select exists (select from api_keys where prefix = $2 and campaign_id = $1 and deleted_at is null)

-- name: count_in_force
select count(*) from api_keys where campaign_id = $1 and deleted_at is null

-- name: count_keys
select campaign_id, count(*) as keys from api_keys where deleted_at is null and campaign_id = any($1) group by campaign_id

-- name: list_keys
select prefix, name, made_by, made_at, deleted_at, creator_id from api_keys where campaign_id = $1 order by made_at, prefix

-- name: delete_key
update api_keys set deleted_at = now() where campaign_id = $1 and prefix = $2 and deleted_at is null returning prefix

-- name: delete_all_keys
update api_keys set deleted_at = now() where campaign_id = $1 and deleted_at is null returning prefix
