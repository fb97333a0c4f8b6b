-- name: list_ranges
-- The ranges that are in the database, those of messages first, each with its table of attempts.
select m.name, m.table_name as kind, m.from_no as begins, m.to_no as ends, m.state, m.first_at, m.last_at, m.rows,
    m.bytes + coalesce(a.bytes, 0) as bytes
from record_ranges m
left join record_ranges a on m.table_name = 'messages' and a.table_name = 'attempts' and a.to_no = m.to_no
where m.table_name <> 'attempts'
order by m.table_name desc, m.from_no

-- name: fetch_obstacles
select * from archive_obstacles($1, $2, $3)

-- name: fetch_closed_before
-- The first day that isn't in a month that was posted; null where none was.
select (max(month) + interval '1 month')::date from billing_months

-- name: look_at_events
select count(*) as events, min(at) as first_at, max(at) as last_at from audit_events where id >= $1 and id < $2

-- name: count_messages
select (select count(*) from messages where batch_no >= $1 and batch_no < $2) as messages,
    (select count(*) from attempts where batch_no >= $1 and batch_no < $2) as attempts

-- name: count_events
select count(*) as audit_events from audit_events where id >= $1 and id < $2
