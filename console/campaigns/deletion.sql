-- name: count_what_is_lost
-- Keys in force, and batches of which messages may not have left yet.
select
    (select count(*) from ssh_keys where campaign_id = $1 and revoked_at is null) as ssh_keys,
    (select count(*) from api_keys where campaign_id = $1 and deleted_at is null) as api_keys,
    (select count(*) from (
        select from lanes l join batches b on b.lane_id = l.id and b.waiting where l.campaign_id = $1 limit 1000
    ) w) as waiting
