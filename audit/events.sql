-- name: record_event
insert into audit_events (event, campaign_id, upload_id, connection_id, actor, source_address, details)
values ($1, $2, $3, $4, $5, $6, $7)

-- name: fetch_events_of_upload
select at, event, actor, host(source_address) as source_address, connection_id, details
from audit_events where upload_id = $1 order by id
