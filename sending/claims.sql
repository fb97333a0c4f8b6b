-- name: claim_messages
select * from claim_messages($1, $2, $3, $4, $5)

-- name: reserve_time
select reserve_time($1, $2, $3, $4) as leaves_at, extract(epoch from clock_timestamp())::double precision as now
