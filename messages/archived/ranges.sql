-- name: list_archived
-- There is a handful of them a year.
select name, begins, ends, first_at, last_at from archives where kind = 'messages' and state = 'archived' order by begins

-- name: has_batches
select exists (select from batches where batch_no >= $1 and batch_no < $2)

-- name: list_left_out
-- The archives that have batches of a campaign which were made from $2 on and before $3. Each is found by the index of the campaign.
select name from archives a
where kind = 'messages' and state = 'archived' and last_at >= $2 and first_at < $3 and exists (
    select from batches b
    where b.campaign_id = $1 and b.created_at between greatest(a.first_at, $2) and least(a.last_at, $3)
        and b.batch_no >= a.begins and b.batch_no < a.ends
)
order by begins

-- name: find_used
-- The archive of one of these batches whose messages had their end only after $2.
select a.name from archives a join batches b on b.batch_no >= a.begins and b.batch_no < a.ends
where a.kind = 'messages' and a.state = 'archived' and b.batch_no = any($1::integer[]) and b.finished_at >= $2
order by a.begins limit 1

-- name: find_archive
select name from archives where kind = 'messages' and state = 'archived' and begins <= $1 and ends > $1

-- name: find_batch_no
-- The condition on the length is the index's own.
select batch_no from batches
where message_id_stem(id) = $1 and length(id) = 42 and ($2::text is null or campaign_id = $2)
