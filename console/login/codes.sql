-- name: wait_for_others
-- Codes for one address, and then those asked for from one place, are counted and made one after the other.
select pg_advisory_xact_lock(hashtextextended(encode($1::bytea, 'hex'), 7367470008)), pg_advisory_xact_lock(hashtextextended($2::text, 7367470009))

-- name: count_asked
-- How many codes were asked for lately, and when the oldest of those that matter was.
select
    (select count(*) from login_codes where email_hash = $1 and asked_at > now() - interval '1 hour') as of_address_in_hour,
    (select count(*) from login_codes where email_hash = $1 and asked_at > now() - interval '1 day') as of_address_in_day,
    (select count(*) from login_codes where source_address = $2::inet and asked_at > now() - interval '1 hour') as of_source_in_hour

-- name: insert_code
insert into login_codes (browser, email_hash, code_hash, email, source_address, expires_at)
values ($1, $2, $3, $4, $5, now() + $6::interval)
returning asked_at

-- name: seconds_since
-- For how long the browser has waited for the code that it asked for, of that address.
select extract(epoch from now() - asked_at)::float8 from login_codes
where browser = $1 and email_hash = $2 and used_at is null and expires_at > now()

-- name: count_try
-- A try is counted before it is judged, so that many at once are no more than four.
update login_codes set tries = tries + 1
where browser = $1 and used_at is null and tries < $2 and expires_at > now()
returning email, email_hash, code_hash, tries

-- name: fetch_state
select email_hash, tries, used_at is not null as is_used, expires_at <= now() as is_expired from login_codes where browser = $1

-- name: use_code
update login_codes set used_at = now() where browser = $1 and used_at is null returning browser

-- name: delete_old
delete from login_codes where asked_at < now() - interval '1 day'
