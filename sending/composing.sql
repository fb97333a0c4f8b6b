-- name: fetch_frames
select batch_no, campaign_id, frame from batches where batch_no = any($1::integer[])

-- name: fetch_bodies
select campaign_id, language, body from template_bodies where campaign_id = any($1::text[])
