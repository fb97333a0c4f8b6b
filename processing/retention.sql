-- name: try_lock
-- Any fixed number: whoever removes what has expired.
select pg_try_advisory_xact_lock(7367470017)
