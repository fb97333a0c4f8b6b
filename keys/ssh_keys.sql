-- name: insert_key
insert into ssh_keys (campaign_id, fingerprint, algorithm, public_key, label) values ($1, $2, $3, $4, $5)
on conflict (campaign_id, fingerprint) where revoked_at is null do nothing
returning id

-- name: fetch_other_campaigns
select fingerprint, array_agg(campaign_id order by campaign_id) as campaigns
from ssh_keys
where campaign_id <> $1 and fingerprint = any($2::text[]) and revoked_at is null
group by fingerprint

-- name: fetch_revoked
select distinct fingerprint from ssh_keys
where campaign_id = $1 and fingerprint = any($2::text[]) and revoked_at is not null

-- name: list_keys
select id, fingerprint, algorithm, label, added_at, revoked_at from ssh_keys where campaign_id = $1 order by id

-- name: fetch_label_of_upload
-- Keys of SFTP are known there by their fingerprints, those of the API by their public characters. A key that was revoked and added
-- again is named by what it was called last. What is archived of these events is kept beside.
select coalesce(s.label, a.name)
from (
    select id, actor from audit_events where upload_id = $2 and event = 'upload_received'
    union all
    select id, actor from kept_events where upload_id = $2 and event = 'upload_received'
) e
left join ssh_keys s on s.campaign_id = $1 and s.fingerprint = e.actor
left join api_keys a on a.campaign_id = $1 and 'api key ' || a.prefix = e.actor
order by e.id, s.id desc
limit 1

-- name: count_keys
select campaign_id, count(*) as keys from ssh_keys where revoked_at is null and campaign_id = any($1) group by campaign_id

-- name: revoke_key
update ssh_keys set revoked_at = now()
where campaign_id = $1 and fingerprint = $2 and revoked_at is null
returning id

-- name: revoke_all_keys
update ssh_keys set revoked_at = now() where campaign_id = $1 and revoked_at is null returning fingerprint
