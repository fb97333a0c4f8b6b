-- name: begin_group
-- The mark is committed with the group or not at all. Its transaction's number is known before it can be committed.
insert into outcome_groups as g (process, number) values ($1, $2)
on conflict (process) do update set number = excluded.number, recorded_at = now()
returning pg_current_xact_id()::text

-- name: fetch_transaction_status
select pg_xact_status($1::text::xid8)

-- name: is_recorded
select exists (select from outcome_groups where process = $1 and number = $2)

-- name: delete_old_groups
delete from outcome_groups where recorded_at < now() - $1::interval
