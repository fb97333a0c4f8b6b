-- name: lock_secrets
-- Any fixed number: whoever adds or retires keys, or stores a secret, takes this lock, so that no secret is stored with a key just retired.
select pg_advisory_xact_lock(7367470006)

-- name: fetch_keys
select id, wrapped, wrapped_before, retired_at is null as in_use,
    coalesce(retired_at > now() - interval '80 hours', true) as checks_callbacks
from secret_keys
order by id desc

-- name: insert_key
insert into secret_keys (wrapped) values ($1) returning id

-- name: retire_keys
update secret_keys set retired_at = now() where retired_at is null

-- name: rewrap_key
update secret_keys set wrapped = $2, wrapped_before = wrapped where id = $1

-- name: forget_old_wrappings
update secret_keys set wrapped_before = null where wrapped_before is not null

-- name: delete_old_keys
-- Those that no callback and no secret needs any more.
delete from secret_keys
where retired_at < now() - interval '80 hours'
    and not exists (select from twilio_accounts where secret_key_id = secret_keys.id)
