-- name: choose_uploads
-- The newest $11 of all campaigns ($1), of some ($2), and of others ($3) only what one user ($4) has sent. Each branch walks an index from
-- the newest upload backwards until it has enough; what is chosen by $5 to $8 is sorted out on the way. Of some campaigns the newest upload
-- of each is found first. With $11 campaigns whose newest ones are the newest, nothing older than the last of these is on the page, and
-- nothing of other campaigns.
with heads as materialized (
    select c.id, newest.received_at from unnest($2::text[]) as c (id) cross join lateral (
        select id, received_at from uploads u
        where campaign_id = c.id
          and ($5::text is null or upload_word(u.status, u.attempts, u.withdrawn_at, u.checked_at, u.checked is not null) = $5)
          and ($6::text is null or source = $6)
          and ($7::timestamptz is null or received_at >= $7) and ($8::timestamptz is null or received_at < $8)
          and ($9::timestamptz is null or (received_at, id) < ($9, $10))
        order by received_at desc, id desc limit 1
    ) newest
    order by newest.received_at desc, newest.id desc limit $11
)
select id from (
    (
        select id, received_at from uploads u
        where $1
          and ($5::text is null or upload_word(u.status, u.attempts, u.withdrawn_at, u.checked_at, u.checked is not null) = $5)
          and ($6::text is null or source = $6)
          and ($7::timestamptz is null or received_at >= $7) and ($8::timestamptz is null or received_at < $8)
          and ($9::timestamptz is null or (received_at, id) < ($9, $10))
        order by received_at desc, id desc limit $11
    )
    union all
    (
        select found.id, found.received_at from heads cross join lateral (
            select id, received_at from uploads u
            where campaign_id = heads.id
              and received_at >= coalesce((select min(received_at) from heads having count(*) = $11), '-infinity')
              and ($5::text is null or upload_word(u.status, u.attempts, u.withdrawn_at, u.checked_at, u.checked is not null) = $5)
              and ($6::text is null or source = $6)
              and ($7::timestamptz is null or received_at >= $7) and ($8::timestamptz is null or received_at < $8)
              and ($9::timestamptz is null or (received_at, id) < ($9, $10))
            order by received_at desc, id desc limit $11
        ) found
    )
    union all
    (
        select id, received_at from uploads u
        where creator_id = $4 and campaign_id = any ($3::text[])
          and ($5::text is null or upload_word(u.status, u.attempts, u.withdrawn_at, u.checked_at, u.checked is not null) = $5)
          and ($6::text is null or source = $6)
          and ($7::timestamptz is null or received_at >= $7) and ($8::timestamptz is null or received_at < $8)
          and ($9::timestamptz is null or (received_at, id) < ($9, $10))
        order by received_at desc, id desc limit $11
    )
) chosen
order by received_at desc, id desc limit $11

-- name: choose_among_newest
-- The same of some campaigns among many ($1 is not asked for): only the newest $12 of all uploads that fit are looked at. Whether these
-- were all, or enough, is for the caller to judge.
with newest as materialized (
    select id, received_at, campaign_id, creator_id from uploads u
    where not $1
      and ($5::text is null or upload_word(u.status, u.attempts, u.withdrawn_at, u.checked_at, u.checked is not null) = $5)
      and ($6::text is null or source = $6)
      and ($7::timestamptz is null or received_at >= $7) and ($8::timestamptz is null or received_at < $8)
      and ($9::timestamptz is null or (received_at, id) < ($9, $10))
    order by received_at desc, id desc limit $12
)
select array(
        select id from newest
        where campaign_id = any ($2::text[]) or (creator_id = $4 and campaign_id = any ($3::text[]))
        order by received_at desc, id desc limit $11
    ) as ids,
    (select count(*) from newest) as looked

-- name: show_uploads
select u.id, u.campaign_id, c.name as campaign_name, u.file_name, u.received_at, u.source,
       upload_status(u) as status,
       u.bytes, u.total_messages, u.batch_id, u.duplicate_of, u.num_rows, u.num_errors, u.error_reason, u.support_id,
       u.report_key is not null as has_report, u.held is not null as is_held,
       exists (select from batches b where b.id = u.batch_id) as has_batch
from uploads u join campaigns c on c.id = u.campaign_id
where u.id = any ($1::text[])
order by u.received_at desc, u.id desc

-- name: list_connected
-- Rows that their front no longer renews are of one that is gone.
select s.connection_id, s.campaign_id, c.name as campaign_name, host(s.source_address) as source_address, s.began_at, s.receiving_bytes,
       count(*) over () as total
from sftp_sessions s join campaigns c on c.id = s.campaign_id
where s.seen_at > now() - interval '30 seconds' and ($1 or s.campaign_id = any ($2::text[]))
order by s.began_at desc, s.connection_id
limit $3
