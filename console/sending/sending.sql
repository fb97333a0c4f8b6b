-- name: find_recent
-- When this campaign has last written to this number. Only the newest batches are looked through, and no large one, so that the
-- look is quick however much a campaign sends.
with newest as (
    select batch_no, total_messages, created_at from batches
    where campaign_id = $1 and created_at > now() - $3::interval
    order by created_at desc, id desc
    limit 200
)
select max(newest.created_at) from newest join messages m using (batch_no)
where newest.total_messages <= $4 and m.recipient = $2

-- name: fetch_moment
select date_trunc('milliseconds', clock_timestamp())

-- name: list_findings
select findings from uploads where id = $1

-- name: list_waiting
-- The campaign's files that wait to be checked or sent; $2: only those of this user.
select id, file_name, received_at, checked is not null as is_checked from uploads
where checked_at is not null and campaign_id = $1 and ($2::text is null or creator_id = $2)
order by received_at desc, id desc
limit 20
