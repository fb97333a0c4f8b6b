-- name: fetch_access
select id, name, allowed_sources,
    array(select fingerprint from ssh_keys where campaign_id = campaigns.id and revoked_at is null) as fingerprints
from campaigns
where id = $1 and status = 'active'

-- name: hold_access
select id, name, allowed_sources, fingerprints from hold_access($1, $2)
