-- name: fetch_all
select fingerprint, retired_at from host_key_fingerprints

-- name: list_in_force
select fingerprint, algorithm, public_key from host_key_fingerprints where retired_at is null order by algorithm, fingerprint

-- name: lock_all
lock table host_key_fingerprints in share row exclusive mode

-- name: insert
insert into host_key_fingerprints (fingerprint, algorithm, public_key) values ($1, $2, $3)
on conflict (fingerprint) do nothing

-- name: retire
update host_key_fingerprints set retired_at = now() where fingerprint = any($1::text[]) and retired_at is null
returning fingerprint
