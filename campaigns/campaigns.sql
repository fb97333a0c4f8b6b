-- name: insert_campaign
insert into campaigns (id, name, channel, header, notify_email, allowed_sources, otp, agency_id, creator_id)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: insert_body
insert into template_bodies (campaign_id, language, body, position) values ($1, $2, $3, $4)

-- name: fetch_campaign
select id, name, channel, header, notify_email, status, allowed_sources, otp, api_addresses, api_rate, nric, created_at, suspended_at, deleted_at,
    agency_id, creator_id, (select email from users where users.id = creator_id) as creator_email,
    array(select language from template_bodies where campaign_id = campaigns.id order by position) as languages,
    array(select body from template_bodies where campaign_id = campaigns.id order by position) as bodies
from campaigns
where id = $1

-- name: list_campaigns
-- Those of an agency ($1); those whose name has words that begin so ($2), or whose id begins so ($3), or, where these were few, those
-- ($7); those older than ($4, $5): a page.
select id, name, channel, header, notify_email, status, allowed_sources, otp, api_addresses, api_rate, nric, created_at, suspended_at, deleted_at,
    agency_id, creator_id, (select email from users where users.id = creator_id) as creator_email,
    array(select language from template_bodies where campaign_id = campaigns.id order by position) as languages,
    array(select body from template_bodies where campaign_id = campaigns.id order by position) as bodies
from campaigns
where ($1::text is null or agency_id = $1)
    and ($2::text is null or to_tsvector('simple', name) @@ to_tsquery('simple', $2) or id like $3)
    and ($7::text[] is null or id = any($7))
    and ($4::timestamptz is null or (created_at, id) < ($4, $5::text))
order by created_at desc, id desc
limit $6

-- name: plan_by_words
-- Until the transaction ends what fits is found first, by the indexes of words and of ids, whatever the planner thinks of how much it is.
select set_config('plan_cache_mode', 'force_custom_plan', true), set_config(name, 'off', true)
from unnest('{enable_seqscan,enable_indexscan,enable_indexonlyscan}'::text[]) name

-- name: search_campaigns
-- By the indexes of words and of ids, at most so many ($3) of each.
(select id from campaigns where to_tsvector('simple', name) @@ to_tsquery('simple', $1) limit $3)
union
(select id from campaigns where id like $2 limit $3)

-- name: fetch_active_channels
select exists (select from campaigns where status = 'active' and channel = 'public') as has_public,
    array(select id from campaigns where status = 'active' and channel = 'internal' order by created_at desc, id) as internal_ids

-- name: lock_campaign
select status from campaigns where id = $1 for update

-- name: set_status
update campaigns
set status = $2,
    suspended_at = case $2 when 'suspended' then now() when 'active' then null else suspended_at end,
    deleted_at = case $2 when 'deleted' then now() end
where id = $1

-- name: fetch_suspension_reason
-- The newest suspension, wherever it was recorded: what is archived is kept beside.
select details ->> 'reason' from (
    (select id, details from audit_events where campaign_id = $1 and event = 'campaign_suspended' order by id desc limit 1)
    union all
    (select id, details from kept_events where campaign_id = $1 and event = 'campaign_suspended' order by id desc limit 1)
) e
order by id desc limit 1

-- name: set_notify_email
update campaigns set notify_email = $2 where id = $1

-- name: set_allowed_sources
update campaigns set allowed_sources = $2 where id = $1
