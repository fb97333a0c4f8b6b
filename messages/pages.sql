-- name: find_batch_id
-- What a message's id says of its batch finds the batch's own id. The condition on the length is the index's own.
select id from batches where message_id_stem(id) = $1 and length(id) = 42

-- name: look_older
-- A campaign's rows from a place on, newest first: those of the batch at ($2, $3) whose numbers are below $4, and all of older
-- batches. $5: part of the recipient's number, or null. At most $6 batches are gone into, and no further one once those before
-- have $7 rows; nor is one that has more than $8, which the last line says (`is_large`). There is a line for each batch with rows that
-- fit, and for the last one; `listed` is how many there were, up to $6.
with nearest as (
    select batch_no, created_at, id, total_messages from batches
    where campaign_id = $1 and (created_at, id) <= ($2::timestamptz, $3::text)
    order by created_at desc, id desc
    limit $6
), bounded as (
    select *, row_number() over (order by created_at desc, id desc) as place, count(*) over () as listed,
        case when created_at = $2 and id = $3 then $4::bigint else 2147483648 end as bound
    from nearest
), measured as (
    -- Rows are numbered from 1, so that no more than this can lie below the bound.
    select *, least(total_messages, bound - 1)::integer as size from bounded
), summed as (
    select *, size > $8 as is_large, sum(size) over in_order - size as before,
        count(*) filter (where size > $8) over in_order as large
    from measured window in_order as (order by place rows unbounded preceding)
), chosen as (
    select * from summed where before < $7 and (large = 0 or (large = 1 and is_large))
)
select c.batch_no, c.created_at, c.id, c.place, c.listed, c.is_large, r.looked, r.last_row, r.found
from chosen c
cross join lateral (
    select count(*) as looked, min(row_number) as last_row,
        array_agg(row_number order by row_number desc) filter (where $5::text is null or strpos(recipient, $5) > 0) as found
    from messages
    where batch_no = c.batch_no and row_number < case when c.is_large then 0 else c.bound end
    -- So that the planner keeps to a look-up by key for each batch, also where it knows nothing of the table yet.
    offset 0
) r
where r.found is not null or c.place = (select max(place) from chosen)
order by c.place

-- name: look_newer
-- The same towards newer ones, oldest first: rows of the batch at ($2, $3) whose numbers are above $4, and all of newer batches.
with nearest as (
    select batch_no, created_at, id, total_messages from batches
    where campaign_id = $1 and (created_at, id) >= ($2::timestamptz, $3::text)
    order by created_at, id
    limit $6
), bounded as (
    select *, row_number() over (order by created_at, id) as place, count(*) over () as listed,
        case when created_at = $2 and id = $3 then $4::bigint else 0 end as bound
    from nearest
), measured as (
    select *, least(total_messages, 2147483647 - bound)::integer as size from bounded
), summed as (
    select *, size > $8 as is_large, sum(size) over in_order - size as before,
        count(*) filter (where size > $8) over in_order as large
    from measured window in_order as (order by place rows unbounded preceding)
), chosen as (
    select * from summed where before < $7 and (large = 0 or (large = 1 and is_large))
)
select c.batch_no, c.created_at, c.id, c.place, c.listed, c.is_large, r.looked, r.last_row, r.found
from chosen c
cross join lateral (
    select count(*) as looked, max(row_number) as last_row,
        array_agg(row_number order by row_number) filter (where $5::text is null or strpos(recipient, $5) > 0) as found
    from messages
    where batch_no = c.batch_no and row_number > case when c.is_large then 2147483647 else c.bound end
    offset 0
) r
where r.found is not null or c.place = (select max(place) from chosen)
order by c.place

-- name: look_older_in_batch
-- At most $4 rows of one batch, however many it has. The order is that of the table's key and of its partitions, and the conditions
-- bound the key's range at both ends: so the planner reads just these rows, and never sorts half a million.
select count(*) as looked, min(row_number) as last_row,
    array_agg(row_number order by row_number desc) filter (where $3::text is null or strpos(recipient, $3) > 0) as found
from (
    select row_number, recipient from messages
    where (batch_no, row_number) < ($1::integer, $2::bigint) and batch_no >= $1
    order by batch_no desc, row_number desc
    limit $4
) looked_at

-- name: look_newer_in_batch
select count(*) as looked, max(row_number) as last_row,
    array_agg(row_number order by row_number) filter (where $3::text is null or strpos(recipient, $3) > 0) as found
from (
    select row_number, recipient from messages
    where (batch_no, row_number) > ($1::integer, $2::bigint) and batch_no <= $1
    order by batch_no, row_number
    limit $4
) looked_at
