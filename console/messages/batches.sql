-- name: list_batches
-- A campaign's batches from a place on, newest first: older ones than ($2, $3). $4: whose alone, where null is the campaign's creator's.
select b.batch_no from batches b
where b.campaign_id = $1 and b.kind = 'batch' and (b.created_at, b.id) < ($2::timestamptz, $3::text)
    and ($4::text is null or coalesce(b.creator_id, (select creator_id from campaigns where id = $1)) = $4)
order by b.created_at desc, b.id desc
limit $5

-- name: list_newer_batches
select b.batch_no from batches b
where b.campaign_id = $1 and b.kind = 'batch' and (b.created_at, b.id) > ($2::timestamptz, $3::text)
    and ($4::text is null or coalesce(b.creator_id, (select creator_id from campaigns where id = $1)) = $4)
order by b.created_at, b.id
limit $5

-- name: fetch_versions
-- Whether anything may have changed: the campaign's newest batch that a list shows, and the versions of these batches' rows.
select (
        select batch_no from batches where campaign_id = $1 and kind = 'batch' order by created_at desc, id desc limit 1
    ) as newest,
    (select array_agg(xmin::text order by batch_no) from batches where batch_no = any($2)) as versions

-- name: fetch_fingerprint
-- Of the file that the batch was made from.
select sha256, bytes from uploads where id = $1
