-- name: renew_sessions
-- One statement for all sessions of the process that are new, have moved, or were not renewed for a while.
insert into sftp_sessions (connection_id, campaign_id, fingerprint, source_address, began_at, receiving_bytes)
select connection_id, campaign_id, fingerprint, source_address, now() - make_interval(secs => age), receiving_bytes
from unnest($1::text[], $2::text[], $3::text[], $4::inet[], $5::float8[], $6::bigint[])
    as s (connection_id, campaign_id, fingerprint, source_address, age, receiving_bytes)
on conflict (connection_id) do update set seen_at = now(), receiving_bytes = excluded.receiving_bytes

-- name: delete_sessions
delete from sftp_sessions where connection_id = any ($1::text[])

-- name: sweep_sessions
-- Those of a front that is gone. What somebody renews at this moment is left alone, so that nobody waits for anybody.
delete from sftp_sessions where connection_id in (
    select connection_id from sftp_sessions where seen_at < now() - interval '30 seconds' for update skip locked)
