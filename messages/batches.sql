-- name: insert_batch
insert into batches (id, campaign_id, upload_id, original_file_name, total_messages, frame, creator_id)
values ($1, $2, $3, $4, $5, $6, $7)

-- name: hand_over
-- A batch takes its place among the campaign's messages where it is committed, not where it was begun: half a million rows take seconds
-- to write, and whoever asks for what is newer than the newest message seen must not miss them. Whoever sends listens for it, and finds
-- the batch by its status.
with timed as (
    update batches set created_at = date_trunc('milliseconds', clock_timestamp()) where id = $1 returning id
)
select pg_notify('sftp_gateway_batches', id) from timed
