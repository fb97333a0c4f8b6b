-- name: put_identifier
insert into nric_test_identifiers (identifier, number) values ($1, $2)
on conflict (identifier) do update set number = excluded.number, added_at = now()
