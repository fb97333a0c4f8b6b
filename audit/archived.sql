-- name: list_archived
-- There is about one a month.
select name, first_at, last_at from archives
where kind = 'audit_events' and state = 'archived' and ($1::timestamptz is null or last_at >= $1)
    and ($2::timestamptz is null or first_at < $2)
order by begins
