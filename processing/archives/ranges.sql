-- name: list_ranges
-- The ranges of batches that are in the database, each with its two tables together.
select m.name, m.from_no as begins, m.to_no as ends, m.state, m.first_at, m.last_at, m.rows,
    m.bytes + coalesce(a.bytes, 0) as bytes
from record_ranges m
left join record_ranges a on a.table_name = 'attempts' and a.to_no = m.to_no
where m.table_name = 'messages'
order by m.from_no

-- name: fetch_obstacles
select * from archive_obstacles($1, $2, $3)

-- name: fetch_closed_before
-- The first day that isn't in a month that was posted; null where none was.
select (max(month) + interval '1 month')::date from billing_months

-- name: count_rows
select (select count(*) from messages where batch_no >= $1 and batch_no < $2),
    (select count(*) from attempts where batch_no >= $1 and batch_no < $2)
