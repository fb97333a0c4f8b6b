-- name: list_archived
-- There is a handful of them a year.
select name, begins, ends from archives where kind = 'messages' and state = 'archived' order by begins

-- name: find_archive
select name from archives where kind = 'messages' and state = 'archived' and begins <= $1 and ends > $1

-- name: find_batch_no
-- The condition on the length is the index's own.
select batch_no from batches
where message_id_stem(id) = $1 and length(id) = 42 and ($2::text is null or campaign_id = $2)
