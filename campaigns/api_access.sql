-- name: fetch_addresses
select api_addresses from campaigns where id = $1

-- name: set_addresses
update campaigns set api_addresses = $2 where id = $1

-- name: set_rate
update campaigns set api_rate = $2 where id = $1

-- name: set_nric
update campaigns set nric = $2 where id = $1 and nric <> $2 returning id
