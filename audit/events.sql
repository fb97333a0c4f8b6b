-- name: record_event
insert into audit_events (event, campaign_id, upload_id, connection_id, actor, source_address, details)
values ($1, $2, $3, $4, $5, $6, $7)

-- name: fetch_events_of_upload
select at, event, actor, host(source_address) as source_address, connection_id, details
from audit_events where upload_id = $1 order by id

-- name: fetch_logins
-- Of a campaign that sends millions of single messages, each with an event, only the newest are looked at.
with newest as (
    select id, at, event, actor, source_address, connection_id, details
    from audit_events where campaign_id = $1 order by id desc limit 100000
)
select at, event, actor, host(source_address) as source_address, connection_id, details
from newest where event = any ($2::text[]) order by id desc limit $3
