-- name: list_kept_objects
-- Asked after forget_originals: what an upload still names is kept, though the bucket's clock, or ours, finds it old enough.
select object_key from uploads
where object_key is not null and (finished_at is null or received_at < now() - $1::interval + interval '1 day')

-- name: forget_originals
-- Gone from the bucket, an upload can't be judged anew: `upload retry` and `release` then say so.
update uploads set object_key = null
where object_key is not null and finished_at is not null and received_at < now() - $1::interval

-- name: remove_queue_log
delete from pgqueuer_log where created < now() - $1::interval and aggregated

-- name: remove_queue_statistics
-- What the queue counted of its log, a line for each second: nobody reads it.
delete from pgqueuer_statistics where created < now() - $1::interval
