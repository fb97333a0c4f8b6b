-- name: insert_batch
insert into batches (id, campaign_id, upload_id, original_file_name, total_messages, frame) values ($1, $2, $3, $4, $5, $6)

-- name: announce_batch
-- The hand-over to the sending core: whoever sends listens here, and finds the batch by its status.
select pg_notify('sftp_gateway_batches', $1)
