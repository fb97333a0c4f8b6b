-- name: fetch_known_ids
-- No index holds the provider's ids, since changing it would cost each hand-over more than this. The time leaves most rows out.
select distinct provider_id from attempts where created_at >= $2::timestamptz and provider_id = any($1::text[])
