-- name: list_known
-- The rows of others have their numbers too, whatever the role.
select pid from pg_stat_activity where pid = any ($1::int[])
