-- name: claim_messages
-- Which database gave them: a restored or failed-over one has another server's start, or another table.
select c.*, (select pg_postmaster_start_time()) as server_started, (select 'senders'::regclass::bigint) as senders_table
from claim_messages($1, $2, $3, $4, $5) c

-- name: reserve_time
select reserve_time($1, $2, $3, $4) as leaves_at, extract(epoch from clock_timestamp())::double precision as now
