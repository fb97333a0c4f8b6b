-- name: claim_form
-- Waits while another transaction has it.
insert into console_forms (id, user_id) values ($1, $2) on conflict (id) do nothing returning id

-- name: fetch_location
select location from console_forms where id = $1 and user_id = $2

-- name: note_location
update console_forms set location = $2 where id = $1

-- name: delete_old
delete from console_forms where sent_at < now() - interval '1 day'
