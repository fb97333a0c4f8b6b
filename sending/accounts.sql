-- name: fetch_known_ids
select distinct provider_id from attempts where provider_id = any($1::text[])
