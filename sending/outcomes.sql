-- name: fetch_transaction
select pg_current_xact_id()::text

-- name: fetch_transaction_status
select pg_xact_status($1::text::xid8)
