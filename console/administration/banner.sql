-- name: fetch_banner
select b.sentence, b.set_at, u.email as set_by_email from console_banner b join users u on u.id = b.set_by

-- name: set_banner
insert into console_banner (sentence, set_by) values ($1, $2)
on conflict (is_only) do update set sentence = excluded.sentence, set_by = excluded.set_by, set_at = now()

-- name: clear_banner
delete from console_banner
