-- name: list_api_keys
-- Those in force. Of a key of the command line nobody here needs to know by which login of a server it was made.
select k.prefix, k.name, k.made_at, u.email as made_by
from api_keys k
left join users u on u.id = k.creator_id
where k.campaign_id = $1 and k.deleted_at is null
order by k.made_at, k.prefix

-- name: list_ssh_keys
-- Those in force, with the last login of each: among the newest events that it has caused, or kept of those that are archived.
select k.fingerprint, k.algorithm, k.label, k.added_at, login.at as last_login_at, login.source_address as last_login_from
from ssh_keys k
left join lateral (
    select at, host(source_address) as source_address from (
        -- The walk ends at the first login, which is among the key's newest events.
        (
            select id, at, source_address from (
                select id, at, source_address, event, campaign_id from audit_events where actor = k.fingerprint
                order by id desc limit 10000
            ) newest
            where event = 'login_accepted' and campaign_id = k.campaign_id
            order by id desc limit 1
        )
        union all
        select id, at, source_address from kept_events
        where event = 'login_accepted' and campaign_id = k.campaign_id and actor = k.fingerprint
    ) logins
    order by id desc
    limit 1
) login on true
where k.campaign_id = $1 and k.revoked_at is null
order by k.id
