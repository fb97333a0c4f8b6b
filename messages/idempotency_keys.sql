-- name: reserve_key
-- A key that is older than it is kept for is as good as none.
insert into idempotency_keys as k (campaign_id, key, fingerprint, upload_id) values ($1, $2, $3, $4)
on conflict (campaign_id, key) do update
set made_at = excluded.made_at, fingerprint = excluded.fingerprint, upload_id = excluded.upload_id, status = null, answer = null
where k.made_at <= now() - $5::interval
returning true

-- name: find_key
select fingerprint, upload_id, status, answer from idempotency_keys
where campaign_id = $1 and key = $2 and made_at > now() - $3::interval

-- name: keep_answer
insert into idempotency_keys as k (campaign_id, key, fingerprint, status, answer) values ($1, $2, $3, $4, $5)
on conflict (campaign_id, key) do update
set made_at = excluded.made_at, fingerprint = excluded.fingerprint, upload_id = null, status = excluded.status,
    answer = excluded.answer
where k.made_at <= now() - $6::interval

-- name: finish_key
update idempotency_keys set status = $4, answer = $5
where campaign_id = $1 and key = $2 and upload_id = $3 and status is null

-- name: free_key
-- One upload has one key at most. By the index on uploads that have one.
delete from idempotency_keys where upload_id = $1 and status is null

-- name: forget_old
-- A piece of them, oldest first: a busy hour's are very many. One that was taken over meanwhile stays.
delete from idempotency_keys
where made_at <= now() - $1::interval and ctid = any(array(
    select ctid from idempotency_keys where made_at <= now() - $1::interval order by made_at limit $2
))
