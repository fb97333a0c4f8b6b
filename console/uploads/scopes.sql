-- name: list_ids_of_agency
select id from campaigns where agency_id = $1

-- name: list_places
-- Each branch by its index.
select id, agency_id, creator_id, status = 'deleted' as is_deleted from campaigns where creator_id = $1
union
select id, agency_id, creator_id, status = 'deleted' from campaigns where id = any ($2::text[])

-- name: list_newest
select id, name from campaigns order by created_at desc, id desc limit $1

-- name: list_named
select id, name from campaigns where id = any ($1::text[])
