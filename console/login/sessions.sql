-- name: insert_session
insert into console_sessions (id, digest, user_id, source_address, browser, ends_at)
values ($1, $2, $3, $4, $5, now() + $6::interval)

-- name: find_session
select s.id, s.user_id, s.code_at, s.flash, s.last_active_at < now() - interval '1 minute' as is_stale
from console_sessions s
where s.digest = $1 and s.ended_at is null and s.ends_at > now() and s.last_active_at > now() - $2::interval

-- name: touch_session
update console_sessions set last_active_at = now() where id = $1

-- name: is_fresh
select code_at > now() - $2::interval from console_sessions where id = $1

-- name: renew_code
update console_sessions set code_at = now() where id = $1

-- name: add_flash
update console_sessions set flash = flash || to_jsonb(array[$2::text]) where id = $1

-- name: clear_flash
update console_sessions set flash = '[]' where id = $1

-- name: end_session
update console_sessions set ended_at = now() where id = $1 and user_id = $2 and ended_at is null returning id

-- name: end_sessions_of_user
update console_sessions set ended_at = now()
where user_id = $1 and ended_at is null and ends_at > now() and id is distinct from $2 returning id

-- name: list_sessions
select id, source_address, browser, began_at, last_active_at
from console_sessions
where user_id = $1 and ended_at is null and ends_at > now() and last_active_at > now() - $2::interval
order by last_active_at desc, id

-- name: is_in_force
select true from console_sessions
where id = $1 and ended_at is null and ends_at > now() and last_active_at > now() - $2::interval

-- name: delete_old
delete from console_sessions where ends_at < now() - interval '30 days'
