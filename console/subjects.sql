-- name: campaign_of_batch
select campaign_id from batches where id = $1

-- name: campaign_of_upload
select campaign_id from uploads where id = $1

-- name: campaign_of_export
select campaign_id from log_exports where id = $1

-- name: campaign_of_message
-- The condition on the length is the index's own.
select campaign_id from batches where message_id_stem(id) = $1 and length(id) = 42

-- name: fetch_place
select id, agency_id, creator_id, status = 'deleted' as is_deleted from campaigns where id = $1
