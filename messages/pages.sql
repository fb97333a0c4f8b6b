-- name: find_batch_id
-- What a message's id says of its batch finds the batch's own id. The condition on the length is the index's own.
select id from batches where message_id_stem(id) = $1 and length(id) = 42

-- name: look_older
-- A campaign's rows from a place on, newest first: those of the batch at ($2, $3) whose numbers are below $4, and all of older
-- batches. $5: part of the recipient's number, or null. At most $6 batches are gone into, and no further one once those before
-- have $7 rows; nor is one that has more than $8, which the last line says (`is_large`). There is a line for each batch with rows that
-- fit, and for the last one; `listed` is how many there were, up to $6. Archived batches are passed over: what was made before $9, and the
-- numbers in $10.
with nearest as (
    select batch_no, created_at, id, total_messages from batches
    where campaign_id = $1 and (created_at, id) <= ($2::timestamptz, $3::text)
        and created_at >= $9::timestamptz and not $10::text::int4multirange @> batch_no
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
        and created_at >= $9::timestamptz and not $10::text::int4multirange @> batch_no
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

-- name: filter_older
-- The same for rows that are wanted by more than their numbers. $11 and $12: when their batch was made; $13: by whom, where null is the
-- campaign's creator; $14: ranks of statuses; $15: the error. Each may be null. A batch none of whose rows can fit, by its counts, has
-- size 0: it is passed over.
with nearest as (
    select *, case when ended_at is not null then 6 when taken_at is not null then 1 else 0 end as unclaimed_status,
        case ended_because when 'stopped' then 'stopped' when 'expired' then 'server_unknown_error' end as unclaimed_error,
        total_messages - retrying - enqueued - sending - sent - sent_to_telco - success - failure as unclaimed
    from batches
    where campaign_id = $1 and (created_at, id) <= ($2::timestamptz, $3::text)
        and created_at >= $9::timestamptz and not $10::text::int4multirange @> batch_no
        and created_at >= coalesce($11::timestamptz, '-infinity') and created_at < coalesce($12::timestamptz, 'infinity')
    order by created_at desc, id desc
    limit $6
), bounded as (
    select *, row_number() over (order by created_at desc, id desc) as place, count(*) over () as listed,
        case when created_at = $2 and id = $3 then $4::bigint else 2147483648 end as bound,
        ($13::text is null or coalesce(creator_id, (select creator_id from campaigns where id = $1)) = $13)
        and ($14::integer[] is null or (unclaimed > 0 and unclaimed_status = any($14)) or exists (
            select from unnest(array[retrying, enqueued, sending, sent, sent_to_telco, success, failure]) with ordinality r (n, rank)
            where n > 0 and rank - 1 = any($14)
        ))
        and ($15::text is null or errors ? $15 or (unclaimed > 0 and unclaimed_error = $15)) as may_fit
    from nearest
), measured as (
    select *, case when may_fit then least(total_messages, bound - 1)::integer else 0 end as size from bounded
), summed as (
    select *, size > $8 as is_large, sum(size) over in_order - size as before,
        count(*) filter (where size > $8) over in_order as large
    from measured window in_order as (order by place rows unbounded preceding)
), chosen as (
    select * from summed where before < $7 and (large = 0 or (large = 1 and is_large))
), wanted as (
    select * from chosen where size > 0 or place = (select max(place) from chosen)
)
select c.batch_no, c.created_at, c.id, c.place, c.listed, c.is_large, c.unclaimed_status, c.unclaimed_error,
    r.looked, r.last_row, r.found
from wanted c
cross join lateral (
    select count(*) as looked, min(m.row_number) as last_row, array_agg(m.row_number order by m.row_number desc) filter (where
        ($5::text is null or strpos(m.recipient, $5) > 0)
        and ($14::integer[] is null or coalesce(a.status, c.unclaimed_status) = any($14))
        and ($15::text is null or case when a.status is null then c.unclaimed_error else a.error end = $15)
    ) as found
    from messages m
    left join lateral (
        -- Asked only where it matters.
        select status, error from attempts
        where batch_no = m.batch_no and row_number = m.row_number and $14::integer[] is not null
        order by attempt desc limit 1
    ) a on true
    where m.batch_no = c.batch_no and m.row_number < case when c.size = 0 or c.is_large then 0 else c.bound end
    offset 0
) r
where r.found is not null or c.place = (select max(place) from chosen)
order by c.place

-- name: filter_newer
with nearest as (
    select *, case when ended_at is not null then 6 when taken_at is not null then 1 else 0 end as unclaimed_status,
        case ended_because when 'stopped' then 'stopped' when 'expired' then 'server_unknown_error' end as unclaimed_error,
        total_messages - retrying - enqueued - sending - sent - sent_to_telco - success - failure as unclaimed
    from batches
    where campaign_id = $1 and (created_at, id) >= ($2::timestamptz, $3::text)
        and created_at >= $9::timestamptz and not $10::text::int4multirange @> batch_no
        and created_at >= coalesce($11::timestamptz, '-infinity') and created_at < coalesce($12::timestamptz, 'infinity')
    order by created_at, id
    limit $6
), bounded as (
    select *, row_number() over (order by created_at, id) as place, count(*) over () as listed,
        case when created_at = $2 and id = $3 then $4::bigint else 0 end as bound,
        ($13::text is null or coalesce(creator_id, (select creator_id from campaigns where id = $1)) = $13)
        and ($14::integer[] is null or (unclaimed > 0 and unclaimed_status = any($14)) or exists (
            select from unnest(array[retrying, enqueued, sending, sent, sent_to_telco, success, failure]) with ordinality r (n, rank)
            where n > 0 and rank - 1 = any($14)
        ))
        and ($15::text is null or errors ? $15 or (unclaimed > 0 and unclaimed_error = $15)) as may_fit
    from nearest
), measured as (
    select *, case when may_fit then least(total_messages, 2147483647 - bound)::integer else 0 end as size from bounded
), summed as (
    select *, size > $8 as is_large, sum(size) over in_order - size as before,
        count(*) filter (where size > $8) over in_order as large
    from measured window in_order as (order by place rows unbounded preceding)
), chosen as (
    select * from summed where before < $7 and (large = 0 or (large = 1 and is_large))
), wanted as (
    select * from chosen where size > 0 or place = (select max(place) from chosen)
)
select c.batch_no, c.created_at, c.id, c.place, c.listed, c.is_large, c.unclaimed_status, c.unclaimed_error,
    r.looked, r.last_row, r.found
from wanted c
cross join lateral (
    select count(*) as looked, max(m.row_number) as last_row, array_agg(m.row_number order by m.row_number) filter (where
        ($5::text is null or strpos(m.recipient, $5) > 0)
        and ($14::integer[] is null or coalesce(a.status, c.unclaimed_status) = any($14))
        and ($15::text is null or case when a.status is null then c.unclaimed_error else a.error end = $15)
    ) as found
    from messages m
    left join lateral (
        -- Asked only where it matters.
        select status, error from attempts
        where batch_no = m.batch_no and row_number = m.row_number and $14::integer[] is not null
        order by attempt desc limit 1
    ) a on true
    where m.batch_no = c.batch_no and m.row_number > case when c.size = 0 or c.is_large then 2147483647 else c.bound end
    offset 0
) r
where r.found is not null or c.place = (select max(place) from chosen)
order by c.place

-- name: filter_older_in_batch
-- As above for one batch: $5 ranks of statuses, $6 the error; $7 and $8 are both of a row without an attempt.
select count(*) as looked, min(m.row_number) as last_row, array_agg(m.row_number order by m.row_number desc) filter (where
    ($3::text is null or strpos(m.recipient, $3) > 0)
    and ($5::integer[] is null or coalesce(a.status, $7::integer) = any($5))
    and ($6::text is null or case when a.status is null then $8::text else a.error end = $6)
) as found
from (
    select batch_no, row_number, recipient from messages
    where (batch_no, row_number) < ($1::integer, $2::bigint) and batch_no >= $1
    order by batch_no desc, row_number desc
    limit $4
) m
left join lateral (
    select status, error from attempts
    where batch_no = m.batch_no and row_number = m.row_number and $5::integer[] is not null
    order by attempt desc limit 1
) a on true

-- name: filter_newer_in_batch
select count(*) as looked, max(m.row_number) as last_row, array_agg(m.row_number order by m.row_number) filter (where
    ($3::text is null or strpos(m.recipient, $3) > 0)
    and ($5::integer[] is null or coalesce(a.status, $7::integer) = any($5))
    and ($6::text is null or case when a.status is null then $8::text else a.error end = $6)
) as found
from (
    select batch_no, row_number, recipient from messages
    where (batch_no, row_number) > ($1::integer, $2::bigint) and batch_no <= $1
    order by batch_no, row_number
    limit $4
) m
left join lateral (
    select status, error from attempts
    where batch_no = m.batch_no and row_number = m.row_number and $5::integer[] is not null
    order by attempt desc limit 1
) a on true
