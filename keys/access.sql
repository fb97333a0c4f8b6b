-- name: fetch_access
select id, name, allowed_sources,
    array(select fingerprint from ssh_keys where campaign_id = campaigns.id and revoked_at is null) as fingerprints
from campaigns
where id = $1 and status = 'active'

-- name: hold_campaign
-- The lock conflicts with every change of the row, whoever makes it and however.
select id, name, allowed_sources from campaigns where id = $1 and status = 'active' for share

-- name: hold_keys
select fingerprint from ssh_keys
where campaign_id = $1 and fingerprint = any($2::text[]) and revoked_at is null
for share
