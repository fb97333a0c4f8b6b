-- name: lock_usage_alone
-- Waits for the outcomes that are being written, and lets no other be counted until this transaction ends.
select lock_usage_alone()

-- name: limit_wait
-- Outcomes wait behind who waits for the lock, so that nobody may do that for long.
set local lock_timeout = '10s'

-- name: insert_month
insert into billing_months (month, posted_at) values ($1, $2)

-- name: fetch_month
select posted_at from billing_months where month = $1

-- name: fetch_closed_before
-- The first day that isn't in a month that was posted, nor in one before it; null where none was posted.
select (max(month) + interval '1 month')::date from billing_months
