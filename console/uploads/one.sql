-- name: fetch_more
select host(source_address) as source_address,
       (select email from users where users.id = uploads.creator_id) as sender,
       (select name from campaigns where campaigns.id = uploads.campaign_id) as campaign_name, held is not null as is_held,
       -- After a restore an outcome can name a batch that isn't there.
       exists (select from batches where batches.id = uploads.batch_id) as has_batch
from uploads where id = $1

-- name: list_repeats
-- Uploads that were found to be this one again: they have its bytes, which an index finds them by.
select id, file_name, received_at from uploads
where campaign_id = $1 and sha256 = $2 and duplicate_of = $3
order by received_at desc, id desc
limit 20

-- name: fetch_original
select id, file_name, received_at from uploads where id = $1
